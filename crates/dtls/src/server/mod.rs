//! The server: datagrams and time in, datagrams and events out.

mod associations;
mod ending;
mod hello;
mod record;
mod resuming;

use std::collections::{BTreeSet, VecDeque};
use std::hash::Hash;

use bugle_core::Time;
use bugle_core::credential::PreSharedKey;

use self::associations::Associations;
use crate::client::seal_data;
use crate::config::{Config, ConnectionIdUse};
use crate::connection_id;
use crate::cookie::Cookies;
use crate::crypto::Generator;
use crate::event::{CloseReason, Event, Output, SendError};
use crate::wire::{ContentType, Fragment, MessageType, Reader, Records};

/// Finds the key of an identity. Where there is none, everything goes on under a key that nobody has, so that who
/// asks does not learn which identities there are.
pub(crate) type Keys<'k> = &'k dyn Fn(&[u8]) -> Option<PreSharedKey>;

/// What a server has seen that no event tells of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Datagrams with something in them that is no record, or a hello that cannot be read.
    pub malformed: u64,
    /// Records that belong to no session and no handshake, or to nothing that is expected.
    pub ignored: u64,
    /// Records that were not made with the keys of the session.
    pub forged: u64,
    /// Records that came again.
    pub replayed: u64,
    /// Hellos without a valid cookie, which were answered with one.
    pub cookies: u64,
    /// Hellos in fragments, which are not taken: they would have to be kept before the address is known to be true.
    pub fragmented_hellos: u64,
    /// Hellos that there was no room for. Their senders will send them again.
    pub refused: u64,
    /// Flights of handshakes that were sent again.
    pub retransmissions: u64,
    /// Handshakes that came to nothing because there is no key for the identity.
    pub unknown_identities: u64,
    /// Handshakes that came to nothing for any other reason.
    pub failed: u64,
    /// Peers that were recognised at another address.
    pub moved: u64,
}

/// How much a server holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Census {
    /// Sessions.
    pub sessions: usize,
    /// Handshakes under way.
    pub handshakes: usize,
}

/// DTLS 1.2 with all peers behind one socket.
///
/// `P` says which peer: its address.
#[derive(Debug)]
pub struct Server<P> {
    config: Config,
    generator: Generator,
    cookies: Cookies,
    associations: Associations<P>,
    census: Census,
    counters: Counters,
    /// When handshakes are due.
    timers: BTreeSet<(Time, u32)>,
    /// Sessions by when their peers were heard last, or some time before.
    idle: BTreeSet<(Time, u32)>,
    outputs: VecDeque<Output<P>>,
}

impl<P: Copy + Eq + Hash> Server<P> {
    /// A server that knows nobody. `seed` must be random, and another one at each start.
    #[must_use]
    pub fn new(config: Config, seed: [u8; 32]) -> Self {
        let mut generator = Generator::new(seed);
        Self {
            config,
            cookies: Cookies::new(generator.secret("cookies")),
            associations: Associations::new(generator.draw()),
            generator,
            census: Census::default(),
            counters: Counters::default(),
            timers: BTreeSet::new(),
            idle: BTreeSet::new(),
            outputs: VecDeque::new(),
        }
    }

    /// A datagram came from a peer. `keys` finds the key of an identity.
    pub fn handle_datagram(
        &mut self,
        now: Time,
        peer: P,
        datagram: &[u8],
        keys: impl Fn(&[u8]) -> Option<PreSharedKey>,
    ) {
        let ids_bytes = match self.config.connection_ids {
            ConnectionIdUse::Used => connection_id::OURS_BYTES,
            ConnectionIdUse::NotUsed => 0,
        };
        for record in Records::new(datagram, ids_bytes) {
            let Ok(record) = record else {
                self.counters.malformed += 1;
                return;
            };
            let hello = (record.epoch == 0 && record.content_type == ContentType::Handshake)
                .then(|| Fragment::read(&mut Reader::new(record.body)))
                .flatten()
                .filter(|fragment| fragment.message_type == MessageType::CLIENT_HELLO);
            match (hello, record.content_type) {
                (Some(hello), _) => self.on_hello(now, peer, &record, hello, &keys),
                (None, ContentType::ConnectionId) => self.on_identified(now, peer, &record, &keys),
                (None, _) => self.on_record(now, peer, &record, &keys),
            }
        }
    }

    /// Sends something to a peer.
    pub fn send(&mut self, peer: P, plaintext: &[u8]) -> Result<(), SendError> {
        let place = self.associations.find(peer).ok_or(SendError::NoSession)?;
        let association = self.associations.at_mut(place).ok_or(SendError::NoSession)?;
        let live = association.live.as_mut().ok_or(SendError::NoSession)?;
        let datagram = seal_data(&mut live.session, plaintext)?;
        self.outputs.push_back(Output::Transmit { peer, datagram });
        Ok(())
    }

    /// Ends the session with a peer, and a handshake, and tells the peer.
    pub fn close(&mut self, peer: P) {
        if let Some(place) = self.associations.find(peer) {
            self.drop_pending(place);
            self.end(place, CloseReason::ByCaller);
            self.associations.tidy(place);
        }
    }

    /// Ends everything that is not kept, and tells those who are awake, so that they begin anew at once when there is
    /// a server again.
    pub fn close_unkept(&mut self) {
        while let Some((_, place)) = self.timers.first().copied() {
            self.drop_pending(place);
            self.associations.tidy(place);
        }
        let is_unkept = |place: &u32| {
            let live = self.associations.at(*place).and_then(|association| association.live.as_ref());
            live.is_some_and(|live| !live.session.is_kept())
        };
        let unkept: Vec<u32> = self.idle.iter().map(|(_, place)| *place).filter(is_unkept).collect();
        for place in unkept {
            self.end(place, CloseReason::ByCaller);
            self.associations.tidy(place);
        }
    }

    /// Whether there is a session with the peer.
    #[must_use]
    pub fn is_established(&self, peer: P) -> bool {
        let association = self.associations.find(peer).and_then(|place| self.associations.at(place));
        association.is_some_and(|association| association.live.is_some())
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Time) {
        while let Some((_, place)) = self.timers.first().copied().filter(|(due, _)| *due <= now) {
            self.on_handshake_due(now, place);
        }
        while let Some(place) = self.idlest(Some(now)) {
            self.end(place, CloseReason::Idle);
            self.associations.tidy(place);
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) may have something to do next.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Time> {
        let handshake = self.timers.first().map(|(due, _)| *due);
        let idle = self.idle.first().map(|(listed, _)| *listed + self.config.limits.idle_after);
        handshake.into_iter().chain(idle).min()
    }

    /// What is to be sent, or has happened, next.
    pub fn poll_output(&mut self) -> Option<Output<P>> {
        self.outputs.pop_front()
    }

    /// What it has seen that no event tells of.
    #[must_use]
    pub const fn counters(&self) -> Counters {
        self.counters
    }

    /// How much it holds.
    #[must_use]
    pub const fn census(&self) -> Census {
        self.census
    }

    fn event(&mut self, event: Event<P>) {
        self.outputs.push_back(Output::Event(event));
    }

    fn transmit_all(&mut self, peer: P, datagrams: Vec<Vec<u8>>) {
        let transmits = datagrams.into_iter().map(|datagram| Output::Transmit { peer, datagram });
        self.outputs.extend(transmits);
    }
}
