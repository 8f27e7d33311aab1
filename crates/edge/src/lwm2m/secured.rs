//! DTLS under CoAP: who is at the other end is what the handshake has shown.
//!
//! A session is of one address, unless the client lets itself be recognised elsewhere (RFC 9146). One that
//! ends takes with it what was under way (RFC 7252 §9.1.1): the client is asked again at its next word, which
//! it says in a session of its own.
//!
//! The session of a registered client is kept with the client, and goes on after a restart. So that no record
//! number is used twice, it must be kept anew at times; what is to be sent meanwhile is held back until that is
//! durable.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::collections::hash_map::Entry;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bugle_coap::Datagram;
use bugle_core::Time;
use bugle_core::gateway::{Presented, Slot, TransportIdentity};
use bugle_dtls::{CloseReason, Event, Identity, KeepingKey, Kept, KeptSession, Output, SendError, Server};
use serde::{Deserialize, Serialize};

use super::client::{Client, StoredClient};
use super::peer::{Peer, Security};
use crate::edge::{self, Edge};

/// Datagrams that are held back for one peer; those that come on top are lost, as any may be.
const HELD_BACK_MAX: usize = 16;

/// DTLS for the gateway's peripherals.
#[derive(Debug, Clone)]
pub struct Dtls {
    /// How it behaves.
    pub config: bugle_dtls::Config,
    /// What all that must not be guessed is drawn from: random, and another at each start.
    pub seed: [u8; 32],
    /// What sessions are kept under: the same at each start, but not where the store is put back from a copy.
    pub keeping_key: KeepingKey,
}

#[derive(Debug)]
pub(crate) struct Secured {
    pub(super) server: Server<Peer>,
    keeping_key: KeepingKey,
    /// Who is at the other end of each session.
    identities: HashMap<Peer, TransportIdentity>,
    /// Whose datagrams are held back, by the token that the gateway's machine hands back.
    keepings: HashMap<u64, Peer>,
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

impl From<Dtls> for Secured {
    fn from(dtls: Dtls) -> Self {
        Self {
            server: Server::new(dtls.config, dtls.seed),
            keeping_key: dtls.keeping_key,
            identities: HashMap::new(),
            keepings: HashMap::new(),
            held_back: HashMap::new(),
        }
    }
}

impl Secured {
    /// What is kept of the session with a peer, and the mark that it is confirmed by.
    pub(super) fn keep(&mut self, peer: Peer) -> Option<(StoredSession, u64)> {
        let identity = self.identities.get(&peer)?.clone();
        let Kept { sealed, mark } = self.server.keep(peer, &self.keeping_key)?;
        Some((StoredSession { sealed: STANDARD.encode(sealed), identity }, mark))
    }
}

impl Edge {
    pub(super) fn handle_secured(&mut self, now: Time, peer: Peer, datagram: &[u8]) {
        let Some(secured) = &mut self.lwm2m.secured else { return };
        let gateway = &self.gateway;
        let key = |identity: &[u8]| gateway.pre_shared_key(std::str::from_utf8(identity).ok()?).cloned();
        secured.server.handle_datagram(now, peer, datagram, key);
    }

    /// Sends what CoAP has to say to a peer. Without a session it says nothing: the client has to begin one.
    pub(super) fn send_to(&mut self, peer: Peer, datagram: Datagram) {
        match peer.socket().security {
            Security::Plain => self.outputs.push_back(edge::Output::Datagram { peer, datagram }),
            Security::Dtls => {
                let sent = self.lwm2m.secured.as_mut().map(|secured| secured.server.send(peer, &datagram));
                match sent {
                    Some(Ok(())) => {}
                    Some(Err(SendError::MustBeKept)) => self.hold_back(peer, datagram),
                    _ => self.counters.datagrams_unsent += 1,
                }
            }
        }
    }

    /// Has a session kept anew, and a datagram wait for that.
    fn hold_back(&mut self, peer: Peer, datagram: Datagram) {
        let held_back = self.lwm2m.secured.as_mut().and_then(|secured| secured.held_back.get_mut(&peer));
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
            let held_back = secured.held_back.remove(&peer);
            let datagrams = held_back.map(|held_back| held_back.datagrams).unwrap_or_default();
            self.hold_back_until_durable(slot, peer, None, datagrams);
        }
    }

    fn hold_back_until_durable(&mut self, slot: Slot, peer: Peer, mark: Option<u64>, datagrams: Vec<Datagram>) {
        let token = self.lwm2m.next_number();
        let Some(secured) = &mut self.lwm2m.secured else { return };
        secured.keepings.insert(token, peer);
        secured.held_back.insert(peer, HeldBack { token, mark, datagrams });
        self.gateway.confirm(slot, token);
    }

