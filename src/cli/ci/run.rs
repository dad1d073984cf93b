//! The stage that works: it runs the plan that was decided on, on the commit that was decided on,
//! and leaves a bundle.
//!
//! It refuses to decide anything again, to write anything at the forge, and to start where the
//! checkout keeps credentials.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::watch;

use super::super::run::{PlannedRun, Selection, select};
use super::super::session::{FinishedRun, Missing, Secrets};
use super::super::{CommandFailure, Home, writing};
use super::earlier::{self, EarlierRun};
use super::one_job::{self, OneJob};
use super::{
    ForgeAccess, JobAnnotationLevel, JobStage, JobStep, Outputs, UploadInput, read_for, root, shown,
};
use crate::bundle;
use crate::clock::Clock;
use crate::deliver::full;
use crate::forge::Forge;
use crate::git::FetchTarget as Fetched;
use crate::id::RepoPath;
use crate::plan::{Plan, Work, parse, to_yaml};
use crate::report::{View, markdown};
use crate::request::{Ask, Request};
use crate::text::{self, ForgeKind};

/// How much is handed on of why a run could not start, in characters: it reaches the next job in a
/// variable.
const TROUBLE: usize = 2_000;

/// Which tokens are in reach of this job.
#[derive(Debug)]
pub(super) enum TokenReach {
    /// None that can write: another job will deliver.
    ReadOnly,
    /// One that can write: this job delivers too, and where edits notify nobody it shows the run
    /// meanwhile.
    Writing(OneJob, Option<watch::Sender<Option<View>>>),
}

/// `command: run`: works, and leaves a bundle for the next jobs.
pub(super) fn stage(step: &JobStep) -> Result<u8, CommandFailure> {
    let Some(request) = step.request()? else {
        return Ok(0);
    };
    let access = step.wait(step.runner.access())?;
    let allowed = one_job::refuse_a_writing_token(step, &access);
    let over = match allowed.and_then(|()| carry_out(step, &access, request, TokenReach::ReadOnly))
    {
        Ok(over) => over,
        Err(failure) => {
            step.hand_trouble(&in_a_sentence(step, &failure))?;
            return Err(failure);
        }
    };
    leave(step, &access, request, &over)?;
    Ok(over.verdict.exit_code())
}

/// A failure and what to do about it, without secrets.
pub(super) fn in_a_sentence(step: &JobStep, failure: &CommandFailure) -> String {
    text::clip(&step.runner.scrubber().scrub(&failure.in_full()), TROUBLE)
}

/// Runs what was asked for to its end.
pub(super) fn carry_out(
    step: &JobStep,
    access: &ForgeAccess,
    request: &Request,
    reach: TokenReach,
) -> Result<FinishedRun, CommandFailure> {
    let clock = Clock::start();
    if leaves_bundle(step) {
        writing::may_bundle(&step.runner.inputs.bundle)?;
    }
    let home = step.home(access, request)?;
    one_job::refuse_persisted_credentials(&home, step.runner.forge)?;
    let read = read_for(step, access, &home, request)?;
    let (plan, bytes) = (Arc::new(read.plan), read.bytes);
    root::take_away(step, &plan.room, &reach);
    let base = step.bring(access, &home, &request.base)?;
    if let Some(trusted) = &request.plan.commit {
        // What instructs the agent, and the trusted files of gates, are taken from there.
        step.bring(access, &home, trusted)?;
    }
    let earlier = earlier(step, access, &home, request, &plan);
    let selection = selection((step, access, &home), request, &plan, earlier.as_ref())?;
    let follower = match reach {
        TokenReach::ReadOnly => None,
        TokenReach::Writing(one_job, follower) => {
            if has_prompt(&plan, &selection)
                && let Some(warning) = one_job::allow(one_job, &step.runner)?
            {
                step.outputs.say(JobAnnotationLevel::Warning, &warning);
            }
            follower
        }
    };
    let mut secrets = step.runner.secrets.clone();
    if let Some(key) = step.runner.key(&plan.agent.key_env) {
        secrets.insert(plan.agent.key_env.clone(), key.clone());
    }
    let wanted = PlannedRun {
        home,
        run: request.run.clone(),
        scope: request.scope.clone(),
        bytes: stored(&plan, bytes, request),
        plan,
        source: request.plan.clone(),
        base,
        selection,
        trigger: request.trigger.clone(),
        secrets: Secrets::known(secrets),
        fail_fast: step.runner.inputs.run.fail_fast,
        force: false,
        yes: true,
        how: step.runner.inputs.run.how.clone(),
        missing: Missing::Install,
        follower,
        kept: earlier.map(|earlier| earlier.kept).unwrap_or_default(),
    };
    wanted.go(clock, &step.terminal)
}

