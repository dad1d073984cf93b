//! The end of a sealed room, as omk sees it from outside.
//!
//! The kernel ends everybody in a room before its first process counts as ended, so that is what is waited for. The end of its
//! reports comes a moment too early. It refuses to take a number of a process for the process.

#[cfg(target_os = "linux")]
use std::os::fd::OwnedFd;

#[cfg(target_os = "linux")]
use tokio::io::Interest;
#[cfg(target_os = "linux")]
use tokio::io::unix::AsyncFd;

/// The first process of a room.
#[derive(Debug)]
pub(super) struct RoomEnd {
    #[cfg(target_os = "linux")]
    first: AsyncFd<OwnedFd>,
}

#[cfg(target_os = "linux")]
impl RoomEnd {
    /// The end of the room whose first process has that number, while its parent has not waited for it.
    pub(super) fn of(first: i32) -> Option<Self> {
        let first = rustix::process::Pid::from_raw(first)?;
        let opened = rustix::process::pidfd_open(first, rustix::process::PidfdFlags::empty()).ok()?;
        // SAFETY: an `OwnedFd` has one descriptor, which stays open as long as it lives, and the result owns it.
        let first = unsafe { AsyncFd::register_with_interest(opened, Interest::READABLE) };
        Some(Self { first: first.ok()? })
    }

    /// Returns when nobody is left in it.
    pub(super) async fn come(&self) {
        let _ = self.first.readable().await;
    }
}

#[cfg(not(target_os = "linux"))]
impl RoomEnd {
    /// There are no such rooms here.
    pub(super) fn of(_first: i32) -> Option<Self> {
        None
    }

    /// Never called.
    pub(super) async fn come(&self) {}
}
