//! Observing the values of clients that an application wants to hear of (LwM2M 1.1 core, 6.4.1; RFC 7641).
//!
//! An observation is of one registration: a client that registers anew has forgotten it, and is asked again.
//! A client is asked for one path after the other, so that what else is meant for it finds its place in between.
//! One that is refused is told once; one that got lost is begun anew when the client has something to say. A client
//! that is not ready to be asked is let alone for a little, as it is with group requests.

use bugle_coap::{ExchangeId, Failure, Observation, RequestError};
use bugle_core::gateway::Slot;
use bugle_core::{ResourcePath, State, Time};
use bugle_lwm2m::operation::{Answer, DeviceOperation, to_content};

use super::Purpose;
use super::client::{Client, Observed};
use super::delivering::RESET_REST;
use crate::carriage::{from_coap_response, to_coap_request};
use crate::edge::Edge;

impl Edge {
    /// An application wants to hear of a path. What is asleep is asked when it wakes.
    pub(crate) fn observe(&mut self, now: Time, slot: Slot, path: ResourcePath) {
        if self.gateway.state(slot) != Some(State::Active) {
            return;
        }
        let Some(client) = self.lwm2m.clients.get(slot) else {
            let detail = "an MQTT peripheral is not observed: it reports what it has to say by itself";
            return self.gateway.handle_observation_refused(now, slot, path, detail);
        };
        if client.observed(path).is_none() {
            self.set_observed(slot, path, Some(Observed::Waiting));
        }
        self.begin_observation(now, slot);
    }

    /// Begins whatever is wished for and is not observed.
    pub(super) fn observe_all(&mut self, now: Time, slot: Slot) {
        if let Some(client) = self.lwm2m.clients.get_mut(slot) {
            client.forget_resets();
        }
        for path in self.gateway.observed(slot) {
            self.observe(now, slot, path);
        }
    }

    /// Asks a client for the next path that waits, once it is known what becomes of the one before.
    pub(super) fn begin_observation(&mut self, now: Time, slot: Slot) {
        let Some(client) = self.lwm2m.clients.get(slot) else { return };
        let Some(path) = client.next_to_observe() else { return };
        if self.gateway.state(slot) != Some(State::Active) || !self.is_reachable(client.peer) {
            return;
        }
        let request = match (DeviceOperation::Observe { path: path.into() }).to_request(&client.registration) {
            Ok(request) => to_coap_request(&request),
            Err(error) => return self.refuse_observation(now, slot, path, &error.to_string()),
        };
        match self.lwm2m.endpoint.request(now, client.peer, request, bugle_coap::Delivery::default()) {
            Ok(exchange) => {
                self.lwm2m.exchanges.insert(exchange, Purpose::Observation(slot, path));
                self.set_observed(slot, path, Some(Observed::Asked(exchange)));
            }
            Err(RequestError::TooManyExchanges | RequestError::TooManyPeers | RequestError::TokenInUse) => {}
            Err(error) => self.refuse_observation(now, slot, path, &error.to_string()),
        }
    }

    pub(crate) fn observe_no_more(&mut self, now: Time, slot: Slot, path: ResourcePath) {
        let observed = self.lwm2m.clients.get(slot).and_then(|client| client.observed(path));
        if let Some(exchange) = observed.and_then(Observed::exchange) {
            self.lwm2m.exchanges.remove(&exchange);
            self.lwm2m.endpoint.cancel(now, exchange);
        }
        self.set_observed(slot, path, None);
        self.begin_observation(now, slot);
    }

    /// The client has answered for a path: it is observed from now on, or it is not.
    pub(super) fn on_observation_answered(
        &mut self,
        now: Time,
        exchange: ExchangeId,
        (slot, path): (Slot, ResourcePath),
        (response, observation): (&bugle_coap::Response, Observation),
    ) {
        match observation {
            Observation::None => self.on_observation_lost(exchange, slot, path),
            Observation::Begun => self.set_observed(slot, path, Some(Observed::In(exchange))),
        }
        self.on_observed(now, (slot, path), response);
        self.begin_observation(now, slot);
    }

    /// The answer to an observation, or a notification.
    pub(super) fn on_observed(
        &mut self,
        now: Time,
        (slot, path): (Slot, ResourcePath),
        response: &bugle_coap::Response,
    ) {
        self.gateway.handle_word(now, slot);
        let operation = DeviceOperation::Observe { path: path.into() };
        match operation.understand(&from_coap_response(response)) {
            Ok(Answer::Values(records)) => match to_content(&path.into(), &records) {
                Ok(content) => {
                    // Nobody waits for it to be durable: CoAP has acknowledged it already.
                    let token = self.lwm2m.next_number();
                    self.gateway.handle_report(now, slot, path.to_string(), content, token);
                }
                Err(_) => self.counters.noise += 1,
            },
            Ok(Answer::Refused { code, reason }) => {
                self.refuse_observation(now, slot, path, &format!("{code} {reason}"));
            }
            Ok(Answer::Links(_) | Answer::Done | Answer::Created { .. }) | Err(_) => self.counters.noise += 1,
        }
    }

    /// An observation is no more, and was not taken back: it is begun anew at the client's next update.
    pub(super) fn on_observation_lost(&mut self, exchange: ExchangeId, slot: Slot, path: ResourcePath) {
        self.lwm2m.exchanges.remove(&exchange);
        let observed = self.lwm2m.clients.get(slot).and_then(|client| client.observed(path));
        if observed.and_then(Observed::exchange) == Some(exchange) {
            self.set_observed(slot, path, None);
        }
    }

    /// A client has not answered for a path. One that was not ready to be asked is asked again a little later.
    pub(super) fn on_observation_failed(
        &mut self,
        now: Time,
        exchange: ExchangeId,
        (slot, path): (Slot, ResourcePath),
        failure: Failure,
    ) {
        let is_asked = |client: &&mut Client| client.observed(path) == Some(Observed::Asked(exchange));
        let client = self.lwm2m.clients.get_mut(slot).filter(is_asked);
        if failure == Failure::Reset && client.is_some_and(Client::note_reset) {
            self.lwm2m.exchanges.remove(&exchange);
            self.set_observed(slot, path, Some(Observed::Waiting));
            self.lwm2m.resets.push_back((now + RESET_REST, slot, exchange));
            return self.gateway.handle_word(now, slot);
        }
        self.on_observation_lost(exchange, slot, path);
        self.begin_observation(now, slot);
    }

    fn refuse_observation(&mut self, now: Time, slot: Slot, path: ResourcePath, detail: &str) {
        self.set_observed(slot, path, Some(Observed::Refused));
        self.gateway.handle_observation_refused(now, slot, path, detail);
        self.begin_observation(now, slot);
    }

    fn set_observed(&mut self, slot: Slot, path: ResourcePath, observed: Option<Observed>) {
        if let Some(client) = self.lwm2m.clients.get_mut(slot) {
            client.set_observed(path, observed);
        }
    }
}
