//! Registering, staying and leaving (steps 2, 3 and 7 of registering, and 1 of deregistering).
//!
//! ```text
//!   client                       gateway                                application
//!   ── POST /rd?ep=… ─────────▶  asks, unless a lease answers ────────▶  decides
//!   ◀─ ACK ────────────────────  after CoAP's processing delay
//!   ◀─ CON 2.01 /rd/1a-… ──────  on yes; 4.03 on no, 5.03 later  ◀──────
//!   ── POST /rd/1a-… ─────────▶  stays: 2.04 once that is durable
//!   ── DELETE /rd/1a-… ───────▶  leaves: 2.02 once that is durable
//! ```
//!
//! A Register from whoever is registered is a wake-up: the lease answers, and what waits is kept.

use std::time::Duration;

use bugle_coap::{ExchangeId, RequestHandle};
use bugle_core::gateway::{Hold, Reach, Refusal, RegistrationRequest, Slot};
use bugle_core::{Description, EndCause, Time};
use bugle_lwm2m::operation::DeviceOperation;
use bugle_lwm2m::registration::{Register, Update};
use bugle_lwm2m::{Code, Response};
use bugle_mqtt::Ending;

use super::Purpose;
use super::client::{Asking, Client, StoredClient, parse_location, protocol};
use super::clients::Clients;
use super::peer::{Peer, Security};
use crate::carriage::to_coap_request;
use crate::edge::{Edge, Store};

/// After how long a client asks again while the store takes nothing.
pub(super) const STORE_REST: Duration = Duration::from_secs(30);
/// After how long it asks again if a later asking of its own took the place of this one.
const SUPERSEDED_REST: Duration = Duration::from_secs(1);

impl Edge {
    pub(super) fn on_register(&mut self, now: Time, handle: RequestHandle, peer: Peer, register: Register) {
        let presented = self.presented_by(peer);
        // LwM2M 1.1 core, 6.2.1: a client may leave its name to the security layer.
        let by_transport = || self.gateway.name_by_transport(presented.transport.as_ref()?);
        let Some(peripheral) = register.endpoint.or_else(by_transport) else {
            let response = Response::refused(Code::BAD_REQUEST, "the endpoint name is missing: ep=…");
            return self.answer(now, handle, &response);
        };
        if self.store == Store::Failing {
            return self.answer(now, handle, &unavailable(STORE_REST, "the gateway cannot store anything now"));
        }
        let registration = register.registration;
        let description = Description {
            protocol: protocol(registration.version()),
            address: peer.address().to_string(),
            lifetime: registration.lifetime(),
            objects: registration.to_links(),
        };
        let hold = Hold::Word { awake: registration.binding().is_queue_mode().then_some(super::AWAKE_TIME) };
        let asker = self.lwm2m.next_number();
        let slot = self.gateway.slot(&peripheral);
        let request = RegistrationRequest { peripheral, asker, presented, description, hold };
        self.lwm2m.askings.insert(asker, Asking { handle, peer, registration });
        self.gateway.handle_registration(now, request);
        // What is put to it again once its admission is durable, CoAP must not send until then.
        if let Some(slot) = slot.filter(|slot| !self.gateway.is_delivering(*slot)) {
            self.abandon(now, slot);
        }
    }

    pub(crate) fn on_client_admitted(&mut self, now: Time, asker: u64, slot: Slot) {
        let Some(asking) = self.lwm2m.askings.remove(&asker) else { return };
        self.counters.admitted += 1;
        self.send_off(now, slot, Ending::SessionTakenOver);
        self.take_farewell_back(now, asking.peer);
        let secret = match self.lwm2m.clients.get(slot) {
            Some(known) => known.secret,
            None => u32::from_be_bytes(self.lwm2m.endpoint.draw_token().as_bytes()[..4].try_into().expect("4 of 8")),
        };
        let Asking { handle, peer, registration } = asking;
        let client = Client::new(peer, registration, secret);
        let response = Response::created(client.location(slot));
        let is_same = |known: &Client| (known.peer, &known.registration) == (client.peer, &client.registration);
        let is_known = self.lwm2m.clients.get(slot).is_some_and(is_same);
        self.make_way(slot, peer);
        if let Some(former) = self.lwm2m.clients.insert(slot, client) {
            self.let_go(now, former, peer);
        }
        if !is_known || self.has_unkept_session(peer) {
            // Whoever is told that it is registered is known, and reached, after a restart.
            self.keep_client(slot);
            let token = self.lwm2m.confirm_with(handle, response);
            self.gateway.confirm(slot, token);
        } else {
            self.answer(now, handle, &response);
        }
        self.gateway.handle_reach(now, slot, Reach::Open);
        self.observe_all(now, slot);
    }

