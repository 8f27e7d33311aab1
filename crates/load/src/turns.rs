//! Whose turn it is to connect. A server has only so long a queue of those who want to.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How fast a thread's share of the peripherals connects.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    pub(crate) connecting_max: usize,
    pub(crate) between_connects: Option<Duration>,
}

/// Who waits to connect, and how many are at it.
#[derive(Debug)]
pub(crate) struct Turns {
    pace: Pace,
    next: Instant,
    under_way: usize,
    waiting: VecDeque<usize>,
}

impl Turns {
    pub(crate) const fn new(now: Instant, pace: Pace) -> Self {
        Self { pace, next: now, under_way: 0, waiting: VecDeque::new() }
    }

    /// The one in this seat waits for its turn.
    pub(crate) fn wait(&mut self, seat: usize) {
        self.waiting.push_back(seat);
    }

    /// The next whose turn it is, if the pace allows one. It lasts until [`Turns::end`].
    pub(crate) fn begin(&mut self, now: Instant) -> Option<usize> {
        if self.under_way >= self.pace.connecting_max || now < self.next {
            return None;
        }
        let seat = self.waiting.pop_front()?;
        self.under_way += 1;
        if let Some(between) = self.pace.between_connects {
            self.next = self.next.max(now) + between;
        }
        Some(seat)
    }

    /// One turn is over.
    pub(crate) const fn end(&mut self) {
        self.under_way -= 1;
    }

    /// How long it takes until the pace allows the next, if one waits and room is all it needs.
    pub(crate) fn patience(&self, now: Instant) -> Option<Duration> {
        let may_begin = !self.waiting.is_empty() && self.under_way < self.pace.connecting_max;
        may_begin.then(|| self.next.saturating_duration_since(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_are_at_it_at_once_and_the_next_begins_when_one_ends() {
        let now = Instant::now();
        let mut turns = Turns::new(now, Pace { connecting_max: 2, between_connects: None });
        (0..3).for_each(|seat| turns.wait(seat));
        assert_eq!([(); 3].map(|()| turns.begin(now)), [Some(0), Some(1), None]);
        assert_eq!(turns.patience(now), None);
        turns.end();
        assert_eq!(turns.patience(now), Some(Duration::ZERO));
        assert_eq!(turns.begin(now), Some(2));
    }

    #[test]
    fn time_passes_between_two_beginnings() {
        let now = Instant::now();
        let between = Duration::from_millis(10);
        let mut turns = Turns::new(now, Pace { connecting_max: 9, between_connects: Some(between) });
        (0..2).for_each(|seat| turns.wait(seat));
        assert_eq!((turns.begin(now), turns.begin(now)), (Some(0), None));
        assert_eq!(turns.patience(now), Some(between));
        assert_eq!(turns.begin(now + between), Some(1));
    }
}
