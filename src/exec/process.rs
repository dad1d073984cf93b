//! Processes that are no children of this one, by descriptor: their end is seen, and nobody is ever
//! taken for them.
//!
//! Such a process is the first one of a sealed room: the kernel ends everybody in the room before
//! that one counts as ended, so it is what is waited for. The end of a shepherd's reports comes a
//! moment too early. The shepherds themselves are children of the fork server. It refuses to take a
//! number of a process for the process.

#[cfg(target_os = "linux")]
use std::os::fd::OwnedFd;

#[cfg(target_os = "linux")]
use tokio::io::Interest;
#[cfg(target_os = "linux")]
use tokio::io::unix::AsyncFd;

/// A process.
#[derive(Debug)]
pub(super) struct Process {
    #[cfg(target_os = "linux")]
    file: AsyncFd<OwnedFd>,
}

#[cfg(target_os = "linux")]
impl Process {
    /// The process with that number, which has not been waited for.
    pub(super) fn of(number: i32) -> Option<Self> {
        let number = rustix::process::Pid::from_raw(number)?;
        Self::from(rustix::process::pidfd_open(number, rustix::process::PidfdFlags::empty()).ok()?)
            .ok()
    }

    /// The process that `file` is a descriptor of.
    ///
    /// # Errors
    /// Where no more files can be waited for.
    pub(super) fn from(file: OwnedFd) -> std::io::Result<Self> {
        // SAFETY: an `OwnedFd` has one descriptor, which stays open as long as it lives, and the
        // result owns it.
        let file = unsafe { AsyncFd::register_with_interest(file, Interest::READABLE) };
        Ok(Self { file: file? })
    }

    /// Returns when it has ended, and, if it is the first of a room, nobody is left in that.
    pub(super) async fn end(&self) {
        let _ = self.file.readable().await;
    }

    /// Kills it, if it has not ended.
    pub(super) fn kill(&self) {
        let _ =
            rustix::process::pidfd_send_signal(self.file.get_ref(), rustix::process::Signal::KILL);
    }
}

#[cfg(not(target_os = "linux"))]
impl Process {
    /// There are no descriptors of processes here.
    pub(super) fn of(_number: i32) -> Option<Self> {
        None
    }

    /// Never called.
    pub(super) async fn end(&self) {}

    /// Never called.
    pub(super) fn kill(&self) {}
}