    /// What was under way with a client that has registered anew, perhaps from elsewhere, is not any more.
    fn let_go(&mut self, now: Time, former: Client, now_at: Peer) {
        self.give_up(now, &former);
        if former.peer != now_at && self.lwm2m.clients.at(former.peer).is_none() {
            self.leave_behind(now, former.peer);
        }
    }

    /// Gives up all exchanges with a client that is gone, or is another.
    fn give_up(&mut self, now: Time, client: &Client) {
        let delivering = client.delivering.iter().map(|delivering| delivering.exchange);
        for exchange in delivering.chain(client.observations()) {
            self.lwm2m.exchanges.remove(&exchange);
            self.lwm2m.endpoint.cancel(now, exchange);
        }
    }

    pub(crate) fn on_client_refused(&mut self, now: Time, asker: u64, refusal: &Refusal) {
        let Some(asking) = self.lwm2m.askings.remove(&asker) else { return };
        self.counters.refused += 1;
        self.answer(now, asking.handle, &refused(refusal));
    }

    pub(super) fn on_update(&mut self, now: Time, handle: RequestHandle, peer: Peer, location: &str, update: Update) {
        let Some(slot) = self.registered_as(peer, location) else {
            return self.answer(now, handle, &Response::new(Code::NOT_FOUND));
        };
        if self.store == Store::Failing {
            return self.answer(now, handle, &unavailable(STORE_REST, "the gateway cannot store anything now"));
        }
        self.relocate(now, slot, peer);
        let lifetime = update.lifetime();
        let is_changed = !update.is_empty();
        let hold = |clients: &Clients| clients.get(slot).expect("it was found a moment ago").hold();
        let before = hold(&self.lwm2m.clients);
        self.lwm2m.clients.update(slot, update);
        let after = hold(&self.lwm2m.clients);
        if is_changed || self.has_unkept_session(peer) {
            self.keep_client(slot);
        }
        if after != before {
            self.gateway.handle_held(now, slot, after);
        }
        let token = self.lwm2m.confirm_with(handle, Response::new(Code::CHANGED));
        self.gateway.handle_renewal(now, slot, lifetime, token);
        self.observe_all(now, slot);
    }

    pub(super) fn on_deregister(&mut self, now: Time, handle: RequestHandle, peer: Peer, location: &str) {
        let Some(slot) = self.registered_as(peer, location) else {
            return self.answer(now, handle, &Response::new(Code::NOT_FOUND));
        };
        let client = self.drop_client(now, slot).expect("it was found a moment ago");
        self.gateway.handle_deregistration(now, slot);
        self.release_session(slot, &client);
        let token = self.lwm2m.confirm_with(handle, Response::new(Code::DELETED));
        self.gateway.confirm(slot, token);
    }

    /// Whose registration a location is, if whoever is at `peer` is the one that it was given to.
    fn registered_as(&self, peer: Peer, location: &str) -> Option<Slot> {
        let (slot, secret) = parse_location(location)?;
        let client = self.lwm2m.clients.get(slot).filter(|client| client.secret == secret)?;
        let is_same = || self.gateway.has_presented(slot, &self.presented_by(peer));
        let is_at_home = client.peer == peer && peer.socket().security == Security::Plain;
        (is_at_home || is_same()).then_some(slot)
    }

    /// A client speaks from another address: what is under way with it is put to it there.
    fn relocate(&mut self, now: Time, slot: Slot, peer: Peer) {
        if self.lwm2m.clients.get(slot).is_none_or(|client| client.peer == peer) {
            return;
        }
        self.make_way(slot, peer);
        if let Some(former) = self.lwm2m.clients.relocate(slot, peer) {
            self.leave_behind(now, former);
        }
        let client = self.lwm2m.clients.get_mut(slot).expect("it was found a moment ago");
        // Forgotten with the former address; what is wished for is observed anew after the update.
        for exchange in client.take_observations() {
            self.lwm2m.exchanges.remove(&exchange);
        }
        if let Some(delivering) = client.delivering.take() {
            self.lwm2m.exchanges.remove(&delivering.exchange);
            self.gateway.handle_unreachable(now, slot);
        }
        self.keep_client(slot);
    }

