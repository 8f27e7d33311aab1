//! The clock of a process.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bugle_core::Time;
use tokio::time::Instant;

/// Later than anything waits, and early enough for every arithmetic on instants.
const FAR_AWAY: Duration = Duration::from_secs(10 * 365 * 86_400);

/// Reads the wall clock once and from then on advances by a monotonic clock, so that the times of one
/// process never jump.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    started_at: Time,
    started: Instant,
}

impl Clock {
    /// Starts with what the wall clock says now; with the epoch, if it stands before that.
    #[must_use]
    pub fn start() -> Self {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { started_at: Time::ZERO + since_epoch, started: Instant::now() }
    }

    /// The time now.
    #[must_use]
    pub fn now(&self) -> Time {
        self.started_at + self.started.elapsed()
    }

    /// Returns at `time`; at once if that has passed.
    pub async fn sleep_until(&self, time: Time) {
        let ahead = (time - self.started_at).min(FAR_AWAY);
        tokio::time::sleep_until(self.started + ahead).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn time_advances_with_the_monotonic_clock() {
        let clock = Clock::start();
        let before = clock.now();
        tokio::time::advance(Duration::from_millis(1500)).await;
        assert_eq!(clock.now() - before, Duration::from_millis(1500));
    }

    #[tokio::test(start_paused = true)]
    async fn sleeping_until_a_time_ends_at_that_time_and_not_before() {
        let clock = Clock::start();
        let time = clock.now() + Duration::from_secs(90);
        clock.sleep_until(time).await;
        assert!(clock.now() >= time && clock.now() - time < Duration::from_millis(50));
        clock.sleep_until(Time::ZERO).await;
    }

    #[test]
    fn the_clock_starts_in_our_age() {
        assert!(Clock::start().now() > Time::from_millis(1_600_000_000_000));
    }
}
