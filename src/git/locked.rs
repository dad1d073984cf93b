//! Refs that another process has locked for a moment: they are tried again.

use std::time::Duration;

use git2::ErrorCode;

/// How often a ref is tried while another process holds its lock, and the pause between two tries:
/// two seconds in all. `git pack-refs` holds it for milliseconds.
const LOCK_TRIES: u32 = 100;
const LOCK_PAUSE: Duration = Duration::from_millis(20);

pub(super) fn unless_locked<T>(
    mut work: impl FnMut() -> Result<T, git2::Error>,
) -> Result<T, git2::Error> {
    let mut left = LOCK_TRIES;
    loop {
        left -= 1;
        match work() {
            Err(error) if error.code() == ErrorCode::Locked && left > 0 => {
                std::thread::sleep(LOCK_PAUSE)
            }
            done => return done,
        }
    }
}
