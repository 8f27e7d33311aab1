//! Recognising a message that came before (RFC 7252 §4.5).
//!
//! 1. A message that is acted upon is remembered, for as long as its sender may send it again.
//! 2. When it is answered, the answer is remembered with it.
//! 3. When it comes again, the answer goes out again, and nothing else happens.

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
    known: Known,
    until: Time,
    answer: Answer,
}

/// Enough of a token to tell it from others: there are many messages to remember (FNV-1a, folded).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct TokenDigest([u8; 2]);

impl TokenDigest {
    fn of(token: Token) -> Self {
        let mix = |hash: u32, byte: &u8| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193);
        let hash = token.as_bytes().iter().fold(0x811c_9dc5, mix);
        Self(((hash >> 16) as u16 ^ hash as u16).to_be_bytes())
    }
}

/// What a message of one peer is known by. One with another token is another: whoever has taken over an address knows
/// nothing of the ids that were used there, and would be given somebody else's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Known(MessageId, TokenDigest);

impl From<(MessageId, Token)> for Known {
    fn from((message_id, token): (MessageId, Token)) -> Self {
        Self(message_id, TokenDigest::of(token))
    }
}

/// There is no room to remember one more message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Full;

#[derive(Debug)]
pub(crate) struct Remembered {
    /// By peer. Mostly it is one message or none, and there are many peers: so no room is kept for more.
    of_peers: Vec<Box<[Entry]>>,
    messages: usize,
    bytes: usize,
    /// By how much less long a non-confirmable message is remembered.
    non_confirmable_less: Duration,
}

impl Remembered {
    pub(crate) fn new(transmission: &Transmission) -> Self {
        let non_confirmable_less = transmission.exchange_lifetime().saturating_sub(transmission.non_lifetime());
        Self { of_peers: Vec::new(), messages: 0, bytes: 0, non_confirmable_less }
    }

    /// What to do about a message if it came before.
    pub(crate) fn answer(&self, now: Time, peer: PeerIndex, message: (MessageId, Token)) -> Option<&Answer> {
        let known = message.into();
        let entry = self.of(peer).iter().find(|entry| entry.known == known)?;
        (entry.until > now).then_some(&entry.answer)
    }

    /// Remembers a message. If its peer has too many, the one that came first gives way.
    pub(crate) fn remember(
        &mut self,
        peer: PeerIndex,
        message: (MessageId, Token),
        until: Time,
        answer: Answer,
        limits: &Limits,
    ) -> Result<(), Full> {
        if self.bytes >= limits.remembered_bytes_max {
            return Err(Full);
        }
        let entry = Entry { known: message.into(), until, answer };
        let entries = self.of(peer);
        let place = match entries.iter().position(|other| other.known == entry.known) {
            None if entries.len() >= limits.remembered_per_peer_max => {
                let answered = entries.iter().enumerate().filter(|(_, other)| !other.is_pending());
                let (oldest, _) = answered.min_by_key(|(_, other)| self.came(other)).ok_or(Full)?;
                Some(oldest)
            }
            place => place,
        };
        self.bytes += entry.answer.heap_bytes();
        match place {
            Some(place) => {
                let former = std::mem::replace(&mut self.of_peers[peer.index()][place], entry);
                self.bytes -= former.answer.heap_bytes();
            }
            None => self.add(peer, entry),
        }
        Ok(())
    }

    fn add(&mut self, peer: PeerIndex, entry: Entry) {
        if peer.index() >= self.of_peers.len() {
            self.of_peers.resize_with(peer.index() + 1, Box::default);
        }
        let entries = &mut self.of_peers[peer.index()];
        let mut more = std::mem::take(entries).into_vec();
        more.reserve_exact(1);
        more.push(entry);
        *entries = more.into_boxed_slice();
        self.messages += 1;
    }

    /// Changes what is done when a message comes again. One that is forgotten stays so.
    pub(crate) fn settle(&mut self, peer: PeerIndex, message: (MessageId, Token), answer: Answer) {
        let known = message.into();
        let entries = self.of_peers.get_mut(peer.index()).map_or(&mut [][..], |entries| entries);
        if let Some(entry) = entries.iter_mut().find(|entry| entry.known == known) {
            self.bytes += answer.heap_bytes();
            self.bytes -= entry.answer.heap_bytes();
            entry.answer = answer;
        }
    }

    /// Forgets what need not be remembered of a peer any more. Whether anything is left.
    pub(crate) fn purge(&mut self, now: Time, peer: PeerIndex) -> bool {
        if self.of(peer).iter().any(|entry| entry.until <= now) {
            let mut entries = std::mem::take(&mut self.of_peers[peer.index()]).into_vec();
            for over in entries.extract_if(.., |entry| entry.until <= now) {
                self.messages -= 1;
                self.bytes -= over.answer.heap_bytes();
            }
            self.of_peers[peer.index()] = entries.into_boxed_slice();
        }
        !self.of(peer).is_empty()
    }

    /// Forgets all of a peer. Its requests that are not answered.
    pub(crate) fn forget(&mut self, peer: PeerIndex) -> Vec<RequestHandle> {
        let pending = |entry: &Entry| match entry.answer {
            Answer::Pending(handle) => Some(handle),
            Answer::Silence | Answer::Again(_) => None,
        };
        let unanswered = self.of(peer).iter().filter_map(pending).collect();
        self.purge(Time::MAX, peer);
        unanswered
    }

    /// Gives back the memory of those that are gone, when all are.
    pub(crate) fn shrink(&mut self) {
        self.of_peers = Vec::new();
    }

    /// Orders messages that are answered by when they came. Only a non-confirmable one is answered by silence.
    fn came(&self, entry: &Entry) -> Time {
        match entry.answer {
            Answer::Silence => entry.until + self.non_confirmable_less,
            Answer::Pending(_) | Answer::Again(_) => entry.until,
        }
    }

    pub(crate) const fn len(&self) -> usize {
        self.messages
    }

    fn of(&self, peer: PeerIndex) -> &[Entry] {
        self.of_peers.get(peer.index()).map_or(&[], |entries| entries)
    }
}

impl Entry {
    const fn is_pending(&self) -> bool {
        matches!(self.answer, Answer::Pending(_))
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
