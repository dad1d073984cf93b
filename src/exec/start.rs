//! The start of a shepherd, and its process as omk sees it: forked by the fork server, or executed
//! where there is none.
//!
//! It refuses to say anything to the shepherd but what to do.

use std::io;
use std::os::fd::OwnedFd;
use std::process::Stdio;

use tokio::net::UnixStream;
use tokio::net::unix::pipe;

use super::process::Process;
use super::{SHEPHERD_ROLE, Shepherd};

/// How long a fork may take: a hundred times what it takes on a busy machine. A server that takes
/// longer was stopped.
#[cfg(target_os = "linux")]
const LONGEST_FORK: std::time::Duration = std::time::Duration::from_secs(10);

/// A shepherd that awaits its orders.
#[derive(Debug)]
pub(super) struct Started {
    pub(super) process: Keeper,
    /// Orders go there, reports come from there.
    pub(super) socket: UnixStream,
    pub(super) stdout: pipe::Receiver,
    pub(super) stderr: pipe::Receiver,
}

/// The process of a shepherd.
#[derive(Debug)]
pub(super) enum Keeper {
    /// A child of the fork server, which leaves no zombie.
    Forked(Process),
    /// A child of this process.
    Executed(tokio::process::Child),
}

impl Keeper {
    /// Returns when it has ended.
    pub(super) async fn end(&mut self) {
        match self {
            Self::Forked(process) => process.end().await,
            Self::Executed(child) => {
                let _ = child.wait().await;
            }
        }
    }

    /// Kills it, if it has not ended.
    pub(super) fn kill(&mut self) {
        match self {
            Self::Forked(process) => process.kill(),
            Self::Executed(child) => {
                let _ = child.start_kill();
            }
        }
    }
}

/// Starts a shepherd.
///
/// # Errors
/// Where the system refuses to start one more process, or its files.
pub(super) async fn start(shepherd: &Shepherd) -> io::Result<Started> {
    let (ends, files) = ends()?;
    let (process, ends) = match fork(shepherd, files).await? {
        Some(process) => (process, ends),
        None => {
            // The server may have made one before it was lost. That one finds its socket closed,
            // and ends.
            drop(ends);
            let (ends, files) = self::ends()?;
            (execute(shepherd, files)?, ends)
        }
    };
    let (socket, stdout, stderr) = ends;
    Ok(Started {
        process,
        socket: UnixStream::from_std(socket)?,
        stdout: pipe::Receiver::from_owned_fd(stdout.into())?,
        stderr: pipe::Receiver::from_owned_fd(stderr.into())?,
    })
}

/// omk's ends of what connects it with a shepherd: the socket, and its standard output and error.
type ShepherdEnds = (
    std::os::unix::net::UnixStream,
    io::PipeReader,
    io::PipeReader,
);

fn ends() -> io::Result<(ShepherdEnds, [OwnedFd; 3])> {
    let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
    ours.set_nonblocking(true)?;
    let (stdout, its_stdout) = io::pipe()?;
    let (stderr, its_stderr) = io::pipe()?;
    Ok((
        (ours, stdout, stderr),
        [theirs.into(), its_stdout.into(), its_stderr.into()],
    ))
}

/// Has one forked; `None` if there is no fork server.
#[cfg(target_os = "linux")]
async fn fork(shepherd: &Shepherd, files: [OwnedFd; 3]) -> io::Result<Option<Keeper>> {
    use std::os::fd::AsFd as _;
    let (server, exe) = (shepherd.fork_server.clone(), shepherd.exe.clone());
    let patience = shepherd.patience.min(LONGEST_FORK);
    // Not in the event loop, and to its end whatever becomes of this future: the server's answers
    // come in order.
    let asked = tokio::task::spawn_blocking(move || {
        server.fork(&exe, files.each_ref().map(|file| file.as_fd()), patience)
    });
    let forked = asked.await.map_err(io::Error::other)?;
    forked
        .map(|process| Process::from(process).map(Keeper::Forked))
        .transpose()
}

#[cfg(not(target_os = "linux"))]
async fn fork(_shepherd: &Shepherd, _files: [OwnedFd; 3]) -> io::Result<Option<Keeper>> {
    Ok(None)
}

fn execute(shepherd: &Shepherd, [input, output, errors]: [OwnedFd; 3]) -> io::Result<Keeper> {
    let child = tokio::process::Command::new(&shepherd.exe)
        .arg(SHEPHERD_ROLE)
        .env_clear()
        .stdin(Stdio::from(input))
        .stdout(Stdio::from(output))
        .stderr(Stdio::from(errors))
        // Ctrl-C at a terminal goes to the whole group: omk answers it, not the shepherd.
        .process_group(0)
        .spawn()?;
    Ok(Keeper::Executed(child))
}
