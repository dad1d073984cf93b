//! Which plan holds, read at commits that are trusted: the rules from the default branch, tasks and
//! gates from the pull request's base branch, or from the pull request itself where somebody who
//! may has approved exactly that file.
//!
//! It refuses to read a plan from a checkout: an agent may have been there. Who may approve is
//! asked of the caller.

use super::super::plan_file::Read;
use super::super::{CommandFailure, FailureKind, Home};
use super::{ForgeAccess, JobStep, fetched};
use crate::fact::PlanSource;
use crate::forge::Forge;
use crate::git::{FetchTarget, GitError, Repo};
use crate::id::{CommitId, RepoPath, Sha256};
use crate::plan::{Complaint, Complaints, DeliverAs, Plan, governed, parse};
use crate::request::Request;
use crate::text::ForgeKind;

/// A plan as some commit has it.
#[derive(Debug, Clone)]
pub(super) struct CommittedPlan {
    /// What it says.
    pub(super) plan: Plan,
    /// Where it was read.
    pub(super) source: PlanSource,
}

/// Why there is no plan to go by.
#[derive(Debug, Clone)]
pub(super) enum PlanUnavailable {
    /// There is no such file.
    Absent {
        /// Its path.
        path: String,
        /// The branch that was looked at.
        branch: String,
    },
    /// It is no plan.
    Wrong {
        /// The branch that was looked at.
        branch: String,
        /// Every mistake.
        complaints: Complaints,
    },
}

impl PlanUnavailable {
    /// As a failure of a job that nobody can be answered in.
    pub(super) fn failure(&self, forge: ForgeKind) -> CommandFailure {
        match self {
            Self::Absent { path, branch } => CommandFailure::new(
                FailureKind::Usage,
                format!("there is no plan: {path} is not on the branch {branch}"),
            )
            .hint(format!(
                "commit one there, or name another with {} `plan`",
                forge.input()
            )),
            Self::Wrong { branch, complaints } => {
                let text = crate::text::neutralise_workflow_commands(&complaints.render());
                CommandFailure::rendered(FailureKind::Usage, text).hint(format!(
                    "this is the plan on the branch {branch}; a {} can mend it",
                    forge.pull_request()
                ))
            }
        }
    }
}

/// Where commits are looked at.
#[derive(Debug, Clone, Copy)]
pub(super) enum CommitSource<'a> {
    /// The forge, which is asked.
    Api(&'a Forge),
    /// A repository that has been given all that will be looked at.
    Git(&'a Repo),
}

impl CommitSource<'_> {
    async fn file(&self, path: &str, commit: &CommitId) -> Result<Option<Vec<u8>>, CommandFailure> {
        match self {
            Self::Api(forge) => Ok(forge.file(path, commit).await?),
            Self::Git(repo) => blob(repo, path, commit),
        }
    }

    /// Where two commits part.
    async fn parting(&self, base: &CommitId, head: &CommitId) -> Result<CommitId, CommandFailure> {
        match self {
            Self::Api(forge) => Ok(forge.compare(base, head).await?.merge_base),
            Self::Git(repo) => {
                let found = repo.merge_base(base, head).map_err(super::super::git)?;
                found.ok_or_else(|| {
                    CommandFailure::new(
                        FailureKind::Usage,
                        format!("{base} and {head} have no history in common"),
                    )
                })
            }
        }
    }
}

/// The bytes of a file of a commit.
fn blob(repo: &Repo, path: &str, commit: &CommitId) -> Result<Option<Vec<u8>>, CommandFailure> {
    let path: RepoPath = path.parse().map_err(|error: crate::id::BadName| {
        CommandFailure::new(FailureKind::Usage, error.to_string())
    })?;
    repo.read_file(commit, &path).map_err(super::super::git)
}

/// Reads plans of one repository at one path.
#[derive(Debug)]
pub(super) struct Plans<'a> {
    source: CommitSource<'a>,
    path: String,
    /// What a plan without a name is named after.
    directory: String,
}

/// The tasks and gates for a pull request, and what the pull request wants instead.
#[derive(Debug)]
pub(super) struct ForPull {
    /// What the base branch has.
    pub(super) base: Result<CommittedPlan, PlanUnavailable>,
    /// What the pull request would change it to; `None` where it changes nothing.
    pub(super) changed: Option<ChangedPlan>,
}

