//! The registered LwM2M clients, by slot and by peer. There are many: in few bytes.

use std::hash::{BuildHasher, RandomState};

use bugle_core::gateway::Slot;
use bugle_lwm2m::registration::{Models, Update};
use hashbrown::HashTable;

use super::client::Client;
use super::peer::Peer;

/// The clients, by slot and by peer.
#[derive(Debug, Default)]
pub(super) struct Clients {
    by_slot: Slots,
    by_peer: Places,
    models: Models,
}

impl Clients {
    pub(super) fn get(&self, slot: Slot) -> Option<&Client> {
        self.by_slot.get(slot)
    }

    pub(super) fn get_mut(&mut self, slot: Slot) -> Option<&mut Client> {
        self.by_slot.get_mut(slot)
    }

    pub(super) fn at(&self, peer: Peer) -> Option<Slot> {
        self.by_peer.at(&self.by_slot, peer)
    }

    pub(super) fn len(&self) -> usize {
        self.by_slot.taken
    }

    /// Enters a client in place of the one that was there. Whoever was at its address before is there no
    /// more, and keeps its registration all the same.
    pub(super) fn insert(&mut self, slot: Slot, mut client: Client) -> Option<Client> {
        client.registration.share(&mut self.models);
        self.by_peer.leave(&self.by_slot, slot);
        let former = self.by_slot.insert(slot, client);
        self.by_peer.enter(&self.by_slot, slot);
        former
    }

    /// Enters a client that is not where it was last.
    pub(super) fn insert_away(&mut self, slot: Slot, mut client: Client) {
        client.registration.share(&mut self.models);
        self.by_slot.insert(slot, client);
    }

    /// A client says something else of itself.
    pub(super) fn update(&mut self, slot: Slot, update: Update) {
        if let Some(client) = self.by_slot.get_mut(slot) {
            client.registration.apply(update);
            client.registration.share(&mut self.models);
        }
    }

    /// A client is at another address. Returns the former, if it is the client's no longer.
    pub(super) fn relocate(&mut self, slot: Slot, peer: Peer) -> Option<Peer> {
        let was_there = self.by_peer.leave(&self.by_slot, slot);
        let former = std::mem::replace(&mut self.by_slot.get_mut(slot)?.peer, peer);
        self.by_peer.enter(&self.by_slot, slot);
        (was_there && former != peer).then_some(former)
    }

    /// Nobody is at this address any more; whoever was keeps its registration.
    pub(super) fn vacate(&mut self, peer: Peer) {
        self.by_peer.vacate(&self.by_slot, peer);
    }

    pub(super) fn remove(&mut self, slot: Slot) -> Option<Client> {
        self.by_peer.leave(&self.by_slot, slot);
        self.by_slot.remove(slot)
    }
}

/// The clients by slot. Slots are given out from nought, so that few places are empty.
#[derive(Debug, Default)]
struct Slots {
    places: Vec<Option<Box<Client>>>,
    taken: usize,
}

impl Slots {
    fn get(&self, slot: Slot) -> Option<&Client> {
        self.places.get(slot.number() as usize)?.as_deref()
    }

    fn get_mut(&mut self, slot: Slot) -> Option<&mut Client> {
        self.places.get_mut(slot.number() as usize)?.as_deref_mut()
    }

    /// Where the client in a slot is that is known to be there.
    fn peer(&self, slot: Slot) -> Peer {
        self.get(slot).expect("who is at a peer is in a slot").peer
    }

    fn insert(&mut self, slot: Slot, client: Client) -> Option<Client> {
        let place = slot.number() as usize;
        if place >= self.places.len() {
            self.places.resize_with(place + 1, || None);
        }
        let former = self.places[place].replace(Box::new(client));
        self.taken += usize::from(former.is_none());
        former.map(|former| *former)
    }

    fn remove(&mut self, slot: Slot) -> Option<Client> {
        let former = self.places.get_mut(slot.number() as usize)?.take()?;
        self.taken -= 1;
        Some(*former)
    }
}

/// Who is at which peer. There are many: so only slots are kept, and the client in a slot says where it is.
#[derive(Debug, Default)]
struct Places {
    slots: HashTable<Slot>,
    hashing: RandomState,
}

impl Places {
    fn at(&self, clients: &Slots, peer: Peer) -> Option<Slot> {
        let is_there = |slot: &Slot| clients.peer(*slot) == peer;
        self.slots.find(self.hashing.hash_one(peer), is_there).copied()
    }

    /// The client in `slot` is at its peer, and whoever was there is there no more.
    fn enter(&mut self, clients: &Slots, slot: Slot) {
        let peer = clients.peer(slot);
        self.vacate(clients, peer);
        let hash_of = |slot: &Slot| self.hashing.hash_one(clients.peer(*slot));
        self.slots.insert_unique(hash_of(&slot), slot, hash_of);
    }

    /// The client in `slot` is no longer where it was. Whether it was there, and not somebody else.
    fn leave(&mut self, clients: &Slots, slot: Slot) -> bool {
        let Some(client) = clients.get(slot) else { return false };
        let entry = self.slots.find_entry(self.hashing.hash_one(client.peer), |there| *there == slot);
        entry.map(|entry| entry.remove()).is_ok()
    }

    fn vacate(&mut self, clients: &Slots, peer: Peer) {
        let is_there = |slot: &Slot| clients.peer(*slot) == peer;
        if let Ok(entry) = self.slots.find_entry(self.hashing.hash_one(peer), is_there) {
            entry.remove();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::client::tests::client;
    use super::*;

    #[test]
    fn whoever_takes_an_address_leaves_the_former_its_registration() {
        let mut clients = Clients::default();
        let (a, b) = (Slot::new(1), Slot::new(2));
        let at = |address: &str| client(address, "lt=60", "");
        clients.insert(a, at("127.0.0.1:1"));
        clients.insert(b, at("127.0.0.1:1"));
        let peer = at("127.0.0.1:1").peer;
        assert_eq!((clients.at(peer), clients.len()), (Some(b), 2));
        assert_eq!(clients.relocate(a, at("127.0.0.1:2").peer), None);
        assert_eq!((clients.at(peer), clients.at(at("127.0.0.1:2").peer)), (Some(b), Some(a)));
        assert_eq!(clients.relocate(b, at("127.0.0.1:3").peer), Some(peer));
        assert!(clients.remove(b).is_some());
        assert_eq!(clients.at(at("127.0.0.1:3").peer), None);
    }
}
