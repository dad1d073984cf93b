//! Whether the work of this thread is still wanted: one sign for all blocking work, which has no
//! future to be dropped.
//!
//! Who starts such work gives it a token for as long as it lasts; walks, loops and calls of git
//! look at it, however deep they are called. It refuses to end anything itself, and to be
//! inherited: a thread that was given none is never stopped.

use std::cell::RefCell;

use tokio_util::sync::CancellationToken;

thread_local! {
    static STOP: RefCell<Option<CancellationToken>> = const { RefCell::new(None) };
}

/// Does the work in this thread, for which `stop` counts until it is done.
pub fn during<T>(stop: CancellationToken, work: impl FnOnce() -> T) -> T {
    let _before = RestoredStop(STOP.replace(Some(stop)));
    work()
}

/// Does the work to its end, whatever stops what it is a part of: others will use what comes of it.
pub fn never<T>(work: impl FnOnce() -> T) -> T {
    let _before = RestoredStop(STOP.replace(None));
    work()
}

/// Whether the work of this thread is not wanted any more. It costs some nanoseconds.
#[must_use]
pub fn is_wanted() -> bool {
    STOP.with_borrow(|stop| stop.as_ref().is_some_and(CancellationToken::is_cancelled))
}

/// What counted before, and does again once this is dropped, in a panic too: threads are used
/// again.
struct RestoredStop(Option<CancellationToken>);

impl Drop for RestoredStop {
    fn drop(&mut self) {
        STOP.set(self.0.take());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stop_counts_as_long_as_its_work_and_in_its_thread_alone() {
        let stop = CancellationToken::new();
        during(stop.clone(), || {
            assert!(!is_wanted());
            stop.cancel();
            assert!(is_wanted());
            assert!(!never(is_wanted));
            assert!(!during(CancellationToken::new(), is_wanted));
            assert!(is_wanted());
            assert!(!std::thread::spawn(is_wanted).join().unwrap());
        });
        assert!(!is_wanted());
        let panicked = std::panic::catch_unwind(|| during(stop, || panic!("as a test wants")));
        assert!(panicked.is_err() && !is_wanted());
    }
}
