//! All peers of a server: by their place, and by their address.

use std::hash::{Hash, Hasher};

use hashbrown::HashTable;
use siphasher::sip::SipHasher13;
use slab::Slab;

use bugle_core::Time;

use crate::handshake::{Farewell, ServerHandshake};
use crate::session::Session;

/// What there is with one peer: a session, a handshake, or both while the second is to replace the first.
#[derive(Debug)]
pub(super) struct Association<P> {
    pub(super) peer: P,
    pub(super) live: Option<Live>,
    pub(super) pending: Option<Pending>,
}

/// A session that is in use.
#[derive(Debug)]
pub(super) struct Live {
    pub(super) session: Session,
    /// None in one that was kept: what its peer has sent since shows that it has it.
    pub(super) farewell: Option<Farewell>,
    /// Which ClientHello it began with, so that this one coming late begins nothing.
    pub(super) hello: u64,
    /// When the peer was heard last.
    pub(super) heard: Time,
    /// Under which time it stands among the idle.
    pub(super) listed: Time,
}

impl Live {
    pub(super) const fn begin(now: Time, session: Session, farewell: Option<Farewell>, hello: u64) -> Self {
        Self { session, farewell, hello, heard: now, listed: now }
    }
}

/// A handshake under way.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) handshake: Box<ServerHandshake>,
    pub(super) hello: u64,
    /// Under which time it stands among the timers.
    pub(super) due: Time,
}

/// All associations.
#[derive(Debug)]
pub(super) struct Associations<P> {
    all: Slab<Association<P>>,
    by_peer: HashTable<u32>,
    hash_key: [u8; 16],
}

impl<P: Copy + Eq + Hash> Associations<P> {
    /// Whoever does not know the key cannot choose addresses that are all in one place of the table.
    pub(super) fn new(hash_key: [u8; 16]) -> Self {
        Self { all: Slab::new(), by_peer: HashTable::new(), hash_key }
    }

    pub(super) fn find(&self, peer: P) -> Option<u32> {
        self.by_peer.find(self.hash(&peer), |place| self.all[*place as usize].peer == peer).copied()
    }

    /// Where the next one that enters will be.
    pub(super) fn next_place(&self) -> u32 {
        u32::try_from(self.all.vacant_key()).expect("there are fewer associations than the limits allow")
    }

    pub(super) fn enter(&mut self, peer: P) -> u32 {
        let place = self.next_place();
        self.all.insert(Association { peer, live: None, pending: None });
        self.index(place);
        place
    }

    /// Enters peers at places of their own, where there is nobody yet at all.
    pub(super) fn enter_at(&mut self, peers: impl IntoIterator<Item = (u32, P)>) {
        let association = |peer| Association { peer, live: None, pending: None };
        self.all = peers.into_iter().map(|(place, peer)| (place as usize, association(peer))).collect();
        let places: Vec<usize> = self.all.iter().map(|(place, _)| place).collect();
        places.into_iter().for_each(|place| self.index(place as u32));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    pub(super) fn at(&self, place: u32) -> Option<&Association<P>> {
        self.all.get(place as usize)
    }

    pub(super) fn at_mut(&mut self, place: u32) -> Option<&mut Association<P>> {
        self.all.get_mut(place as usize)
    }

    /// The peer of a place has another address, where nobody is.
    pub(super) fn rename(&mut self, place: u32, peer: P) {
        self.unindex(place);
        self.all[place as usize].peer = peer;
        self.index(place);
    }

    /// Forgets a place where there is neither session nor handshake.
    pub(super) fn tidy(&mut self, place: u32) {
        let is_empty = self.at(place).is_some_and(|at| at.live.is_none() && at.pending.is_none());
        if is_empty {
            self.unindex(place);
            self.all.remove(place as usize);
        }
    }

    fn index(&mut self, place: u32) {
        let Self { all, by_peer, hash_key } = self;
        let hash = |place: &u32| hash(hash_key, &all[*place as usize].peer);
        by_peer.insert_unique(hash(&place), place, hash);
    }

    fn unindex(&mut self, place: u32) {
        let hash = self.hash(&self.all[place as usize].peer);
        if let Ok(entry) = self.by_peer.find_entry(hash, |other| *other == place) {
            entry.remove();
        }
    }

    fn hash(&self, peer: &P) -> u64 {
        hash(&self.hash_key, peer)
    }
}

fn hash<P: Hash>(key: &[u8; 16], peer: &P) -> u64 {
    let mut hasher = SipHasher13::new_with_key(key);
    peer.hash(&mut hasher);
    hasher.finish()
}
