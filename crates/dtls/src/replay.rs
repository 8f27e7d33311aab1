//! Recognises records that come again (RFC 6347 §4.1.2.6).

/// How many sequence numbers behind the latest are told apart.
const WINDOW: u64 = 64;

/// Which records have been taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct ReplayWindow {
    /// One more than the latest; zero before the first.
    next: u64,
    /// Bit `n` is set when the record `n` before the latest was taken.
    taken: u64,
}

/// Where a record stands among those that were taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Later than all.
    Latest,
    /// Overtaken by others, and not taken.
    Late,
    /// Taken before, or too late to be told.
    Replayed,
}

impl ReplayWindow {
    /// Everything below `next` counts as taken.
    pub(crate) const fn from(next: u64) -> Self {
        Self { next, taken: u64::MAX }
    }

    /// One more than the latest that was taken.
    pub(crate) const fn next(&self) -> u64 {
        self.next
    }

    pub(crate) fn standing(&self, sequence: u64) -> Standing {
        if sequence >= self.next {
            return Standing::Latest;
        }
        let behind = self.next - 1 - sequence;
        if behind < WINDOW && self.taken >> behind & 1 == 0 { Standing::Late } else { Standing::Replayed }
    }

    /// The record authenticates, and is taken.
    pub(crate) fn take(&mut self, sequence: u64) {
        if sequence >= self.next {
            let ahead = sequence + 1 - self.next;
            self.taken = if ahead < WINDOW { self.taken << ahead } else { 0 };
            self.next = sequence + 1;
        }
        let behind = self.next - 1 - sequence;
        if behind < WINDOW {
            self.taken |= 1 << behind;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_record_is_taken_once_in_whatever_order_they_come() {
        let mut window = ReplayWindow::default();
        for sequence in [0, 5, 3, 200, 140] {
            assert_ne!(window.standing(sequence), Standing::Replayed, "{sequence}");
            window.take(sequence);
            assert_eq!(window.standing(sequence), Standing::Replayed, "{sequence}");
        }
        assert_eq!(window.standing(201), Standing::Latest);
        assert_eq!(window.standing(199), Standing::Late);
        assert_eq!(window.standing(137), Standing::Late);
        assert_eq!(window.standing(136), Standing::Replayed, "too late to be told");
    }

    #[test]
    fn below_where_it_begins_all_were_taken() {
        let window = ReplayWindow::from(5);
        assert_eq!(
            [0, 4, 5, 90].map(|sequence| window.standing(sequence) == Standing::Replayed),
            [true, true, false, false]
        );
    }
}
