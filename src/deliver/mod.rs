//! Delivery: a run's result goes where people look: one atomic push, then pull requests, checks,
//! the comment, the reaction.
//!
//! What is to be done is decided by plain functions; a small part carries it out. Everything is
//! found before it is made, so a repeat makes nothing twice. It refuses to believe a bundle, to
//! deliver what is not ready unless the plan says `partial`, to move a ref that holds a commit of
//! somebody else, and to fail a run because the forge cannot be told of it.

mod carry;
mod checks;
mod definition;
mod dry;
mod look;
mod manner;
mod newer;
mod progress;
mod proofs;
mod steps;
mod wanted;

pub use checks::{conclusion, opened};
pub use definition::{of_task as task_definition, of_tasks as definitions};
pub use progress::ForgeProgress;
pub use steps::{
    DeliveredShare, Held, PullStep, RemoteState, RemoteSteps, full, plan_delivery, proofs_ref,
    share,
};

use crate::fact::RunVerdict;
use crate::forge::Forge;
use crate::git::{Remote, Repo};
use crate::id::{CommitId, Moment, TaskId, Tip};
use crate::plan::Plan;
use crate::proof::JudgedBy;
use crate::report::View;
use crate::report::sticky::LostRun;
use crate::request::Request;
use crate::text::ForgeKind;
use carry::{Carrier, Endpoints};

/// What a later job believes of a run.
#[derive(Debug, Clone)]
pub struct RunOutcome {
    /// How the run ended: never better than what the judge said.
    pub verdict: RunVerdict,
    /// For show only, scrubbed already; its gates and verdict are those of the judge.
    pub view: View,
    /// The integrated result; its objects are in the local repository.
    pub result: Option<Tip>,
    /// Each landed task's own change, in landing order; their objects are in the local repository.
    pub tasks: Vec<(TaskId, CommitId)>,
    /// File names and bytes, for the ref of the proofs.
    pub proofs: Vec<(String, Vec<u8>)>,
    /// Who judged.
    pub judged_by: JudgedBy,
}

/// What became of a delivery.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Delivered {
    /// The forge whose words it is told in.
    pub forge: ForgeKind,
    /// Full names of the refs that are where they should be, whether they were pushed now or were
    /// there already.
    pub pushed: Vec<String>,
    /// Numbers and addresses of the pull requests with the result.
    pub pulls: Vec<(u64, String)>,
    /// The address of the sticky comment, or of the dashboard.
    pub comment: Option<String>,
    /// What was in the way, a sentence each: what, why, what next.
    pub troubles: Vec<String>,
    /// The result is where the plan wants it.
    pub delivered: bool,
    /// There is something to deliver, and it could not be put where it belongs: worth a red job,
    /// and a repeat.
    pub blocked: bool,
    /// In a dry run: what would have been done, a line each.
    pub would: Vec<String>,
}

impl Delivered {
    /// Everything that a person must be told, a line each: where the result is, and what was in the
    /// way.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        lines.extend(
            self.pulls
                .iter()
                .map(|(number, url)| format!("{} {number}: {url}", self.forge.pull_request())),
        );
        if !self.pushed.is_empty() {
            lines.push(format!("pushed: {}", self.pushed.join(", ")));
        }
        lines.extend(self.comment.iter().map(|url| format!("told at {url}")));
        lines.extend(
            self.troubles
                .iter()
                .map(|trouble| format!("warning: {trouble}")),
        );
        lines.extend(self.would.iter().map(|line| format!("dry run: {line}")));
        lines
    }
}

/// Delivers what came of a run, and tells about it: one atomic push, pull requests, checks, the
/// comment, the reaction. What fails is told in [`Delivered::troubles`], and the rest goes on;
/// doing it again makes nothing twice. In a dry run nothing is written, and [`Delivered::would`]
/// says what would be.
pub async fn deliver(
    forge: &Forge,
    repo: &Repo,
    remote: &Remote,
    plan: &Plan,
    request: &Request,
    outcome: &RunOutcome,
    now: Moment,
) -> Delivered {
    let ends = Endpoints { repo, remote };
    let carrier = Carrier::new(forge, request, now).await;
    if request.dry_run {
        carrier.dry(&ends, plan, outcome).await
    } else {
        carrier.outcome(&ends, plan, outcome).await
    }
}

/// Tells about a run of which nothing can be believed: closes the check, edits the comment, reacts.
/// Nothing is delivered.
pub async fn tell_lost(forge: &Forge, request: &Request, lost: &LostRun, now: Moment) -> Delivered {
    let carrier = Carrier::new(forge, request, now).await;
    if request.dry_run {
        carrier.dry_lost(lost)
    } else {
        carrier.lost(lost).await
    }
}
