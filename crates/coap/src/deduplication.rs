//! Recognising a message that came before (RFC 7252 §4.5).
//!
//! 1. A message that is acted upon is remembered, for as long as its sender may send it again.
//! 2. When it is answered, the answer is remembered with it.
//! 3. When it comes again, the answer goes out again, and nothing else happens.

use std::collections::BTreeMap;
use std::time::Duration;

use bugle_core::Time;

use crate::datagram::Datagram;
use crate::event::RequestHandle;
use crate::limits::Limits;
use crate::peers::PeerIndex;
use crate::retransmission::Transmission;
use crate::token::MessageId;

/// What is done when a message comes again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It is a request that is not answered yet.
    Pending(RequestHandle),
    /// Nothing: it is not confirmable, and is dealt with.
    Silence,
    /// This is sent again.
    Again(Datagram),
}

#[derive(Debug)]
struct Entry {
    until: Time,
    answer: Answer,
}

/// There is no room to remember one more message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Full;

#[derive(Debug)]
pub(crate) struct Remembered {
    messages: BTreeMap<(PeerIndex, MessageId), Entry>,
    bytes: usize,
    /// By how much less long a non-confirmable message is remembered.
    non_confirmable_less: Duration,
}

impl Remembered {
    pub(crate) fn new(transmission: &Transmission) -> Self {
        let non_confirmable_less = transmission.exchange_lifetime().saturating_sub(transmission.non_lifetime());
        Self { messages: BTreeMap::new(), bytes: 0, non_confirmable_less }
    }

    /// What to do about a message if it came before.
    pub(crate) fn answer(&self, now: Time, peer: PeerIndex, message_id: MessageId) -> Option<&Answer> {
        self.messages.get(&(peer, message_id)).filter(|entry| entry.until > now).map(|entry| &entry.answer)
    }

    /// Remembers a message. If its peer has too many, the one that came first gives way.
    pub(crate) fn remember(
        &mut self,
        peer: PeerIndex,
        message_id: MessageId,
        until: Time,
        answer: Answer,
        limits: &Limits,
    ) -> Result<(), Full> {
        if self.bytes >= limits.remembered_bytes_max {
            return Err(Full);
        }
        if self.of(peer).count() >= limits.remembered_per_peer_max {
            let answered = self.of(peer).filter(|(_, entry)| !matches!(entry.answer, Answer::Pending(_)));
            let (oldest, _) = answered.min_by_key(|(_, entry)| self.came(entry)).ok_or(Full)?;
            self.remove(peer, oldest);
        }
        self.remove(peer, message_id);
        self.bytes += answer.heap_bytes();
        self.messages.insert((peer, message_id), Entry { until, answer });
        Ok(())
    }

    /// Changes what is done when a message comes again. One that is forgotten stays so.
    pub(crate) fn settle(&mut self, peer: PeerIndex, message_id: MessageId, answer: Answer) {
        if let Some(entry) = self.messages.get_mut(&(peer, message_id)) {
            self.bytes += answer.heap_bytes();
            self.bytes -= entry.answer.heap_bytes();
            entry.answer = answer;
        }
    }

    /// Forgets what need not be remembered of a peer any more. Whether anything is left.
    pub(crate) fn purge(&mut self, now: Time, peer: PeerIndex) -> bool {
        let over: Vec<_> = self.of(peer).filter(|(_, entry)| entry.until <= now).map(|(id, _)| id).collect();
        for message_id in over {
            self.remove(peer, message_id);
        }
        self.of(peer).next().is_some()
    }

    /// Forgets all of a peer. Its requests that are not answered.
    pub(crate) fn forget(&mut self, peer: PeerIndex) -> Vec<RequestHandle> {
        let pending = |(_, entry): (_, &Entry)| match entry.answer {
            Answer::Pending(handle) => Some(handle),
            Answer::Silence | Answer::Again(_) => None,
        };
        let unanswered = self.of(peer).filter_map(pending).collect();
        self.purge(Time::MAX, peer);
        unanswered
    }

