//! The check `omk plan`: whether a pull request's plan is one, and what it changes in it.
//!
//! It tells what must be done before a changed plan counts. It refuses to show text of the plan
//! with anything in it that could hide or move text: people approve what they see here.

use super::check::{CheckRemark, CheckText, LIMIT, PLAN};
use super::ink;
use super::inline::code;
use super::preview::Preview;
use crate::fact::{ItemLevel, Location};
use crate::id::Sha256;
use crate::plan::{Complaints, Permission};
use crate::text::{self, ForgeKind};

/// Complaints that are shown with their lines; the rest is counted. All that are known become
/// remarks.
const SHOWN: usize = 8_000;

/// Bytes of a diff: with the preview, the summary keeps below a check's limit.
const DIFF: usize = 30_000;

/// Bytes of the preview's table.
const TABLE: usize = 12_000;

/// What a pull request does to the plan.
#[derive(Debug)]
pub struct PlanCheck<'a> {
    /// The forge where it is read.
    pub forge: ForgeKind,
    /// The plan's path.
    pub path: &'a str,
    /// The base branch.
    pub branch: &'a str,
    /// Whether anything of it may ever be used before it is merged.
    pub origin: PullOrigin,
    /// What was found.
    pub found: PlanFinding<'a>,
}

/// Where a pull request comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PullOrigin {
    /// This repository.
    Own,
    /// Another one, or one that is gone.
    Fork,
}

/// What was found.
#[derive(Debug)]
pub enum PlanFinding<'a> {
    /// There is no plan, neither before nor after.
    Nothing,
    /// The plan is the base branch's.
    Same(&'a Preview),
    /// The pull request changes it.
    Changed {
        /// What is to be approved.
        digest: &'a Sha256,
        /// What a run would do.
        preview: &'a Preview,
        /// From the base branch's plan to this one.
        diff: &'a str,
        /// Who may approve it; `None` where no rules are there to say so.
        permission: Option<Permission>,
    },
    /// It is no plan.
    Wrong {
        /// Every mistake.
        complaints: &'a Complaints,
        /// Whose mistakes they are.
        whose: PlanOwner,
    },
}

/// Whose plan has mistakes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlanOwner {
    /// The pull request changed it to this.
    PullRequest,
    /// It is the base branch's.
    Base,
}

