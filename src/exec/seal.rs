//! A sealed room: namespaces of its own, and a view of the machine's files in which little is left
//! to see or touch.
//!
//! The shepherd makes it and moves in as its first process; a stub of it waits outside. When the
//! first process of a room ends, however it ends, the kernel ends all others. No helper program and
//! no root are needed. The room refuses to be half sealed: whatever fails, nothing of it stands,
//! and the caller hears which step it was.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::FileTypeExt as _;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use rustix::io::Errno;
use rustix::process::{Pid, WaitOptions};

use super::furnish::furnish;
use super::orders::{ShepherdReport, say};
use super::sandbox::{NetworkReach, Sandbox};

/// What the namespaces of a room keep apart: who somebody is, what is where, who else is there,
/// System V memory, and the machine's name.
const NAMESPACES: i32 = libc::CLONE_NEWUSER
    | libc::CLONE_NEWNS
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUTS;

/// A step of making a room that the system refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NotSealed {
    /// What was tried: "mount /proc".
    pub(super) step: String,
    /// The system's error number.
    pub(super) errno: i32,
}

impl NotSealed {
    /// As a person reads it: `mount /proc: Operation not permitted (os error 1)`.
    pub(super) fn in_words(&self) -> String {
        format!(
            "{}: {}",
            self.step,
            io::Error::from_raw_os_error(self.errno)
        )
    }
}

/// Makes the room, and returns inside, as its first process. The process outside ends when the room
/// does.
///
/// Only for a process with a single thread.
///
/// # Errors
/// In the process outside, if the room could not be made: then there is none, and nobody is in it.
#[expect(
    clippy::disallowed_methods,
    reason = "these are processes of their own, which have no main to return to"
)]
pub(super) fn enter(room: &Sandbox, omk: &UnixStream) -> Result<(), NotSealed> {
    let mut room = room.clone();
    // Asked for here, for a network of the room's own knows nothing of them.
    room.hidden.extend(sockets());
    let pipe = || std::io::pipe().map_err(failed("make a pipe"));
    let (mut maps_written, mut write_maps) = pipe()?;
    let (mut outcome, mut tell) = pipe()?;
    let network = if room.reach == NetworkReach::Open {
        0
    } else {
        libc::CLONE_NEWNET
    };
    match fork_into(NAMESPACES | network).map_err(failed("make namespaces"))? {
        None => {
            drop((write_maps, outcome));
            // Should the process outside be killed, so is this one, and with it everybody in the
            // room.
            let _ = rustix::process::set_parent_process_death_signal(Some(
                rustix::process::Signal::KILL,
            ));
            if !matches!(maps_written.read(&mut [0]), Ok(1)) {
                std::process::exit(1);
            }
            if let Err(failure) = furnish(room, omk) {
                let _ = tell.write_all(format!("{} {}", failure.errno, failure.step).as_bytes());
                std::process::exit(1);
            }
            if tell.write_all(b"+").is_err() {
                std::process::exit(1);
            }
            Ok(())
        }
        Some(first) => {
            drop((maps_written, tell));
            let mapped = map_ids(first);
            if mapped.is_ok() {
                let _ = write_maps.write_all(b"+");
            }
            drop(write_maps);
            let mut said = String::new();
            let _ = outcome.read_to_string(&mut said);
            if said == "+" {
                // If omk is gone, nobody has to know.
                let _ = say(
                    omk,
                    &ShepherdReport::Room {
                        first: first.as_raw_pid(),
                    },
                );
                wait_outside(first);
            }
            let _ = rustix::process::kill_process(first, rustix::process::Signal::KILL);
            wait_for(first);
            mapped?;
            let (errno, step) = said.split_once(' ').unwrap_or(("", "make a room"));
            Err(NotSealed {
                step: step.to_owned(),
                errno: errno.parse().unwrap_or(libc::EIO),
            })
        }
    }
}

/// Like `fork`, with the child as the first process of new namespaces.
fn fork_into(namespaces: i32) -> io::Result<Option<Pid>> {
    let flags = libc::c_long::from(namespaces | libc::SIGCHLD);
    // SAFETY: without a stack and without shared memory this is a fork. This process has a single
    // thread, so the child finds every lock free.
    let pid = unsafe { libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0) };
    if pid < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(i32::try_from(pid).ok().and_then(Pid::from_raw))
}

/// Everybody in the room is who they are outside. Root is given the names of all others too, so
/// that it sees whose a file is; it can still do nothing to them, for it will have no capability.
fn map_ids(first: Pid) -> Result<(), NotSealed> {
    let dir = PathBuf::from(format!("/proc/{}", first.as_raw_pid()));
    let (user, group) = (
        rustix::process::geteuid().as_raw(),
        rustix::process::getegid().as_raw(),
    );
    let write = |name: &str, text: &str| {
        File::options()
            .write(true)
            .open(dir.join(name))
            .and_then(|mut file| file.write_all(text.as_bytes()))
    };
    if user == 0 && write("uid_map", "0 0 4294967295").is_ok() {
        return write("gid_map", "0 0 4294967295").map_err(failed("map groups"));
    }
    write("setgroups", "deny").map_err(failed("forgo groups"))?;
    write("uid_map", &format!("{user} {user} 1")).map_err(failed("map the user"))?;
    write("gid_map", &format!("{group} {group} 1")).map_err(failed("map the group"))
}

/// Waits for the end of the room, holding nothing that anybody could wait for, and ends.
#[expect(
    clippy::disallowed_methods,
    reason = "this process has no main to return to"
)]
fn wait_outside(first: Pid) -> ! {
    if let Ok(nowhere) = File::options().read(true).write(true).open("/dev/null") {
        let _ = rustix::stdio::dup2_stdin(&nowhere);
        let _ = rustix::stdio::dup2_stdout(&nowhere);
        let _ = rustix::stdio::dup2_stderr(&nowhere);
    }
    super::confine::close_inherited();
    wait_for(first);
    std::process::exit(0);
}

fn wait_for(first: Pid) {
    while let Err(Errno::INTR) = rustix::process::waitpid(Some(first), WaitOptions::empty()) {}
}

pub(super) fn failed<E: Into<io::Error>>(step: impl Into<String>) -> impl FnOnce(E) -> NotSealed {
    let step = step.into();
    move |error| NotSealed {
        step,
        errno: error.into().raw_os_error().unwrap_or(libc::EIO),
    }
}

/// Every socket that somebody listens at under a name of the file system: whoever does may do
/// anything for a child, and a read-only disk does not keep it from asking.
fn sockets() -> Vec<PathBuf> {
    let listed = std::fs::read("/proc/net/unix").unwrap_or_default();
    let lines = listed.split(|&byte| byte == b'\n').skip(1);
    let names = lines.filter_map(|line| {
        let start = line.iter().position(|&byte| byte == b'/')?;
        Some(PathBuf::from(
            String::from_utf8_lossy(&line[start..]).into_owned(),
        ))
    });
    names
        .filter(|path| {
            path.symlink_metadata()
                .is_ok_and(|found| found.file_type().is_socket())
        })
        .collect()
}
