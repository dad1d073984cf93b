//! The shepherd: a process between omk and one child, which outlives them both.
//!
//! It starts the child in a session of its own, confined, with nothing open but 0, 1 and 2, and
//! stays until the child and every descendant are gone, whatever becomes of omk. It refuses to read
//! the child's output, to keep time limits, and to know what the child is for.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufReader, Read as _};
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use rustix::process::Pid;

use super::confine::{
    Confinement, Filter, NOT_CONFINED, close_inherited, forgo_new_privileges, shed_capabilities,
};
use super::flock::Flock;
use super::open_files::lower;
use super::orders::{Orders, ShepherdReport, hear, say};
use super::sandbox::{NetworkReach, SHARED, Sandbox};
use crate::plan::RoomLevel;

/// How long a child has to end by itself when it is told to stop: the Kimi CLI needs 0.3 s to end
/// its own children.
const GRACE: Duration = Duration::from_secs(2);

/// The same when omk is gone: nobody will see the result, and the runner may be about to clear
/// everything away.
const GRACE_ALONE: Duration = Duration::from_millis(200);

/// What ends a process that a person or a runner wants gone. The shepherd ends when omk does, not
/// before.
pub(super) const REQUESTS: [libc::c_int; 3] = [libc::SIGINT, libc::SIGTERM, libc::SIGHUP];

/// The whole life of a shepherd: the entry point of `omk __shepherd`.
///
/// It is to be called before anything else in `main`: it takes the process to have one thread and
/// no open files.
pub fn shepherd_main() -> ExitCode {
    close_inherited();
    for signal in REQUESTS {
        dispose(signal, libc::SIG_IGN);
    }
    if std::env::args_os()
        .nth(2)
        .is_some_and(|role| role == super::KEEPER)
    {
        return super::keeper::keep();
    }
    match is_shepherd().and_then(|is_shepherd| if is_shepherd { tend() } else { Ok(()) }) {
        Ok(()) => ExitCode::SUCCESS,
        // omk sees the socket close without a last report, and says so.
        Err(_) => ExitCode::FAILURE,
    }
}

/// Whether this process is a shepherd, or the end of the server that forked them.
#[cfg(target_os = "linux")]
fn is_shepherd() -> io::Result<bool> {
    if std::env::args_os()
        .nth(2)
        .is_none_or(|role| role != super::FORK_SERVER)
    {
        return Ok(true);
    }
    let is_shepherd = super::fork_server::serve()?;
    Ok(is_shepherd)
}

#[cfg(not(target_os = "linux"))]
fn is_shepherd() -> io::Result<bool> {
    Ok(true)
}

fn tend() -> io::Result<()> {
    let omk = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    let mut ears = BufReader::new(omk.try_clone()?);
    let orders: Orders = hear(&mut ears)?;
    forgo_new_privileges()?;
    let wants_seal = |room: &&Sandbox| room.most == RoomLevel::Sealed;
    let (sealed, why_not) = match orders
        .room
        .as_ref()
        .filter(wants_seal)
        .map(|room| seal(room, &omk))
    {
        None => (false, None),
        Some(Ok(())) => (true, None),
        Some(Err(why)) => (false, Some(why)),
    };
    let least = orders
        .room
        .as_ref()
        .map_or(RoomLevel::None, |room| room.least);
    if !sealed && least == RoomLevel::Sealed {
        let why = why_not.unwrap_or_else(|| "omk was told not to try".to_owned());
        return say(&omk, &ShepherdReport::Refused { least, why });
    }
    let subreaper = adopt_orphans();
    let (pid, landlock) = match start(&orders, &omk, sealed) {
        Ok(started) => started,
        Err(failure) => return say(&omk, &failure),
    };
    // Only the child and its descendants hold the pipes now, so omk sees their end.
    let nowhere = File::options().write(true).open("/dev/null")?;
    rustix::stdio::dup2_stdout(&nowhere)?;
    rustix::stdio::dup2_stderr(&nowhere)?;

    let flock: &'static Flock = Box::leak(Box::new(Flock::new(pid, subreaper)));
    std::thread::spawn(move || {
        let grace = match ears.read(&mut [0]) {
            Ok(1) => GRACE,
            Ok(_) | Err(_) => GRACE_ALONE,
        };
        flock.stop(grace);
    });
    let level = match (sealed, landlock) {
        (true, _) => RoomLevel::Sealed,
        (false, true) => RoomLevel::Landlock,
        (false, false) => RoomLevel::None,
    };
    // omk may be gone: the child is tended all the same.
    let _ = say(
        &omk,
        &ShepherdReport::Started {
            level,
            why_not,
            subreaper,
        },
    );
    let over = flock.await_end()?;
    let _ = say(&omk, &over);
    Ok(())
}

