//! `omk ci`: what the action runs. It reads the event, and hands it to the stage whose turn it is.
//!
//! Each stage is a file. It refuses to decide here: who may do what on which commit with which plan
//! is `intake`'s, and no later stage asks again.

mod answer;
mod closed;
mod conversation;
mod desk;
mod earlier;
mod event;
mod intake;
mod handed;
mod inputs;
mod judge;
mod one_job;
mod root;
mod outputs;
mod own;
mod plan_check;
mod plans;
mod poll;
mod publish;
mod run;
mod runner;
mod shown;
mod start;
mod verify;
mod whole;

pub(in crate::cli) use inputs::{JobStage, UploadInput};
pub(in crate::cli) use intake::{Decision, announce, decide};
pub(in crate::cli) use outputs::{JobAnnotationLevel, Outputs};
use plans::read_for;
pub(in crate::cli) use runner::{EventName, ForgeAccess, ForgeJob, Machine, Runner};

use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::task::AbortHandle;

use super::terminal::Terminal;
use super::{CommandFailure, FailureKind, Home};
use crate::git::{FetchTarget, GitError, Remote};
use crate::id::{CommitId, Tip};
use crate::request::Request;
use crate::text::ForgeKind;

/// Waits before something is fetched again; a forge that is still down after that is down.
const WAITS: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(3)];

/// The step of a job that this process is, with what every stage needs.
pub(in crate::cli) struct JobStep {
    /// What it was started with.
    pub(in crate::cli) runner: Runner,
    /// Where it prints.
    pub(in crate::cli) terminal: Terminal,
    /// What it tells its runner.
    pub(in crate::cli) outputs: Outputs,
    request: Option<Request>,
    runtime: Runtime,
}

impl JobStep {
    /// Waits for `future`. All that a step waits for shares one runtime, so a client of the forge
    /// may be kept.
    pub(in crate::cli) fn wait<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    /// Does something beside what this step does, until that is aborted; nobody waits for it.
    pub(in crate::cli) fn spawn(
        &self,
        future: impl Future<Output = ()> + Send + 'static,
    ) -> AbortHandle {
        self.runtime.spawn(future).abort_handle()
    }

    /// The repository's git remote.
    pub(in crate::cli) fn remote(&self, access: &ForgeAccess) -> Result<Remote, CommandFailure> {
        self.runner.remote(access.user, &access.token)
    }

    /// A directory that is gone when it is dropped.
    pub(in crate::cli) fn scratch(&self) -> Result<tempfile::TempDir, CommandFailure> {
        tempfile::tempdir_in(&self.runner.temp).map_err(|error| {
            CommandFailure::new(
                FailureKind::Infra,
                format!("failed to make a directory: {error}"),
            )
        })
    }

    /// The repository to work in: at GitHub the checkout; at GitLab a new one with the commits that
    /// the request names, so that no file of an earlier job and no token of the runner's is in
    /// it.
    pub(in crate::cli) fn home(
        &self,
        access: &ForgeAccess,
        request: &Request,
    ) -> Result<Home, CommandFailure> {
        match self.runner.forge {
            ForgeKind::GitHub => Home::find(),
            ForgeKind::GitLab => {
                let home = Home::fresh(self.scratch()?)?;
                let mut commits = vec![request.base.clone(), request.rules.clone()];
                commits.extend(request.plan.commit.clone());
                commits.sort();
                commits.dedup();
                let wanted: Vec<FetchTarget> =
                    commits.into_iter().map(FetchTarget::Commit).collect();
                let remote = self.remote(access)?;
                fetched(|| home.repo.fetch(&remote, &wanted))?;
                Ok(home)
            }
        }
    }

    /// A commit that a checkout may not have; fetched where it does not.
    pub(in crate::cli) fn bring(
        &self,
        access: &ForgeAccess,
        home: &Home,
        commit: &CommitId,
    ) -> Result<Tip, CommandFailure> {
        if let Ok(tip) = home.repo.resolve(commit.as_str()) {
            return Ok(tip);
        }
        let remote = self.remote(access)?;
        fetched(|| {
            home.repo
                .fetch(&remote, &[FetchTarget::Commit(commit.clone())])
        })?;
        home.repo.resolve(commit.as_str()).map_err(super::git)
    }

