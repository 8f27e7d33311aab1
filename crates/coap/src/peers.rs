//! Who anything is remembered of.
//!
//! A peer's key may be large and may change, so every other table knows a peer by a small number. A
//! record is there while something refers to it, and no longer.

use std::hash::Hash;
use std::time::Duration;

use bugle_core::Time;
use hashbrown::HashTable;
use slab::Slab;

use crate::token::{Generator, MessageId};

/// Where a peer is in the endpoint's tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct PeerIndex(u32);

impl PeerIndex {
    pub(crate) const fn new(number: u32) -> Self {
        Self(number)
    }

    pub(crate) const fn index(self) -> usize {
        self.0 as usize
    }
}

#[derive(Debug)]
struct Record<P> {
    peer: P,
    /// Until when the ids counted from here must not be used for other messages.
    message_ids_until: Time,
    next_message_id: u16,
    /// Requests of the peer that are not answered.
    unanswered: u16,
}

#[derive(Debug)]
pub(crate) struct Peers<P> {
    places: HashTable<PeerIndex>,
    records: Slab<Record<P>>,
    hashing: Generator,
}

impl<P: Copy + Eq + Hash> Peers<P> {
    pub(crate) fn new(hashing: Generator) -> Self {
        Self { places: HashTable::new(), records: Slab::new(), hashing }
    }

    pub(crate) fn len(&self) -> usize {
        self.records.len()
    }

    pub(crate) fn find(&self, peer: P) -> Option<PeerIndex> {
        let records = &self.records;
        self.places.find(self.hashing.place(&peer), |index| records[index.index()].peer == peer).copied()
    }

    /// The record of a peer, a new one if there is none; none if there are `max` others.
    pub(crate) fn enter(&mut self, peer: P, max: usize) -> Option<PeerIndex> {
        if let Some(index) = self.find(peer) {
            return Some(index);
        }
        if self.records.len() >= max {
            return None;
        }
        let record = Record { peer, message_ids_until: Time::ZERO, next_message_id: 0, unanswered: 0 };
        let index = PeerIndex::new(u32::try_from(self.records.insert(record)).ok()?);
        self.place(index);
        Some(index)
    }

    pub(crate) fn peer(&self, index: PeerIndex) -> P {
        self.record(index).peer
    }

    /// Gives a peer another key.
    pub(crate) fn rename(&mut self, index: PeerIndex, peer: P) {
        self.displace(index);
        self.record_mut(index).peer = peer;
        self.place(index);
    }

    pub(crate) fn remove(&mut self, index: PeerIndex) {
        self.displace(index);
        self.records.remove(index.index());
    }

    /// An id for a message to a peer. The first is random (RFC 7252 §4.4); once all that were given out
    /// have had their lifetime, so is the next.
    pub(crate) fn draw_message_id(
        &mut self,
        now: Time,
        index: PeerIndex,
        lifetime: Duration,
        generator: &mut Generator,
    ) -> MessageId {
        let record = self.record_mut(index);
        if record.message_ids_until <= now {
            record.next_message_id = generator.up_to(u64::from(u16::MAX)) as u16;
        }
        record.message_ids_until = now + lifetime;
        record.next_message_id = record.next_message_id.wrapping_add(1);
        MessageId::drawn(record.next_message_id)
    }

    /// Until when the ids of messages to the peer must be remembered.
    pub(crate) fn message_ids_until(&self, index: PeerIndex) -> Time {
        self.record(index).message_ids_until
    }

    pub(crate) fn unanswered(&self, index: PeerIndex) -> usize {
        self.record(index).unanswered.into()
    }

    pub(crate) fn add_unanswered(&mut self, index: PeerIndex) {
        self.record_mut(index).unanswered += 1;
    }

    pub(crate) fn remove_unanswered(&mut self, index: PeerIndex) {
        self.record_mut(index).unanswered -= 1;
    }

    /// How many places there are, taken or not.
    pub(crate) fn places(&self) -> usize {
        self.records.capacity()
    }

    /// Who is in a place.
    pub(crate) fn at(&self, place: usize) -> Option<PeerIndex> {
        self.records.contains(place).then(|| u32::try_from(place).ok().map(PeerIndex)).flatten()
    }

    /// Gives back the memory of those that are gone, when all are.
    pub(crate) fn shrink(&mut self) {
        self.records.shrink_to_fit();
        self.places = HashTable::new();
    }

    fn record(&self, index: PeerIndex) -> &Record<P> {
        &self.records[index.index()]
    }

    fn record_mut(&mut self, index: PeerIndex) -> &mut Record<P> {
        &mut self.records[index.index()]
    }

    fn place(&mut self, index: PeerIndex) {
        let Self { places, records, hashing } = self;
        let hash = |index: &PeerIndex| hashing.place(&records[index.index()].peer);
        places.insert_unique(hash(&index), index, hash);
    }

    fn displace(&mut self, index: PeerIndex) {
        let hash = self.hashing.place(&self.record(index).peer);
        if let Ok(entry) = self.places.find_entry(hash, |other| *other == index) {
            entry.remove();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time::from_millis(1_000_000);
    const LIFETIME: Duration = Duration::from_secs(247);

    fn peers() -> Peers<u64> {
        Peers::new(Generator::new([9; 16]))
    }

    #[test]
    fn a_peer_keeps_its_place_when_its_key_changes() {
        let mut peers = peers();
        let index = peers.enter(7, 10).expect("room");
        peers.rename(index, 8);
        assert_eq!((peers.find(7), peers.find(8)), (None, Some(index)));
        peers.remove(index);
        assert_eq!((peers.find(8), peers.len()), (None, 0));
    }

    #[test]
    fn no_more_peers_are_taken_than_the_limit() {
        let mut peers = peers();
        assert!((0..3).all(|peer| peers.enter(peer, 3).is_some()));
        assert_eq!(peers.enter(3, 3), None);
        assert_eq!(peers.enter(2, 3), peers.find(2));
    }

    #[test]
    fn message_ids_count_on_from_a_random_start_while_any_is_in_use() {
        let mut peers = peers();
        let mut generator = Generator::new([4; 16]);
        let index = peers.enter(1, 10).expect("room");
        let first = peers.draw_message_id(NOW, index, LIFETIME, &mut generator);
        let later = NOW + (LIFETIME - Duration::from_millis(1));
        let second = peers.draw_message_id(later, index, LIFETIME, &mut generator);
        assert_eq!(second, MessageId::drawn(first.number().wrapping_add(1)));
        let other = peers.enter(2, 10).expect("room");
        let elsewhere = peers.draw_message_id(NOW, other, LIFETIME, &mut generator);
        let anew = peers.draw_message_id(later + LIFETIME, index, LIFETIME, &mut generator);
        assert!(elsewhere != first && anew != MessageId::drawn(second.number().wrapping_add(1)));
    }
}
