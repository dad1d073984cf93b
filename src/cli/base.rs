//! What a run's base needs of this machine, named before anything is started or paid.
//!
//! It refuses a git that is too old to merge, and a base whose files would be taken without a filter that its attributes
//! ask for.

use super::terminal::Terminal;
use super::{Failure, Home, Kind};
use crate::git::{advice, refuse_old_program};
use crate::id::TreeId;
use crate::text;

/// How many are named at once. A user who has more of them starts with these.
const NAMED: usize = 5;

/// Refuses to go on with a git that is too old, or without a filter that the tree asks for.
pub(super) fn refuse_what_git_lacks(home: &Home, tree: &TreeId) -> Result<(), Failure> {
    refuse_old_program().map_err(|error| Failure::with_advice(Kind::Blocked, &format!("failed to {error}")))?;
    let missing = home.repo.missing_filters(tree).map_err(super::git)?;
    if missing.is_empty() {
        return Ok(());
    }
    let named: Vec<String> =
        missing.iter().take(NAMED).map(|filter| format!("`{}` (for `{}`)", filter.name, filter.path)).collect();
    let more = match missing.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let what = format!(
        "the attributes of the base ask for filters that git does not have here: {}{more}; files would be committed without them",
        named.join(", ")
    );
    let hints = missing.iter().take(NAMED).map(|filter| advice(&filter.name));
    Err(hints.fold(Failure::new(Kind::Blocked, what), Failure::hint))
}

/// Says what tasks and gates do not find in their slots.
pub(super) fn note_submodules(home: &Home, tree: &TreeId, terminal: &Terminal) -> Result<(), Failure> {
    let modules = home.repo.submodules(tree).map_err(super::git)?;
    if let Some(first) = modules.first() {
        let all = text::plural(modules.len(), "submodule");
        terminal.complain(&format!(
            "note: the base has {all} (`{first}`); tasks and gates find an empty directory in the place of each\n"
        ));
    }
    Ok(())
}
