//! A call of git under way: what it says, and its end, in time or not.
//!
//! It refuses to leave anybody of it behind: it is over only when git, and every filter that git
//! started, is gone.

use std::io::{self, Read};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};

use super::error::GitError;
use crate::exec::{keeper, stop};

/// How often a call looks whether it is to go on: a person notices no wait of this length.
const LOOK: Duration = Duration::from_millis(20);

/// The first wait for the end of a process that has closed its output already. Later ones are
/// longer.
const SOON: Duration = Duration::from_micros(50);

/// How long a keeper gets to end everybody: ten times its own grace, for a machine that is very
/// busy.
const PATIENCE: Duration = Duration::from_secs(2);

/// The same for a git without a keeper, which ends alone.
const PATIENCE_ALONE: Duration = Duration::from_millis(200);

/// How much of git's standard output is kept: the refs of a very large repository.
const HEARD: u64 = 64 << 20;

/// How much of git's standard error is kept, from its beginning; progress is switched off.
const COMPLAINED: u64 = 1 << 20;

/// How a call of git ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// By itself.
    Of(ExitStatus),
    /// After all the time that it had.
    OutOfTime,
    /// Because nobody wants it any more.
    Stopped,
}

/// What a call of git said, on its standard output and error.
pub(super) type Output = (Vec<u8>, Vec<u8>);

/// Refuses to go on with work that was stopped. Every long loop of this module looks here.
pub(super) fn go_on() -> Result<(), GitError> {
    if stop::is_wanted() {
        Err(GitError::Stopped)
    } else {
        Ok(())
    }
}

/// Runs a command for at most that long, and ends it before if the work of this thread is stopped.
///
/// # Errors
/// Where it cannot be started, or not be waited for.
pub(super) fn carry_out(mut command: Command, most: Duration) -> io::Result<(End, Output)> {
    // Ctrl-C at a terminal goes to the whole group: omk answers it, not git.
    let mut child = command.stderr(Stdio::piped()).process_group(0).spawn()?;
    // The files that it was given are its own now; held here too, their end would never be seen.
    drop(command);
    let said = listen(&mut child);
    let mut left = most;
    let heard = loop {
        let step = LOOK.min(left);
        match said.recv_timeout(step) {
            Ok(output) => break output,
            Err(RecvTimeoutError::Disconnected) => break Output::default(),
            Err(RecvTimeoutError::Timeout) => {}
        }
        left -= step;
        if let Some(end) = why_over(left) {
            return end_early(&mut child, end, &said);
        }
    };
    // It has closed its output, and ends within a moment: as a rule in this one.
    let mut step = SOON;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok((End::Of(status), heard));
        }
        std::thread::park_timeout(step);
        left = left.saturating_sub(step);
        step = LOOK.min(step * 2);
        if let Some(end) = why_over(left) {
            return end_early(&mut child, end, &said);
        }
    }
}

fn why_over(left: Duration) -> Option<End> {
    if stop::is_wanted() {
        return Some(End::Stopped);
    }
    left.is_zero().then_some(End::OutOfTime)
}

fn end_early(child: &mut Child, end: End, said: &Receiver<Output>) -> io::Result<(End, Output)> {
    end_all(child)?;
    // With everybody gone it ends at once. Where somebody hides from a system without keepers,
    // nothing more is heard.
    Ok((end, said.recv_timeout(PATIENCE_ALONE).unwrap_or_default()))
}

/// Ends git and all that it started: asks first, because git removes its locks then.
fn end_all(child: &mut Child) -> io::Result<()> {
    let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let send = |signal| group.map(|group| kill_process_group(group, signal));
    // It may have ended just now; its number is its own until it is waited for.
    let _ = send(Signal::TERM);
    let mut left = if keeper::is_kept() {
        PATIENCE
    } else {
        PATIENCE_ALONE
    };
    while !left.is_zero() {
        if child.try_wait()?.is_some() {
            return Ok(());
        }
        let step = LOOK.min(left);
        std::thread::park_timeout(step);
        left -= step;
    }
    let _ = send(Signal::KILL);
    child.wait().map(drop)
}

/// Reads what it says, to its end.
fn listen(child: &mut Child) -> Receiver<Output> {
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        let err =
            std::thread::spawn(move || err.map(|pipe| drain(pipe, COMPLAINED)).unwrap_or_default());
        let out = out.map(|pipe| drain(pipe, HEARD)).unwrap_or_default();
        // Nobody listens where the time was up.
        let _ = sender.send((out, err.join().unwrap_or_default()));
    });
    receiver
}

/// Reads to the end, and keeps the beginning.
fn drain(mut pipe: impl Read, most: u64) -> Vec<u8> {
    let mut kept = Vec::new();
    // What cannot be read was not said.
    let _ = pipe.by_ref().take(most).read_to_end(&mut kept);
    let _ = io::copy(&mut pipe, &mut io::sink());
    kept
}
