//! When a child was last seen alive.

use std::time::Duration;

use tokio::time::Instant;

/// When the child was last seen alive.
pub(super) struct Idle {
    pub(super) limit: Duration,
    pub(super) alarm: Instant,
    pub(super) pulse: u64,
}

impl Idle {
    /// Whether there was no other sign of life either; if there was, the clock is wound.
    pub(super) fn is_hung(&mut self, pulse: u64) -> bool {
        if pulse == self.pulse {
            return true;
        }
        self.wind(pulse);
        false
    }

    pub(super) fn wind(&mut self, pulse: u64) {
        self.pulse = pulse;
        self.alarm = after(Instant::now(), self.limit);
    }
}

/// A time that far away, or a year where that cannot be told.
pub(super) fn after(start: Instant, duration: Duration) -> Instant {
    const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);
    start.checked_add(duration).unwrap_or_else(|| start + YEAR)
}
