//! Lossless delivery of a log over streams that break.
//!
//! 1. Whoever receives says where its disk stands: the last entry that it has.
//! 2. Whoever sends starts after that ([`Outgoing::resume`]) and sends ahead of the acknowledgements,
//!    up to a window ([`Outgoing::next`]).
//! 3. The receiver leaves out what it has, closes at a gap ([`Incoming::handle_entries`]), makes the
//!    rest durable and acknowledges.
//! 4. The sender trims what is acknowledged ([`Outgoing::handle_acknowledged`]), and nothing else.
//!
//! Both live as long as one stream.

use thiserror::Error;

use crate::Entries;

/// Why two logs cannot be brought together. One side has lost what the other knows it had: its disk is
/// gone, or an older copy of it was put back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum LogConflict {
    /// The receiver has entries that the sender never made, as far as it knows.
    #[error(
        "the receiver has entries up to {received}, but the sender has made only {last}: the sender's disk was lost or set back"
    )]
    SenderBehind {
        /// The last that the receiver has.
        received: u64,
        /// The last that the sender has made.
        last: u64,
    },
    /// The receiver lacks entries that it had acknowledged, so the sender does not keep them any more.
    #[error(
        "the receiver has entries up to {received}, but the sender keeps only those from {first} on: the receiver's disk was lost or set back"
    )]
    ReceiverBehind {
        /// The last that the receiver has.
        received: u64,
        /// The oldest that the sender keeps.
        first: u64,
    },
}

/// What a peer did on a stream that it must not do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ReplayError {
    /// It left entries out.
    #[error("entry {expected} was to be next, but {first} came")]
    Gap {
        /// The entry that was to be next.
        expected: u64,
        /// The entry that came.
        first: u64,
    },
    /// It acknowledged what was never sent to it.
    #[error("entry {through} was acknowledged, but only those up to {sent} were sent")]
    NeverSent {
        /// The last that it acknowledged.
        through: u64,
        /// The last that was sent.
        sent: u64,
    },
}

/// Entries to be read from the log and sent: at most `count` after `after`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The entry before the first.
    pub after: u64,
    /// At most how many; never 0.
    pub count: u64,
}

/// A log on its way to the peer, over one stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    acknowledged: u64,
    sent: u64,
    last: u64,
    window: u64,
}

impl Outgoing {
    /// Starts after what the peer has `received`, with a log that keeps the entries from `first` to
    /// `last` (`first` is `last + 1` if it keeps none). At most `window` entries are sent ahead of their
    /// acknowledgement.
    ///
    /// # Errors
    /// If the log does not go on where the peer's copy of it ends.
    pub const fn resume(received: u64, first: u64, last: u64, window: u64) -> Result<Self, LogConflict> {
        if received > last {
            return Err(LogConflict::SenderBehind { received, last });
        }
        if received < first.saturating_sub(1) {
            return Err(LogConflict::ReceiverBehind { received, first });
        }
        Ok(Self { acknowledged: received, sent: received, last, window })
    }

    /// The log has entries up to `last`.
    pub fn handle_available(&mut self, last: u64) {
        self.last = self.last.max(last);
    }

    /// What to send next, if there is anything and the window is open.
    #[must_use]
    pub fn next(&self) -> Option<Span> {
        let open = self.window - (self.sent - self.acknowledged).min(self.window);
        let count = open.min(self.last - self.sent);
        (count > 0).then_some(Span { after: self.sent, count })
    }

    /// The entries up to `through` were sent.
    pub fn handle_sent(&mut self, through: u64) {
        assert!(through <= self.last, "only what is in the log is sent");
        self.sent = self.sent.max(through);
    }

    /// The peer has the log on disk up to `through`. Whether that is more than it had before.
    ///
    /// # Errors
    /// If that was never sent.
    pub fn handle_acknowledged(&mut self, through: u64) -> Result<bool, ReplayError> {
        if through > self.sent {
            return Err(ReplayError::NeverSent { through, sent: self.sent });
        }
        let is_news = through > self.acknowledged;
        self.acknowledged = self.acknowledged.max(through);
        Ok(is_news)
    }

    /// The last entry that the peer has acknowledged.
    #[must_use]
    pub const fn acknowledged(&self) -> u64 {
        self.acknowledged
    }
}

/// The peer's log as it comes in, over one stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incoming {
    received: u64,
}

impl Incoming {
    /// A log of which the entries up to `received` are on disk here.
    #[must_use]
    pub const fn new(received: u64) -> Self {
        Self { received }
    }

    /// The entries that are new among those that came; none if all were known.
    ///
    /// # Errors
    /// If entries are missing before them.
    pub fn handle_entries(&mut self, entries: Entries) -> Result<Option<Entries>, ReplayError> {
        let expected = self.received + 1;
        if entries.first() > expected {
            return Err(ReplayError::Gap { expected, first: entries.first() });
        }
        let news = entries.after(self.received);
        if let Some(news) = &news {
            self.received = news.last();
        }
        Ok(news)
    }

