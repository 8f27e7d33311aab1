//! LwM2M peripherals over CoAP: Register is registering, De-register leaving; the silence of a client in
//! queue mode is standby, and any word of it the end of that.

mod client;
mod clients;
mod delivering;
mod keeping;
mod observing;
mod peer;
mod prepared;
mod registering;
mod reporting;
mod secured;

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use bugle_coap::{Endpoint, Event, ExchangeId, RequestHandle};
use bugle_core::gateway::Slot;
use bugle_core::{NumberMap, ResourcePath, Time};
use bugle_lwm2m::{ClientRequest, Code, Response, Version};

pub(crate) use client::StoredClient;
pub use peer::{DatagramSocket, Peer, Security};
pub use secured::Dtls;

use crate::carriage::{from_coap_request, to_coap_response};
use crate::counters::Counters;
use crate::edge::Edge;
use client::Asking;
use clients::Clients;
use prepared::Latest;
use secured::Secured;

/// How long a client in queue mode is awake after its last word, unless its allocation says otherwise:
/// CoAP's MAX_TRANSMIT_WAIT (LwM2M 1.1 core, 6.5; RFC 7252 §4.8.2).
const AWAKE_TIME: Duration = Duration::from_secs(93);
/// The newest version that is spoken; clients that try a newer one fall back.
const VERSION_NEWEST: Version = Version::V1_2;
/// Marks askers and tokens of LwM2M among those of MQTT, which are below.
const MARK: u64 = 1 << 63;

/// The LwM2M side of a gateway.
#[derive(Debug)]
pub(crate) struct Lwm2m {
    endpoint: Endpoint<Peer>,
    /// None if no peripheral is to speak DTLS.
    secured: Option<Secured>,
    clients: Clients,
    /// Those who ask to register, by their number as askers.
    askings: NumberMap<u64, Asking>,
    /// What is answered once something is durable, by the token that the gateway's machine hands back.
    confirmations: NumberMap<u64, (RequestHandle, Response)>,
    /// The delivery that was prepared last.
    latest: Latest,
    /// What the exchanges that are under way are for.
    exchanges: NumberMap<ExchangeId, Purpose>,
    /// The exchanges in which clients that were dismissed are asked to leave.
    farewells: HashMap<Peer, ExchangeId>,
    /// The deliveries that clients have reset, by when they are put to them again.
    resets: VecDeque<(Time, Slot, ExchangeId)>,
    last_number: u64,
}

impl Lwm2m {
    pub(crate) fn new(config: bugle_coap::Config, dtls: Option<Dtls>, seed: u64) -> Self {
        Self {
            endpoint: Endpoint::new(config, secret(seed)),
            secured: dtls.map(Secured::from),
            clients: Clients::default(),
            askings: NumberMap::default(),
            confirmations: NumberMap::default(),
            latest: Latest::default(),
            exchanges: NumberMap::default(),
            farewells: HashMap::new(),
            resets: VecDeque::new(),
            last_number: 0,
        }
    }

    /// Whether an asker, or a token, is of LwM2M.
    pub(crate) const fn is_ours(number: u64) -> bool {
        number & MARK != 0
    }

    /// Whether the peripheral in a slot is registered by LwM2M.
    pub(crate) fn has(&self, slot: Slot) -> bool {
        self.clients.get(slot).is_some()
    }

    /// Adds what is counted here.
    pub(crate) fn count(&self, counters: Counters) -> Counters {
        let coap = self.endpoint.counters();
        Counters {
            clients: self.clients.len() as u64,
            sessions: self.secured.as_ref().map_or(0, |secured| secured.server.census().sessions as u64),
            datagrams_malformed: coap.malformed,
            retransmissions: coap.retransmissions,
            ..counters
        }
    }

    pub(crate) fn handle_timeout(&mut self, now: Time) {
        self.endpoint.handle_timeout(now);
        if let Some(secured) = &mut self.secured {
            secured.server.handle_timeout(now);
        }
    }

    pub(crate) fn next_timeout(&self) -> Option<Time> {
        let dtls = self.secured.as_ref().and_then(|secured| secured.server.next_timeout());
        let reset = self.resets.front().map(|(due, ..)| *due);
        [self.endpoint.next_timeout(), dtls, reset].into_iter().flatten().min()
    }

    fn next_number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number | MARK
    }

    /// Keeps an answer until something is durable.
    fn confirm_with(&mut self, handle: RequestHandle, response: Response) -> u64 {
        let token = self.next_number();
        self.confirmations.insert(token, (handle, response));
        token
    }
}

/// What an exchange is for.
#[derive(Debug, Clone, Copy)]
enum Purpose {
    /// A group request for the client in this slot.
    Delivery(Slot),
    /// Observing a path of the client in this slot.
    Observation(Slot, ResourcePath),
    /// Asking the client that was at this peer to leave.
    Farewell(Peer),
}

