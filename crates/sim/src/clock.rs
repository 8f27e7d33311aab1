//! The clocks of processes, which need not agree.

use std::time::Duration;

use bugle_core::Time;

/// The clock of a process: read once from the wall when it starts, steady from then on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    /// How far ahead of the true time it is, in milliseconds; behind if negative.
    ahead: i64,
}

impl Clock {
    pub(crate) const fn new(ahead: i64) -> Self {
        Self { ahead }
    }

    /// What it shows.
    pub(crate) fn show(self, now: Time) -> Time {
        Time::from_millis(now.as_millis().saturating_add_signed(self.ahead))
    }

    /// When it shows this; no earlier than `now`.
    pub(crate) fn when(self, now: Time, shown: Time) -> Time {
        if shown == Time::MAX {
            return Time::MAX;
        }
        Time::from_millis(shown.as_millis().saturating_add_signed(-self.ahead)).max(now)
    }

    /// The wall clock is set to so much ahead; a running process does not see it.
    pub(crate) fn step(&mut self, by: Duration, direction: Direction) {
        let by = by.as_millis() as i64;
        self.ahead += match direction {
            Direction::Forward => by,
            Direction::Back => -by,
        };
    }
}

/// Which way a clock is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    Forward,
    Back,
}
