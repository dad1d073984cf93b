//! The only reader of time.
//!
//! A [`Clock`] tells the wall time it was started at and what has passed since, by the monotonic
//! clock: it never runs backwards, and a machine that slept loses nothing. It refuses to know what
//! happens when.

use std::time::Duration;

use tokio::time::Instant;

use crate::id::Moment;

/// A clock that never runs backwards. Copies tell the same time.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    origin: Instant,
    started: Moment,
}

impl Clock {
    /// A clock that is right now, and runs with the monotonic clock from here on.
    #[must_use]
    pub fn start() -> Self {
        Self {
            origin: Instant::now(),
            started: wall_time(),
        }
    }

    /// The same clock, put forward where it would tell less than `floor`: a run that is taken up
    /// again goes on after its last recorded moment even where the machine's date was put back.
    #[must_use]
    pub fn no_earlier_than(self, floor: Moment) -> Self {
        Self {
            started: self.started.after(floor.since(self.now())),
            ..self
        }
    }

    /// The current moment.
    #[must_use]
    pub fn now(&self) -> Moment {
        self.started.after(self.elapsed())
    }

    /// How long this clock runs.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.origin.elapsed()
    }

    /// Waits until this clock tells `moment`; returns at once where that is past.
    pub async fn sleep_until(&self, moment: Moment) {
        let wait = moment.since(self.now());
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
    }

    /// Begins to measure.
    #[must_use]
    pub fn stopwatch(&self) -> Stopwatch {
        Stopwatch(Instant::now())
    }
}

/// Measures how long something takes.
#[derive(Debug, Clone, Copy)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// How long since it was begun.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is the one place that reads the time of day"
)]
fn wall_time() -> Moment {
    let since_1970 = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    Moment::from_millis(0).after(since_1970)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_never_runs_backwards() {
        let clock = Clock::start();
        let mut last = clock.now();
        for _ in 0..10_000 {
            let now = clock.now();
            assert!(now >= last);
            last = now;
        }
        assert!(
            last.as_millis() > 1_700_000_000_000,
            "it tells the date: {last:?}"
        );
    }

    #[test]
    fn it_goes_on_after_a_recorded_moment_of_the_future() {
        let clock = Clock::start();
        let floor = clock.now().after(Duration::from_secs(3600));
        let later = clock.no_earlier_than(floor);
        assert!(later.now() >= floor);
        assert!(later.now().since(floor) < Duration::from_secs(60));
    }

    #[test]
    fn a_recorded_moment_of_the_past_changes_nothing() {
        let clock = Clock::start();
        let same = clock.no_earlier_than(Moment::from_millis(5));
        assert_eq!(same.started, clock.started);
    }

    #[tokio::test]
    async fn sleeping_until_a_past_moment_returns_at_once() {
        let clock = Clock::start();
        clock.sleep_until(Moment::from_millis(0)).await;
        let soon = clock.now().after(Duration::from_millis(3));
        clock.sleep_until(soon).await;
        assert!(clock.now() >= soon);
    }
}
