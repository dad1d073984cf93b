//! Open files that travel over a socket, beside the lines that the two ends write to each other.
//!
//! It refuses to take more than one at a time, and to know what the lines say.

use std::collections::VecDeque;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
    recvmsg, sendmsg,
};
use tokio::io::Interest;
use tokio::net::unix::OwnedReadHalf;

/// What is read at once: many lines.
const CHUNK: usize = 4096;

/// Writes `line` with an open file beside it.
pub(super) fn send(to: &UnixStream, line: &[u8], file: BorrowedFd<'_>) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut beside = SendAncillaryBuffer::new(&mut space);
    let files = [file];
    if !beside.push(SendAncillaryMessage::ScmRights(&files)) {
        return Err(io::ErrorKind::OutOfMemory.into());
    }
    // A line is far shorter than a socket's buffer, so it goes whole.
    let sent = sendmsg(to, &[IoSlice::new(line)], &mut beside, SendFlags::NOSIGNAL)?;
    if sent == line.len() { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) }
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
        Self { from, unread: Vec::new(), files: VecDeque::new() }
    }

    /// The next line without its end; `None` at the end of the stream. Nothing is lost if it is dropped before.
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
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut beside = RecvAncillaryBuffer::new(&mut space);
        let received = socket.try_io(Interest::READABLE, || {
            let mut into = [IoSliceMut::new(&mut chunk)];
            Ok(recvmsg(socket, &mut into, &mut beside, RecvFlags::CMSG_CLOEXEC)?)
        })?;
        for message in beside.drain() {
            if let RecvAncillaryMessage::ScmRights(files) = message {
                self.files.extend(files);
            }
        }
        self.unread.extend_from_slice(&chunk[..received.bytes]);
        Ok(received.bytes)
    }
}
