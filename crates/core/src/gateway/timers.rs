//! One table of all that is due later, in few bytes: every registered peripheral has timers of its own.
//!
//! A timer that is set to another time, or cleared, leaves something stale in the queue. When that is more than half
//! of the queue, all of it goes.

use super::Slot;
use crate::{DueQueue, NumberMap, Time};

/// What is due. There is at most one of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Timer {
    /// The application has not decided about a registration.
    Decision(Slot),
    /// An active peripheral was not heard for long enough to count as in standby.
    Presence(Slot),
    /// A registration may be over.
    Lifetime(Slot),
    /// A peripheral has not acknowledged, or not answered, a delivery.
    Answer(Slot),
    /// A group request ends.
    Deadline,
    /// Where members were seen is to be told.
    Progress,
    /// Receipts were gathered for long enough.
    Receipts,
    /// A wake-up has taken its time, or the pause after it is over.
    Wake(Slot),
    /// Pacing lets another delivery begin.
    Deliveries,
    /// The wake budget lets another wake-up go out.
    Wakes,
}

/// So many stale ones are no reason to look through the queue.
const STALE_KEPT: usize = 1_024;

#[derive(Debug, Default)]
pub(super) struct Timers {
    queue: DueQueue<Timer>,
    set: usize,
    /// When those are due that a registered peripheral has nearly always, by slot.
    lasting: Vec<Lasting>,
    /// When those are due that are nobody's own.
    common: Common,
    /// When all others are due.
    passing: NumberMap<Timer, Time>,
}

#[derive(Debug, Clone, Copy)]
struct Lasting {
    presence: Time,
    lifetime: Time,
}

/// By [`Timer::common`].
#[derive(Debug)]
struct Common([Time; 5]);

impl Default for Common {
    fn default() -> Self {
        Self([NEVER; 5])
    }
}

/// When a timer is due that is not set.
const NEVER: Time = Time::MAX;

impl Timer {
    /// Which of those that are nobody's own it is, if it is one.
    const fn common(self) -> Option<usize> {
        match self {
            Self::Deadline => Some(0),
            Self::Progress => Some(1),
            Self::Receipts => Some(2),
            Self::Deliveries => Some(3),
            Self::Wakes => Some(4),
            Self::Decision(_) | Self::Presence(_) | Self::Lifetime(_) | Self::Answer(_) | Self::Wake(_) => None,
        }
    }
}

impl Timers {
    /// Has `timer` due at `at`, and no longer at the time it had before.
    pub(super) fn set(&mut self, timer: Timer, at: Time) {
        let before = self.note(timer, at);
        if before == at {
            return;
        }
        self.set += usize::from(before == NEVER);
        self.queue.push(at, timer);
        if self.queue.len() > 2 * self.set + STALE_KEPT {
            self.drop_stale();
        }
    }

    /// Has `timer` due at `at`, or not at all.
    pub(super) fn set_or_clear(&mut self, timer: Timer, at: Option<Time>) {
        match at {
            Some(at) => self.set(timer, at),
            None => self.clear(timer),
        }
    }

    pub(super) fn clear(&mut self, timer: Timer) {
        let before = self.note(timer, NEVER);
        self.set -= usize::from(before != NEVER);
    }

    pub(super) fn pop_due(&mut self, now: Time) -> Option<Timer> {
        loop {
            let (at, timer) = self.queue.pop_due(now)?;
            if self.due(timer) == at {
                self.clear(timer);
                return Some(timer);
            }
        }
    }

    /// When there may be one that is due.
    pub(super) fn next(&self) -> Option<Time> {
        self.queue.next()
    }

    fn due(&self, timer: Timer) -> Time {
        let lasting = |slot: Slot| self.lasting.get(slot.number() as usize);
        match timer {
            Timer::Presence(slot) => lasting(slot).map_or(NEVER, |lasting| lasting.presence),
            Timer::Lifetime(slot) => lasting(slot).map_or(NEVER, |lasting| lasting.lifetime),
            _ => match timer.common() {
                Some(place) => self.common.0[place],
                None => self.passing.get(&timer).copied().unwrap_or(NEVER),
            },
        }
    }

    /// Notes when a timer is due, and says when it was before.
    fn note(&mut self, timer: Timer, at: Time) -> Time {
        if let Some(place) = timer.common() {
            return std::mem::replace(&mut self.common.0[place], at);
        }
        match timer {
            Timer::Presence(slot) | Timer::Lifetime(slot) => {
                let place = slot.number() as usize;
                if place >= self.lasting.len() {
                    if at == NEVER {
                        return NEVER;
                    }
                    self.lasting.resize(place + 1, Lasting { presence: NEVER, lifetime: NEVER });
                }
                let lasting = &mut self.lasting[place];
                let is_presence = matches!(timer, Timer::Presence(_));
                std::mem::replace(if is_presence { &mut lasting.presence } else { &mut lasting.lifetime }, at)
            }
            _ if at == NEVER => self.passing.remove(&timer).unwrap_or(NEVER),
            _ => self.passing.insert(timer, at).unwrap_or(NEVER),
        }
    }

    /// What was cleared and set to the same time again is there twice, of which one goes too.
    fn drop_stale(&mut self) {
        let mut queue = std::mem::take(&mut self.queue);
        queue.retain(|at, timer| self.due(*timer) == at);
        self.queue = queue;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Time = Time::from_millis(10);
    const LATE: Time = Time::from_millis(1_000_000);

    fn lifetime(number: u32) -> Timer {
        Timer::Lifetime(Slot::new(number))
    }

    #[test]
    fn a_timer_is_due_at_the_time_that_was_set_last_and_once() {
        let mut timers = Timers::default();
        for timer in [lifetime(7), Timer::Presence(Slot::new(7)), Timer::Answer(Slot::new(7)), Timer::Deadline] {
            timers.set(timer, LATE);
            timers.set(timer, SOON);
            timers.set(timer, LATE);
            assert_eq!(timers.pop_due(SOON), None);
            assert_eq!(timers.pop_due(LATE), Some(timer));
            assert_eq!(timers.pop_due(LATE), None);
        }
        assert_eq!((timers.next(), timers.queue.len(), timers.set), (None, 0, 0));
    }

    #[test]
    fn a_timer_that_is_cleared_is_not_due() {
        let mut timers = Timers::default();
        for timer in [lifetime(7), Timer::Wake(Slot::new(7)), Timer::Progress] {
            timers.clear(timer);
            timers.set(timer, SOON);
            timers.clear(timer);
            assert_eq!(timers.pop_due(LATE), None);
        }
    }

    #[test]
    fn timers_that_are_set_again_and_again_do_not_fill_the_queue() {
        let mut timers = Timers::default();
        for later in 0..100_000 {
            timers.set(lifetime(1), LATE + std::time::Duration::from_millis(later));
            timers.set(lifetime(2), LATE);
            timers.clear(lifetime(2));
        }
        assert!(timers.queue.len() <= 2 * timers.set + STALE_KEPT, "{}", timers.queue.len());
        assert_eq!(timers.pop_due(LATE + std::time::Duration::from_millis(99_999)), Some(lifetime(1)));
    }
}