    /// What the intake job decided, which every later job begins with; `None` where that is that
    /// nothing is to be run.
    pub(in crate::cli) fn request(&self) -> Result<Option<&Request>, CommandFailure> {
        match (&self.request, self.runner.forge) {
            (Some(request), _) => Ok(Some(request)),
            (None, ForgeKind::GitHub) => Err(CommandFailure::new(
                FailureKind::Usage,
                "nothing says what this job is about: the input `request` is empty",
            )
            .hint(
                "hand on the intake job's output: `request: ${{ needs.intake.outputs.request }}`",
            )),
            (None, ForgeKind::GitLab) => {
                self.outputs.say(
                    JobAnnotationLevel::Notice,
                    "the intake job has left nothing to run, so there is nothing to do here",
                );
                Ok(None)
            }
        }
    }
}

/// What was fetched; a forge that is out of order is asked again, for a run hangs on it.
fn fetched<T>(fetch: impl Fn() -> Result<T, GitError>) -> Result<T, CommandFailure> {
    let mut waits = WAITS.into_iter();
    loop {
        match (fetch(), waits.next()) {
            (Ok(fetched), _) => return Ok(fetched),
            (Err(GitError::RemoteUnavailable { .. }), Some(wait)) => std::thread::sleep(wait),
            (Err(error @ GitError::RemoteUnavailable { .. }), None) => {
                return Err(CommandFailure::of(FailureKind::Infra, &error));
            }
            (
                Err(
                    error @ (GitError::RemoteUnauthorised { .. } | GitError::RemoteNotFound { .. }),
                ),
                _,
            ) => {
                return Err(CommandFailure::of(FailureKind::Blocked, &error));
            }
            (Err(error), _) => return Err(super::git(error)),
        }
    }
}

/// Does what the step is to do, by its inputs and the event; the exit code.
pub(super) fn ci(args: &super::args::Ci, terminal: &Terminal) -> Result<u8, CommandFailure> {
    // Before any thread: secrets leave the environment.
    let runner = Runner::read(args.poll)?;
    let outputs = Outputs::of(&runner, *terminal);
    let request = handed::take_over(&runner)?;
    take_token_out(&runner, &outputs)?;
    let runtime = super::runtime::of_all_cores()?;
    let step = JobStep {
        runner,
        terminal: *terminal,
        outputs,
        request,
        runtime,
    };
    let code = dispatch(&step);
    step.outputs.finish();
    // Nothing that is still under way is waited for: a step must be gone within seconds.
    step.runtime.shutdown_background();
    code
}

/// Takes the job's token out of a checkout that GitLab's runner made: whoever works in it could
/// read it there.
fn take_token_out(runner: &Runner, outputs: &Outputs) -> Result<(), CommandFailure> {
    let (ForgeJob::GitLab(pipeline), Some((_, token))) = (&runner.host, runner.job_token()) else {
        return Ok(());
    };
    for file in crate::git::take_token_out(&pipeline.directory, &token).map_err(super::git)? {
        let what = format!(
            "the job's token was taken out of {}, where an agent could read it",
            file.display()
        );
        outputs.say(JobAnnotationLevel::Notice, &what);
    }
    Ok(())
}

fn dispatch(step: &JobStep) -> Result<u8, CommandFailure> {
    match step.runner.inputs.stage {
        JobStage::Whole => by_event(step),
        JobStage::Intake => intake::intake(step),
        JobStage::Run => run::stage(step),
        JobStage::Judge => judge::stage(step),
        JobStage::Publish => publish::stage(step),
    }
}

/// Everything in one job.
fn by_event(step: &JobStep) -> Result<u8, CommandFailure> {
    match &step.runner.host {
        ForgeJob::GitHub(workflow) => match workflow.event {
            EventName::IssueComment | EventName::Schedule | EventName::WorkflowDispatch => {
                whole::whole(step)
            }
            EventName::PullRequest | EventName::PullRequestTarget | EventName::Other(_) => {
                intake::intake(step)
            }
        },
        ForgeJob::GitLab(_) => whole::whole(step),
    }
}
