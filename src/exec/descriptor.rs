//! Open files that travel over a socket, beside what the two ends write to each other.
//!
//! It refuses to know what that says.

use std::collections::VecDeque;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::retry_on_intr;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use tokio::io::Interest;
use tokio::net::unix::OwnedReadHalf;

/// What is read at once: many lines.
const CHUNK: usize = 4096;

/// The most files that travel beside one message: a program's standard input, output and error.
const MOST: usize = 3;

/// Writes `message` with open files beside it, at most [`MOST`]. It must be far shorter than a
/// socket's buffer.
pub(super) fn send(to: impl AsFd, message: &[u8], files: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST))];
    let mut beside = SendAncillaryBuffer::new(&mut space);
    if !files.is_empty() && !beside.push(SendAncillaryMessage::ScmRights(files)) {
        return Err(io::ErrorKind::OutOfMemory.into());
    }
    let sent = retry_on_intr(|| {
        sendmsg(
            &to,
            &[IoSlice::new(message)],
            &mut beside,
            SendFlags::NOSIGNAL,
        )
    })?;
    if sent == message.len() {
        Ok(())
    } else {
        Err(io::ErrorKind::WriteZero.into())
    }
}

/// Reads what has come, at most as much as `into` holds: how many bytes, and the files beside them.
/// 0 is the end.
pub(super) fn receive(from: BorrowedFd<'_>, into: &mut [u8]) -> io::Result<(usize, Vec<OwnedFd>)> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST))];
    let mut beside = RecvAncillaryBuffer::new(&mut space);
    let received = retry_on_intr(|| {
        recvmsg(
            from,
            &mut [IoSliceMut::new(into)],
            &mut beside,
            RecvFlags::CMSG_CLOEXEC,
        )
    })?;
    let files = beside.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(files) => Some(files),
        _ => None,
    });
    Ok((received.bytes, files.flatten().collect()))
}

/// The lines that come in, and the files that came beside them.
#[derive(Debug)]
pub(super) struct Incoming {
    from: OwnedReadHalf,
    unread: Vec<u8>,
    files: VecDeque<OwnedFd>,
}

impl Incoming {
    pub(super) fn new(from: OwnedReadHalf) -> Self {
        Self {
            from,
            unread: Vec::new(),
            files: VecDeque::new(),
        }
    }

    /// The next line without its end; `None` at the end of the stream. Nothing is lost if it is
    /// dropped before.
    pub(super) async fn next_line(&mut self) -> io::Result<Option<Vec<u8>>> {
        loop {
            if let Some(end) = self.unread.iter().position(|&byte| byte == b'\n') {
                let mut line: Vec<u8> = self.unread.drain(..=end).collect();
                line.pop();
                return Ok(Some(line));
            }
            self.from.readable().await?;
            match self.take() {
                Ok(0) => return Ok(None),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// The oldest file that came and was not taken yet.
    pub(super) fn next_file(&mut self) -> Option<OwnedFd> {
        self.files.pop_front()
    }

    fn take(&mut self) -> io::Result<usize> {
        let socket: &tokio::net::UnixStream = self.from.as_ref();
        let mut chunk = [0; CHUNK];
        let (length, files) =
            socket.try_io(Interest::READABLE, || receive(socket.as_fd(), &mut chunk))?;
        self.files.extend(files);
        self.unread.extend_from_slice(&chunk[..length]);
        Ok(length)
    }
}
