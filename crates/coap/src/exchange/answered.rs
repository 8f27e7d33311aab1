//! Responses and notifications of peers, to requests that this endpoint sent.
//!
//! ```text
//!   piggybacked:  ◀─ ACK 2.05, same message id and token ─
//!   separate:     ◀─ CON 2.05, same token ────────────────  ── ACK ──▶
//!                 ◀─ NON 2.05, same token ────────────────
//!   unknown:      ◀─ CON or NON 2.05, no such token ──────  ── RST ──▶
//! ```

use std::hash::Hash;

use bugle_core::Time;
use bytes::Bytes;

use super::asking::Step;
use super::{Asked, Asking, Place, Purpose, Reliability, Report};
use crate::block::Block;
use crate::deduplication::Answer;
use crate::endpoint::Endpoint;
use crate::event::{Event, ExchangeId, Failure, Observation, RequestError};
use crate::message::{Message, MessageType};
use crate::observe::{LastSeen, Observed};
use crate::option::OptionNumber;
use crate::peers::PeerIndex;
use crate::request::{Observe, Request};
use crate::response::Response;
use crate::token::Token;

impl Response {
    pub(crate) fn from_message(message: &Message<'_>) -> Self {
        Self {
            code: message.code,
            options: message.options.to_options(),
            payload: Bytes::copy_from_slice(message.payload),
        }
    }

    fn block2(&self) -> Option<Block> {
        self.options.view().uint(OptionNumber::BLOCK2).and_then(Block::from_uint)
    }

    fn observe(&self) -> Option<u32> {
        self.options.view().uint(OptionNumber::OBSERVE).filter(|_| self.code.is_success())
    }
}

impl<P: Copy + Eq + Hash> Endpoint<P> {
    /// Goes on with an observation that was begun before a restart, under the token that it had. A first
    /// notification is taken whatever its number; [`Endpoint::cancel`] asks for its end.
    ///
    /// # Errors
    /// If there are too many peers or observations, or the token is in use.
    pub fn restore_observation(
        &mut self,
        now: Time,
        peer: P,
        token: Token,
        request: Request,
    ) -> Result<ExchangeId, RequestError> {
        let index = self.enter(now, peer).ok_or(RequestError::TooManyPeers)?;
        if self.observations.of(index).count() >= self.config.limits.observations_per_peer_max {
            return Err(RequestError::TooManyObservations);
        }
        if self.is_token_in_use(index, token) {
            return Err(RequestError::TokenInUse);
        }
        let exchange = ExchangeId::new(self.next_number());
        let observed = Observed { exchange, last_seen: None, request: Box::new(request), fetch: None };
        self.observations.insert(index, token, observed);
        Ok(exchange)
    }

    /// A response in an acknowledgement must be of the message and of the token that it answers (RFC 7252 §5.3.2).
    pub(crate) fn on_piggybacked(&mut self, now: Time, index: PeerIndex, message: &Message<'_>) {
        let exchange = self.asked_under(index, message.token);
        let is_answer = |exchange: &ExchangeId| {
            let outgoing = &self.exchanges[exchange];
            outgoing.message_id == message.message_id && outgoing.reliability == Reliability::Confirmable
        };
        match exchange.filter(is_answer) {
            Some(exchange) => self.on_response(now, index, exchange, message),
            None => self.counters.ignored += 1,
        }
    }

    /// A response in a message of its own.
    pub(crate) fn on_separate(&mut self, now: Time, peer: P, message: &Message<'_>) {
        if self.on_duplicate(now, peer, message) {
            return;
        }
        let Some(index) = self.peers.find(peer) else { return self.reject(peer, message) };
        let exchange = self.asked_under(index, message.token);
        if exchange.is_none() && !self.observations.has(index, message.token) {
            return self.reject(peer, message);
        }
        if message.options.not_understood().is_some() {
            // RFC 7252 §5.4.1: the response is rejected, so it never comes.
            self.reject(peer, message);
            return match exchange {
                Some(exchange) => self.fail(now, exchange, Failure::Unintelligible),
                None => self.on_rejected(now, index, message.token),
            };
        }
        if !self.accept(now, index, message) {
            return;
        }
        match exchange {
            Some(exchange) => self.on_response(now, index, exchange, message),
            None => self.on_notification(now, index, message),
        }
    }

    /// Acknowledges a response and remembers that it came. One that there is no room to remember will come again.
    fn accept(&mut self, now: Time, index: PeerIndex, message: &Message<'_>) -> bool {
        let transmission = &self.config.transmission;
        let (until, answer) = match message.message_type {
            MessageType::Confirmable => {
                let acknowledgement = Message::empty(MessageType::Acknowledgement, message.message_id);
                let until = now + transmission.exchange_lifetime();
                (until, Answer::Again(self.encode(&acknowledgement)))
            }
            _ => (now + transmission.non_lifetime(), Answer::Silence),
        };
        let acknowledgement = match &answer {
            Answer::Again(datagram) => Some(datagram.clone()),
            _ => None,
        };
        if self
            .remembered
            .remember(index, (message.message_id, message.token), until, answer, &self.config.limits)
            .is_err()
        {
            self.counters.dropped += 1;
            return false;
        }
        if let Some(acknowledgement) = acknowledgement {
            self.transmit(index, acknowledgement);
        }
        true
    }