    /// A client is about to be at an address: if another was, it is there no more.
    fn make_way(&mut self, slot: Slot, peer: Peer) {
        if self.lwm2m.clients.at(peer).is_some_and(|other| other != slot) {
            self.vacate(peer);
        }
    }

    /// LwM2M's only word for it asks the client to leave and to stay away for a while. To one whose
    /// lifetime is over, or who is elsewhere, there is nothing to say.
    pub(crate) fn on_client_dismissed(&mut self, now: Time, slot: Slot, cause: EndCause) {
        let Some(client) = self.drop_client(now, slot) else { return };
        self.release_session(slot, &client);
        if matches!(cause, EndCause::LifetimeOver | EndCause::Roamed | EndCause::Peripheral) {
            return;
        }
        if let Ok(request) = DeviceOperation::disable(&client.registration).to_request(&client.registration) {
            let delivery = bugle_coap::Delivery::default();
            // One that does not hear it hears 4.04 to its next update.
            let asked = self.lwm2m.endpoint.request(now, client.peer, to_coap_request(&request), delivery);
            if let Ok(exchange) = asked {
                self.lwm2m.exchanges.insert(exchange, Purpose::Farewell(client.peer));
                self.lwm2m.farewells.insert(client.peer, exchange);
            }
        }
    }

    /// Whoever is admitted again must not be asked to leave for what was before, nor wait until that is over.
    fn take_farewell_back(&mut self, now: Time, peer: Peer) {
        if let Some(exchange) = self.lwm2m.farewells.remove(&peer) {
            self.lwm2m.exchanges.remove(&exchange);
            self.lwm2m.endpoint.cancel(now, exchange);
        }
    }

    pub(super) fn on_farewell_over(&mut self, exchange: ExchangeId, peer: Peer) {
        self.lwm2m.exchanges.remove(&exchange);
        if self.lwm2m.farewells.get(&peer) == Some(&exchange) {
            self.lwm2m.farewells.remove(&peer);
        }
    }

    /// The registration of a client is over, and all that the edge kept for it.
    pub(crate) fn drop_client(&mut self, now: Time, slot: Slot) -> Option<Client> {
        let client = self.lwm2m.clients.remove(slot)?;
        self.give_up(now, &client);
        Some(client)
    }

    /// After a restart: the client of a registration, as it was kept.
    pub(crate) fn restore_client(&mut self, now: Time, slot: Slot, stored: &StoredClient) {
        let Some(client) = stored.restore() else {
            return self.gateway.handle_unreachable(now, slot);
        };
        let (hold, peer) = (client.hold(), client.peer);
        let is_there =
            peer.socket().security == Security::Plain || self.gateway.has_presented(slot, &self.presented_by(peer));
        if is_there {
            self.lwm2m.clients.insert(slot, client);
        } else {
            // Its session went with the process, or somebody else's is there.
            self.lwm2m.clients.insert_away(slot, client);
            if self.is_reachable(peer) {
                self.keep_client(slot);
            }
        }
        self.gateway.handle_held(now, slot, hold);
        if !is_there {
            self.gateway.handle_unreachable(now, slot);
        }
        self.gateway.handle_reach(now, slot, Reach::Open);
        self.observe_all(now, slot);
    }
}

/// LwM2M 1.1 transport, 6.4.3: 4.03 says that this endpoint name may not register.
fn refused(refusal: &Refusal) -> Response {
    match refusal {
        Refusal::Unknown => Response::refused(Code::FORBIDDEN, "this peripheral is not allocated here"),
        Refusal::Blocked => Response::refused(Code::FORBIDDEN, "this peripheral is blocked"),
        Refusal::Credential => Response::refused(Code::FORBIDDEN, "this is not what the peripheral must show"),
        Refusal::ByApplication { reason } => Response::refused(Code::FORBIDDEN, reason),
        Refusal::Undecided { retry_after } => unavailable(*retry_after, "the application has not decided"),
        Refusal::Busy { retry_after } => unavailable(*retry_after, "too many ask at once"),
        Refusal::Superseded => unavailable(SUPERSEDED_REST, "another asking for this peripheral came later"),
    }
}

/// RFC 7252 §5.9.3.4: Max-Age says when to ask again.
pub(super) fn unavailable(retry_after: Duration, why: &str) -> Response {
    let seconds = u32::try_from(retry_after.as_secs().max(1)).unwrap_or(u32::MAX);
    Response { payload: why.as_bytes().to_vec(), ..Response::later(Code::SERVICE_UNAVAILABLE, seconds) }
}
