//! What one job leaves for the next: a directory with a run's commits, journal, plan, proofs and logs.
//!
//! Whoever reads one believes nothing in it: sizes, paths, refs and digests are checked before anything is used. It
//! refuses links, names that are not its own, and more than it allows.

mod archive;

pub use archive::{BadArchive, unpack};
