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
use crate::token::{MessageId, Token};

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

/// Enough of a token to tell it from others: there are many messages to remember (FNV-1a, folded).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct TokenDigest([u8; 2]);

impl TokenDigest {
    fn of(token: Token) -> Self {
        let mix = |hash: u32, byte: &u8| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193);
        let hash = token.as_bytes().iter().fold(0x811c_9dc5, mix);
        Self(((hash >> 16) as u16 ^ hash as u16).to_be_bytes())
    }
}

/// What a message of one peer is known by.
type Known = (MessageId, TokenDigest);

/// There is no room to remember one more message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Full;

#[derive(Debug)]
pub(crate) struct Remembered {
    messages: BTreeMap<(PeerIndex, Known), Entry>,
    bytes: usize,
    /// By how much less long a non-confirmable message is remembered.
    non_confirmable_less: Duration,
}

impl Remembered {
    pub(crate) fn new(transmission: &Transmission) -> Self {
        let non_confirmable_less = transmission.exchange_lifetime().saturating_sub(transmission.non_lifetime());
        Self { messages: BTreeMap::new(), bytes: 0, non_confirmable_less }
    }

    /// What to do about a message if it came before. One with another token is another: whoever has taken over an
    /// address knows nothing of the ids that were used there, and would be given somebody else's answer.
    pub(crate) fn answer(
        &self,
        now: Time,
        peer: PeerIndex,
        (message_id, token): (MessageId, Token),
    ) -> Option<&Answer> {
        let known = (message_id, TokenDigest::of(token));
        self.messages.get(&(peer, known)).filter(|entry| entry.until > now).map(|entry| &entry.answer)
    }

    /// Remembers a message. If its peer has too many, the one that came first gives way.
    pub(crate) fn remember(
        &mut self,
        peer: PeerIndex,
        (message_id, token): (MessageId, Token),
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
        let known = (message_id, TokenDigest::of(token));
        self.remove(peer, known);
        self.bytes += answer.heap_bytes();
        self.messages.insert((peer, known), Entry { until, answer });
        Ok(())
    }

    /// Changes what is done when a message comes again. One that is forgotten stays so.
    pub(crate) fn settle(&mut self, peer: PeerIndex, (message_id, token): (MessageId, Token), answer: Answer) {
        if let Some(entry) = self.messages.get_mut(&(peer, (message_id, TokenDigest::of(token)))) {
            self.bytes += answer.heap_bytes();
            self.bytes -= entry.answer.heap_bytes();
            entry.answer = answer;
        }
    }

    /// Forgets what need not be remembered of a peer any more. Whether anything is left.
    pub(crate) fn purge(&mut self, now: Time, peer: PeerIndex) -> bool {
        let over: Vec<_> = self.of(peer).filter(|(_, entry)| entry.until <= now).map(|(id, _)| id).collect();
        for known in over {
            self.remove(peer, known);
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

    fn of(&self, peer: PeerIndex) -> impl Iterator<Item = (Known, &Entry)> {
        let (first, last) = (TokenDigest([u8::MIN; 2]), TokenDigest([u8::MAX; 2]));
        let range = (peer, (MessageId::new(0), first))..=(peer, (MessageId::new(u16::MAX), last));
        self.messages.range(range).map(|((_, known), entry)| (*known, entry))
    }

    fn remove(&mut self, peer: PeerIndex, known: Known) {
        if let Some(entry) = self.messages.remove(&(peer, known)) {
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
        remembered.remember(PEER, (id, Token::EMPTY), later(10), Answer::Silence, &Limits::default()).expect("room");
        assert_eq!(remembered.answer(later(9), PEER, (id, Token::EMPTY)), Some(&Answer::Silence));
        assert_eq!(remembered.answer(later(10), PEER, (id, Token::EMPTY)), None);
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
        remembered.remember(PEER, (a, Token::EMPTY), later(1), pending.clone(), &limits).expect("room");
        remembered.remember(PEER, (b, Token::EMPTY), later(2), Answer::Silence, &limits).expect("room");
        remembered.remember(PEER, (c, Token::EMPTY), later(3), pending.clone(), &limits).expect("room in place of b");
        assert_eq!(remembered.answer(NOW, PEER, (b, Token::EMPTY)), None);
        assert_eq!(remembered.answer(NOW, PEER, (a, Token::EMPTY)), Some(&pending));
        assert_eq!(remembered.remember(PEER, (b, Token::EMPTY), later(4), Answer::Silence, &limits), Err(Full));
        let other = PeerIndex::new(4);
        assert_eq!(remembered.remember(other, (b, Token::EMPTY), later(4), Answer::Silence, &limits), Ok(()));
    }

    #[test]
    fn a_non_confirmable_message_does_not_give_way_to_one_that_came_before_it() {
        let limits = Limits { remembered_per_peer_max: 2, ..Limits::default() };
        let transmission = Transmission::default();
        let mut remembered = Remembered::new(&transmission);
        let [a, b, c] = [1, 2, 3].map(MessageId::new);
        let again = || Answer::Again(Datagram::new(&[]));
        remembered
            .remember(PEER, (a, Token::EMPTY), NOW + transmission.exchange_lifetime(), again(), &limits)
            .expect("room");
        remembered
            .remember(PEER, (b, Token::EMPTY), later(1) + transmission.non_lifetime(), Answer::Silence, &limits)
            .expect("room");
        remembered
            .remember(PEER, (c, Token::EMPTY), later(2) + transmission.exchange_lifetime(), again(), &limits)
            .expect("room");
        assert_eq!(remembered.answer(later(2), PEER, (a, Token::EMPTY)), None);
        assert_eq!(remembered.answer(later(2), PEER, (b, Token::EMPTY)), Some(&Answer::Silence));
    }

    #[test]
    fn answers_take_no_more_memory_than_the_limit_and_give_it_back() {
        let limits = Limits { remembered_bytes_max: 200, ..Limits::default() };
        let mut remembered = Remembered::new(&Transmission::default());
        let [a, b, c] = [1, 2, 3].map(MessageId::new);
        remembered.remember(PEER, (a, Token::EMPTY), later(1), long(), &limits).expect("room");
        remembered.remember(PEER, (b, Token::EMPTY), later(2), Answer::Silence, &limits).expect("room");
        remembered.settle(PEER, (b, Token::EMPTY), long());
        assert_eq!(remembered.remember(PEER, (c, Token::EMPTY), later(3), long(), &limits), Err(Full));
        remembered.purge(later(1), PEER);
        assert_eq!(remembered.remember(PEER, (c, Token::EMPTY), later(3), long(), &limits), Ok(()));
        remembered.forget(PEER);
        assert_eq!((remembered.bytes, remembered.len()), (0, 0));
    }

    #[test]
    fn a_message_with_another_token_is_another_message() {
        let mut remembered = Remembered::new(&Transmission::default());
        let (id, [mine, other]) = (MessageId::new(1), [1, 2].map(|byte| Token::new(&[byte]).expect("one byte")));
        remembered.remember(PEER, (id, mine), later(9), Answer::Silence, &Limits::default()).expect("room");
        assert_eq!(remembered.answer(NOW, PEER, (id, mine)), Some(&Answer::Silence));
        assert_eq!(remembered.answer(NOW, PEER, (id, other)), None);
    }
}
