//! Comments that nobody told us of: at GitLab, where a comment starts nothing by itself, a schedule
//! looks for them.
//!
//! There is no cursor: a note that carries an award of our own is done, and the award is set before
//! anything is done for it, so that what fails halfway is not done twice. It refuses to start more
//! than one run in a pipeline, and to answer one account without end, since everybody can write
//! notes: what else is asked for stays unmarked, and the next pipeline finds it.

use std::collections::{BTreeMap, BTreeSet};

use super::desk::Desk;
use super::event::CommentPlace;
use super::intake::answered;
use super::outputs::JobAnnotationLevel;
use super::{CommandFailure, JobStep, closed};
use crate::command::{self, Command, CommentRequest};
use crate::deliver::full;
use crate::forge::{CheckState, Forge, ForgeError, GitLab, Reaction};
use crate::git::Repo;
use crate::history::{run_branch, task_branches};
use crate::id::{Moment, RunId};
use crate::report::check;
use crate::request::{ExternalId, Request};
use crate::text;
use crate::trust::{Account, Comment, PullRequest};

/// How far back notes count, in milliseconds: a day, so that a schedule may be off for a night.
const BACK: i64 = 24 * 60 * 60 * 1000;

/// As many notes of one account are answered in a pipeline.
const OF_ONE: usize = 10;

/// A note that asks for something, and has not been answered.
struct WaitingNote {
    comment: Comment,
    /// The merge request's number.
    issue: u64,
    asked: CommentRequest,
}

/// Whose turn it is to answer a note.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NoteTurn {
    /// Ours: it is marked now.
    Ours,
    /// Ours once more: an earlier try of this job has accepted this run for it, which has not
    /// ended.
    Again(RunId),
    /// Nobody's: it is our own, or was answered.
    Nobodys,
}

/// Marks a note as ours to answer, before anything is done for it. At GitHub, where an event comes
/// once, there is nothing to mark.
///
/// # Errors
/// Where the note cannot be marked: then nothing may be done for it, for it would be done again and
/// again.
pub(super) async fn mark(
    desk: &Desk<'_>,
    issue: u64,
    comment: &Comment,
    asked: &CommentRequest,
) -> Result<NoteTurn, CommandFailure> {
    let Forge::GitLab(forge) = &desk.forge else {
        return Ok(NoteTurn::Ours);
    };
    if is_ours(desk, comment) {
        return Ok(NoteTurn::Nobodys);
    }
    // Another pipeline may have seen the same note at the same time.
    if !is_marked(desk, forge, issue, comment).await?
        && (desk.is_dry() || forge.claim(issue, comment.id, Reaction::Eyes).await?)
    {
        return Ok(NoteTurn::Ours);
    }
    let accepted = if asked.work.is_some() {
        accepted_here(desk, forge, issue).await?
    } else {
        None
    };
    Ok(accepted.map_or(NoteTurn::Nobodys, NoteTurn::Again))
}

/// The run that an earlier try of this job has accepted for a merge request: a runner that broke
/// down, or a person, had the job tried again, and without its request the run would never be.
async fn accepted_here(
    desk: &Desk<'_>,
    forge: &GitLab,
    issue: u64,
) -> Result<Option<RunId>, CommandFailure> {
    if !desk.was_retried(forge).await? {
        return Ok(None);
    }
    let head = desk.forge.pull_request(issue).await?.head.commit;
    let (scope, pipeline) = (desk.forge.scope_of(issue), desk.step.runner.workflow.id);
    let checks = forge.own_checks(&head, check::NAME).await?.into_iter();
    let under_way = checks.filter(|check| check.state == CheckState::InProgress);
    let mut ids = under_way.filter_map(|check| check.external_id.parse::<ExternalId>().ok());
    Ok(ids
        .find(|id| id.scope == scope && id.workflow == pipeline)
        .map(|id| id.run))
}

fn is_ours(desk: &Desk<'_>, comment: &Comment) -> bool {
    comment
        .author
        .as_ref()
        .is_some_and(|author| author.id == desk.me.id)
}

async fn is_marked(
    desk: &Desk<'_>,
    forge: &GitLab,
    issue: u64,
    comment: &Comment,
) -> Result<bool, CommandFailure> {
    match forge.awards(issue, comment.id).await {
        // Gone since it was read: whoever took it back wants nothing.
        Err(ForgeError::NotFound { .. }) => Ok(true),
        awards => Ok(has(desk, &awards?)),
    }
}

/// Answers every note that waits, oldest first; the run that is to follow, if one was asked for.
/// Cleans up after merge requests that have ended.
///
/// # Errors
/// Where GitLab does not tell what has been going on, or no note could be answered.
pub(super) async fn poll(step: &JobStep) -> Result<Option<Request>, CommandFailure> {
    let desk = Desk::open(step).await?;
    let Forge::GitLab(forge) = &desk.forge else {
        return Ok(None);
    };
    let since = Moment::from_millis(desk.clock.now().as_millis() - BACK);
    let requests = forge.merge_requests_updated_since(since).await?;
    if let Err(failure) = clean(&desk, &requests).await {
        let why = desk.scrubbed(&failure.in_full());
        desk.log().say(
            JobAnnotationLevel::Warning,
            &format!("branches of closed merge requests may be left: {why}"),
        );
    }
    let waiting = waiting(&desk, forge, &requests, since).await;
    let found = format!(
        "{} in {}",
        text::plural(waiting.len(), "command"),
        text::plural(requests.len(), "merge request")
    );
    desk.log().say(
        JobAnnotationLevel::Notice,
        &format!("looked for new comments of the last 24 hours: {found}"),
    );
    answer_all(&desk, forge, waiting).await
}

