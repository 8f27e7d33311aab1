//! Whether the platform is reached, and since when.

use std::time::Duration;

use bugle_core::Time;

/// Whether the platform is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkState {
    /// It is.
    Up {
        /// Since when.
        since: Time,
    },
    /// It is not.
    Down {
        /// Since when.
        since: Time,
        /// Why the last try came to nothing; none before the first.
        failure: Option<String>,
    },
}

impl LinkState {
    /// Whether the platform is reached.
    #[must_use]
    pub const fn is_up(&self) -> bool {
        matches!(self, Self::Up { .. })
    }

    /// Since when it is as it is.
    #[must_use]
    pub const fn since(&self) -> Time {
        match self {
            Self::Up { since } | Self::Down { since, .. } => *since,
        }
    }

    /// Why the last try came to nothing, if the platform is not reached.
    #[must_use]
    pub fn failure(&self) -> Option<&str> {
        match self {
            Self::Up { .. } => None,
            Self::Down { failure, .. } => failure.as_deref(),
        }
    }

    pub(super) fn up_for(&self, now: Time) -> Option<Duration> {
        match self {
            Self::Up { since } => Some(now - *since),
            Self::Down { .. } => None,
        }
    }

    pub(super) fn go_down(&mut self, now: Time, failure: String) {
        let since = match self {
            Self::Up { .. } => now,
            Self::Down { since, .. } => *since,
        };
        *self = Self::Down { since, failure: Some(failure) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_that_stays_down_is_so_since_it_went_down_and_for_its_latest_reason() {
        let mut state = LinkState::Up { since: Time::from_millis(5) };
        assert_eq!(state.up_for(Time::from_millis(9)), Some(Duration::from_millis(4)));
        state.go_down(Time::from_millis(10), "first".into());
        state.go_down(Time::from_millis(20), "second".into());
        assert_eq!((state.since(), state.failure()), (Time::from_millis(10), Some("second")));
        assert_eq!(state.up_for(Time::from_millis(30)), None);
    }
}
