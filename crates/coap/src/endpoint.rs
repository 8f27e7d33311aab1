//! The endpoint: datagrams and time in, datagrams and events out.

use std::collections::VecDeque;
use std::hash::Hash;
use std::time::Duration;

use bugle_core::{NumberMap, Time};

use crate::block::{BlockSize, Bodies, Uploads};
use crate::code::Code;
use crate::datagram::Datagram;
use crate::deduplication::Remembered;
use crate::event::{Departure, Event, ExchangeId, Failure, Output, RequestHandle};
use crate::exchange::{Incoming, Lanes, Outgoing};
use crate::limits::Limits;
use crate::message::{DecodeError, Message, MessageType};
use crate::observe::{Observations, Observers};
use crate::peers::{PeerIndex, Peers};
use crate::retransmission::Transmission;
use crate::sweep::Sweep;
use crate::timers::{Timer, Timers};
use crate::token::{Generator, MessageId, Token};

/// How an endpoint behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Config {
    /// When messages are sent again.
    pub transmission: Transmission,
    /// How much is held.
    pub limits: Limits,
    /// The largest block that goes out, and that is asked for.
    pub block_size: BlockSize,
    /// How long the response to a request is waited for once the request has arrived. By default as long as anybody
    /// waits for the arrival: whoever has died since will not say so.
    pub response_timeout: Duration,
}

impl Default for Config {
    fn default() -> Self {
        let transmission = Transmission::default();
        Self {
            transmission,
            limits: Limits::default(),
            block_size: BlockSize::MAX,
            response_timeout: transmission.transmit_wait(),
        }
    }
}

/// What an endpoint has seen that no event tells of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Datagrams that were no messages, or malformed ones.
    pub malformed: u64,
    /// Messages that matched nothing.
    pub ignored: u64,
    /// Messages that were answered with a reset, or refused for an option.
    pub rejected: u64,
    /// Messages that came again.
    pub duplicates: u64,
    /// Messages that there was no room for. Their senders will send them again.
    pub dropped: u64,
    /// Messages that this endpoint sent again.
    pub retransmissions: u64,
    /// Notifications that came after newer ones.
    pub notifications_stale: u64,
    /// Notifications of which the rest could not be fetched.
    pub notifications_lost: u64,
}

/// How much an endpoint holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Census {
    /// Peers of which anything is remembered.
    pub peers: usize,
    /// Messages that are remembered to recognise duplicates.
    pub remembered: usize,
    /// Exchanges that this endpoint began.
    pub exchanges: usize,
    /// Requests of peers that are not answered.
    pub unanswered: usize,
    /// Resources of ours that are observed.
    pub observers: usize,
    /// Resources of peers that we observe.
    pub observations: usize,
    /// Bytes of bodies that are on their way to or from us.
    pub body_bytes: usize,
}

/// CoAP with all peers behind one socket, in both roles.
///
/// `P` says which peer: an address, or the handle of a DTLS session.
#[derive(Debug)]
pub struct Endpoint<P> {
    pub(crate) config: Config,
    pub(crate) generator: Generator,
    pub(crate) peers: Peers<P>,
    pub(crate) remembered: Remembered,
    pub(crate) lanes: Lanes,
    pub(crate) exchanges: NumberMap<ExchangeId, Outgoing>,
    pub(crate) incoming: NumberMap<RequestHandle, Incoming>,
    pub(crate) uploads: Uploads,
    pub(crate) bodies: Bodies,
    pub(crate) observers: Observers,
    pub(crate) observations: Observations,
    pub(crate) timers: Timers,
    pub(crate) sweep: Sweep,
    pub(crate) counters: Counters,
    outputs: VecDeque<Output<P>>,
    /// Where datagrams are written before they are as long as they need be.
    pub(crate) scratch: Vec<u8>,
    last_number: u64,
}

impl<P: Copy + Eq + Hash> Endpoint<P> {
    /// An endpoint that knows nobody. Whoever does not know `secret` can guess neither tokens nor message ids;
    /// it must be random and another one at each start.
    #[must_use]
    pub fn new(config: Config, secret: [u8; 16]) -> Self {
        let generator = Generator::new(secret);
        Self {
            config,
            peers: Peers::new(generator.clone()),
            generator,
            remembered: Remembered::new(&config.transmission),
            lanes: Lanes::default(),
            exchanges: NumberMap::default(),
            incoming: NumberMap::default(),
            uploads: Uploads::default(),
            bodies: Bodies::default(),
            observers: Observers::default(),
            observations: Observations::default(),
            timers: Timers::default(),
            sweep: Sweep::default(),
            counters: Counters::default(),
            outputs: VecDeque::new(),
            scratch: Vec::new(),
            last_number: 0,
        }
    }

