//! Group requests to LwM2M clients (step 4 of the group request).
//!
//! The operation becomes one confirmable request. Its message id and token are made of the number of the
//! delivery and of the request's id, which are durable: what is sent again after a crash is recognised by
//! the client as a repetition (RFC 7252 §4.5). One that refuses the content format is asked in another, under an
//! identity that is made of the same, and of which try it is: begun anew, the tries come in the same order.
//!
//! A client that has only just said a word is often not ready to be asked anything, and resets the request
//! (RFC 7252 §4.2). Nothing has been carried out; it is asked the same again a little later.

use std::sync::Arc;
use std::time::Duration;

use bugle_coap::{ExchangeId, Failure, Identity, MessageId, Reliability, RequestError, Token};
use bugle_core::gateway::Slot;
use bugle_core::{GroupRequest, Outcome, Time};

use super::Purpose;
use super::client::{Attempt, Delivering};
use super::prepared::Prepared;
use crate::carriage::from_coap_response;
use crate::edge::Edge;

/// After how long a client that has reset a request is asked again,
pub(super) const RESET_REST: Duration = Duration::from_secs(2);
/// and how often.
pub(super) const RESETS_MAX: u8 = 2;
/// Tries of one delivery, each in another format: fewer formats there are.
const TRY_BITS: u32 = 3;
/// Message ids that are given and not drawn.
const MESSAGE_IDS: u16 = 1 << 15;

impl Edge {
    /// Puts a group request to a client.
    pub(crate) fn deliver_to_client(&mut self, now: Time, slot: Slot, number: u16, request: &Arc<GroupRequest>) {
        let Some(client) = self.lwm2m.clients.get(slot) else { return };
        match self.lwm2m.latest.prepare(request, &client.registration) {
            Ok(prepared) => self.ask(now, slot, Attempt { request: request.id, number, tries: 0, resets: 0 }, prepared),
            Err(error) => self.gateway.handle_concluded(now, slot, number, error.outcome()),
        }
    }

    fn ask(&mut self, now: Time, slot: Slot, attempt: Attempt, prepared: Arc<Prepared>) {
        self.abandon(now, slot);
        let Some(peer) = self.lwm2m.clients.get(slot).map(|client| client.peer) else { return };
        if !self.is_reachable(peer) {
            return self.gateway.handle_unreachable(now, slot);
        }
        let Some(client) = self.lwm2m.clients.get_mut(slot) else { return };
        let (reliability, identity) = (Reliability::Confirmable, Some(attempt.identity()));
        let manner = bugle_coap::Delivery { reliability, identity, response_timeout: None };
        let asked = self.lwm2m.endpoint.request(now, client.peer, prepared.request.clone(), manner);
        match asked {
            Ok(exchange) => {
                client.delivering = Some(Box::new(Delivering { exchange, attempt, prepared }));
                self.lwm2m.exchanges.insert(exchange, Purpose::Delivery(slot));
                self.counters.deliveries += 1;
            }
            Err(RequestError::TooManyExchanges | RequestError::TooManyPeers | RequestError::TokenInUse) => {
                self.gateway.handle_unreachable(now, slot);
            }
            Err(error) => {
                let outcome = Outcome::Failed { reason: error.to_string() };
                self.gateway.handle_concluded(now, slot, attempt.number, outcome);
            }
        }
    }

    /// Gives up what is being put to a client, if anything is.
    pub(crate) fn abandon(&mut self, now: Time, slot: Slot) {
        let Some(delivering) = self.lwm2m.clients.get_mut(slot).and_then(|client| client.delivering.take()) else {
            return;
        };
        self.lwm2m.exchanges.remove(&delivering.exchange);
        self.lwm2m.endpoint.cancel(now, delivering.exchange);
    }

    /// The client has the request, and has not answered it.
    pub(super) fn on_acknowledged(&mut self, now: Time, exchange: ExchangeId) {
        let Some(Purpose::Delivery(slot)) = self.lwm2m.exchanges.get(&exchange).copied() else { return };
        let Some(number) = self.delivering(exchange, slot) else { return };
        self.gateway.handle_word(now, slot);
        self.gateway.handle_acknowledged(now, slot, number);
    }

    pub(super) fn on_response(&mut self, now: Time, exchange: ExchangeId, slot: Slot, response: &bugle_coap::Response) {
        let Some(number) = self.delivering(exchange, slot) else { return };
        self.gateway.handle_word(now, slot);
        let Some(client) = self.lwm2m.clients.get_mut(slot) else { return };
        let Some(delivering) = client.delivering.take() else { return };
        self.lwm2m.exchanges.remove(&exchange);
        let response = from_coap_response(response);
        match delivering.prepared.delivery.retry(&client.registration, &response) {
            // Nothing was carried out: another format may do.
            Some(other) => {
                let attempt = Attempt { tries: delivering.attempt.tries + 1, resets: 0, ..delivering.attempt };
                self.ask(now, slot, attempt, Arc::new(other.into()));
            }
            None => {
                let outcome = delivering.prepared.delivery.outcome(&response);
                self.gateway.handle_concluded(now, slot, number, outcome);
            }
        }
    }