/// What the last run made, for a retry. Without it the retry is a full run, and says so.
fn earlier(
    step: &JobStep,
    access: &ForgeAccess,
    home: &Home,
    request: &Request,
    plan: &Arc<Plan>,
) -> Option<EarlierRun> {
    let Ask::Retry { tasks } = &request.ask else {
        return None;
    };
    let found = match &request.previous {
        Some(previous) => earlier::look(step, access, home, request, previous, plan, tasks),
        None => {
            Err("no run of this scope has left its state, or the forge has removed it".to_owned())
        }
    };
    match found {
        Ok(earlier) => {
            let kept: Vec<String> = plan
                .tasks
                .iter()
                .filter(|task| earlier.kept.contains_key(&task.id))
                .map(|task| task.id.to_string())
                .collect();
            let names = if kept.is_empty() {
                "nothing".to_owned()
            } else {
                kept.join(", ")
            };
            step.outputs.say(
                JobAnnotationLevel::Notice,
                &format!("kept from run {}: {names}", earlier.run),
            );
            Some(earlier)
        }
        Err(why) => {
            step.outputs.say(
                JobAnnotationLevel::Warning,
                &format!("this retry is a full run: {why}"),
            );
            None
        }
    }
}

/// The tasks of the run: those that were named, those of the run that is tried again, or those
/// whose `when` holds.
fn selection(
    (step, access, home): (&JobStep, &ForgeAccess, &Home),
    request: &Request,
    plan: &Plan,
    earlier: Option<&EarlierRun>,
) -> Result<Selection, CommandFailure> {
    let mut named: Vec<String> = match &request.ask {
        Ask::Run { tasks } => tasks.iter().map(ToString::to_string).collect(),
        Ask::Retry { tasks } => match earlier {
            Some(earlier) => earlier
                .selected
                .iter()
                .chain(tasks)
                .map(ToString::to_string)
                .collect(),
            None => Vec::new(),
        },
    };
    named.sort();
    named.dedup();
    let mut changed = || Ok(changed_paths(step, access, home, request));
    select(plan, &named, request.trigger.event, &mut changed)
}

/// What the pull request changes; `None` where that is not known, and then everything may have
/// changed.
fn changed_paths(
    step: &JobStep,
    access: &ForgeAccess,
    home: &Home,
    request: &Request,
) -> Option<Vec<RepoPath>> {
    let pull = request.pull.as_ref()?;
    match &access.forge {
        Forge::GitHub(_) => step.wait(async {
            let base = access.forge.branch(&pull.base).await.ok()??;
            let comparison = access
                .forge
                .compare(&base.commit, &request.base)
                .await
                .ok()?;
            comparison
                .paths?
                .iter()
                .map(|path| path.parse().ok())
                .collect()
        }),
        // The job's token may fetch, and no more.
        Forge::GitLab(_) => {
            let repo = &home.repo;
            let base = repo
                .fetch(
                    &step.remote(access).ok()?,
                    &[Fetched::Ref(full(&pull.base))],
                )
                .ok()?;
            let parting = repo.merge_base(base.first()?, &request.base).ok()??;
            repo.changed_paths(
                &repo.tip(&parting).ok()?.tree,
                &repo.tip(&request.base).ok()?.tree,
            )
            .ok()
        }
    }
}

