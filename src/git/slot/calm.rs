//! What every directory of a slot has in common: its mode and its times, whoever made it.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use rustix::fs::{Mode as RawMode, OFlags, Timespec, Timestamps};

use crate::git::error::GitError;

/// The permissions of a slot's directories: what a usual umask leaves.
pub(in crate::git) const OPEN: u32 = 0o755;

/// When every directory of a slot was last changed, as far as anybody can see, in seconds since
/// 1970: in 2001, before any build. Some tools do not take a time of zero.
pub(in crate::git) const LONG_AGO: i64 = 1_000_000_000;

pub(super) fn is_calm(meta: &Metadata) -> bool {
    meta.mode() & 0o7777 == OPEN && meta.mtime() == LONG_AGO && meta.mtime_nsec() == 0
}

/// Gives a directory the mode and the times that all have.
pub(in crate::git) fn calm(directory: &Path) -> Result<(), GitError> {
    settle(directory, OFlags::DIRECTORY, OPEN)
}

/// The same for a file of omk's own in a slot.
pub(in crate::git) fn calm_file(file: &Path) -> Result<(), GitError> {
    // Nobody waits at a FIFO that a child may have left.
    settle(file, OFlags::NONBLOCK, OPEN & 0o666)
}

pub(super) fn settle(path: &Path, kind: OFlags, mode: u32) -> Result<(), GitError> {
    let problem = || GitError::io("settle", path);
    let opened = match rustix::fs::open(
        path,
        kind | OFlags::NOFOLLOW | OFlags::CLOEXEC,
        RawMode::empty(),
    ) {
        Ok(opened) => opened,
        Err(rustix::io::Errno::NOENT) => return Ok(()),
        Err(errno) => return Err(problem()(errno.into())),
    };
    rustix::fs::fchmod(&opened, RawMode::from_raw_mode(mode))
        .map_err(|errno| problem()(errno.into()))?;
    let long_ago = Timespec {
        tv_sec: LONG_AGO,
        tv_nsec: 0,
    };
    let times = Timestamps {
        last_access: long_ago,
        last_modification: long_ago,
    };
    rustix::fs::futimens(&opened, &times).map_err(|errno| problem()(errno.into()))
}
