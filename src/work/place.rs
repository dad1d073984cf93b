//! Where an attempt works: a slot, and private directories beside it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use tokio_util::sync::CancellationToken;

use super::Tools;
use super::sweep::{Bounds, sweep};
use crate::git::{GitError, LaidOut, Rescue, Slot};
use crate::id::Tip;

/// The directory of gates among a place's private ones.
const GATE: &str = "gate";

/// The directory among a place's private ones that a room keeps its own files in.
const SCRATCH: &str = "room";

/// How much of an agent's records, and of a HOME, is read between two attempts, in bytes. A session
/// of days has a tenth of it.
const RECORDS: u64 = 1 << 30;

/// What git finds in each private HOME. Test suites make commits, and git has no name for a user
/// without one. Settings of a repository, and variables such as `GIT_AUTHOR_NAME`, count for more.
const IDENTITY: &str = "[user]\n\tname = omk task\n\temail = task@omk.invalid\n";

/// A place to work in.
#[derive(Debug, Clone)]
pub(super) struct Workplace {
    pub(super) slot: Arc<Slot>,
    /// Private directories of the task: `home`, `tmp`, and what an agent keeps between attempts.
    pub(super) private: PathBuf,
    /// What the slot's content is built on.
    pub(super) base: Tip,
    /// What was changed since then may have been changed by a child: by the clock that files get
    /// their times from.
    opened: SystemTime,
    /// Whether a child may have been here; until then nothing has to be emptied.
    used: Arc<AtomicBool>,
}

/// Whether a directory, by its path in the private one, is one that a place or its rooms make each
/// time.
fn is_usual(path: &Path) -> bool {
    let parts: Option<Vec<&str>> = path.iter().map(std::ffi::OsStr::to_str).collect();
    let parts = parts.unwrap_or_default();
    match parts.strip_prefix(&[GATE]).unwrap_or(&parts) {
        [] | ["home" | "tmp"] | [SCRATCH] | [SCRATCH, "tmp" | "var"] | [SCRATCH, "var", "tmp"] => {
            true
        }
        [SCRATCH, copy] => copy.starts_with("copy-"),
        [SCRATCH, copy, "upper" | "upper.work"] => copy.starts_with("copy-"),
        _ => false,
    }
}

/// A place that waits for its task's next attempt, with the agent's session.
#[derive(Debug)]
pub(super) struct Parked {
    pub(super) place: Workplace,
    pub(super) session: Option<String>,
}

impl Workplace {
    /// A slot that nobody else holds, with that base in it, and empty private directories. Blocks.
    pub(super) fn open(
        tools: &Tools,
        base: Tip,
        keep: &[String],
    ) -> Result<(Self, LaidOut), GitError> {
        let mut emptied = false;
        loop {
            let slot = Arc::new(tools.pool.acquire(None)?);
            let laid_out = tools
                .anchor
                .steadily(|| Self::lay_out(Arc::clone(&slot), &base, keep));
            let error = match laid_out {
                Ok(opened) => return Ok(opened),
                Err(error) => error,
            };
            match slot.rescue(&error) {
                Rescue::SetAside => {}
                Rescue::Emptied if !emptied => emptied = true,
                Rescue::Emptied | Rescue::Nothing => return Err(error),
            }
        }
    }

    fn lay_out(slot: Arc<Slot>, base: &Tip, keep: &[String]) -> Result<(Self, LaidOut), GitError> {
        let laid_out = slot.reset(&base.commit, keep)?;
        let private = slot.fresh_private(&is_usual)?;
        let place = Self {
            private,
            slot,
            base: base.clone(),
            opened: time_of_files(),
            used: Arc::default(),
        };
        make(&[place.home(), place.tmp()])?;
        identify(&place.home())?;
        Ok((place, laid_out))
    }

    /// Whether the slot holds a cache that stays in it between tasks.
    pub(super) fn holds_kept(&self, keep: &[String]) -> bool {
        keep.iter()
            .any(|kept| self.slot.path().join(kept).symlink_metadata().is_ok())
    }

    /// Empties the HOME and TMPDIR of gates. Those of the work may hold what bends a verdict.
    /// Blocks.
    pub(super) fn fresh_for_gate(&self) -> Result<(), GitError> {
        if self.used.swap(true, Ordering::Relaxed) {
            self.slot.fresh_private_part(GATE, &is_usual)?;
        }
        let (home, tmp) = self.gate_dirs();
        make(&[&home, &tmp, &self.gate_scratch()])?;
        identify(&home)
    }

