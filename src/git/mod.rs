//! Git: objects in process, the git binary for work trees and the network.
//!
//! The room is synchronous, `Send` and `Sync`: it opens the repository anew where threads meet, and
//! keeps no lock while it works on objects. It refuses to touch the user's own checkout, index and
//! HEAD, to run hooks, to read the caller's `GIT_*` variables, and to believe anything that a child
//! left in a slot's `.git`.
//!
//! Objects are written as git writes them by default, without waiting for the disk, and nothing
//! points to them at first. An [`Anchor`] keeps those of one run from being cleaned up, and waits
//! for them, so that a journal may name them.

mod refusal;
mod error;
mod remedies;
mod extent;
mod open;
mod repo;
mod tree;
mod difference;
mod inputs;
mod holders;
mod left;
mod lineage;
mod lookup;
mod links;
mod apart;
mod closer;
mod merge;
mod message;
mod ours;
mod refs;
mod disk;
mod missing;
mod locked;
mod loose;
mod anchor;
mod mend;
mod call;
mod binary;
mod answer;
mod remote;
mod bundle;
mod credentials;
mod checkout;
mod stranger;
mod settings;
mod module;
mod uncommitted;
mod convert;
mod filters;
mod facts;
mod rules;
mod facts_file;
mod walk;
mod content;
mod ignore;
mod keep;
mod pool;
mod worktrees;
mod removal;
mod part;
mod module_dir;
mod slot;
mod private;
mod secrets;
mod laid;
mod snapshot;
mod overlay;

pub use anchor::Anchor;
pub use binary::program_version;
pub use bundle::{BundleError, BundleHeader, BundleWanted, TakenIn};
pub use checkout::take_token_out;
pub use closer::refuse_old_program;
pub use credentials::without_login;
pub use error::GitError;
pub use extent::Extents;
pub use filters::{Lacks, MissingFilter, advice};
pub use merge::{MergeOutcome, MergedBase};
pub use message::{CommitMessage, Trailers, signer};
pub use module::{MissingSubmodule, ModuleLack};
pub use overlay::Overlay;
pub use pool::{Pool, Slot, SlotName};
pub use private::Keeps;
pub use refs::{BranchTip, Expected};
pub use refusal::RemoteRule;
pub use remote::{FetchTarget, RefUpdate, Remote};
pub use removal::{Removed, Rescue, Scratch, Stuck};
pub use repo::Repo;
pub use slot::LaidOut;
pub use snapshot::Terms;
pub use stranger::CommitSeen;
pub use tree::{ChangedPath, EntryKind};
pub use uncommitted::Uncommitted;