/// The notes that ask for something and are not answered, oldest first.
async fn waiting(
    desk: &Desk<'_>,
    forge: &GitLab,
    requests: &[PullRequest],
    since: Moment,
) -> Vec<WaitingNote> {
    let mut found = Vec::new();
    for request in requests {
        let comments = desk
            .told(forge.comments(request.number).await)
            .unwrap_or_default();
        for comment in comments
            .into_iter()
            .filter(|comment| comment.created >= since && !is_ours(desk, comment))
        {
            let asked = command::plan_of(command::read(&comment.body));
            if !asked.is_empty() {
                found.push(WaitingNote {
                    comment,
                    issue: request.number,
                    asked,
                });
            }
        }
    }
    found.sort_by_key(|waiting| (waiting.comment.created, waiting.comment.id));
    found
}

async fn answer_all(
    desk: &Desk<'_>,
    forge: &GitLab,
    waiting: Vec<WaitingNote>,
) -> Result<Option<Request>, CommandFailure> {
    let (mut request, mut failed) = (None, None);
    let (mut answers, mut passed_over) = (BTreeMap::new(), 0);
    for WaitingNote {
        comment,
        issue,
        asked,
    } in waiting
    {
        if is_later(desk, request.as_ref(), issue, &asked) {
            if desk
                .told(forge.awards(issue, comment.id).await)
                .is_some_and(|awards| !has(desk, &awards))
            {
                let what = format!(
                    "the command in {} waits for the next pipeline: this one has its run",
                    comment.url
                );
                desk.log().say(JobAnnotationLevel::Notice, &what);
            }
            continue;
        }
        let of_author: &mut usize = answers
            .entry(comment.author.as_ref().map(|author| author.id))
            .or_default();
        if *of_author == OF_ONE {
            passed_over += 1;
            continue;
        }
        let one = async {
            let turn = mark(desk, issue, &comment, &asked).await?;
            if turn == NoteTurn::Nobodys {
                return Ok(None);
            }
            *of_author += 1;
            answered(
                desk,
                &comment,
                issue,
                asked,
                (CommentPlace::PullRequest, turn),
            )
            .await
        };
        match one.await {
            Ok(Some(accepted)) => request = Some(accepted),
            Ok(None) => {}
            Err(failure) => {
                let why = desk.scrubbed(&failure.in_full());
                desk.log().say(
                    JobAnnotationLevel::Warning,
                    &format!("a command in {} was not carried out: {why}", comment.url),
                );
                failed = Some(failure);
            }
        }
    }
    if passed_over > 0 {
        let what = format!(
            "{} wait for the next pipeline: this one has answered {OF_ONE} of the same account",
            text::plural(passed_over, "comment")
        );
        desk.log().say(JobAnnotationLevel::Notice, &what);
    }
    match (request, failed) {
        (None, Some(failure)) => Err(failure),
        (request, _) => Ok(request),
    }
}

fn has(desk: &Desk<'_>, awards: &[(Account, String)]) -> bool {
    awards.iter().any(|(account, _)| account.id == desk.me.id)
}

/// Whether a note must wait for the next pipeline: this one's run is given away, or is the one that
/// is to be cancelled.
fn is_later(
    desk: &Desk<'_>,
    request: Option<&Request>,
    issue: u64,
    asked: &CommentRequest,
) -> bool {
    request.is_some_and(|request| {
        let cancels = asked
            .first
            .iter()
            .any(|command| matches!(command, Command::Cancel));
        asked.work.is_some() || cancels && request.scope == desk.forge.scope_of(issue)
    })
}

/// Removes our branches of merge requests that have ended, where there are any: one look at the
/// refs tells.
async fn clean(desk: &Desk<'_>, requests: &[PullRequest]) -> Result<(), CommandFailure> {
    let ended: Vec<u64> = requests
        .iter()
        .filter(|request| !request.open)
        .map(|request| request.number)
        .collect();
    if ended.is_empty() {
        return Ok(());
    }
    let (remote, dir) = (desk.remote()?, desk.scratch()?);
    let refs = tokio::task::block_in_place(|| {
        let repo = Repo::empty(dir.path())?;
        repo.ls_remote(&remote, &["refs/heads/omk/run/*", "refs/heads/omk/task/*"])
    });
    let names: BTreeSet<String> = refs
        .map_err(super::super::git)?
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    for number in ended {
        let scope = desk.forge.scope_of(number);
        let (run, tasks) = (full(&run_branch(&scope)), full(&task_branches(&scope)));
        if names.contains(&run) || names.iter().any(|name| name.starts_with(&tasks)) {
            closed::clean_up(desk, number).await?;
        }
    }
    Ok(())
}
