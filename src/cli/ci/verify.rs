//! `/omk verify`: the proofs of the pull request's newest result, held against the commits that
//! they speak of.
//!
//! They are fetched with those commits into a repository of their own. It refuses to take a check's
//! word for anything but where to look first.

use std::path::Path;

use super::CommandFailure;
use super::conversation::Conversation;
use crate::git::{Extents, FetchTarget, GitError, Remote, Repo};
use crate::id::{CommitId, RunId, Scope};
use crate::proof::{self, Checked, ProofContext, RUN_PROOF, Statement};
use crate::report::reply::{answer, refuse};
use crate::text::Advised as _;
use crate::trust::PullRequest;

/// Where proofs are kept, one ref for each run.
const PROOFS: &str = "refs/omk/proofs/";

/// Runs that are looked at, newest first, for one of this scope. Each is a fetch.
const RUNS: usize = 10;

/// Proofs of one run that are checked: one for each task of the largest plan that anybody reviews.
const MOST: usize = 300;

/// The proofs of one run.
struct Proofs {
    run: RunId,
    checked: Vec<(String, Checked)>,
}

impl Conversation<'_, '_> {
    pub(super) async fn verify(&mut self, pull: &PullRequest) -> Result<(), CommandFailure> {
        let scope = self.desk.forge.scope_of(pull.number);
        let first: Vec<RunId> = self
            .own_checks(pull, &scope)
            .await?
            .into_iter()
            .map(|(id, _)| id.run)
            .collect();
        let remote = self.desk.remote()?;
        let dir = self.desk.scratch()?;
        match tokio::task::block_in_place(|| newest(dir.path(), &remote, &scope, &first)) {
            Ok(Some(proofs)) if proofs.checked.iter().all(|(_, checked)| checked.holds()) => {
                self.say(answer::verified(&proofs.run, &proofs.checked));
            }
            Ok(Some(proofs)) => self.refuse(answer::verified(&proofs.run, &proofs.checked)),
            Ok(None) => self.refuse(refuse::no_proofs(self.desk.forge.kind())),
            Err(error) => {
                let why = self
                    .desk
                    .scrubbed(&format!("failed to {}", error.in_full()));
                self.refuse(refuse::could_not("fetch the proofs", &why));
            }
        }
        Ok(())
    }
}

/// The proofs of the scope's newest run that left some.
fn newest(
    dir: &Path,
    remote: &Remote,
    scope: &Scope,
    first: &[RunId],
) -> Result<Option<Proofs>, GitError> {
    let repo = Repo::empty(dir)?;
    let listed = repo.ls_remote(remote, &[&format!("{PROOFS}*")])?;
    let mut there: Vec<RunId> = listed
        .iter()
        .filter_map(|(name, _)| name.strip_prefix(PROOFS)?.parse().ok())
        .collect();
    // Run ids begin with their date.
    there.sort_unstable_by(|one, other| other.cmp(one));
    let named = first.iter().filter(|run| there.contains(run));
    let rest = there.iter().filter(|run| !first.contains(run));
    for run in named.chain(rest).take(RUNS) {
        let tip = repo.fetch(remote, &[FetchTarget::Ref(format!("{PROOFS}{run}"))])?;
        let Some(tip) = tip.first() else { continue };
        let files = files(&repo, tip)?;
        let of_scope = files.iter().any(|(name, bytes)| {
            *name == format!("{RUN_PROOF}.json")
                && proof::read(bytes).is_ok_and(|statement| statement.predicate.scope == *scope)
        });
        if of_scope {
            let checked = files
                .into_iter()
                .map(|(name, bytes)| (name, check(&repo, remote, &bytes)))
                .collect();
            return Ok(Some(Proofs {
                run: run.clone(),
                checked,
            }));
        }
    }
    Ok(None)
}

/// The statements of ours in a commit's tree, by name.
fn files(repo: &Repo, commit: &CommitId) -> Result<Vec<(String, Vec<u8>)>, GitError> {
    let (tree, empty) = (repo.tip(commit)?.tree, repo.empty_tree()?);
    repo.refuse_vast(&mut Extents::default(), &empty, &tree)?;
    let mut found = Vec::new();
    for path in repo.changed_paths(&empty, &tree)? {
        let name = path.to_string();
        if found.len() < MOST
            && name.ends_with(".json")
            && !name.ends_with(".test-result.json")
            && let Some(bytes) = repo.read_file(commit, &path)?
        {
            found.push((name, bytes));
        }
    }
    Ok(found)
}

fn check(repo: &Repo, remote: &Remote, bytes: &[u8]) -> Checked {
    let seen = match proof::read(bytes) {
        Ok(statement) => {
            bring_plan(repo, remote, &statement);
            super::super::verify::look(repo, None, &statement)
        }
        Err(_) => ProofContext::default(),
    };
    proof::check(bytes, &seen)
}

/// The plan may be of a commit that the result is not built on. Where it cannot be had, the check
/// says so.
fn bring_plan(repo: &Repo, remote: &Remote, statement: &Statement) {
    let Some(commit) = &statement.predicate.plan.commit else {
        return;
    };
    if repo.tip(commit).is_err() {
        let _ = repo.fetch_tips(remote, &[FetchTarget::Commit(commit.clone())]);
    }
}
