//! Sessions that outlive the process.
//!
//! ```text
//!   this process                                the caller's store         the next process
//!   keep() ── Kept ────────────────────────────▶ durable ────────────────▶ resume()
//!   confirm_kept() ◀──────────────────────────── is durable
//! ```
//!
//! A peer notices nothing: its keys are good, and its connection id is. What it sent while there was nobody is lost,
//! as datagrams are. What the next process cannot know is which records were taken after a session was kept: one of
//! those that somebody recorded is taken once more. RFC 6347 §3.3 leaves it to the receiver whether records that come
//! again are taken, and CoAP lives with it.

use std::collections::{BTreeMap, HashSet};
use std::hash::Hash;

use bugle_core::Time;

use super::Server;
use super::associations::Live;
use crate::config::ConnectionIdUse;
use crate::connection_id::ConnectionId;
use crate::kept::{KeepingKey, Kept, KeptSession};
use crate::session::Session;

impl<P: Copy + Eq + Hash> Server<P> {
    /// What another server needs to go on with the session of a peer, under a key that it must have too; none if there
    /// is no session.
    ///
    /// From now on so much is sent that is safe with what was kept before. Then [`send`](Self::send) wants it kept
    /// anew, and [`confirm_kept`](Self::confirm_kept) told when that is durable.
    pub fn keep(&mut self, peer: P, key: &KeepingKey) -> Option<Kept> {
        let kept = self.session_mut(peer)?.keep();
        Some(kept.seal(key, self.generator.draw()))
    }

    /// What was kept of the session of a peer, with this [mark](Kept::mark), is durable.
    pub fn confirm_kept(&mut self, peer: P, mark: u64) {
        if let Some(session) = self.session_mut(peer) {
            session.confirm_kept(mark);
        }
    }

    /// All that was kept of the session of a peer is gone, and that is durable: it sends without being kept anew.
    pub fn release(&mut self, peer: P) {
        if let Some(session) = self.session_mut(peer) {
            session.release();
        }
    }

    /// Whether the session with a peer, if there is one, was kept.
    #[must_use]
    pub fn is_kept(&self, peer: P) -> bool {
        let association = self.associations.find(peer).and_then(|place| self.associations.at(place));
        association.and_then(|association| association.live.as_ref()).is_some_and(|live| live.session.is_kept())
    }

    /// Goes on with sessions that were kept. Those that the configuration does not allow any more, or has no room for,
    /// are left out: their peers will shake hands. Of several at one address, or under one connection id, the first goes
    /// on: it must be the one with the highest [mark](KeptSession::mark), since the numbers up to that may be used.
    ///
    /// # Panics
    /// If there was anybody before.
    pub fn resume(&mut self, now: Time, sessions: impl IntoIterator<Item = (P, KeptSession)>) {
        assert!(self.associations.is_empty(), "sessions are resumed before there are others");
        let mut peers = HashSet::new();
        let allowed = sessions.into_iter().filter(|(peer, kept)| self.allows(kept) && peers.insert(*peer));
        let (mut by_place, mut elsewhere) = (BTreeMap::new(), Vec::new());
        for (peer, kept) in allowed.take(self.config.limits.sessions_max) {
            // A connection id says where its association is kept.
            match kept.ours.map(|id| id.at()) {
                Some(place) => drop(by_place.entry(place).or_insert((peer, kept))),
                None => elsewhere.push((peer, kept)),
            }
        }
        self.associations.enter_at(by_place.iter().map(|(place, (peer, _))| (*place, *peer)));
        for (peer, kept) in elsewhere {
            by_place.insert(self.associations.enter(peer), (peer, kept));
        }
        for (place, (_, kept)) in by_place {
            let association = self.associations.at_mut(place).expect("it was entered");
            association.live = Some(Live::begin(now, Session::resume(kept), None, 0));
            self.census.sessions += 1;
            self.idle.insert((now, place));
        }
    }

    fn allows(&self, kept: &KeptSession) -> bool {
        let limits = self.config.limits;
        let is_in_place = |id: ConnectionId| (id.at() as usize) < limits.sessions_max + limits.handshakes_max;
        let may_be_identified = self.config.connection_ids == ConnectionIdUse::Used;
        self.config.suites.iter().any(|suite| suite.aead() == kept.aead)
            && kept.ours.is_none_or(|id| may_be_identified && is_in_place(id))
    }

    fn session_mut(&mut self, peer: P) -> Option<&mut Session> {
        let place = self.associations.find(peer)?;
        Some(&mut self.associations.at_mut(place)?.live.as_mut()?.session)
    }
}