/// What the run keeps as its plan: the file's own bytes where they are the whole of it, else the
/// plan that was put together.
fn stored(plan: &Plan, bytes: Vec<u8>, request: &Request) -> Vec<u8> {
    let reads_back =
        parse(&bytes, "plan.yaml", request.scope.as_str()).is_ok_and(|read| read == *plan);
    if reads_back {
        bytes
    } else {
        to_yaml(plan).into_bytes()
    }
}

fn has_prompt(plan: &Plan, selection: &Selection) -> bool {
    let prompts: HashMap<_, _> = plan
        .tasks
        .iter()
        .map(|task| (&task.id, matches!(task.work, Work::Prompt(_))))
        .collect();
    selection
        .selected
        .iter()
        .any(|task| prompts.get(task).copied().unwrap_or(false))
}

/// Leaves the bundle, the summary and the step's outputs.
pub(super) fn leave(
    step: &JobStep,
    access: &ForgeAccess,
    request: &Request,
    over: &FinishedRun,
) -> Result<(), CommandFailure> {
    let (inputs, outputs) = (&step.runner.inputs, &step.outputs);
    let upload = match inputs.upload {
        UploadInput::State | UploadInput::None => bundle::Upload::State,
        UploadInput::Full if is_private(step, &access.forge) => bundle::Upload::Full,
        UploadInput::Full => {
            let (input, whose) = match step.runner.forge {
                ForgeKind::GitHub => ("`upload: full`", "repository"),
                ForgeKind::GitLab => (
                    "`OMK_UPLOAD: full`",
                    "project, and this job may not be able to ask",
                ),
            };
            let why = format!(
                "{input} is refused, because everybody can read the artifacts of a public {whose}"
            );
            outputs.say(JobAnnotationLevel::Warning, &why);
            bundle::Upload::State
        }
    };
    if leaves_bundle(step) {
        writing::bundle(over, &inputs.bundle, upload)?;
    }
    shown::leave_reports(step, over);
    outputs.set("bundle", &inputs.bundle.display().to_string())?;
    outputs.set("artifact", &artifact(request))?;
    let Some(view) = over.view() else {
        return Ok(());
    };
    outputs.summarise(&markdown::render(&view, markdown::SUMMARY_LIMIT));
    tell(&step.outputs, over, &view)
}

/// Whether somebody is to find the bundle: a later job needs it, and a job that does it all leaves
/// it unless it is told not to. At GitHub the action decides what becomes an artifact; at GitLab
/// everything does that is left.
fn leaves_bundle(step: &JobStep) -> bool {
    match step.runner.forge {
        ForgeKind::GitHub => true,
        ForgeKind::GitLab => {
            step.runner.inputs.stage != JobStage::Whole
                || step.runner.inputs.upload != UploadInput::None
        }
    }
}

/// Whether only members see the repository; what cannot be told counts as public.
fn is_private(step: &JobStep, forge: &Forge) -> bool {
    step.wait(forge.repository())
        .is_ok_and(|repository| repository.private)
}

/// The name under which a run's state is kept.
pub(super) fn artifact(request: &Request) -> String {
    format!("omk-{}-{}", request.scope, request.run)
}

fn tell(outputs: &Outputs, over: &FinishedRun, view: &View) -> Result<(), CommandFailure> {
    let at = |name: &str| over.run_dir.path().join(name).display().to_string();
    outputs.set("scope", view.scope.as_str())?;
    outputs.set("run-id", view.run.as_str())?;
    outputs.set("verdict", over.verdict.as_str())?;
    outputs.set("report", &at("report.html"))?;
    if view.result.is_some() {
        outputs.set("branch", &view.branch)?;
        outputs.set("proof", &at("proofs/run.result.json"))?;
    }
    outputs.set("tokens", &view.tokens.total().to_string())?;
    outputs.set("cost", &cost(view))
}

/// What the run cost, in USD; empty where nobody can tell.
pub(super) fn cost(view: &View) -> String {
    let cost = view
        .cost_micro_usd
        .map(|micro| format!("{}.{:06}", micro / 1_000_000, micro % 1_000_000));
    cost.unwrap_or_default()
}
