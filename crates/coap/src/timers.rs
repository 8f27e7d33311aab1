//! One structure for all that is due later.
//!
//! What is no longer wanted is not taken out: whoever owns a timer knows when it is due, and one that
//! comes at any other time is stale. So setting is cheap and cancelling is free, and a stale timer is gone
//! when its time has come.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use bugle_core::Time;

use crate::event::{ExchangeId, RequestHandle};

/// What is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
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
    due: BinaryHeap<Reverse<(Time, Timer)>>,
}

impl Timers {
    pub(crate) fn set(&mut self, timer: Timer, at: Time) {
        self.due.push(Reverse((at, timer)));
    }

    /// A timer whose time has come, and that time.
    pub(crate) fn pop_due(&mut self, now: Time) -> Option<(Time, Timer)> {
        let Reverse((at, _)) = self.due.peek()?;
        if *at > now {
            return None;
        }
        let Reverse(due) = self.due.pop()?;
        // After a storm, the memory that it took is given back.
        if self.due.len() < self.due.capacity() / 4 {
            self.due.shrink_to(self.due.len() * 2);
        }
        Some(due)
    }

    pub(crate) fn next(&self) -> Option<Time> {
        self.due.peek().map(|Reverse((at, _))| *at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timers_come_by_time_and_none_too_early() {
        let mut timers = Timers::default();
        let timer = |number| Timer::Exchange(ExchangeId::new(number));
        for (number, at) in [(1, 30), (2, 10), (3, 20)] {
            timers.set(timer(number), Time::from_millis(at));
        }
        assert_eq!(timers.next(), Some(Time::from_millis(10)));
        let now = Time::from_millis(20);
        assert_eq!(timers.pop_due(now), Some((Time::from_millis(10), timer(2))));
        assert_eq!(timers.pop_due(now), Some((Time::from_millis(20), timer(3))));
        assert_eq!(timers.pop_due(now), None);
    }

    #[test]
    fn memory_that_many_timers_took_is_given_back_when_they_are_gone() {
        let mut timers = Timers::default();
        for number in 0..10_000 {
            timers.set(Timer::Exchange(ExchangeId::new(number)), Time::ZERO);
        }
        while timers.pop_due(Time::ZERO).is_some() {}
        assert!(timers.due.capacity() < 16, "{}", timers.due.capacity());
    }
}