/// Moves into a sealed room, or says why there is none.
#[cfg(target_os = "linux")]
fn seal(room: &Sandbox, omk: &UnixStream) -> Result<(), String> {
    super::seal::enter(room, omk).map_err(|failure| failure.in_words())
}

#[cfg(not(target_os = "linux"))]
fn seal(_room: &Sandbox, _omk: &UnixStream) -> Result<(), String> {
    Err("only Linux has them".to_owned())
}

/// Starts the child, and says whether Landlock confines it.
fn start(orders: &Orders, omk: &UnixStream, sealed: bool) -> Result<(Pid, bool), ShepherdReport> {
    let failed = |what: String, error: &io::Error| ShepherdReport::Failed {
        what,
        errno: error.raw_os_error(),
    };
    let Some((program, arguments)) = orders.argv.split_first() else {
        return Err(ShepherdReport::Failed {
            what: "start nothing".to_owned(),
            errno: None,
        });
    };
    if let Err(error) = std::fs::metadata(Path::new(&orders.cwd).join(".")) {
        return Err(failed(format!("enter `{}`", orders.cwd.display()), &error));
    }
    let may_confine = |room: &&Sandbox| room.most > RoomLevel::None;
    let confinement = orders.room.as_ref().filter(may_confine).and_then(|room| {
        // A sealed room has a network of its own, in which everything may be connected to.
        let reach = if sealed {
            &NetworkReach::Open
        } else {
            &room.reach
        };
        Confinement::prepare(&writable(room, sealed), reach)
    });
    let least = orders
        .room
        .as_ref()
        .map_or(RoomLevel::None, |room| room.least);
    let without = || ShepherdReport::Refused {
        least,
        why: "this kernel has no Landlock that could be used".to_owned(),
    };
    let claimed = confinement
        .as_ref()
        .is_some_and(|confinement| confinement.claimed);
    if !sealed && !claimed && least > RoomLevel::None {
        return Err(without());
    }
    // The number that a sealed child has means somebody else outside.
    let ear = || if sealed { None } else { omk.try_clone().ok() };
    let spawned = match command(program, arguments, orders, confinement, sealed, ear()).spawn() {
        Err(error)
            if error.raw_os_error() == Some(NOT_CONFINED) && !sealed && least > RoomLevel::None =>
        {
            return Err(without());
        }
        Err(error) if error.raw_os_error() == Some(NOT_CONFINED) => {
            command(program, arguments, orders, None, sealed, ear())
                .spawn()
                .map(|child| (child, false))
        }
        other => other.map(|child| (child, claimed)),
    };
    let (child, landlock) =
        spawned.map_err(|error| failed(format!("start `{}`", program.display()), &error))?;
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let pid = pid.ok_or_else(|| {
        failed(
            "start a child".to_owned(),
            &io::ErrorKind::InvalidData.into(),
        )
    })?;
    Ok((pid, landlock))
}

/// Where Landlock lets a child write. In a sealed room that is its second wall, behind the room's
/// own.
fn writable(room: &Sandbox, sealed: bool) -> Vec<PathBuf> {
    let mut writable = room.writable.clone();
    if sealed {
        writable.extend(SHARED.map(PathBuf::from));
        if room.scratch.is_some() {
            writable.extend(room.copied.iter().cloned());
        }
    }
    writable
}

