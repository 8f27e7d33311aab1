//! Observing (RFC 7641): who observes what of ours, and what we observe of others.
//!
//! ```text
//!   client                                     server
//!   ── GET, Observe 0, token T ──────────────▶ the caller answers and takes the observer
//!   ◀─ 2.05, Observe 1, token T ──────────────
//!   ◀─ 2.05, Observe 2, token T ────────────── notify(): confirmable or not
//!   ── ACK, or RST: observes no more ────────▶
//!   ── GET, Observe 1, token T ──────────────▶ observes no more
//! ```

use std::collections::BTreeMap;
use std::time::Duration;

use bugle_core::Time;

use crate::block::{BlockSize, BodyKey};
use crate::event::{ExchangeId, ObserverId};
use crate::peers::PeerIndex;
use crate::request::Request;
use crate::response::Response;
use crate::token::{MessageId, Token};

/// How far apart two notifications may be for their numbers to tell which is newer (RFC 7641 §3.4).
const REORDERING_MAX: Duration = Duration::from_secs(128);

/// At least so often a notification must be confirmable (RFC 7641 §4.5).
const CONFIRMED_AT_LEAST_EVERY: Duration = Duration::from_secs(24 * 3_600);

/// Numbers of notifications have 24 bits.
const SEQUENCE_MASK: u32 = 0x00ff_ffff;

/// The notification that an observer of theirs was told last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LastSeen {
    pub(crate) sequence: u32,
    pub(crate) at: Time,
}

impl LastSeen {
    /// Whether a notification that came now is newer than this one (RFC 7641 §3.4).
    pub(crate) fn is_before(self, sequence: u32, now: Time) -> bool {
        let ahead = sequence.wrapping_sub(self.sequence) & SEQUENCE_MASK;
        (ahead != 0 && ahead < 1 << 23) || now > self.at + REORDERING_MAX
    }
}

/// A resource of a peer that we observe.
#[derive(Debug)]
pub(crate) struct Observed {
    /// The exchange that began it.
    pub(crate) exchange: ExchangeId,
    pub(crate) last_seen: Option<LastSeen>,
    /// What was asked, to ask for the rest of a long notification, or to cancel.
    pub(crate) request: Box<Request>,
    /// The exchange that fetches the rest of a notification.
    pub(crate) fetch: Option<ExchangeId>,
}

/// All that we observe.
#[derive(Debug, Default)]
pub(crate) struct Observations {
    by_token: BTreeMap<(PeerIndex, Token), Observed>,
    by_exchange: BTreeMap<ExchangeId, (PeerIndex, Token)>,
}

impl Observations {
    pub(crate) fn insert(&mut self, peer: PeerIndex, token: Token, observed: Observed) {
        self.by_exchange.insert(observed.exchange, (peer, token));
        self.by_token.insert((peer, token), observed);
    }

    pub(crate) fn find_mut(&mut self, peer: PeerIndex, token: Token) -> Option<&mut Observed> {
        self.by_token.get_mut(&(peer, token))
    }

    /// Whether a token is in use.
    pub(crate) fn has(&self, peer: PeerIndex, token: Token) -> bool {
        self.by_token.contains_key(&(peer, token))
    }

    pub(crate) fn place(&self, exchange: ExchangeId) -> Option<(PeerIndex, Token)> {
        self.by_exchange.get(&exchange).copied()
    }

    pub(crate) fn remove(&mut self, peer: PeerIndex, token: Token) -> Option<Observed> {
        let observed = self.by_token.remove(&(peer, token))?;
        self.by_exchange.remove(&observed.exchange);
        Some(observed)
    }

    pub(crate) fn of(&self, peer: PeerIndex) -> impl Iterator<Item = Token> {
        self.by_token
            .range((peer, Token::EMPTY)..)
            .map(|(key, _)| *key)
            .take_while(move |key| key.0 == peer)
            .map(|key| key.1)
    }

    pub(crate) fn len(&self) -> usize {
        self.by_token.len()
    }
}

/// A peer that observes a resource of ours.
#[derive(Debug)]
pub(crate) struct Observer {
    pub(crate) peer: PeerIndex,
    pub(crate) token: Token,
    /// What it asked for, so that it can fetch the rest of a long notification.
    pub(crate) key: BodyKey,
    /// The largest block that it wants.
    pub(crate) block_size: BlockSize,
    /// The confirmable notification that is on its way, or waits.
    pub(crate) on_its_way: Option<ExchangeId>,
    /// A newer state, which goes out in place of that one when it is due again.
    pub(crate) newer: Option<Box<Response>>,
    sequence: u32,
    confirmed_at: Time,
    /// The latest non-confirmable notifications, of which a reset may come.
    recent: [Option<MessageId>; Self::RECENT],
}

impl Observer {
    const RECENT: usize = 4;

    pub(crate) fn new(now: Time, peer: PeerIndex, token: Token, key: BodyKey, block_size: BlockSize) -> Self {
        Self {
            peer,
            token,
            key,
            block_size,
            on_its_way: None,
            newer: None,
            sequence: 0,
            confirmed_at: now,
            recent: [None; Self::RECENT],
        }
    }

