//! A fork server: one process that omk starts before its first child, and that forks a shepherd for
//! each of them.
//!
//! A fork of a small process costs a quarter of starting a program, and on a virtual machine less.
//! The server has one thread, an empty environment and nothing open but its socket, so that no
//! shepherd finds anything of omk's, or of another child's, in its memory. It refuses to read
//! orders: it only hands three open files on. It ends with omk; the shepherds that it made do not
//! need it.

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, FromRawFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::descriptor::{receive, send};
use super::shepherd::dispose;
use super::{FORK_SERVER, SHEPHERD_ROLE};

/// What a shepherd gets as its standard input, output and error.
pub(super) const STANDARD: usize = 3;

/// What omk writes beside the files of a shepherd to be, and the server beside the process that it
/// made.
const DONE: u8 = b'+';

/// The server's answer if it could not make one.
const REFUSED: u8 = b'-';

/// omk's side of the server.
#[derive(Debug, Default)]
pub(super) struct ForkServer(Mutex<ServerState>);

#[derive(Debug, Default)]
enum ServerState {
    #[default]
    NotStarted,
    Ready(Link),
    /// The system does not have what it needs.
    Useless,
}

#[derive(Debug)]
struct Link {
    socket: UnixStream,
    process: std::process::Child,
}

/// What the server says of one shepherd.
enum ForkReply {
    Made(OwnedFd),
    Refused,
}

impl ForkServer {
    /// A shepherd with these files, as a descriptor of its process. `None`: there is no server, so
    /// that one has to be started in the usual way.
    ///
    /// It blocks for as long as a fork takes, and never longer than `patience`.
    pub(super) fn fork(
        &self,
        exe: &Path,
        files: [BorrowedFd<'_>; STANDARD],
        patience: Duration,
    ) -> Option<OwnedFd> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(*state, ServerState::NotStarted) {
            *state = ServerState::Ready(Link::start(exe, patience).ok()?);
        }
        let ServerState::Ready(link) = &mut *state else {
            return None;
        };
        match link.ask(files) {
            Ok(ForkReply::Made(process)) => Some(process),
            Ok(ForkReply::Refused) => {
                *state = ServerState::Useless;
                None
            }
            // Somebody ended or stopped it. The next child gets a new one.
            Err(_) => {
                *state = ServerState::NotStarted;
                None
            }
        }
    }
}

impl Link {
    fn start(exe: &Path, patience: Duration) -> io::Result<Self> {
        let (ours, theirs) = UnixStream::pair()?;
        ours.set_read_timeout(Some(patience))?;
        ours.set_write_timeout(Some(patience))?;
        let process = Command::new(exe)
            .args([SHEPHERD_ROLE, FORK_SERVER])
            .env_clear()
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Ctrl-C at a terminal goes to the whole group: omk answers it, not the shepherds.
            .process_group(0)
            .spawn()?;
        Ok(Self {
            socket: ours,
            process,
        })
    }

    fn ask(&mut self, files: [BorrowedFd<'_>; STANDARD]) -> io::Result<ForkReply> {
        send(&self.socket, &[DONE], &files)?;
        let mut answer = [0];
        let (length, mut beside) = receive(self.socket.as_fd(), &mut answer)?;
        match (&answer[..length], beside.pop()) {
            ([DONE], Some(process)) => Ok(ForkReply::Made(process)),
            ([REFUSED], None) => Ok(ForkReply::Refused),
            _ => Err(io::ErrorKind::InvalidData.into()),
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        // It has nothing to tidy up, and nobody waits for it.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The whole life of the server. True in each shepherd that it makes, with the files of that one as
/// standard input, output and error; false in the server itself, once omk is gone.
///
/// Only for a process with a single thread, whose standard input is the socket to omk.
///
/// # Errors
/// Where omk asks for something else, or the files of a shepherd cannot be put in their places.
pub(super) fn serve() -> io::Result<bool> {
    // The kernel forgets shepherds as soon as they end: omk has a descriptor of each.
    dispose(libc::SIGCHLD, libc::SIG_IGN);
    let omk = io::stdin();
    loop {
        let mut request = [0];
        let (length, files) = receive(omk.as_fd(), &mut request)?;
        if length == 0 {
            return Ok(false);
        }
        let [input, output, errors] = files.as_slice() else {
            return Err(io::ErrorKind::InvalidData.into());
        };
        match fork() {
            Forked::Here => {
                dispose(libc::SIGCHLD, libc::SIG_DFL);
                rustix::stdio::dup2_stdin(input)?;
                rustix::stdio::dup2_stdout(output)?;
                rustix::stdio::dup2_stderr(errors)?;
                rustix::process::setpgid(None, None)?;
                return Ok(true);
            }
            Forked::There(process) => send(&omk, &[DONE], &[process.as_fd()])?,
            Forked::Nowhere => send(&omk, &[REFUSED], &[])?,
        }
    }
}

/// Where somebody finds itself after a fork.
enum Forked {
    /// In the new process.
    Here,
    /// In the old one, with the new one.
    There(OwnedFd),
    /// In the old one, which is alone.
    Nowhere,
}

/// Makes a process like this one. It has a descriptor from its first moment, so that nobody is ever
/// taken for it.
fn fork() -> Forked {
    let mut process: libc::c_int = -1;
    let flags = libc::c_long::from(libc::CLONE_PIDFD | libc::SIGCHLD);
    // SAFETY: without a stack and without shared memory this is a fork. This process has a single
    // thread, so the new one finds every lock free. The pointer is to a value that outlives the
    // call; the two last arguments have no meaning here.
    let pid = unsafe {
        libc::syscall(
            libc::SYS_clone,
            flags,
            0,
            std::ptr::from_mut(&mut process),
            0,
            0,
        )
    };
    match pid {
        0 => Forked::Here,
        // SAFETY: the kernel has just opened it, for nobody else.
        1.. if process >= 0 => Forked::There(unsafe { OwnedFd::from_raw_fd(process) }),
        1.. => {
            // Before Linux 5.2 there are no such descriptors. The new process must not work then.
            if let Some(pid) = i32::try_from(pid)
                .ok()
                .and_then(rustix::process::Pid::from_raw)
            {
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            }
            Forked::Nowhere
        }
        _ => Forked::Nowhere,
    }
}
