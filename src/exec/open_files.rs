//! How many files omk may have open: as many as the system lets it, while its children get what omk
//! itself was started with.
//!
//! A task at work takes some ten, and Debian's limit is 1,024. Children keep the low one, because a
//! program that closes or looks through all numbers takes seconds with a high one. It refuses to go
//! above the hard limit.

use std::sync::OnceLock;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The soft limit that omk was started with; none = it was unlimited.
static BEFORE: OnceLock<Option<u64>> = OnceLock::new();

/// Raises the limit of this process, once; what it was before.
pub(super) fn raise() -> Option<u64> {
    *BEFORE.get_or_init(|| {
        let limit = getrlimit(Resource::Nofile);
        // Where the system refuses, omk has as few as before, and says so when they are used up.
        let _ = setrlimit(
            Resource::Nofile,
            Rlimit {
                current: limit.maximum,
                maximum: limit.maximum,
            },
        );
        limit.current
    })
}

/// Gives this process, which is about to become a child's program, the limit `before`.
///
/// # Errors
/// Where the system refuses, which it has no reason to do.
pub(super) fn lower(before: u64) -> std::io::Result<()> {
    let limit = getrlimit(Resource::Nofile);
    let current = limit.maximum.map_or(before, |most| most.min(before));
    Ok(setrlimit(
        Resource::Nofile,
        Rlimit {
            current: Some(current),
            maximum: limit.maximum,
        },
    )?)
}
