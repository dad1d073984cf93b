//! A child and all its descendants, as their shepherd sees them: who has ended, and the end of the
//! rest.
//!
//! The shepherd is a child subreaper, so every descendant stays below it, detached ones too, and
//! *no child left* means no descendant left. Waiting and signalling exclude each other, so that no
//! signal ever meets a process id that was given away again. It refuses to know why anything is
//! ended.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, WaitOptions, WaitStatus, kill_process, kill_process_group,
    wait, waitid,
};

use super::orders::{ChildStatus, ShepherdReport};
use crate::processes::ProcessStat;

/// How often a flock is stopped before it is killed, so that nobody forks between being seen and
/// being killed; what still slips through is caught in the next pass.
const FREEZES: usize = 8;

/// How long descendants may outlive the child by themselves: long enough for the end of a pipeline.
const AFTERLIFE: Duration = Duration::from_millis(100);

/// The child and all its descendants.
#[derive(Debug)]
pub(super) struct Flock {
    leader: Pid,
    adopts: bool,
    state: Mutex<FlockState>,
}

#[derive(Debug, Default)]
struct FlockState {
    /// How the child itself ended, once it has been reaped.
    status: Option<ChildStatus>,
    /// The child was still running when it was told to stop.
    ordered: bool,
    /// Nobody is spared any more.
    ending: bool,
    /// `/proc` could not be read: there may be descendants that were not found.
    blind: bool,
    stragglers: BTreeSet<i32>,
}

/// Who is left after reaping.
#[derive(Debug, PartialEq, Eq)]
enum Remaining {
    Some,
    Nobody,
}

impl Flock {
    /// The flock of `leader`, a child of this process in a session of its own. Orphans come to this
    /// process if it `adopts` them.
    pub(super) fn new(leader: Pid, adopts: bool) -> Self {
        Self {
            leader,
            adopts,
            state: Mutex::default(),
        }
    }

    /// Waits until the child has ended, ends what it left behind, and returns when nobody is left.
    ///
    /// # Errors
    /// Where the system refuses to wait.
    pub(super) fn await_end(&'static self) -> io::Result<ShepherdReport> {
        while self.await_any()? {
            let mut state = self.lock();
            let was_over = state.status.is_some();
            if self.reap(&mut state)? == Remaining::Nobody {
                break;
            }
            if state.ending {
                self.end_all(&mut state);
            }
            let over = state.status.is_some();
            if over && (!self.adopts || state.blind) {
                break;
            }
            if over && !was_over && !state.ordered {
                std::thread::spawn(move || {
                    std::thread::sleep(AFTERLIFE);
                    self.end_now();
                });
            }
        }
        let state = self.lock();
        if !self.adopts || state.blind {
            self.signal_group(Signal::KILL);
        }
        let status = state
            .status
            .ok_or_else(|| io::Error::other("the child was reaped by somebody else"))?;
        let stragglers = u32::try_from(state.stragglers.len()).unwrap_or(u32::MAX);
        Ok(ShepherdReport::Over {
            status,
            ordered: state.ordered,
            stragglers,
            complete: !state.blind,
        })
    }

    /// Tells the child's group to end, and ends everybody who is left after `grace`.
    pub(super) fn stop(&self, grace: Duration) {
        {
            let mut state = self.lock();
            state.ordered = state.status.is_none();
            if state.ordered {
                self.signal_group(Signal::TERM);
                // A stopped process takes no other signal before it goes on.
                self.signal_group(Signal::CONT);
            }
        }
        std::thread::sleep(grace);
        self.end_now();
    }

    fn end_now(&self) {
        let mut state = self.lock();
        state.ending = true;
        self.end_all(&mut state);
    }

    /// Blocks until some child of this process has ended, and leaves it to be reaped. False: there
    /// is none left.
    fn await_any(&self) -> io::Result<bool> {
        loop {
            match waitid(WaitId::All, WaitIdOptions::EXITED | WaitIdOptions::NOWAIT) {
                Ok(_) => return Ok(true),
                Err(Errno::CHILD) => return Ok(false),
                Err(Errno::INTR) => {}
                Err(other) => return Err(other.into()),
            }
        }
    }

    fn reap(&self, state: &mut FlockState) -> io::Result<Remaining> {
        loop {
            match wait(WaitOptions::NOHANG) {
                Ok(Some((pid, status))) if pid == self.leader => {
                    state.status = Some(translate(status))
                }
                Ok(Some(_)) | Err(Errno::INTR) => {}
                Ok(None) => return Ok(Remaining::Some),
                Err(Errno::CHILD) => return Ok(Remaining::Nobody),
                Err(other) => return Err(other.into()),
            }
        }
    }

    /// One pass: stops all until no new ones appear, then kills them. Whoever was born in between
    /// is an orphan soon, and the death of its parent brings about the next pass.
    fn end_all(&self, state: &mut FlockState) {
        let mut seen = BTreeSet::new();
        for _ in 0..FREEZES {
            let Ok(below) = descendants() else {
                state.blind = true;
                return self.signal_group(Signal::KILL);
            };
            let new: Vec<Descendant> = below
                .into_iter()
                .filter(|found| seen.insert(found.pid))
                .collect();
            if new.is_empty() {
                break;
            }
            for found in new {
                send(found.pid, Signal::STOP);
                if found.alive && found.pid != self.leader.as_raw_pid() {
                    state.stragglers.insert(found.pid);
                }
            }
        }
        for pid in seen {
            send(pid, Signal::KILL);
        }
    }

    /// Signals the child's process group. Its number cannot mean another's: while this process has
    /// not reaped the child it is taken, and afterwards it is taken as long as a member lives,
    /// or, on the last pass, only just free.
    fn signal_group(&self, signal: Signal) {
        // It fails where nobody is left, which is what was wanted.
        let _ = kill_process_group(self.leader, signal);
    }

    fn lock(&self) -> MutexGuard<'_, FlockState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn send(pid: i32, signal: Signal) {
    // It fails where the process has ended meanwhile, which is what was wanted.
    let _ = Pid::from_raw(pid).map(|pid| kill_process(pid, signal));
}

fn translate(status: WaitStatus) -> ChildStatus {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => ChildStatus::Exited(code),
        (None, signal) => ChildStatus::Signalled(signal.unwrap_or(0)),
    }
}

/// A process below this one.
struct Descendant {
    pid: i32,
    /// It does not call itself a zombie. One that does may still run: in threads that outlive the
    /// first.
    alive: bool,
}

/// Every process below this one, in no order.
fn descendants() -> io::Result<Vec<Descendant>> {
    let mut children: BTreeMap<i32, Vec<Descendant>> = BTreeMap::new();
    for (_, process) in ProcessStat::all()? {
        children
            .entry(process.parent)
            .or_default()
            .push(Descendant {
                pid: process.pid,
                alive: !process.is_zombie,
            });
    }
    let mut parents = vec![rustix::process::getpid().as_raw_pid()];
    let mut found = Vec::new();
    while let Some(parent) = parents.pop() {
        for child in children.remove(&parent).unwrap_or_default() {
            parents.push(child.pid);
            found.push(child);
        }
    }
    Ok(found)
}