    fn on_response(&mut self, now: Time, index: PeerIndex, exchange: ExchangeId, message: &Message<'_>) {
        if message.options.not_understood().is_some() {
            return self.fail(now, exchange, Failure::Unintelligible);
        }
        let Some(outgoing) = self.take_exchange(exchange) else { return };
        let Purpose::Request(mut asked) = outgoing.purpose else { return };
        let response = Response::from_message(message);
        let asks_to_observe = asked.asking.request().observe() == Some(Observe::Register);
        if let Some(sequence) = response.observe().filter(|_| asks_to_observe && message.token == outgoing.token) {
            self.begin_observation(now, exchange, index, message.token, sequence, &asked);
        }
        let step = asked.asking.on_response(response, self.config.limits.body_bytes_max);
        self.take_step(now, exchange, index, outgoing.reliability, step, asked);
        self.advance(now, index);
    }

    fn begin_observation(
        &mut self,
        now: Time,
        exchange: ExchangeId,
        peer: PeerIndex,
        token: Token,
        sequence: u32,
        asked: &Asked,
    ) {
        if asked.report != Report::Response || self.observations.place(exchange).is_some() {
            return;
        }
        let request = Box::new(asked.asking.request().clone());
        let last_seen = Some(LastSeen { sequence, at: now });
        self.observations.insert(peer, token, Observed { exchange, last_seen, request, fetch: None });
    }

    fn take_step(
        &mut self,
        now: Time,
        exchange: ExchangeId,
        index: PeerIndex,
        reliability: Reliability,
        step: Step,
        asked: Box<Asked>,
    ) {
        match (step, asked.report) {
            (Step::Ask, _) => {
                let identity = self.draw_identity(now, index);
                self.ask(now, exchange, index, (reliability, identity), Place::First, asked);
            }
            (Step::Done(response), Report::Response) => {
                let is_observed = self.observations.place(exchange).is_some();
                let observation = if is_observed { Observation::Begun } else { Observation::None };
                let peer = self.peers.peer(index);
                self.event(Event::Response { exchange, peer, response, observation });
            }
            (Step::Done(response), Report::Notification(token)) => {
                if let Some(observed) = self.observations.find_mut(index, token) {
                    observed.fetch = None;
                    let (exchange, peer) = (observed.exchange, self.peers.peer(index));
                    self.event(Event::Notification { exchange, peer, response });
                }
            }
            (Step::Failed(failure), report) => self.report_failure(exchange, index, report, failure),
        }
    }

    /// A notification of an observation that is known.
    fn on_notification(&mut self, now: Time, index: PeerIndex, message: &Message<'_>) {
        let response = Response::from_message(message);
        let peer = self.peers.peer(index);
        let Some(observed) = self.observations.find_mut(index, message.token) else { return };
        let exchange = observed.exchange;
        // RFC 7641 §3.2: without Observe, the peer has taken us off its list.
        let Some(sequence) = response.observe() else {
            self.end_observation(index, message.token);
            self.advance(now, index);
            return self.event(Event::ObservationEnded { exchange, peer, response });
        };
        if observed.last_seen.is_some_and(|last_seen| !last_seen.is_before(sequence, now)) {
            self.counters.notifications_stale += 1;
            return;
        }
        observed.last_seen = Some(LastSeen { sequence, at: now });
        let overtaken = observed.fetch.take();
        if response.block2().is_some_and(|block| block.has_more) {
            let mut request = Request::clone(&observed.request);
            request.options.remove(OptionNumber::OBSERVE);
            self.fetch_rest(now, index, message.token, request, response);
        } else {
            self.event(Event::Notification { exchange, peer, response });
        }
        if let Some(overtaken) = overtaken {
            self.take_exchange(overtaken);
        }
        self.advance(now, index);
    }

    /// Fetches the rest of a notification (RFC 7959 §2.6).
    fn fetch_rest(&mut self, now: Time, index: PeerIndex, token: Token, request: Request, first: Response) {
        let mut asking = Asking::new(request, self.config.block_size);
        let step = asking.on_response(first, self.config.limits.body_bytes_max);
        let response_timeout = self.config.response_timeout;
        let asked = Box::new(Asked { asking, response_timeout, report: Report::Notification(token) });
        let fetch = ExchangeId::new(self.next_number());
        if let Some(observed) = self.observations.find_mut(index, token) {
            observed.fetch = Some(fetch);
        }
        self.take_step(now, fetch, index, Reliability::Confirmable, step, asked);
    }

    /// A notification was rejected, which tells the peer that it is observed no more (RFC 7641 §3.6).
    fn on_rejected(&mut self, now: Time, index: PeerIndex, token: Token) {
        if let Some(observed) = self.end_observation(index, token) {
            let peer = self.peers.peer(index);
            self.event(Event::Failed { exchange: observed.exchange, peer, failure: Failure::Unintelligible });
            self.advance(now, index);
        }
    }

    /// Forgets an observation of ours, and the fetching for it.
    pub(crate) fn end_observation(&mut self, index: PeerIndex, token: Token) -> Option<Observed> {
        let observed = self.observations.remove(index, token)?;
        if let Some(fetch) = observed.fetch {
            self.take_exchange(fetch);
        }
        Some(observed)
    }

    /// Says that a message cannot be dealt with (RFC 7252 §4.2, §4.3).
    pub(crate) fn reject(&mut self, peer: P, message: &Message<'_>) {
        self.counters.rejected += 1;
        self.transmit_to(peer, &Message::empty(MessageType::Reset, message.message_id));
    }
}