    /// The number of the next notification.
    pub(crate) fn next_sequence(&mut self) -> u32 {
        self.sequence = (self.sequence + 1) & SEQUENCE_MASK;
        self.sequence
    }

    /// Whether it is time to see whether the observer is still there.
    pub(crate) fn must_confirm(&self, now: Time) -> bool {
        now >= self.confirmed_at + CONFIRMED_AT_LEAST_EVERY
    }

    pub(crate) fn on_confirmed(&mut self, now: Time) {
        self.confirmed_at = now;
        self.on_its_way = None;
    }

    pub(crate) fn on_notified(&mut self, message_id: MessageId) {
        self.recent.rotate_right(1);
        self.recent[0] = Some(message_id);
    }
}

/// All that observe us.
#[derive(Debug, Default)]
pub(crate) struct Observers {
    by_id: BTreeMap<ObserverId, Observer>,
    by_token: BTreeMap<(PeerIndex, Token), ObserverId>,
}

impl Observers {
    pub(crate) fn insert(&mut self, id: ObserverId, observer: Observer) {
        self.by_token.insert((observer.peer, observer.token), id);
        self.by_id.insert(id, observer);
    }

    pub(crate) fn get_mut(&mut self, id: ObserverId) -> Option<&mut Observer> {
        self.by_id.get_mut(&id)
    }

    pub(crate) fn find(&self, peer: PeerIndex, token: Token) -> Option<ObserverId> {
        self.by_token.get(&(peer, token)).copied()
    }

    /// Whom a reset of this message is from.
    pub(crate) fn notified_by(&self, peer: PeerIndex, message_id: MessageId) -> Option<ObserverId> {
        self.of(peer).find(|id| self.by_id.get(id).is_some_and(|observer| observer.recent.contains(&Some(message_id))))
    }

    pub(crate) fn remove(&mut self, id: ObserverId) -> Option<Observer> {
        let observer = self.by_id.remove(&id)?;
        self.by_token.remove(&(observer.peer, observer.token));
        Some(observer)
    }

    pub(crate) fn of(&self, peer: PeerIndex) -> impl Iterator<Item = ObserverId> {
        let from = self.by_token.range((peer, Token::EMPTY)..);
        from.take_while(move |((of, _), _)| *of == peer).map(|(_, id)| *id)
    }

    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time::from_millis(1_000_000);

    fn seen(sequence: u32) -> LastSeen {
        LastSeen { sequence, at: NOW }
    }

    #[test]
    fn a_later_number_is_newer_also_across_the_end_of_the_numbers() {
        assert!(seen(5).is_before(6, NOW));
        assert!(!seen(6).is_before(5, NOW));
        assert!(!seen(6).is_before(6, NOW));
        assert!(seen(SEQUENCE_MASK).is_before(0, NOW));
        assert!(!seen(0).is_before(SEQUENCE_MASK, NOW));
        assert!(!seen(0).is_before(1 << 23, NOW));
    }

    #[test]
    fn after_two_minutes_whatever_comes_is_newer() {
        assert!(!seen(6).is_before(5, NOW + REORDERING_MAX));
        assert!(seen(6).is_before(5, NOW + REORDERING_MAX + Duration::from_millis(1)));
    }

    #[test]
    fn an_observer_is_found_by_any_of_its_latest_notifications_and_by_its_token() {
        let mut observers = Observers::default();
        let (peer, id) = (PeerIndex::new(1), ObserverId::new(7));
        let key = BodyKey::new(crate::code::Method::Get, crate::options::OptionsView::default());
        let mut observer = Observer::new(NOW, peer, Token::EMPTY, key, BlockSize::MAX);
        for number in 0..=Observer::RECENT as u16 {
            observer.on_notified(MessageId::new(number));
        }
        observers.insert(id, observer);
        assert_eq!(observers.notified_by(peer, MessageId::new(0)), None);
        assert_eq!(observers.notified_by(peer, MessageId::new(1)), Some(id));
        assert_eq!(observers.notified_by(PeerIndex::new(0), MessageId::new(1)), None);
        assert_eq!(observers.find(peer, Token::EMPTY), Some(id));
        assert!(observers.remove(id).is_some() && observers.find(peer, Token::EMPTY).is_none());
    }

    #[test]
    fn an_observer_is_confirmed_once_a_day() {
        let key = BodyKey::new(crate::code::Method::Get, crate::options::OptionsView::default());
        let mut observer = Observer::new(NOW, PeerIndex::new(1), Token::EMPTY, key, BlockSize::MAX);
        assert!(!observer.must_confirm(NOW + Duration::from_secs(86_399)));
        assert!(observer.must_confirm(NOW + Duration::from_secs(86_400)));
        observer.on_confirmed(NOW + Duration::from_secs(86_400));
        assert!(!observer.must_confirm(NOW + Duration::from_secs(86_401)));
    }
}