    /// A session was kept anew, or is kept no more, and that is durable: what waited for it is sent.
    pub(super) fn on_session_kept(&mut self, token: u64) {
        let Some(secured) = &mut self.lwm2m.secured else { return };
        let Some(peer) = secured.keepings.remove(&token) else { return };
        let Entry::Occupied(held_back) = secured.held_back.entry(peer) else { return };
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
        let Secured { server, identities, keeping_key, .. } = secured;
        let stored = clients.into_iter().filter_map(|client| {
            let StoredSession { sealed, identity } = client.session()?;
            let session = KeptSession::open(keeping_key, &STANDARD.decode(sealed).ok()?)?;
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

    /// A client is elsewhere now: what there was with it at its former address ends.
    pub(super) fn leave_behind(&mut self, now: Time, former: Peer) {
        self.lwm2m.endpoint.forget(now, former);
        if let Some(secured) = &mut self.lwm2m.secured {
            secured.server.close(former);
        }
    }

    /// Tells every peer whose session is not kept that it ends, so that it begins another where the gateway comes back.
    pub(crate) fn end_sessions(&mut self) {
        if let Some(secured) = &mut self.lwm2m.secured {
            secured.server.close_unkept();
        }
    }

    /// Whether anything can be sent to a peer.
    pub(super) fn is_reachable(&self, peer: Peer) -> bool {
        match peer.socket().security {
            Security::Plain => true,
            Security::Dtls => self.lwm2m.secured.as_ref().is_some_and(|secured| secured.server.is_established(peer)),
        }
    }

    /// What shows who is at the other end.
    pub(super) fn presented_by(&self, peer: Peer) -> Presented {
        let identities = self.lwm2m.secured.as_ref().map(|secured| &secured.identities);
        let transport = identities.and_then(|identities| identities.get(&peer)).cloned();
        Presented { transport, ..Presented::default() }
    }

    /// Carries out the next thing that DTLS has for the edge. Whether there was one.
    pub(super) fn step_secured(&mut self, now: Time) -> bool {
        let Some(output) = self.lwm2m.secured.as_mut().and_then(|secured| secured.server.poll_output()) else {
            return false;
        };
        match output {
            Output::Transmit { peer, datagram } => {
                let datagram = Datagram::new(&datagram);
                self.outputs.push_back(edge::Output::Datagram { peer, datagram });
            }
            Output::Event(event) => self.on_dtls(now, event),
        }
        true
    }

    fn on_dtls(&mut self, now: Time, event: Event<Peer>) {
        match event {
            Event::Established { peer, identity } => self.on_established(peer, identity),
            Event::Received { peer, plaintext } => self.lwm2m.endpoint.handle_datagram(now, peer, &plaintext),
            Event::Moved { from, to } => self.on_moved(now, from, to),
            Event::Closed { peer, reason } => self.on_session_over(now, peer, reason),
            Event::HandshakeFailed { .. } => self.counters.handshakes_failed += 1,
        }
    }

    fn on_established(&mut self, peer: Peer, identity: Identity) {
        let identity = match identity {
            Identity::PreSharedKey { identity, key } => {
                TransportIdentity::PreSharedKey { identity: String::from_utf8_lossy(&identity).into_owned(), key }
            }
            Identity::Certificate(chain) => TransportIdentity::Certificate(chain),
        };
        if let Some(secured) = &mut self.lwm2m.secured {
            secured.identities.insert(peer, identity);
        }
        // Somebody else may have been at this address before.
        if let Some(slot) = self.lwm2m.clients.at(peer)
            && !self.gateway.has_presented(slot, &self.presented_by(peer))
        {
            self.vacate(peer);
        }
    }

    fn on_session_over(&mut self, now: Time, peer: Peer, reason: CloseReason) {
        if let Some(secured) = &mut self.lwm2m.secured {
            secured.identities.remove(&peer);
        }
        self.lwm2m.endpoint.forget(now, peer);
        // The session that replaces it is kept at the client's next word.
        if reason != CloseReason::Replaced
            && let Some(slot) = self.lwm2m.clients.at(peer)
        {
            self.keep_client(slot);
        }
    }

    /// The session goes on from another address, and all that is under way with it.
    fn on_moved(&mut self, now: Time, from: Peer, to: Peer) {
        if let Some(secured) = &mut self.lwm2m.secured
            && let Some(identity) = secured.identities.remove(&from)
        {
            secured.identities.insert(to, identity);
        }
        self.lwm2m.endpoint.peer_moved(now, from, to);
        if let Some(slot) = self.lwm2m.clients.at(from) {
            self.lwm2m.clients.relocate(slot, to);
            self.keep_client(slot);
        }
    }
}
