//! What happens when: in the order of time, and at one time in the order in which it was planned.

use std::collections::BTreeMap;

use bugle_core::Time;

/// Things that are going to happen.
#[derive(Debug)]
pub(crate) struct Schedule<T> {
    planned: BTreeMap<(Time, u64), T>,
    count: u64,
}

impl<T> Default for Schedule<T> {
    fn default() -> Self {
        Self { planned: BTreeMap::new(), count: 0 }
    }
}

impl<T> Schedule<T> {
    /// Has something happen at a time.
    pub(crate) fn plan(&mut self, at: Time, what: T) {
        self.count += 1;
        self.planned.insert((at, self.count), what);
    }

    /// When the next thing happens.
    pub(crate) fn next(&self) -> Option<Time> {
        self.planned.first_key_value().map(|((at, _), _)| *at)
    }

    /// The next thing that happens by `now`.
    pub(crate) fn pop(&mut self, now: Time) -> Option<T> {
        let entry = self.planned.first_entry()?;
        (entry.key().0 <= now).then(|| entry.remove())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_planned_for_one_time_happens_in_the_order_of_planning() {
        let mut schedule = Schedule::default();
        let at = Time::from_millis;
        schedule.plan(at(2), 'c');
        schedule.plan(at(1), 'a');
        schedule.plan(at(1), 'b');
        assert_eq!(schedule.next(), Some(at(1)));
        assert_eq!([schedule.pop(at(1)), schedule.pop(at(1)), schedule.pop(at(1))], [Some('a'), Some('b'), None]);
        assert_eq!(schedule.pop(at(5)), Some('c'));
    }
}