/// A plan that a pull request changes.
#[derive(Debug, Clone)]
pub(super) struct ChangedPlan {
    /// The SHA-256 of its bytes: what is to be approved.
    pub(super) digest: Sha256,
    /// Its bytes, for a diff.
    pub(super) bytes: Vec<u8>,
    /// The bytes that it takes the place of; `None` where the base branch has no plan.
    pub(super) before: Option<Vec<u8>>,
    /// What it says, or what is wrong with it.
    pub(super) read: Result<CommittedPlan, Complaints>,
}

impl<'a> Plans<'a> {
    pub(super) fn new(source: CommitSource<'a>, path: &RepoPath, repository: &str) -> Self {
        let directory = repository
            .rsplit('/')
            .next()
            .unwrap_or(repository)
            .to_owned();
        Self {
            source,
            path: path.to_string(),
            directory,
        }
    }

    /// The plan at a branch's commit.
    pub(super) async fn at(
        &self,
        branch: &str,
        commit: &CommitId,
    ) -> Result<Result<CommittedPlan, PlanUnavailable>, CommandFailure> {
        let bytes = self.source.file(&self.path, commit).await?;
        Ok(self.read(branch, commit, bytes.as_deref()))
    }

    fn read(
        &self,
        branch: &str,
        commit: &CommitId,
        bytes: Option<&[u8]>,
    ) -> Result<CommittedPlan, PlanUnavailable> {
        match bytes {
            None => Err(PlanUnavailable::Absent {
                path: self.path.clone(),
                branch: branch.to_owned(),
            }),
            Some(bytes) => self
                .parse(commit, bytes)
                .map_err(|complaints| PlanUnavailable::Wrong {
                    branch: branch.to_owned(),
                    complaints,
                }),
        }
    }

    fn parse(&self, commit: &CommitId, bytes: &[u8]) -> Result<CommittedPlan, Complaints> {
        let plan = parse(bytes, &self.path, &self.directory)?;
        let source = PlanSource {
            path: self.path.clone(),
            digest: Sha256::of(bytes),
            commit: Some(commit.clone()),
            uncommitted: false,
        };
        Ok(CommittedPlan { plan, source })
    }

    /// The plans of a pull request: `head` is its commit, `base` the tip of the branch that it is
    /// to be merged into.
    pub(super) async fn of_pull(
        &self,
        branch: &str,
        base: &CommitId,
        head: &CommitId,
    ) -> Result<ForPull, CommandFailure> {
        let before = self.source.file(&self.path, base).await?;
        let after = self.source.file(&self.path, head).await?;
        let found = self.read(branch, base, before.as_deref());
        let changed = match after {
            Some(after)
                if before.as_ref() != Some(&after)
                    && self.changes_it(base, head, &after).await? =>
            {
                Some(ChangedPlan {
                    digest: Sha256::of(&after),
                    read: self.parse(head, &after),
                    bytes: after,
                    before,
                })
            }
            Some(_) | None => None,
        };
        Ok(ForPull {
            base: found,
            changed,
        })
    }

    /// Whether it is the pull request that changes the plan to `after`, and not the base branch
    /// that has moved on.
    async fn changes_it(
        &self,
        base: &CommitId,
        head: &CommitId,
        after: &[u8],
    ) -> Result<bool, CommandFailure> {
        let parting = self.source.parting(base, head).await?;
        let there = self.source.file(&self.path, &parting).await?;
        Ok(there.as_deref() != Some(after))
    }
}

/// A maintenance run has no branch of somebody's to push to.
///
/// # Errors
/// Where the plan wants that.
pub(super) fn for_maintenance(found: &CommittedPlan, branch: &str) -> Result<(), PlanUnavailable> {
    match found.plan.deliver.form {
        DeliverAs::Push => {
            let mut complaint = Complaint::new(
                "`deliver: {as: push}` is for pull requests: a run of the default branch would push onto that branch itself",
            );
            complaint.advise("use `as: pull-request`, or start runs from comments only");
            let complaints = Complaints::one(&found.source.path, complaint);
            Err(PlanUnavailable::Wrong {
                branch: branch.to_owned(),
                complaints,
            })
        }
        DeliverAs::PullRequest | DeliverAs::PullRequestPerTask | DeliverAs::Branches => Ok(()),
    }
}

