//! Sessions of DTLS that outlive the process.
//!
//! 1. The session of a registered client is stored with the client: `keep_client`.
//! 2. So that no record number is used twice, it must be kept anew at times; what is to be sent meanwhile is held back
//!    until that is durable: `hold_back`, `on_session_kept`.
//! 3. After a restart it goes on: `resume_sessions`.
//! 4. When the registration is over, durably, it is as one that was never kept: `release_session`.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::collections::hash_map::Entry;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bugle_coap::Datagram;
use bugle_core::gateway::{Slot, TransportIdentity};
use bugle_core::{NumberMap, Time};
use bugle_dtls::{KeepingKey, Kept, KeptSession};
use serde::{Deserialize, Serialize};

use super::client::{Client, StoredClient};
use super::peer::{Peer, Security};
use super::secured::Secured;
use crate::edge::Edge;

/// Datagrams that are held back for one peer; those that come on top are lost, as any may be.
const HELD_BACK_MAX: usize = 16;

/// What is kept, and what waits for it.
#[derive(Debug)]
pub(super) struct Keeping {
    key: KeepingKey,
    /// Whose datagrams are held back, by the token that the gateway's machine hands back.
    waiting: NumberMap<u64, Peer>,
    held_back: HashMap<Peer, HeldBack>,
}

/// What waits for a session to be kept anew, or kept no more.
#[derive(Debug)]
struct HeldBack {
    /// What the gateway's machine hands back then.
    token: u64,
    /// Of what is kept; none if it is kept no more.
    mark: Option<u64>,
    datagrams: Vec<Datagram>,
}

/// What outlives a restart of the session with a client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct StoredSession {
    /// As DTLS keeps it, in base 64.
    sealed: String,
    identity: TransportIdentity,
}

impl Keeping {
    pub(super) fn new(key: KeepingKey) -> Self {
        Self { key, waiting: NumberMap::default(), held_back: HashMap::new() }
    }

    /// The session with a peer is over, and what is held back for it lost.
    pub(super) fn forget(&mut self, peer: Peer) {
        self.held_back.remove(&peer);
    }
}

impl Secured {
    /// What is kept of the session with a peer, and the mark that it is confirmed by.
    pub(super) fn keep(&mut self, peer: Peer) -> Option<(StoredSession, u64)> {
        let identity = self.identities.get(&peer)?.clone();
        let Kept { sealed, mark } = self.server.keep(peer, &self.keeping.key)?;
        Some((StoredSession { sealed: STANDARD.encode(sealed), identity }, mark))
    }
}

impl Edge {
    /// Keeps what must outlive a restart of a client, with its session of DTLS: returns the mark that this is
    /// confirmed by.
    pub(super) fn keep_client(&mut self, slot: Slot) -> Option<u64> {
        let client = self.lwm2m.clients.get(slot)?;
        // Somebody else may be at its address by now.
        let is_there = self.lwm2m.clients.at(client.peer) == Some(slot);
        let secured = self.lwm2m.secured.as_mut().filter(|_| is_there);
        let (session, mark) = secured.and_then(|secured| secured.keep(client.peer)).unzip();
        self.gateway.keep_session(slot, client.store(session).encode());
        mark
    }

    /// Has a session kept anew, and a datagram wait for that.
    pub(super) fn hold_back(&mut self, peer: Peer, datagram: Datagram) {
        let held_back = self.lwm2m.secured.as_mut().and_then(|secured| secured.keeping.held_back.get_mut(&peer));
        if let Some(HeldBack { datagrams, .. }) = held_back {
            if datagrams.len() < HELD_BACK_MAX {
                datagrams.push(datagram);
            } else {
                self.counters.datagrams_unsent += 1;
            }
            return;
        }
        let Some(slot) = self.lwm2m.clients.at(peer) else {
            // Who was never registered in this session cannot come here, and who was is released.
            self.counters.datagrams_unsent += 1;
            return;
        };
        if let Some(mark) = self.keep_client(slot) {
            self.hold_back_until_durable(slot, peer, Some(mark), vec![datagram]);
        }
    }