fn command(
    program: &OsString,
    arguments: &[OsString],
    orders: &Orders,
    mut confinement: Option<Confinement>,
    sealed: bool,
    omk: Option<UnixStream>,
) -> Command {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .current_dir(&orders.cwd)
        .stdin(Stdio::null());
    command
        .env_clear()
        .envs(orders.env.iter().map(|(name, value)| (name, value)));
    if sealed
        && rustix::process::getuid().is_root()
        && !orders.env.iter().any(|(name, _)| name == "TAR_OPTIONS")
    {
        // Root without its rights cannot give files away, which tar takes for a failure.
        command.env("TAR_OPTIONS", "--no-same-owner");
    }
    let has_own_tmp = sealed
        && orders
            .room
            .as_ref()
            .is_some_and(|room| room.scratch.is_some());
    if has_own_tmp && orders.env.iter().any(|(name, _)| name == "TMPDIR") {
        // As private as the one beside HOME, and gone with the room. The name of a socket has 107
        // bytes at most, of which a path in the cache of a home takes most.
        command.env("TMPDIR", SHARED[0]);
    }
    let shepherd = rustix::process::getpid();
    let confined = orders.room.is_some();
    let closed = !sealed
        && orders
            .room
            .as_ref()
            .is_some_and(|room| room.reach != NetworkReach::Open);
    let mut filter = confined.then(|| Filter::new(closed));
    // Landlock alone leaves ways out of a closed network, so without the filter it is none.
    let needs_filter = closed && confinement.is_some();
    let open_files = orders.open_files;
    let child_side = move || {
        rustix::process::setsid()?;
        die_with(shepherd)?;
        if let Some(omk) = &omk {
            say(
                omk,
                &ShepherdReport::Born {
                    pid: rustix::process::getpid().as_raw_pid(),
                },
            )?;
        }
        for signal in REQUESTS {
            dispose(signal, libc::SIG_DFL);
        }
        open_files.map_or(Ok(()), lower)?;
        if confined {
            // A dump is written, or piped to a program outside, by the kernel and not by the child.
            let least = rustix::process::Rlimit {
                current: Some(1),
                maximum: Some(1),
            };
            rustix::process::setrlimit(rustix::process::Resource::Core, least)?;
            shed_capabilities(sealed);
        }
        confinement.take().map_or(Ok(()), Confinement::enforce)?;
        // Last, for it refuses some of what was needed until here. A kernel without filters starts
        // the child all the same, if nothing that was claimed depends on it.
        match filter.as_mut().map_or(Ok(()), Filter::enforce) {
            Err(_) if needs_filter => Err(io::Error::from_raw_os_error(NOT_CONFINED)),
            Ok(()) | Err(_) => Ok(()),
        }
    };
    // SAFETY: this process has a single thread until its child runs, so whatever the new process
    // does between fork and exec finds every lock free; it opens nothing that outlives exec.
    unsafe { command.pre_exec(child_side) };
    command
}

/// Has the kernel kill this process when its shepherd dies: the last resort, should the shepherd
/// itself be killed.
#[cfg(target_os = "linux")]
pub(super) fn die_with(shepherd: Pid) -> io::Result<()> {
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
    if rustix::process::getppid() == Some(shepherd) {
        Ok(())
    } else {
        Err(io::ErrorKind::BrokenPipe.into())
    }
}

#[cfg(not(target_os = "linux"))]
pub(super) fn die_with(_shepherd: Pid) -> io::Result<()> {
    Ok(())
}

/// Makes every orphan below this process its child; false where the system does not know how, or
/// hides who is whose.
#[cfg(target_os = "linux")]
pub(super) fn adopt_orphans() -> bool {
    let visible = std::path::Path::new("/proc/self/stat").exists();
    visible && rustix::process::set_child_subreaper(Some(rustix::process::getpid())).is_ok()
}

#[cfg(not(target_os = "linux"))]
pub(super) fn adopt_orphans() -> bool {
    false
}

pub(super) fn dispose(signal: libc::c_int, disposition: libc::sighandler_t) {
    // SAFETY: the dispositions used here, ignore and default, run no code of ours.
    unsafe { libc::signal(signal, disposition) };
}
