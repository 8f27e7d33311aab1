//! One structure for all that is due later.
//!
//! What is no longer wanted is not taken out: whoever owns a timer knows when it is due, and one that
//! comes at any other time is stale. So cancelling is free, and a stale timer is gone when its time has come.
//! Timers of one millisecond are together, so that with a hundred thousand of them a tree of some thousand
//! milliseconds is all that is searched.

use std::collections::BTreeMap;

use bugle_core::Time;

use crate::event::{ExchangeId, RequestHandle};

/// What is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Timer {
    /// A message is to be sent again, or was not answered.
    Exchange(ExchangeId),
    /// A request is to be acknowledged without its answer, or to be given up.
    Request(RequestHandle),
    /// It is looked at whether some peers can be forgotten.
    Sweep,
}

#[derive(Debug, Default)]
pub(crate) struct Timers {
    due: BTreeMap<Time, Vec<Timer>>,
}

impl Timers {
    pub(crate) fn set(&mut self, timer: Timer, at: Time) {
        self.due.entry(at).or_default().push(timer);
    }

    /// A timer whose time has come, and that time.
    pub(crate) fn pop_due(&mut self, now: Time) -> Option<(Time, Timer)> {
        let mut first = self.due.first_entry().filter(|first| *first.key() <= now)?;
        let at = *first.key();
        let timer = first.get_mut().pop();
        if first.get().is_empty() {
            first.remove();
        }
        timer.map(|timer| (at, timer))
    }

    pub(crate) fn next(&self) -> Option<Time> {
        self.due.first_key_value().map(|(at, _)| *at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timers_come_by_time_and_none_too_early() {
        let mut timers = Timers::default();
        let timer = |number| Timer::Exchange(ExchangeId::new(number));
        for (number, at) in [(1, 30), (2, 10), (3, 20), (4, 20)] {
            timers.set(timer(number), Time::from_millis(at));
        }
        assert_eq!(timers.next(), Some(Time::from_millis(10)));
        let now = Time::from_millis(20);
        assert_eq!(timers.pop_due(now), Some((Time::from_millis(10), timer(2))));
        let both = [timers.pop_due(now), timers.pop_due(now)];
        for number in [3, 4] {
            assert!(both.contains(&Some((Time::from_millis(20), timer(number)))));
        }
        assert_eq!(timers.pop_due(now), None);
        assert_eq!(timers.next(), Some(Time::from_millis(30)));
    }
}
