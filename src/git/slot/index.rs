//! The index of a slot, for children that call git. It is never read back.

use crate::git::error::GitError;
use crate::git::facts::{Stat, write_index, write_index_over};
use crate::git::pool::{Slot, SlotKnowledge};
use crate::git::repo::tree_oid;
use crate::git::tree::{Listing, TreeEntry};
use crate::id::TreeId;

impl Slot {
    /// The worktree's own index, for children that call git: what it says of files on the disk fits
    /// them. Not read back.
    pub(super) fn write_own_index(
        &self,
        tree: &TreeId,
        listing: &Listing,
        known: &mut SlotKnowledge,
    ) -> Result<(), GitError> {
        let file = self.git_dir().join("index");
        let stat = || std::fs::symlink_metadata(&file).map(|meta| Stat::of(&meta));
        if let (Some((was, Some(left))), Ok(now)) = (&known.index, stat())
            && *was == tree_oid(tree)
            && *left == now
        {
            return Ok(());
        }
        write_index(&file, listing.files(), Some(&known.facts))?;
        known.index = Some((tree_oid(tree), stat().ok()));
        Ok(())
    }

    /// The index of a slot that holds `tree`, but for paths that are `hidden`: for git they are
    /// unchanged, whatever is there.
    pub(in crate::git) fn write_index_under(
        &self,
        tree: &TreeId,
        hidden: &dyn Fn(&[u8], TreeEntry) -> bool,
    ) -> Result<(), GitError> {
        let listing = self.pool.repo().listing(tree)?;
        let mut known = self.known();
        let known = known.get_or_insert_with(|| self.forgotten());
        known.index = None;
        write_index_over(
            &self.git_dir().join("index"),
            listing.files(),
            Some(&known.facts),
            hidden,
        )
    }
}