impl PlanCheck<'_> {
    /// Whether the plan may be merged.
    #[must_use]
    pub fn is_good(&self) -> bool {
        match self.found {
            PlanFinding::Nothing | PlanFinding::Same(_) | PlanFinding::Changed { .. } => true,
            PlanFinding::Wrong { .. } => false,
        }
    }

    /// What the check says.
    #[must_use]
    pub fn render(&self) -> CheckText {
        let (title, summary, remarks) = match &self.found {
            PlanFinding::Nothing => ("there is no plan".to_owned(), self.nothing(), Vec::new()),
            PlanFinding::Same(preview) => {
                let title = format!("unchanged: {}", text::plural(preview.tasks.len(), "task"));
                let summary = format!(
                    "{} is that of {}.\n\n{}",
                    self.plan(),
                    code(self.branch, 80),
                    drawn(preview)
                );
                (title, summary, Vec::new())
            }
            PlanFinding::Changed {
                digest,
                preview,
                diff,
                permission,
            } => {
                let title = format!(
                    "changed: valid, {}",
                    text::plural(preview.tasks.len(), "task")
                );
                (
                    title,
                    self.changed(digest, preview, diff, *permission),
                    Vec::new(),
                )
            }
            PlanFinding::Wrong { complaints, whose } => {
                let title = format!("invalid: {}", text::plural(complaints.len(), "mistake"));
                (title, self.wrong(complaints, *whose), remarks(complaints))
            }
        };
        let summary = super::sticky::without_markers(&text::clip_lines(&summary, 2_000, LIMIT));
        CheckText {
            name: PLAN.to_owned(),
            title: ink::line(&title, 140),
            summary,
            text: String::new(),
            remarks,
        }
    }

    fn plan(&self) -> String {
        format!("The plan {}", code(self.path, 120))
    }

    fn nothing(&self) -> String {
        format!(
            "There is no {} on {}, and this {} adds none.\n\nWrite one with `omk init`, or set {} `plan` to where it is.\n",
            code(self.path, 120),
            code(self.branch, 80),
            self.forge.pull_request(),
            self.forge.input()
        )
    }

    fn changed(
        &self,
        digest: &Sha256,
        preview: &Preview,
        diff: &str,
        permission: Option<Permission>,
    ) -> String {
        let digest = digest.short();
        let what = match (self.origin, permission) {
            (PullOrigin::Fork, _) => format!(
                "Nothing of it is run: the {} comes from another {}. It counts once it is merged.",
                self.forge.pull_request(),
                self.forge.repository()
            ),
            (PullOrigin::Own, None) => format!(
                "It counts once it is merged: until there is a plan on the default branch, nobody can be told to have the \
                 {} to approve `{digest}`.",
                match self.forge {
                    ForgeKind::GitHub => "permission",
                    ForgeKind::GitLab => "role",
                }
            ),
            (PullOrigin::Own, Some(permission)) => format!(
                "Until it is merged, runs use the plan of {}. To use this one before that, somebody with {} \
                 writes in a comment:\n\n```text\n/omk approve {digest}\n/omk run\n```\n\nIts `agent`, `limits`, `prices`, \
                 `room`, `deliver`, `protect` and `commands` count once they are on the default branch, approved or not.",
                code(self.branch, 80),
                self.forge.right(permission.as_str())
            ),
        };
        let diff =
            text::fenced(&text::clip_lines(diff, 1_000, DIFF)).replacen("text\n", "diff\n", 1);
        format!(
            "{} is changed, and valid.\n\n{what}\n\n{diff}\n{}",
            self.plan(),
            drawn(preview)
        )
    }

    fn wrong(&self, complaints: &Complaints, whose: PlanOwner) -> String {
        let pull = self.forge.pull_request();
        let next = match whose {
            PlanOwner::PullRequest => {
                format!("Mend it in this {pull}; `omk plan` shows the same on a laptop.")
            }
            PlanOwner::Base => format!(
                "This {pull} does not change it: the mistakes are on the {}, and runs are refused until they are mended there.",
                self.forge.base_branch()
            ),
        };
        let shown = text::fenced(&text::clip_lines(
            &text::escape_invisible(&complaints.render()),
            200,
            SHOWN,
        ));
        format!(
            "{} has {}.\n\n{shown}\n{next}\n",
            self.plan(),
            text::plural(complaints.len(), "mistake")
        )
    }
}

fn drawn(preview: &Preview) -> String {
    let table = text::clip_lines(&preview.terminal(), 300, TABLE);
    format!(
        "<details><summary>What a run would do</summary>\n\n{}\n```mermaid\n{}```\n\n</details>\n",
        text::fenced(&table),
        preview.mermaid()
    )
}

/// The mistakes at their lines; those about the file as a whole are at its first.
#[must_use]
pub fn remarks(complaints: &Complaints) -> Vec<CheckRemark> {
    let shown = |words: &str| text::clip(&text::escape_invisible(words), 1_000);
    let remark = |complaint: &crate::plan::Complaint| {
        let line = complaint
            .place
            .map_or(1, |place| u32::try_from(place.line).unwrap_or(u32::MAX));
        let title = match complaint.place {
            Some(place) => format!("omk plan, line {}, column {}", place.line, place.column),
            None => "omk plan".to_owned(),
        };
        CheckRemark {
            place: Location {
                path: complaints.file().to_owned(),
                line,
                end_line: line,
            },
            level: ItemLevel::Error,
            check: PLAN.to_owned(),
            item: None,
            title,
            message: shown(&complaint.what),
            hint: complaint.hint.as_deref().map(shown),
        }
    };
    complaints
        .iter()
        .take(super::check::REMARKS)
        .map(remark)
        .collect()
}

#[cfg(test)]
mod tests;