    /// A client is registered no more: once that is durable its session is as one that was never kept, unless somebody
    /// has registered in it since.
    pub(crate) fn release_session(&mut self, slot: Slot, client: &Client) {
        let peer = client.peer;
        let Some(secured) = &mut self.lwm2m.secured else { return };
        if secured.server.is_kept(peer) && self.lwm2m.clients.at(peer).is_none() {
            let held_back = secured.keeping.held_back.remove(&peer);
            let datagrams = held_back.map(|held_back| held_back.datagrams).unwrap_or_default();
            self.hold_back_until_durable(slot, peer, None, datagrams);
        }
    }

    fn hold_back_until_durable(&mut self, slot: Slot, peer: Peer, mark: Option<u64>, datagrams: Vec<Datagram>) {
        let token = self.lwm2m.next_number();
        let Some(secured) = &mut self.lwm2m.secured else { return };
        secured.keeping.waiting.insert(token, peer);
        secured.keeping.held_back.insert(peer, HeldBack { token, mark, datagrams });
        self.gateway.confirm(slot, token);
    }

    /// A session was kept anew, or is kept no more, and that is durable: what waited for it is sent.
    pub(super) fn on_session_kept(&mut self, token: u64) {
        let Some(secured) = &mut self.lwm2m.secured else { return };
        let Some(peer) = secured.keeping.waiting.remove(&token) else { return };
        let Entry::Occupied(held_back) = secured.keeping.held_back.entry(peer) else { return };
        if held_back.get().token != token {
            return;
        }
        let HeldBack { mark, datagrams, .. } = held_back.remove();
        match mark {
            Some(mark) => secured.server.confirm_kept(peer, mark),
            None if self.lwm2m.clients.at(peer).is_none() => secured.server.release(peer),
            None => {}
        }
        datagrams.into_iter().for_each(|datagram| self.send_to(peer, datagram));
    }

    /// Whoever was at an address is there no more, and keeps its registration, but no session that is another's now.
    pub(super) fn vacate(&mut self, peer: Peer) {
        if let Some(slot) = self.lwm2m.clients.at(peer) {
            self.lwm2m.clients.vacate(peer);
            if peer.socket().security == Security::Dtls {
                self.keep_client(slot);
            }
        }
    }

    /// Whether there is a session with a peer that a restart would end.
    pub(super) fn has_unkept_session(&self, peer: Peer) -> bool {
        self.lwm2m
            .secured
            .as_ref()
            .is_some_and(|secured| secured.server.is_established(peer) && !secured.server.is_kept(peer))
    }

    /// After a restart: the sessions of these clients go on.
    pub(crate) fn resume_sessions<'c>(&mut self, now: Time, clients: impl IntoIterator<Item = &'c StoredClient>) {
        let Some(secured) = &mut self.lwm2m.secured else { return };
        let Secured { server, identities, keeping } = secured;
        let stored = clients.into_iter().filter_map(|client| {
            let StoredSession { sealed, identity } = client.session()?;
            let session = KeptSession::open(&keeping.key, &STANDARD.decode(sealed).ok()?)?;
            Some((client.peer(), session, identity))
        });
        let mut stored: Vec<_> = stored.collect();
        // Two clients may have registered in one session, where they are to show the same certificate.
        stored.sort_by_key(|(_, session, _)| Reverse(session.mark()));
        let sessions = stored.into_iter().filter_map(|(peer, session, identity)| {
            let Entry::Vacant(vacant) = identities.entry(peer) else { return None };
            vacant.insert(identity.clone());
            Some((peer, session))
        });
        server.resume(now, sessions);
        identities.retain(|peer, _| server.is_established(*peer));
    }
}
