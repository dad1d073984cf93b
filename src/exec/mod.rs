//! Children: every agent, gate and command is started here, each under a shepherd process of its
//! own.
//!
//! The shepherd is `omk` itself in another role (`omk __shepherd`). It is a child subreaper that
//! holds a pipe from omk; on the child's exit, at a deadline, or when the pipe breaks because omk
//! died, it ends and reaps every descendant, detached ones too. It refuses to know what the child
//! is for.

mod capture;
mod confine;
mod descriptor;
mod flock;
#[cfg(target_os = "linux")]
mod fork_server;
#[cfg(target_os = "linux")]
mod devices;
#[cfg(target_os = "linux")]
mod furnish;
pub(crate) mod credential;
mod installation;
pub mod keeper;
mod kernel;
#[cfg(target_os = "linux")]
mod loopback;
mod open_files;
mod orders;
mod probe;
mod process;
mod reserved;
mod sandbox;
#[cfg(target_os = "linux")]
mod seal;
#[cfg(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
))]
mod seccomp;
mod shepherd;
mod start;
mod watch;

pub mod egress;
pub mod environment;
pub mod secret;
pub mod stop;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::fact::Containment;
use crate::id::Sha256;
use crate::plan::RoomLevel;
use crate::text::Scrubber;

pub use kernel::{kernel, umask};
pub use probe::{Probed, copyable, probe};
pub use sandbox::{NetworkReach, Sandbox};
pub use shepherd::shepherd_main;

/// The first argument that makes `omk` a shepherd: `main` then calls [`shepherd_main`] and nothing
/// else.
pub const SHEPHERD_ROLE: &str = "__shepherd";

/// The second argument that makes a shepherd the one that forks all others.
const FORK_SERVER: &str = "--fork-server";

/// The second argument that makes omk the keeper of a git.
const KEEPER: &str = "--keep";

/// How long a shepherd may take to end everybody. It needs little more than its grace, unless a
/// process cannot be killed because the kernel is busy for it, with a dead network disk for
/// instance.
const PATIENCE: Duration = Duration::from_secs(60);

/// What to run.
#[derive(Debug, Clone)]
pub enum Program {
    /// `sh -c`, as plans write commands.
    Shell(String),
    /// A program with arguments, found on the child's PATH unless it is a path.
    Direct(OsString, Vec<OsString>),
}

/// A child to be.
#[derive(Debug, Clone)]
pub struct Child {
    /// What to run.
    pub program: Program,
    /// Where.
    pub cwd: PathBuf,
    /// The whole environment, HOME and TMPDIR included; nothing else is inherited.
    pub env: BTreeMap<OsString, OsString>,
    /// What it may see, touch and reach; `None` = as much as omk itself.
    pub room: Option<Sandbox>,
    /// Wall time.
    pub timeout: Duration,
    /// No output and no other sign of life for so long = hung; `None` = does not matter.
    pub idle_timeout: Option<Duration>,
    /// Where the full output goes, standard output and standard error together, up to a cap,
    /// without known secrets.
    pub log: PathBuf,
    /// The cap of that file, in bytes.
    pub log_cap: u64,
}

/// Signs of life from elsewhere (the gateway) that wind the idle clock.
#[derive(Debug, Clone, Default)]
pub struct Pulse(Arc<std::sync::atomic::AtomicU64>);

impl Pulse {
    /// Something happened.
    pub fn beat(&self) {
        self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    }

    /// How often something happened.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.load(std::sync::atomic::Ordering::Relaxed)
    }
}

/// What surrounds a running child.
#[derive(Debug, Clone, Default)]
pub struct Surroundings {
    /// Ends the child when cancelled.
    pub stop: CancellationToken,
    /// Other signs of life.
    pub pulse: Pulse,
    /// Where the listeners of a room with [`NetworkReach::Doors`] go, once they are there.
    pub doors: Option<mpsc::UnboundedSender<std::net::TcpListener>>,
    /// Each line of standard output as it comes, without its end; lines over 8 MiB are dropped
    /// whole. It comes as it was printed, with secrets: it may not be kept.
    pub stdout_lines: Option<mpsc::UnboundedSender<Vec<u8>>>,
}

/// How a child ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// By itself, with that code.
    Exited(i32),
    /// By a signal that omk did not send.
    Signalled(i32),
    /// At its `timeout`.
    TimedOut,
    /// At its `idle_timeout`.
    Hung,
    /// Because it was told to stop.
    Stopped,
}