    /// The last entry that came in.
    #[must_use]
    pub const fn received(&self) -> u64 {
        self.received
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;

    fn entries(first: u64, last: u64) -> Entries {
        let encode = |number: u64| Bytes::copy_from_slice(&number.to_be_bytes());
        Entries::new(first, (first..=last).map(encode).collect()).expect("entries")
    }

    #[test]
    fn the_window_bounds_what_is_not_acknowledged() {
        let mut outgoing = Outgoing::resume(0, 1, 10, 4).expect("logs that fit");
        assert_eq!(outgoing.next(), Some(Span { after: 0, count: 4 }));
        outgoing.handle_sent(4);
        assert_eq!(outgoing.next(), None);
        assert_eq!(outgoing.handle_acknowledged(3), Ok(true));
        assert_eq!(outgoing.handle_acknowledged(3), Ok(false));
        assert_eq!(outgoing.next(), Some(Span { after: 4, count: 3 }));
    }

    #[test]
    fn a_gap_is_an_error_and_a_repetition_is_none() {
        let mut incoming = Incoming::new(4);
        assert_eq!(incoming.handle_entries(entries(6, 7)), Err(ReplayError::Gap { expected: 5, first: 6 }));
        assert_eq!(incoming.handle_entries(entries(2, 4)), Ok(None));
        assert_eq!(incoming.handle_entries(entries(3, 6)), Ok(Some(entries(5, 6))));
        assert_eq!(incoming.received(), 6);
    }

    #[test]
    fn an_acknowledgement_of_what_was_never_sent_is_an_error() {
        let mut outgoing = Outgoing::resume(2, 3, 9, 4).expect("logs that fit");
        assert_eq!(outgoing.handle_acknowledged(3), Err(ReplayError::NeverSent { through: 3, sent: 2 }));
    }

    #[test]
    fn a_side_that_lost_its_disk_is_found_out() {
        assert_eq!(Outgoing::resume(9, 1, 5, 8), Err(LogConflict::SenderBehind { received: 9, last: 5 }));
        assert_eq!(Outgoing::resume(0, 4, 9, 8), Err(LogConflict::ReceiverBehind { received: 0, first: 4 }));
        assert!(Outgoing::resume(3, 4, 9, 8).is_ok(), "the receiver has just what was trimmed");
        assert!(Outgoing::resume(9, 10, 9, 8).is_ok(), "an empty log goes on after what was trimmed");
        assert!(Outgoing::resume(0, 0, 0, 8).is_ok(), "two sides that have never met");
    }

    /// Two sides and the stream between them, which loses all that is on it when it breaks.
    #[derive(Debug)]
    struct Pair {
        log: Vec<u64>,
        trimmed: u64,
        outgoing: Outgoing,
        incoming: Incoming,
        on_the_way: VecDeque<Entries>,
        acknowledgements: VecDeque<u64>,
        /// In the receiver's memory.
        taken: Vec<u64>,
        /// How many of those are on its disk.
        durable: usize,
    }

    const WINDOW: u64 = 5;

    impl Pair {
        fn new() -> Self {
            Self {
                log: Vec::new(),
                trimmed: 0,
                outgoing: Outgoing::resume(0, 1, 0, WINDOW).expect("two sides that have never met"),
                incoming: Incoming::new(0),
                on_the_way: VecDeque::new(),
                acknowledgements: VecDeque::new(),
                taken: Vec::new(),
                durable: 0,
            }
        }

        fn step(&mut self, step: Step) {
            match step {
                Step::Append => {
                    self.log.push(self.log.len() as u64 + 1);
                    self.outgoing.handle_available(self.log.len() as u64);
                }
                Step::Send(at_most) => {
                    let Some(span) = self.outgoing.next() else { return };
                    let through = span.after + span.count.min(at_most);
                    self.on_the_way.push_back(entries(span.after + 1, through));
                    self.outgoing.handle_sent(through);
                }
                Step::Receive => {
                    let Some(entries) = self.on_the_way.pop_front() else { return };
                    let news = self.incoming.handle_entries(entries).expect("a stream has no gaps");
                    self.taken.extend(news.into_iter().flatten().map(|(number, _)| number));
                }
                Step::Persist => {
                    self.durable = self.taken.len();
                    self.acknowledgements.push_back(self.durable as u64);
                }
                Step::Trim => {
                    let Some(through) = self.acknowledgements.pop_front() else { return };
                    self.outgoing.handle_acknowledged(through).expect("it was sent");
                    self.trimmed = self.outgoing.acknowledged();
                }
                Step::Break => self.reconnect(),
            }
        }

        /// The stream breaks, and the receiver's memory is lost with it.
        fn reconnect(&mut self) {
            self.on_the_way.clear();
            self.acknowledgements.clear();
            self.taken.truncate(self.durable);
            let received = self.durable as u64;
            self.incoming = Incoming::new(received);
            self.outgoing =
                Outgoing::resume(received, self.trimmed + 1, self.log.len() as u64, WINDOW).expect("no disk was lost");
            self.trimmed = received;
        }

        fn drain(&mut self) {
            while self.trimmed < self.log.len() as u64 {
                for step in [Step::Send(WINDOW), Step::Receive, Step::Persist, Step::Trim] {
                    self.step(step);
                }
            }
        }
    }

    #[derive(Debug, Clone, Copy)]
    enum Step {
        Append,
        Send(u64),
        Receive,
        Persist,
        Trim,
        Break,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => Just(Step::Append),
            3 => (1..=WINDOW).prop_map(Step::Send),
            3 => Just(Step::Receive),
            2 => Just(Step::Persist),
            2 => Just(Step::Trim),
            1 => Just(Step::Break),
        ]
    }

    proptest! {
        #[test]
        fn every_entry_arrives_once_and_in_order_however_often_the_stream_breaks(
            steps in prop::collection::vec(step(), 0..300),
        ) {
            let mut pair = Pair::new();
            for step in steps {
                pair.step(step);
                prop_assert!(pair.trimmed <= pair.durable as u64, "trimmed before it was on disk");
                let in_flight: u64 = pair.on_the_way.iter().map(|run| run.last() - run.first() + 1).sum();
                prop_assert!(in_flight <= WINDOW);
            }
            pair.drain();
            prop_assert_eq!(pair.taken, pair.log);
        }
    }
}
