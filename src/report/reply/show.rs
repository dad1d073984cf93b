//! What is shown of a plan: what a run would do, and what a changed one needs.

use super::{code, folded, inert, told};
use crate::id::Sha256;
use crate::plan::Permission;
use crate::report::preview::Preview;
use crate::text::{self, ForgeKind};

/// Lines and bytes of a preview or a diff.
const LINES: usize = 300;
const BYTES: usize = 20_000;

/// What a run would do. `whose` says where the plan is from: `the base branch`.
#[must_use]
pub fn plan(preview: &Preview, whose: &str) -> String {
    let tasks = text::plural(preview.tasks.len(), "task");
    let executions = usize::try_from(preview.executions).unwrap_or(usize::MAX);
    let table = text::clip_lines(&preview.terminal(), LINES, BYTES);
    let drawn = format!(
        "```mermaid\n{}```\n\n{}",
        preview.mermaid(),
        text::fenced(&table)
    );
    let what = format!(
        "A run would do {tasks}, in up to {}",
        text::plural(executions, "execution")
    );
    let why = format!("The plan `{}` is that of {}.", preview.plan, inert(whose));
    format!(
        "{}\n{}",
        told("📋", &what, &why, "Start it with `/omk run`."),
        folded("Tasks, waves and overlaps", &drawn)
    )
}

/// The pull request changes the plan, so that somebody must approve it first. `diff` is scrubbed,
/// and clipped here.
#[must_use]
pub fn approval_needed(
    forge: ForgeKind,
    plan_path: &str,
    digest: &Sha256,
    permission: Permission,
    diff: &str,
) -> String {
    // What cannot be seen takes more room once it is spelled out, and must not crowd out the rest.
    let diff = text::clip_lines(&text::escape_invisible(diff), LINES, BYTES);
    let why = format!(
        "The {} changes {}, which says what is run. Until somebody with {} has approved exactly these bytes, the plan of the {} \
         is used.",
        forge.pull_request(),
        code(plan_path),
        forge.right(permission.as_str()),
        forge.base_branch()
    );
    let next = format!(
        "Read the change. To approve it, write this in a comment, and then `/omk run` (both may be in one):\n\n```text\n/omk approve {digest}\n```"
    );
    let shown = folded(
        "What changes in the plan",
        &text::fenced(&diff).replacen("text\n", "diff\n", 1),
    );
    format!(
        "{}\n{shown}",
        told(
            "✋",
            "The plan is changed here, and the change is not approved",
            &why,
            &next
        )
    )
}

#[cfg(test)]
mod tests;
