//! What is due later.

use std::collections::BTreeMap;

use crate::Time;

/// What is due later, by when it is.
///
/// Nothing is looked for to be taken out: whoever owns a timer knows when it is due, and passes over what comes at
/// any other time. So cancelling is free, and what is stale is gone when its time has come. What is due in the same
/// millisecond is together, so that with a hundred thousand timers a tree of some thousand is all that is searched.
#[derive(Debug)]
pub struct DueQueue<T> {
    due: BTreeMap<Time, Vec<T>>,
    len: usize,
}

impl<T> Default for DueQueue<T> {
    fn default() -> Self {
        Self { due: BTreeMap::new(), len: 0 }
    }
}

impl<T> DueQueue<T> {
    /// Has `what` come at `at`.
    pub fn push(&mut self, at: Time, what: T) {
        self.due.entry(at).or_default().push(what);
        self.len += 1;
    }

    /// Something whose time has come, and that time.
    pub fn pop_due(&mut self, now: Time) -> Option<(Time, T)> {
        let mut first = self.due.first_entry().filter(|first| *first.key() <= now)?;
        let at = *first.key();
        let what = first.get_mut().pop().expect("a time without anything is taken out");
        if first.get().is_empty() {
            first.remove();
        }
        self.len -= 1;
        Some((at, what))
    }

    /// When the first comes.
    #[must_use]
    pub fn next(&self) -> Option<Time> {
        self.due.first_key_value().map(|(at, _)| *at)
    }

    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there is nothing.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Drops what is not `wanted` at its time, and what is there twice.
    pub fn retain(&mut self, wanted: impl Fn(Time, &T) -> bool)
    where
        T: Ord,
    {
        self.due.retain(|at, together| {
            together.sort_unstable();
            together.dedup();
            together.retain(|what| wanted(*at, what));
            !together.is_empty()
        });
        self.len = self.due.values().map(Vec::len).sum();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_due_comes_by_time_and_nothing_too_early() {
        let mut queue = DueQueue::default();
        for (what, at) in [(1, 30), (2, 10), (3, 20), (4, 20)] {
            queue.push(Time::from_millis(at), what);
        }
        assert_eq!((queue.len(), queue.next()), (4, Some(Time::from_millis(10))));
        let now = Time::from_millis(20);
        assert_eq!(queue.pop_due(now), Some((Time::from_millis(10), 2)));
        let both = [queue.pop_due(now), queue.pop_due(now)];
        for what in [3, 4] {
            assert!(both.contains(&Some((now, what))));
        }
        assert_eq!(queue.pop_due(now), None);
        assert_eq!((queue.len(), queue.next()), (1, Some(Time::from_millis(30))));
    }

    #[test]
    fn what_is_not_wanted_or_there_twice_goes() {
        let mut queue = DueQueue::default();
        [1, 2, 2, 3].into_iter().for_each(|what| queue.push(Time::from_millis(what % 2), what));
        queue.retain(|_, what| *what < 3);
        assert_eq!(queue.len(), 2);
        let rest: Vec<_> = std::iter::from_fn(|| queue.pop_due(Time::MAX)).map(|(_, what)| what).collect();
        assert_eq!(rest, [2, 1]);
        assert!(queue.is_empty());
    }
}
