//! DTLS under CoAP: who is at the other end is what the handshake has shown.
//!
//! A session is of one address, unless the client lets itself be recognised elsewhere (RFC 9146). One that
//! ends takes with it what was under way (RFC 7252 §9.1.1): the client is asked again at its next word, which
//! it says in a session of its own.

use std::collections::HashMap;

use bugle_coap::Datagram;
use bugle_core::Time;
use bugle_core::gateway::{Presented, TransportIdentity};
use bugle_dtls::{CloseReason, Event, Identity, KeepingKey, Output, SendError, Server};

use super::keeping::Keeping;
use super::peer::{Peer, Security};
use crate::edge::{self, Edge};

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
    /// Who is at the other end of each session.
    pub(super) identities: HashMap<Peer, TransportIdentity>,
    pub(super) keeping: Keeping,
}

impl From<Dtls> for Secured {
    fn from(dtls: Dtls) -> Self {
        Self {
            server: Server::new(dtls.config, dtls.seed),
            identities: HashMap::new(),
            keeping: Keeping::new(dtls.keeping_key),
        }
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

    /// A client is elsewhere now: what there was with it at its former address ends.
    pub(super) fn leave_behind(&mut self, now: Time, former: Peer) {
        self.lwm2m.endpoint.forget(now, former);
        if let Some(secured) = &mut self.lwm2m.secured {
            secured.server.close(former);
        }
    }

    /// Tells every peer whose session is not kept that it ends, so that it begins another where the gateway comes
    /// back.
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
            secured.keeping.forget(peer);
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
