//! One table of all that is due later.

use std::collections::{BTreeSet, HashMap};

use super::Slot;
use crate::{RequestId, Time};

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
    Deadline(RequestId),
    /// Where members were seen is to be told.
    Progress,
    /// A wake-up has taken its time, or the pause after it is over.
    Wake(Slot),
    /// Pacing lets another delivery begin.
    Deliveries,
    /// The wake budget lets another wake-up go out.
    Wakes,
}

#[derive(Debug, Default)]
pub(super) struct Timers {
    by_time: BTreeSet<(Time, Timer)>,
    by_timer: HashMap<Timer, Time>,
}

impl Timers {
    /// Has `timer` due at `at`, and no longer at the time it had before.
    pub(super) fn set(&mut self, timer: Timer, at: Time) {
        if let Some(before) = self.by_timer.insert(timer, at) {
            self.by_time.remove(&(before, timer));
        }
        self.by_time.insert((at, timer));
    }

    /// Has `timer` due at `at`, or not at all.
    pub(super) fn set_or_clear(&mut self, timer: Timer, at: Option<Time>) {
        match at {
            Some(at) if self.by_timer.get(&timer) == Some(&at) => {}
            Some(at) => self.set(timer, at),
            None => self.clear(timer),
        }
    }

    pub(super) fn clear(&mut self, timer: Timer) {
        if let Some(at) = self.by_timer.remove(&timer) {
            self.by_time.remove(&(at, timer));
        }
    }

    pub(super) fn pop_due(&mut self, now: Time) -> Option<Timer> {
        let (at, timer) = *self.by_time.first()?;
        if at > now {
            return None;
        }
        self.by_time.pop_first();
        self.by_timer.remove(&timer);
        Some(timer)
    }

    pub(super) fn next(&self) -> Option<Time> {
        self.by_time.first().map(|(at, _)| *at)
    }
}