    pub(super) fn on_failed(&mut self, now: Time, exchange: ExchangeId, slot: Slot, failure: Failure) {
        let Some(number) = self.delivering(exchange, slot) else { return };
        self.lwm2m.exchanges.remove(&exchange);
        let Some(client) = self.lwm2m.clients.get_mut(slot) else { return };
        if failure == Failure::Reset
            && client.delivering.as_ref().is_some_and(|known| known.attempt.resets < RESETS_MAX)
        {
            self.lwm2m.resets.push_back((now + RESET_REST, slot, exchange));
            return self.gateway.handle_word(now, slot);
        }
        client.delivering = None;
        match failure {
            // It may sleep, or be out of reach: at its next word it is asked again.
            Failure::TimedOut | Failure::NoResponse | Failure::Forgotten => {
                self.gateway.handle_unreachable(now, slot);
            }
            Failure::Reset
            | Failure::Unintelligible
            | Failure::BodyTooLarge
            | Failure::BodyCut
            | Failure::BodyChanged => {
                let outcome = Outcome::Failed { reason: failure.to_string() };
                self.gateway.handle_concluded(now, slot, number, outcome);
            }
        }
    }

    /// Asks those again who have reset a request, or what was to be observed of them, if nothing else has become of it
    /// meanwhile.
    pub(crate) fn ask_again(&mut self, now: Time) {
        while let Some((_, slot, exchange)) = self.lwm2m.resets.pop_front_if(|(due, ..)| *due <= now) {
            if self.delivering(exchange, slot).is_none() {
                self.begin_observation(now, slot);
                continue;
            }
            let delivering = self.lwm2m.clients.get_mut(slot).and_then(|client| client.delivering.take());
            let Delivering { attempt, prepared, .. } = *delivering.expect("it is being delivered");
            self.ask(now, slot, Attempt { resets: attempt.resets + 1, ..attempt }, prepared);
        }
    }

    /// A client has not acknowledged a delivery for too long.
    pub(crate) fn on_client_stalled(&mut self, now: Time, slot: Slot) {
        self.abandon(now, slot);
        self.gateway.handle_unreachable(now, slot);
    }

    /// The number of the delivery that an exchange is.
    fn delivering(&self, exchange: ExchangeId, slot: Slot) -> Option<u16> {
        let delivering = self.lwm2m.clients.get(slot)?.delivering.as_ref()?;
        (delivering.exchange == exchange).then_some(delivering.attempt.number)
    }
}

impl Attempt {
    /// What the client recognises a repetition by.
    ///
    /// The message ids of the tries are far apart in the ring of 15 bits, so that none is that of another delivery
    /// that the client may still remember. The numbers of requests leave the upper bits of a token free.
    fn identity(self) -> Identity {
        let token = self.request.number() ^ (u64::from(self.tries) << (u64::BITS - TRY_BITS));
        let token = Token::new(&token.to_be_bytes()).expect("it has eight bytes");
        let between = MESSAGE_IDS >> TRY_BITS;
        let message_id = MessageId::supplied(self.number.wrapping_add(u16::from(self.tries) * between));
        Identity { message_id, token }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use bugle_core::RequestId;

    use super::*;

    #[test]
    fn every_try_of_every_delivery_has_an_identity_of_its_own_and_always_the_same() {
        let request = RequestId::compose(Time::from_millis(1_900_000_000_000), 7);
        let identity = |number, tries, resets| Attempt { request, number, tries, resets }.identity();
        for number in [1, 0x7fff, 0x8000, u16::MAX] {
            let tries = 0..1 << TRY_BITS;
            let message_ids: BTreeSet<_> = tries.clone().map(|tries| identity(number, tries, 0).message_id).collect();
            let tokens: BTreeSet<_> = tries.clone().map(|tries| identity(number, tries, 0).token).collect();
            assert_eq!((message_ids.len(), tokens.len()), (tries.len(), tries.len()));
            assert_eq!(identity(number, 1, 0), identity(number, 1, 1));
            // The deliveries that follow keep clear of the tries of this one.
            let after = (1..1_000).map(|step| identity(number.wrapping_add(step), 0, 0).message_id);
            assert!(after.into_iter().all(|other| !message_ids.contains(&other)));
        }
    }
}