/// The endpoint's secret, from the seed of the gateway (SplitMix64).
fn secret(seed: u64) -> [u8; 16] {
    let mut state = seed;
    let mut draw = || {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)).to_be_bytes()
    };
    let mut secret = [0; 16];
    secret[..8].copy_from_slice(&draw());
    secret[8..].copy_from_slice(&draw());
    secret
}

impl Edge {
    /// A datagram came.
    pub fn handle_datagram(&mut self, now: Time, peer: Peer, datagram: &[u8]) {
        match peer.socket().security {
            Security::Plain => self.lwm2m.endpoint.handle_datagram(now, peer, datagram),
            Security::Dtls => self.handle_secured(now, peer, datagram),
        }
    }

    /// Carries out the next thing that CoAP has for the edge. Whether there was one.
    pub(crate) fn step_lwm2m(&mut self, now: Time) -> bool {
        match self.lwm2m.endpoint.poll_output() {
            Some(bugle_coap::Output::Transmit { peer, datagram }) => self.send_to(peer, datagram),
            Some(bugle_coap::Output::Event(event)) => self.on_coap(now, event),
            None => return self.step_secured(now),
        }
        true
    }

    fn on_coap(&mut self, now: Time, event: Event<Peer>) {
        match event {
            Event::Request { handle, peer, request, .. } => self.on_coap_request(now, handle, peer, &request),
            Event::Response { exchange, response, observation, .. } => {
                match self.lwm2m.exchanges.get(&exchange).copied() {
                    Some(Purpose::Delivery(slot)) => self.on_response(now, exchange, slot, &response),
                    Some(Purpose::Observation(slot, path)) => {
                        self.on_observation_answered(now, exchange, (slot, path), (&response, observation));
                    }
                    Some(Purpose::Farewell(peer)) => self.on_farewell_over(exchange, peer),
                    None => {}
                }
            }
            Event::Notification { exchange, response, .. } => {
                if let Some(Purpose::Observation(slot, path)) = self.lwm2m.exchanges.get(&exchange).copied() {
                    self.on_observed(now, (slot, path), &response);
                }
            }
            Event::ObservationEnded { exchange, response, .. } => {
                if let Some(Purpose::Observation(slot, path)) = self.lwm2m.exchanges.get(&exchange).copied() {
                    self.on_observation_lost(exchange, slot, path);
                    self.on_observed(now, (slot, path), &response);
                }
            }
            Event::Acknowledged { exchange, .. } => self.on_acknowledged(now, exchange),
            Event::Failed { exchange, failure, .. } => match self.lwm2m.exchanges.get(&exchange).copied() {
                Some(Purpose::Delivery(slot)) => self.on_failed(now, exchange, slot, failure),
                Some(Purpose::Observation(slot, path)) => {
                    self.on_observation_failed(now, exchange, (slot, path), failure);
                }
                Some(Purpose::Farewell(peer)) => self.on_farewell_over(exchange, peer),
                None => {}
            },
            Event::ResponseDelivered { peer, .. } => self.on_word_from(now, peer),
            // Nothing of ours is observed, nobody is pinged; a response that does not arrive is asked for again.
            Event::Pong { .. }
            | Event::ResponseFailed { .. }
            | Event::NotificationDelivered { .. }
            | Event::ObserverGone { .. } => {}
        }
    }

    fn on_coap_request(&mut self, now: Time, handle: RequestHandle, peer: Peer, request: &bugle_coap::Request) {
        let Some(request) = from_coap_request(request) else {
            return self.answer(now, handle, &Response::new(Code::METHOD_NOT_ALLOWED));
        };
        match ClientRequest::from_request(&request, VERSION_NEWEST) {
            Ok(ClientRequest::Register(register)) => self.on_register(now, handle, peer, *register),
            Ok(ClientRequest::Update { registration, update }) => {
                self.on_update(now, handle, peer, &registration, *update);
            }
            Ok(ClientRequest::Deregister { registration }) => self.on_deregister(now, handle, peer, &registration),
            Ok(ClientRequest::Send { records }) => self.on_send(now, handle, peer, &records),
            Err(error) => {
                self.counters.noise += 1;
                self.answer(now, handle, &error.response());
            }
        }
    }

    /// Whoever gave up waiting is not answered.
    fn answer(&mut self, now: Time, handle: RequestHandle, response: &Response) {
        let _ = self.lwm2m.endpoint.respond(now, handle, to_coap_response(response));
    }

    fn on_word_from(&mut self, now: Time, peer: Peer) {
        if let Some(slot) = self.lwm2m.clients.at(peer) {
            self.gateway.handle_word(now, slot);
        }
    }

    /// What a client waits for is durable.
    pub(crate) fn on_lwm2m_taken(&mut self, now: Time, token: u64) {
        if let Some((handle, response)) = self.lwm2m.confirmations.remove(&token) {
            self.answer(now, handle, &response);
        } else {
            self.on_session_kept(token);
        }
    }
}
