//! Observing the values of clients that an application wants to hear of (LwM2M 1.1 core, 6.4.1; RFC 7641).
//!
//! An observation is of one registration: a client that registers anew has forgotten it, and is asked again.
//! One that is refused is told once; one that got lost is begun anew when the client has something to say.

use bugle_coap::ExchangeId;
use bugle_core::gateway::Slot;
use bugle_core::{ResourcePath, State, Time};
use bugle_lwm2m::operation::{Answer, DeviceOperation, to_content};

use super::Purpose;
use super::client::Observed;
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
        if client.observed(path).is_some() || !self.is_reachable(client.peer) {
            return;
        }
        let (peer, operation) = (client.peer, DeviceOperation::Observe { path: path.into() });
        let asked = match operation.to_request(&client.registration) {
            Ok(request) => {
                let delivery = bugle_coap::Delivery::default();
                let asked = self.lwm2m.endpoint.request(now, peer, to_coap_request(&request), delivery);
                asked.map_err(|error| error.to_string())
            }
            Err(error) => Err(error.to_string()),
        };
        match asked {
            Ok(exchange) => {
                self.lwm2m.exchanges.insert(exchange, Purpose::Observation(slot, path));
                self.set_observed(slot, path, Some(Observed::In(exchange)));
            }
            Err(detail) => self.refuse_observation(now, slot, path, &detail),
        }
    }

    /// Begins whatever is wished for and is not observed.
    pub(super) fn observe_all(&mut self, now: Time, slot: Slot) {
        for path in self.gateway.observed(slot) {
            self.observe(now, slot, path);
        }
    }

    pub(crate) fn observe_no_more(&mut self, now: Time, slot: Slot, path: ResourcePath) {
        let observed = self.lwm2m.clients.get(slot).and_then(|client| client.observed(path));
        if let Some(Observed::In(exchange)) = observed {
            self.lwm2m.exchanges.remove(&exchange);
            self.lwm2m.endpoint.cancel(now, exchange);
        }
        self.set_observed(slot, path, None);
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
        if observed == Some(Observed::In(exchange)) {
            self.set_observed(slot, path, None);
        }
    }

    fn refuse_observation(&mut self, now: Time, slot: Slot, path: ResourcePath, detail: &str) {
        self.set_observed(slot, path, Some(Observed::Refused));
        self.gateway.handle_observation_refused(now, slot, path, detail);
    }

    fn set_observed(&mut self, slot: Slot, path: ResourcePath, observed: Option<Observed>) {
        if let Some(client) = self.lwm2m.clients.get_mut(slot) {
            client.set_observed(path, observed);
        }
    }
}