/// The plan that a request is about: its tasks and gates under the repository's rules, read anew
/// from the commits that the intake job named. Its bytes are those of the tasks.
///
/// # Errors
/// Where a file is not there any more, is not the one that the intake job saw, or is no plan.
pub(in crate::cli) fn read_for(
    step: &JobStep,
    access: &ForgeAccess,
    home: &Home,
    request: &Request,
) -> Result<Read, CommandFailure> {
    let source = &request.plan;
    let commit = source
        .commit
        .as_ref()
        .ok_or_else(|| lost("the request names no commit for it".to_owned()))?;
    let path = source
        .path
        .parse::<RepoPath>()
        .map_err(|error| lost(error.to_string()))?;
    let (repo, _kept) = brought(step, access, home, [commit, &request.rules])?;
    let plans = Plans::new(CommitSource::Git(&repo), &path, &request.repository);
    let file = |commit: &CommitId| {
        let bytes = blob(&repo, &plans.path, commit)?;
        bytes.ok_or_else(|| lost(format!("{path} is not at {commit}")))
    };
    let bytes = file(commit)?;
    if Sha256::of(&bytes) != source.digest {
        return Err(lost(format!(
            "{path} at {commit} is not the file that was decided on: its digest differs"
        )));
    }
    let read = |commit: &CommitId, bytes: &[u8]| {
        plans.parse(commit, bytes).map_err(|complaints| {
            CommandFailure::rendered(
                FailureKind::Usage,
                crate::text::neutralise_workflow_commands(&complaints.render()),
            )
        })
    };
    let tasks = read(commit, &bytes)?.plan;
    let plan = if *commit == request.rules {
        tasks
    } else {
        let rules = file(&request.rules)?;
        governed(tasks, &read(&request.rules, &rules)?.plan)
    };
    Ok(Read {
        plan,
        bytes,
        path: plans.path,
    })
}

fn lost(what: String) -> CommandFailure {
    CommandFailure::new(
        FailureKind::Blocked,
        format!("the plan of this run cannot be read: {what}"),
    )
    .hint("start a new run: what the intake job decided does not hold any more")
}

/// A repository that has these commits: a checkout often lacks them, and is not to grow for the
/// sake of one file. Commits are known by what they hold, so it does not matter who hands them
/// over.
fn brought(
    step: &JobStep,
    access: &ForgeAccess,
    home: &Home,
    commits: [&CommitId; 2],
) -> Result<(Repo, Option<tempfile::TempDir>), CommandFailure> {
    if commits.iter().all(|commit| home.repo.tip(commit).is_ok()) {
        return Ok((home.repo.clone(), None));
    }
    let dir = step.scratch()?;
    let repo = Repo::empty(dir.path()).map_err(super::super::git)?;
    let mut wanted: Vec<FetchTarget> = commits
        .into_iter()
        .cloned()
        .map(FetchTarget::Commit)
        .collect();
    wanted.dedup();
    let remote = step.remote(access)?;
    let tips = fetched(|| match repo.fetch_tips(&remote, &wanted) {
        Err(error @ (GitError::RemoteLacks { .. } | GitError::UnknownRevision { .. })) => {
            Ok(Err(error))
        }
        other => other.map(Ok),
    })?;
    tips.map_err(|error| lost(error.to_string()).advised_by(&error))?;
    Ok((repo, Some(dir)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_maintenance_run_pushes_onto_no_branch() {
        let found = |form: &str| {
            let text = format!(
                "version: 1\nname: n\ntasks: [{{id: a, run: 'true'}}]\ndeliver: {{as: {form}}}\n"
            );
            let source = PlanSource {
                path: "omk.yaml".to_owned(),
                digest: Sha256::of(text.as_bytes()),
                commit: None,
                uncommitted: false,
            };
            CommittedPlan {
                plan: parse(text.as_bytes(), "omk.yaml", "n").unwrap(),
                source,
            }
        };
        for form in ["pull-request", "pull-request-per-task", "branches"] {
            assert!(for_maintenance(&found(form), "main").is_ok(), "{form}");
        }
        let trouble = for_maintenance(&found("push"), "main").unwrap_err();
        insta::assert_snapshot!(trouble.failure(ForgeKind::GitHub).render(), @r"
        error: `deliver: {as: push}` is for pull requests: a run of the default branch would push onto that branch itself
          --> omk.yaml
            = hint: use `as: pull-request`, or start runs from comments only
          hint: this is the plan on the branch main; a pull request can mend it
        ");
    }

    #[test]
    fn what_is_missing_is_named() {
        let trouble = PlanUnavailable::Absent {
            path: "ci/omk.yaml".to_owned(),
            branch: "main".to_owned(),
        };
        insta::assert_snapshot!(trouble.failure(ForgeKind::GitHub).render(), @r"
        error: there is no plan: ci/omk.yaml is not on the branch main
          hint: commit one there, or name another with the action's input `plan`
        ");
        insta::assert_snapshot!(trouble.failure(ForgeKind::GitLab).render(), @r"
        error: there is no plan: ci/omk.yaml is not on the branch main
          hint: commit one there, or name another with the component's input `plan`
        ");
    }
}
