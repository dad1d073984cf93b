//! `omk ci`: what the action runs. It reads the event, and hands it to the stage whose turn it is.
//!
//! Each stage is a file. It refuses to decide here: who may do what on which commit with which plan is `gate`'s, and
//! no later stage asks again.

mod answer;
mod closed;
mod conversation;
mod desk;
mod earlier;
mod event;
mod gate;
mod inputs;
mod judge;
mod one_job;
mod outputs;
mod plan_check;
mod plans;
mod publish;
mod run;
mod runner;
mod start;
mod verify;
mod whole;

pub(in crate::cli) use gate::{Decision, announce, decide};
pub(in crate::cli) use inputs::{Inputs, Stage, Upload};
pub(in crate::cli) use outputs::{Level, Outputs};
pub(in crate::cli) use plans::read_for;
pub(in crate::cli) use runner::{Access, EventName, Machine, Runner};

use tokio::runtime::Runtime;
use tokio::task::AbortHandle;

use super::terminal::Terminal;
use super::{Failure, Home, Kind};
use crate::git::{Remote, Wanted};
use crate::id::{CommitId, Tip};
use crate::request::Request;

/// The step of a job that this process is, with what every stage needs.
pub(in crate::cli) struct Step {
    /// What it was started with.
    pub(in crate::cli) runner: Runner,
    /// Where it prints.
    pub(in crate::cli) terminal: Terminal,
    /// What it tells its runner.
    pub(in crate::cli) outputs: Outputs,
    runtime: Runtime,
}

impl Step {
    /// Waits for `future`. All that a step waits for shares one runtime, so a client of the forge may be kept.
    pub(in crate::cli) fn wait<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    /// Does something beside what this step does, until that is aborted; nobody waits for it.
    pub(in crate::cli) fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) -> AbortHandle {
        self.runtime.spawn(future).abort_handle()
    }

    /// The repository's git remote.
    pub(in crate::cli) fn remote(&self, access: &Access) -> Result<Remote, Failure> {
        Remote::new(&self.runner.git_url(), Some(access.token.clone())).map_err(super::git)
    }

    /// A commit that a checkout may not have; fetched where it does not.
    pub(in crate::cli) fn bring(&self, access: &Access, home: &Home, commit: &CommitId) -> Result<Tip, Failure> {
        if let Ok(tip) = home.repo.resolve(commit.as_str()) {
            return Ok(tip);
        }
        home.repo.fetch(&self.remote(access)?, &[Wanted::Commit(commit.clone())]).map_err(super::git)?;
        home.repo.resolve(commit.as_str()).map_err(super::git)
    }

    /// What the gate job decided, which every later job begins with.
    pub(in crate::cli) fn request(&self) -> Result<&Request, Failure> {
        self.runner.inputs.request.as_ref().ok_or_else(|| {
            Failure::new(Kind::Usage, "nothing says what this job is about: the input `request` is empty")
                .hint("hand on the gate job's output: `request: ${{ needs.gate.outputs.request }}`")
        })
    }
}

/// Does what the step is to do, by its inputs and the event; the exit code.
pub(super) fn ci(terminal: &Terminal) -> Result<u8, Failure> {
    // Before any thread: secrets leave the environment.
    let runner = Runner::read()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::new(Kind::Infra, format!("failed to start: {error}")))?;
    let outputs = Outputs::new(runner.output.clone(), runner.summary.clone(), *terminal);
    let step = Step { runner, terminal: *terminal, outputs, runtime };
    let code = dispatch(&step);
    step.outputs.finish();
    // Nothing that is still under way is waited for: a step must be gone within seconds.
    step.runtime.shutdown_background();
    code
}

fn dispatch(step: &Step) -> Result<u8, Failure> {
    match step.runner.inputs.stage {
        Stage::Whole => by_event(step),
        Stage::Gate => gate::gate(step),
        Stage::Run => run::stage(step),
        Stage::Judge => judge::stage(step),
        Stage::Publish => publish::stage(step),
    }
}

/// Everything in one job.
fn by_event(step: &Step) -> Result<u8, Failure> {
    match &step.runner.event {
        EventName::IssueComment | EventName::Schedule | EventName::WorkflowDispatch => whole::whole(step),
        EventName::PullRequest | EventName::PullRequestTarget | EventName::Other(_) => gate::gate(step),
    }
}