    /// A datagram came from a peer.
    pub fn handle_datagram(&mut self, now: Time, peer: P, datagram: &[u8]) {
        let message = match Message::decode(datagram) {
            Ok(message) => message,
            Err(error) => return self.on_malformed(peer, error),
        };
        match (message.message_type, message.code) {
            (MessageType::Confirmable | MessageType::NonConfirmable, code) if code.is_request() => {
                self.on_request(now, peer, &message);
            }
            (MessageType::Confirmable | MessageType::NonConfirmable, code) if code.is_response() => {
                self.on_separate(now, peer, &message);
            }
            // RFC 7252 §4.3: an empty confirmable message is a ping, and a reset the answer.
            (MessageType::Confirmable, Code::EMPTY) => {
                self.transmit_to(peer, &Message::empty(MessageType::Reset, message.message_id));
            }
            (MessageType::Acknowledgement | MessageType::Reset, _) => self.on_reply(now, peer, &message),
            _ => self.counters.ignored += 1,
        }
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Time) {
        while let Some((at, timer)) = self.timers.pop_due(now) {
            match timer {
                Timer::Exchange(exchange) => self.on_exchange_due(now, at, exchange),
                Timer::Request(handle) => self.on_request_due(at, handle),
                Timer::Sweep => self.on_sweep_due(now),
            }
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) may have something to do next.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Time> {
        self.timers.next()
    }

    /// What is to be sent, or has happened, next.
    pub fn poll_output(&mut self) -> Option<Output<P>> {
        self.outputs.pop_front()
    }

    /// Forgets a peer. What was in progress with it ends, and is told as ended.
    pub fn forget(&mut self, now: Time, peer: P) {
        let Some(index) = self.peers.find(peer) else { return };
        for handle in self.remembered.forget(index) {
            self.drop_incoming(handle);
        }
        self.fail_all(now, index, Failure::Forgotten);
        while let Some(observer) = { self.observers.of(index).next() } {
            self.end_observer(now, observer, Departure::Forgotten);
        }
        while let Some(token) = { self.observations.of(index).next() } {
            if let Some(observed) = self.end_observation(index, token) {
                let exchange = observed.exchange;
                self.event(Event::Failed { exchange, peer, failure: Failure::Forgotten });
            }
        }
        self.uploads.forget(index);
        self.bodies.forget(index);
        self.peers.remove(index);
    }

    /// A peer has another address, or another session. Whatever was remembered of `new` is forgotten.
    pub fn peer_moved(&mut self, now: Time, old: P, new: P) {
        if old == new {
            return;
        }
        if let Some(index) = self.peers.find(old) {
            self.forget(now, new);
            self.peers.rename(index, new);
        }
    }

    /// What it has seen that no event tells of.
    #[must_use]
    pub const fn counters(&self) -> Counters {
        self.counters
    }

    /// The token of a request that is not answered yet, as the peer has chosen it.
    #[must_use]
    pub fn token_of(&self, handle: RequestHandle) -> Option<Token> {
        self.incoming.get(&handle).map(|incoming| incoming.token)
    }

    /// How much it holds.
    #[must_use]
    pub fn census(&self) -> Census {
        Census {
            peers: self.peers.len(),
            remembered: self.remembered.len(),
            exchanges: self.exchanges.len(),
            unanswered: self.incoming.len(),
            observers: self.observers.len(),
            observations: self.observations.len(),
            body_bytes: self.uploads.bytes() + self.bodies.bytes(),
        }
    }

    /// RFC 7252 §4.2, §4.3: what is confirmable is rejected, the rest is ignored.
    fn on_malformed(&mut self, peer: P, error: DecodeError) {
        self.counters.malformed += 1;
        if let DecodeError::Malformed { message_type: MessageType::Confirmable, message_id, .. } = error {
            self.transmit_to(peer, &Message::empty(MessageType::Reset, message_id));
        }
    }

    /// An acknowledgement, or a reset, of something that this endpoint sent.
    fn on_reply(&mut self, now: Time, peer: P, message: &Message<'_>) {
        match (self.peers.find(peer), message.message_type, message.code) {
            (Some(index), MessageType::Reset, Code::EMPTY) => self.on_reset(now, index, message.message_id),
            (Some(index), MessageType::Acknowledgement, Code::EMPTY) => {
                self.on_acknowledged(now, index, message.message_id);
            }
            (Some(index), MessageType::Acknowledgement, code) if code.is_response() => {
                self.on_piggybacked(now, index, message);
            }
            _ => self.counters.ignored += 1,
        }
    }

    pub(crate) fn draw_message_id(&mut self, now: Time, index: PeerIndex) -> MessageId {
        let lifetime = self.config.transmission.exchange_lifetime();
        self.peers.draw_message_id(now, index, lifetime, &mut self.generator)
    }

    pub(crate) fn next_number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }

    pub(crate) fn encode(&mut self, message: &Message<'_>) -> Datagram {
        message.write(&mut self.scratch)
    }

    pub(crate) fn transmit(&mut self, index: PeerIndex, datagram: Datagram) {
        let peer = self.peers.peer(index);
        self.outputs.push_back(Output::Transmit { peer, datagram });
    }

    /// To a peer that need not be remembered for it.
    pub(crate) fn transmit_to(&mut self, peer: P, message: &Message<'_>) {
        let datagram = self.encode(message);
        self.outputs.push_back(Output::Transmit { peer, datagram });
    }

    pub(crate) fn event(&mut self, event: Event<P>) {
        self.outputs.push_back(Output::Event(event));
    }
}
