//! The names of slots, which are numbers, and of what git keeps of each.

use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::str::FromStr;

use crate::id::{BadName, Sha256};

/// What the names of our worktrees begin with.
const PREFIX: &str = "omk-slot-";

/// Slots of a pool; far more than any machine has workers.
pub(super) const SLOTS: u32 = 4096;

/// Whether a directory of `.git/worktrees` has the name of a slot.
pub(in crate::git) fn may_be_slot(name: &OsStr) -> bool {
    name.as_bytes().starts_with(PREFIX.as_bytes())
}

/// What git's directory of the slot at that place is called below `.git/worktrees`. `None`: no slot
/// can be there.
pub(in crate::git) fn admin_at(slot: &Path) -> Option<String> {
    Some(admin_name(
        slot.parent()?,
        slot.file_name()?.to_str()?.parse().ok()?,
    ))
}

pub(super) fn admin_name(root: &Path, name: SlotName) -> String {
    format!(
        "{PREFIX}{name}-{}",
        &Sha256::of(root.as_os_str().as_bytes()).as_str()[..8]
    )
}

/// A slot of a pool, by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SlotName(pub(super) u32);

impl fmt::Display for SlotName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for SlotName {
    type Err = BadName;
    fn from_str(text: &str) -> Result<Self, BadName> {
        let number = text
            .parse()
            .ok()
            .filter(|number| (1..=SLOTS).contains(number));
        let canonical = number.filter(|number: &u32| number.to_string() == text);
        canonical
            .map(Self)
            .ok_or_else(|| BadName::new(text, "a slot", "a number from 1"))
    }
}