    /// Orders messages that are answered by when they came. Only a non-confirmable one is answered by silence.
    fn came(&self, entry: &Entry) -> Time {
        match entry.answer {
            Answer::Silence => entry.until + self.non_confirmable_less,
            Answer::Pending(_) | Answer::Again(_) => entry.until,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.messages.len()
    }

    fn of(&self, peer: PeerIndex) -> impl Iterator<Item = (MessageId, &Entry)> {
        let range = (peer, MessageId::new(0))..=(peer, MessageId::new(u16::MAX));
        self.messages.range(range).map(|((_, message_id), entry)| (*message_id, entry))
    }

    fn remove(&mut self, peer: PeerIndex, message_id: MessageId) {
        if let Some(entry) = self.messages.remove(&(peer, message_id)) {
            self.bytes -= entry.answer.heap_bytes();
        }
    }
}

impl Answer {
    fn heap_bytes(&self) -> usize {
        match self {
            Self::Again(datagram) => datagram.heap_bytes(),
            Self::Pending(_) | Self::Silence => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: PeerIndex = PeerIndex::new(3);
    const NOW: Time = Time::from_millis(1_000);

    fn later(seconds: u64) -> Time {
        NOW + Duration::from_secs(seconds)
    }

    fn long() -> Answer {
        Answer::Again(Datagram::new(&[0; 100]))
    }

    #[test]
    fn a_message_is_forgotten_when_its_time_is_over_and_its_number_may_come_anew() {
        let mut remembered = Remembered::new(&Transmission::default());
        let id = MessageId::new(5);
        remembered.remember(PEER, id, later(10), Answer::Silence, &Limits::default()).expect("room");
        assert_eq!(remembered.answer(later(9), PEER, id), Some(&Answer::Silence));
        assert_eq!(remembered.answer(later(10), PEER, id), None);
        assert!(remembered.purge(later(9), PEER));
        assert!(!remembered.purge(later(10), PEER));
        assert_eq!(remembered.len(), 0);
    }

    #[test]
    fn the_oldest_of_a_peer_gives_way_but_never_a_request_that_is_not_answered() {
        let limits = Limits { remembered_per_peer_max: 2, ..Limits::default() };
        let mut remembered = Remembered::new(&Transmission::default());
        let pending = Answer::Pending(RequestHandle::new(1));
        let [a, b, c] = [1, 2, 3].map(MessageId::new);
        remembered.remember(PEER, a, later(1), pending.clone(), &limits).expect("room");
        remembered.remember(PEER, b, later(2), Answer::Silence, &limits).expect("room");
        remembered.remember(PEER, c, later(3), pending.clone(), &limits).expect("room in place of b");
        assert_eq!(remembered.answer(NOW, PEER, b), None);
        assert_eq!(remembered.answer(NOW, PEER, a), Some(&pending));
        assert_eq!(remembered.remember(PEER, b, later(4), Answer::Silence, &limits), Err(Full));
        let other = PeerIndex::new(4);
        assert_eq!(remembered.remember(other, b, later(4), Answer::Silence, &limits), Ok(()));
    }

    #[test]
    fn a_non_confirmable_message_does_not_give_way_to_one_that_came_before_it() {
        let limits = Limits { remembered_per_peer_max: 2, ..Limits::default() };
        let transmission = Transmission::default();
        let mut remembered = Remembered::new(&transmission);
        let [a, b, c] = [1, 2, 3].map(MessageId::new);
        let again = || Answer::Again(Datagram::new(&[]));
        remembered.remember(PEER, a, NOW + transmission.exchange_lifetime(), again(), &limits).expect("room");
        remembered.remember(PEER, b, later(1) + transmission.non_lifetime(), Answer::Silence, &limits).expect("room");
        remembered.remember(PEER, c, later(2) + transmission.exchange_lifetime(), again(), &limits).expect("room");
        assert_eq!(remembered.answer(later(2), PEER, a), None);
        assert_eq!(remembered.answer(later(2), PEER, b), Some(&Answer::Silence));
    }

    #[test]
    fn answers_take_no_more_memory_than_the_limit_and_give_it_back() {
        let limits = Limits { remembered_bytes_max: 200, ..Limits::default() };
        let mut remembered = Remembered::new(&Transmission::default());
        let [a, b, c] = [1, 2, 3].map(MessageId::new);
        remembered.remember(PEER, a, later(1), long(), &limits).expect("room");
        remembered.remember(PEER, b, later(2), Answer::Silence, &limits).expect("room");
        remembered.settle(PEER, b, long());
        assert_eq!(remembered.remember(PEER, c, later(3), long(), &limits), Err(Full));
        remembered.purge(later(1), PEER);
        assert_eq!(remembered.remember(PEER, c, later(3), long(), &limits), Ok(()));
        remembered.forget(PEER);
        assert_eq!((remembered.bytes, remembered.len()), (0, 0));
    }
}