/// A child that has ended, with all its descendants.
#[derive(Debug, Clone)]
pub struct Ended {
    /// How.
    pub ending: Ending,
    /// Wall time.
    pub duration: Duration,
    /// The first 16 KiB of its output, without known secrets, like all that follows.
    pub head: Vec<u8>,
    /// The last 48 KiB, where there was more.
    pub tail: Vec<u8>,
    /// The last 16 KiB of standard error alone.
    pub stderr_tail: Vec<u8>,
    /// How much it printed in all, in bytes.
    pub bytes: u64,
    /// SHA-256 of the log file.
    pub log_sha256: Sha256,
    /// How it was confined.
    pub containment: Containment,
    /// The step that the system refused, if its room was to be sealed and is not: "mount /proc:
    /// Operation not permitted".
    pub why_not_sealed: Option<String>,
    /// Descendants that were still alive when it ended, and were ended.
    pub stragglers: u32,
}

/// Why a child could not be run.
#[derive(Debug, thiserror::Error)]
pub enum ExecError {
    /// The shepherd or the child could not be started, or the log not written.
    #[error("{what}: {source}")]
    Io {
        /// What failed: "start `sh`".
        what: String,
        /// Why.
        source: std::io::Error,
    },
    /// A process of the child could not be ended, and may still be at work. Whatever it can write
    /// must not be used again.
    #[error("end every process of the child within {} s: one of them may still be at work", waited.as_secs())]
    Outlived {
        /// How long was waited for its end.
        waited: Duration,
    },
    /// The room would have been of a lower level than the least that is accepted, so nothing was
    /// started.
    #[error("make a room of level `{least}`: {why}")]
    Room {
        /// The least level that is accepted.
        least: RoomLevel,
        /// The step that failed, and how.
        why: String,
    },
}

/// Starts children. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Shepherd {
    exe: PathBuf,
    at_most: RoomLevel,
    patience: Duration,
    scrubber: Scrubber,
    /// How many files a child may have open; none = as many as it likes.
    open_files: Option<u64>,
    /// What of the system no sealed room shows. Looked for once, before the first room.
    reserved: Arc<OnceLock<Vec<PathBuf>>>,
    #[cfg(target_os = "linux")]
    fork_server: Arc<fork_server::ForkServer>,
}

impl Shepherd {
    /// A shepherd that runs `exe __shepherd` for each child; `exe` is omk itself.
    #[must_use]
    pub fn new(exe: PathBuf) -> Self {
        Self {
            exe,
            at_most: RoomLevel::Sealed,
            patience: PATIENCE,
            scrubber: Scrubber::default(),
            open_files: open_files::raise(),
            reserved: Arc::default(),
            #[cfg(target_os = "linux")]
            fork_server: Arc::default(),
        }
    }

    /// The same, for rooms of that level at most, whatever the machine has: to see what holds on
    /// another one.
    #[must_use]
    pub fn at_most(self, level: RoomLevel) -> Self {
        Self {
            at_most: level,
            ..self
        }
    }

    /// One that waits so long for the end of a child's processes, where it had to stop them.
    #[must_use]
    pub fn waiting(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// One that keeps nothing of what that scrubber knows.
    #[must_use]
    pub fn scrubbing(self, scrubber: Scrubber) -> Self {
        Self { scrubber, ..self }
    }

    /// One that keeps nothing of that secret either.
    #[must_use]
    pub fn knowing(&self, secret: &str) -> Self {
        self.clone().scrubbing(self.scrubber.and(secret))
    }

    /// Runs a child to its end, and returns when it and every descendant are gone.
    ///
    /// Dropping the future ends the child too, without waiting for it.
    ///
    /// # Errors
    /// Where it could not be started, its log not be written, or its shepherd died.
    pub async fn run(&self, child: &Child, around: &Surroundings) -> Result<Ended, ExecError> {
        watch::run(self, child, around).await
    }
}

impl ExecError {
    /// Whether the machine is set up otherwise than the plan demands; else it failed.
    #[must_use]
    pub fn is_setup(&self) -> bool {
        matches!(self, Self::Room { .. })
    }

    /// Whether somebody may still be at work where the child was.
    #[must_use]
    pub fn is_outlived(&self) -> bool {
        matches!(self, Self::Outlived { .. })
    }

    fn io(what: impl Into<String>, source: std::io::Error) -> Self {
        Self::Io {
            what: what.into(),
            source,
        }
    }
}
