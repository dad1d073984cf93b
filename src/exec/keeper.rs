//! A keeper: a process between omk and one git, which ends git and all that it started, its filters
//! above all.
//!
//! It is `omk` itself in another role, and ends when git does. A SIGTERM from omk, or omk's own
//! death, has it end all of them. What goes in and comes out is git's own: it refuses to read, to
//! confine, and to keep time limits.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::process::Pid;

use super::flock::Flock;
use super::orders::{ChildStatus, ShepherdReport};
use super::shepherd::{REQUESTS, adopt_orphans, die_with, dispose};
use super::{KEEPER, SHEPHERD_ROLE};

/// How long git has to remove its locks when it is told to end. It does so at once; filters get no
/// longer.
const GRACE: Duration = Duration::from_millis(200);

/// The exit code of a keeper whose program could not be started, as shells have it.
pub const NOT_STARTED: i32 = 127;

/// What such a keeper's complaint begins with.
pub const COULD_NOT_START: &str = "omk could not start it: ";

/// What this process was made from, also if another version lies in its place by now.
const SELF: &str = "/proc/self/exe";

/// This process is `omk`, so that it can be a keeper.
static IS_OMK: AtomicBool = AtomicBool::new(false);

/// Has every later [`command`] run under a keeper, where the system can. Only for `omk` itself:
/// another program has no such role.
pub fn keep_from_now_on() {
    IS_OMK.store(
        cfg!(target_os = "linux") && Path::new(SELF).exists(),
        Ordering::Relaxed,
    );
}

/// Whether [`command`] has a keeper.
#[must_use]
pub fn is_kept() -> bool {
    IS_OMK.load(Ordering::Relaxed)
}

/// A call of a program, under a keeper where there can be one. It is to be started in a process
/// group of its own.
#[must_use]
pub fn command(program: &str) -> Command {
    if !is_kept() {
        return Command::new(program);
    }
    let mut command = Command::new(SELF);
    command.arg0("omk").args([
        SHEPHERD_ROLE,
        KEEPER,
        &std::process::id().to_string(),
        program,
    ]);
    command
}

/// The whole life of a keeper.
pub(super) fn keep() -> ExitCode {
    let mut arguments = std::env::args_os().skip(3);
    let omk = arguments
        .next()
        .and_then(|omk| Pid::from_raw(omk.to_str()?.parse().ok()?));
    let (Some(omk), Some(program)) = (omk, arguments.next()) else {
        return ExitCode::FAILURE;
    };
    match tend(omk, &program, arguments.collect()) {
        Ok(ChildStatus::Exited(code)) => ExitCode::from(u8::try_from(code).unwrap_or(u8::MAX)),
        // As shells say it.
        Ok(ChildStatus::Signalled(signal)) => {
            ExitCode::from(128 + u8::try_from(signal).unwrap_or(0))
        }
        Err(_) => ExitCode::FAILURE,
    }
}

fn tend(omk: Pid, program: &OsStr, arguments: Vec<OsString>) -> io::Result<ChildStatus> {
    hold_back_termination();
    ask_at_death_of(omk)?;
    let subreaper = adopt_orphans();
    let child = match start(program, arguments) {
        Ok(child) => child,
        Err(error) => {
            complain(&error);
            return Ok(ChildStatus::Exited(NOT_STARTED));
        }
    };
    // Only git and what it started hold these now, so omk sees their end.
    let nowhere = File::options().read(true).write(true).open("/dev/null")?;
    rustix::stdio::dup2_stdin(&nowhere)?;
    rustix::stdio::dup2_stdout(&nowhere)?;
    rustix::stdio::dup2_stderr(&nowhere)?;
    let flock: &'static Flock = Box::leak(Box::new(Flock::new(child, subreaper)));
    std::thread::spawn(move || {
        await_termination();
        flock.stop(GRACE);
    });
    match flock.await_end()? {
        ShepherdReport::Over { status, .. } => Ok(status),
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}

/// omk hears it as git's own complaint.
fn complain(error: &io::Error) {
    use std::io::Write as _;
    // Nobody listens if omk is gone.
    let _ = writeln!(io::stderr(), "{COULD_NOT_START}{error}");
}

fn start(program: &OsStr, arguments: Vec<OsString>) -> io::Result<Pid> {
    let keeper = rustix::process::getpid();
    let mut command = Command::new(program);
    command.args(arguments);
    let child_side = move || {
        rustix::process::setsid()?;
        die_with(keeper)?;
        for signal in REQUESTS {
            dispose(signal, libc::SIG_DFL);
        }
        Ok(())
    };
    // SAFETY: this process has a single thread until its child runs, so whatever the new process
    // does between fork and exec finds every lock free; it opens nothing.
    unsafe { command.pre_exec(child_side) };
    let child = command.spawn()?;
    let child = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    child.ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// Has the kernel send SIGTERM when omk dies. An omk that is gone already sends none, and wants
/// nothing.
#[cfg(target_os = "linux")]
fn ask_at_death_of(omk: Pid) -> io::Result<()> {
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::TERM))?;
    if rustix::process::getppid() == Some(omk) {
        Ok(())
    } else {
        Err(io::ErrorKind::BrokenPipe.into())
    }
}

#[cfg(not(target_os = "linux"))]
fn ask_at_death_of(_omk: Pid) -> io::Result<()> {
    Ok(())
}

/// The set that holds SIGTERM alone.
fn termination() -> libc::sigset_t {
    let mut set = std::mem::MaybeUninit::uninit();
    // SAFETY: the first call makes the value whole, and both only write to it.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        libc::sigaddset(set.as_mut_ptr(), libc::SIGTERM);
        set.assume_init()
    }
}

/// From now on SIGTERM waits for [`await_termination`]. It comes before the only other thread,
/// which inherits it; a program that is started does not, as the standard library takes no such
/// thing along.
fn hold_back_termination() {
    dispose(libc::SIGTERM, libc::SIG_DFL);
    let set = termination();
    // SAFETY: the set is whole and outlives the call, and nobody asks for the one before.
    unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut()) };
}

/// Returns once there was a SIGTERM.
fn await_termination() {
    let (set, mut signal) = (termination(), 0);
    // SAFETY: both values are whole and outlive the call. It fails only for a set that is none.
    unsafe { libc::sigwait(&raw const set, &raw mut signal) };
}