    /// Where a gate's room keeps what will be thrown away, once [`Workplace::fresh_for_gate`] has made
    /// it.
    pub(super) fn gate_scratch(&self) -> PathBuf {
        self.private.join(GATE).join(SCRATCH)
    }

    /// An empty directory for what the room of a command or an agent throws away. Blocks.
    pub(super) fn scratch(&self) -> Result<PathBuf, GitError> {
        if self.used.swap(true, Ordering::Relaxed) {
            return self.slot.fresh_private_part(SCRATCH, &is_usual);
        }
        let scratch = self.private.join(SCRATCH);
        make(&[&scratch])?;
        Ok(scratch)
    }

    /// HOME and TMPDIR of gates, once [`Workplace::fresh_for_gate`] has made them.
    pub(super) fn gate_dirs(&self) -> (PathBuf, PathBuf) {
        let gate = self.private.join(GATE);
        (gate.join("home"), gate.join("tmp"))
    }

    /// Takes secrets out of the private directories, which the next attempt of the task will find.
    /// Blocks.
    pub(super) fn clean_private(&self, tools: &Tools, stop: &CancellationToken) {
        // What rooms throw away goes unread.
        let _ = self.slot.fresh_private_part(SCRATCH, &is_usual);
        let _ = self.slot.fresh_private_part(GATE, &is_usual);
        // HOME may hold a cache, which can be had again: what of it is not read is removed. An
        // agent's session cannot.
        let caches = vec![self.home(), self.tmp()];
        let bounds = Bounds {
            most: RECORDS,
            stop: stop.clone(),
            ..Bounds::default()
        };
        sweep(
            &self.private,
            &Bounds {
                left_out: caches.clone(),
                ..bounds.clone()
            },
            &tools.scrubber,
        );
        caches
            .iter()
            .for_each(|cache| sweep(cache, &bounds, &tools.scrubber));
    }

    /// Empties the private directories, and takes secrets out of what was changed in the slot.
    /// Nothing may go on there: a file that the base has may be another one now. Blocks.
    pub(super) fn clean(&self, tools: &Tools, stop: &CancellationToken) {
        if self.slot.fresh_private(&is_usual).is_err() {
            self.clean_private(tools, stop);
        }
        // No commit and no bundle holds what is in these.
        let left_out = tools
            .plan
            .keep
            .iter()
            .map(|kept| self.slot.path().join(kept))
            .collect();
        // A change of more than the plan's limit is none, so there is no need to read more.
        let (most, since) = (tools.plan.change_limit.bytes(), Some(self.opened));
        sweep(
            self.slot.path(),
            &Bounds {
                since,
                left_out,
                most,
                stop: stop.clone(),
            },
            &tools.scrubber,
        );
    }

    /// Has nobody work here again: a process that could not be ended may still do so. If even that
    /// cannot be written down, the slot stays taken as long as this process lives.
    pub(super) fn condemn(&self) {
        if self.slot.condemn().is_err() {
            std::mem::forget(self.clone());
        }
    }

    pub(super) fn home(&self) -> PathBuf {
        self.private.join("home")
    }

    pub(super) fn tmp(&self) -> PathBuf {
        self.private.join("tmp")
    }
}

/// The time that a file would get that is written now. The clock of programs is ahead of it by some
/// milliseconds.
fn time_of_files() -> SystemTime {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::RealtimeCoarse);
    let (seconds, nanoseconds) = (
        u64::try_from(now.tv_sec).unwrap_or(0),
        u32::try_from(now.tv_nsec).unwrap_or(0),
    );
    SystemTime::UNIX_EPOCH + Duration::new(seconds, nanoseconds)
}

/// Gives an empty HOME its settings of git.
fn identify(home: &Path) -> Result<(), GitError> {
    let path = home.join(".gitconfig");
    let written = std::fs::write(&path, IDENTITY);
    written.map_err(|source| GitError::Io {
        what: format!("write {}", path.display()),
        source,
    })
}

fn make(directories: &[impl AsRef<Path>]) -> Result<(), GitError> {
    for path in directories.iter().map(AsRef::as_ref) {
        let made = std::fs::create_dir_all(path);
        made.map_err(|source| GitError::Io {
            what: format!("make {}", path.display()),
            source,
        })?;
    }
    Ok(())
}
