//! What must hold before an agent may run in the job that also holds a token that can write.
//!
//! A child that could become root, or another program of this user, would find that token wherever
//! it is. It refuses to start a prompt where that cannot be ruled out, unless the workflow says in
//! so many words that it is wanted; and to work at all beside a token that can write in a job of
//! its own for that.

use super::super::{CommandFailure, FailureKind, Home, session};
use super::{ForgeAccess, JobAnnotationLevel, JobStep, Runner};
use crate::exec::{NetworkReach, probe};
use crate::forge::Forge;
use crate::plan::RoomLevel;
use crate::text::{ForgeKind, Scrubber};

/// Whether a workflow has said that it wants an agent beside a writing token all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OneJob {
    /// Only where the children are confined.
    Confined,
    /// `unsafe-one-job: true`.
    Unsafe,
}

/// Refuses a checkout that holds credentials: whatever works in it can read them.
pub(super) fn refuse_persisted_credentials(
    home: &Home,
    forge: ForgeKind,
) -> Result<(), CommandFailure> {
    let Some(place) = home
        .repo
        .persisted_credentials()
        .map_err(super::super::git)?
    else {
        return Ok(());
    };
    Err(kept_credentials(&place, forge))
}

fn kept_credentials(place: &str, forge: ForgeKind) -> CommandFailure {
    let (what, hint) = match forge {
        ForgeKind::GitHub => (
            "the checkout keeps credentials",
            "set `persist-credentials: false` for actions/checkout; omk pushes with the token that it is given",
        ),
        // omk's own clone has none, so they are the machine's, or its user's.
        ForgeKind::GitLab => (
            "git's settings keep credentials",
            "take them out of the image or of `before_script`; omk fetches and pushes with tokens of its own",
        ),
    };
    CommandFailure::new(
        FailureKind::Usage,
        format!("{what} where the agent can read them: {place}"),
    )
    .hint(hint)
}

/// Refuses to run prompts beside a token that can write where children are not confined. Returns
/// what to warn of.
pub(super) fn allow(one_job: OneJob, runner: &Runner) -> Result<Option<String>, CommandFailure> {
    if is_confined()? {
        return Ok(None);
    }
    match one_job {
        OneJob::Unsafe => {
            let input = match runner.forge {
                ForgeKind::GitHub => "`unsafe-one-job: true`",
                ForgeKind::GitLab => "`OMK_UNSAFE_ONE_JOB: true`",
            };
            Ok(Some(format!(
                "an agent runs beside a token that can write, without a sandbox, because {input} says so"
            )))
        }
        OneJob::Confined => Err(unconfined(runner.forge)),
    }
}

fn unconfined(forge: ForgeKind) -> CommandFailure {
    let (split, machines, input) = match forge {
        ForgeKind::GitHub => (
            "split the job, as examples/workflows/comment.yml does: intake, run, judge and publish",
            ", which hosted runners have",
            "unsafe-one-job: true",
        ),
        ForgeKind::GitLab => (
            "split the job, as the component templates/omk.yml does: omk-intake, omk-run, omk-judge and omk-publish",
            "",
            "OMK_UNSAFE_ONE_JOB: true",
        ),
    };
    CommandFailure::new(
        FailureKind::Usage,
        "this job holds a token that can write, and there is no sandbox (Landlock) here to keep an agent from it",
    )
    .hint(split)
    .hint(format!("or run on a Linux with Landlock (5.13 or newer){machines}"))
    .hint(format!("or say `{input}`, if everything that this token can do may be done by the agent"))
}

/// Refuses a token that can write in a job of its own for agents or gates: there it is worth
/// nothing but to a thief. What GitLab does not tell of is warned of.
///
/// # Errors
/// Where the token can write, unless `unsafe-one-job` says that it may.
pub(super) fn refuse_a_writing_token(
    step: &JobStep,
    access: &ForgeAccess,
) -> Result<(), CommandFailure> {
    let Forge::GitLab(forge) = &access.forge else {
        return Ok(());
    };
    let job = step.runner.inputs.stage.as_str();
    let warn = |what: &str| step.outputs.say(JobAnnotationLevel::Warning, what);
    match step.wait(forge.may_write()) {
        Ok(Some(false)) => Ok(()),
        Ok(Some(true)) if step.runner.inputs.unsafe_one_job => {
            warn("the token OMK_TOKEN of this job can write, and OMK_UNSAFE_ONE_JOB says that it may");
            Ok(())
        }
        Ok(Some(true)) => Err(CommandFailure::new(
            FailureKind::Usage,
            format!("the token OMK_TOKEN of the job `omk-{job}` can write, and what works in that job could take it"),
        )
        .hint(format!("give the environment `omk/{job}` a token of its own, with the scope `read_api` alone"))
        .hint("a CI/CD variable with the environment scope `*` reaches every job: give each its own scope")),
        Ok(None) => {
            warn("GitLab does not tell whether the token OMK_TOKEN of this job can write: it must not");
            Ok(())
        }
        Err(error) => {
            let why = step.runner.scrubber().scrub(&error.to_string());
            warn(&format!("nobody can tell whether the token OMK_TOKEN of this job can write: failed to {why}"));
            Ok(())
        }
    }
}

/// Asks the sandbox itself: a child is started in it.
fn is_confined() -> Result<bool, CommandFailure> {
    let shepherd = session::shepherd(Scrubber::default())?;
    let runtime = super::super::runtime::of_this_thread()?;
    Ok(runtime.block_on(probe(&shepherd, NetworkReach::Open)).level > RoomLevel::None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_keeps_credentials_is_told_what_to_do_at_that_forge() {
        let told =
            |forge| kept_credentials("a credential helper in /etc/gitconfig", forge).render();
        assert!(told(ForgeKind::GitHub).contains("actions/checkout"));
        let gitlab = told(ForgeKind::GitLab);
        assert!(
            gitlab.contains("before_script") && !gitlab.contains("checkout"),
            "{gitlab}"
        );
    }
}
