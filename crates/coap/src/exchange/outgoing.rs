//! Exchanges that this endpoint begins, up to the acknowledgement.
//!
//! ```text
//!   request() ──▶ waiting ──▶ in flight ──── piggybacked response ──────────▶ answered.rs
//!                              │  ▲  │
//!                  no ACK yet: │  │  └─ empty ACK ─▶ awaiting ── response ──▶ answered.rs
//!                   sent again └──┘                   │
//!                              │ RST, or all tries    │ too late
//!                              ▼                      ▼
//!                            failed                 failed
//! ```

use std::hash::Hash;

use bugle_core::Time;

use super::{Asked, Asking, Delivery, Outgoing, Place, Purpose, Reliability, Report, Stage};
use crate::block::Block;
use crate::datagram::Datagram;
use crate::endpoint::Endpoint;
use crate::event::{Departure, Event, ExchangeId, Failure, RequestError};
use crate::message::{Message, MessageType};
use crate::option::OptionNumber;
use crate::options::OptionsView;
use crate::peers::PeerIndex;
use crate::request::{Observe, Request};
use crate::retransmission::Attempts;
use crate::timers::Timer;
use crate::token::{Identity, MessageId, Token};

impl<P: Copy + Eq + Hash> Endpoint<P> {
    /// Asks a peer. [`Event::Response`] or [`Event::Failed`] follows.
    ///
    /// # Errors
    /// If the request cannot be sent as it is, or too much waits for the peer already.
    pub fn request(
        &mut self,
        now: Time,
        peer: P,
        request: Request,
        delivery: Delivery,
    ) -> Result<ExchangeId, RequestError> {
        check(request.options.view())?;
        let index = self.enter_to_ask(now, peer)?;
        if request.observe() == Some(Observe::Register)
            && self.observations.of(index).count() >= self.config.limits.observations_per_peer_max
        {
            return Err(RequestError::TooManyObservations);
        }
        let identity = delivery.identity.unwrap_or_else(|| self.draw_identity(now, index));
        if self.is_token_in_use(index, identity.token) {
            return Err(RequestError::TokenInUse);
        }
        if Block::at(request.payload.len(), self.config.block_size, false).is_none() {
            return Err(RequestError::BodyTooLarge);
        }
        let asking = Asking::new(request, self.config.block_size);
        let response_timeout = delivery.response_timeout.unwrap_or(self.config.response_timeout);
        let asked = Box::new(Asked { asking, response_timeout, report: Report::Response });
        let exchange = ExchangeId::new(self.next_number());
        self.ask(now, exchange, index, (delivery.reliability, identity), Place::Last, asked);
        Ok(exchange)
    }

    /// Asks a peer for a sign of life (RFC 7252 §4.3). [`Event::Pong`] or [`Event::Failed`] follows.
    ///
    /// # Errors
    /// If too much waits for the peer already.
    pub fn ping(&mut self, now: Time, peer: P) -> Result<ExchangeId, RequestError> {
        let index = self.enter_to_ask(now, peer)?;
        let exchange = ExchangeId::new(self.next_number());
        let message = Message::empty(MessageType::Confirmable, self.draw_message_id(now, index));
        self.begin(now, exchange, index, &message, Place::Last, Purpose::Ping);
        Ok(exchange)
    }

    /// A token that was never given out, for an identity that the caller keeps.
    pub fn draw_token(&mut self) -> Token {
        self.generator.token()
    }

    /// Is not interested in a request any more, or asks for an observation to end.
    ///
    /// A request ends here and now, though the peer may still act on it. The end of an observation is asked
    /// for (RFC 7641 §3.6), and [`Event::Response`] or [`Event::Failed`] follows under the same exchange id.
    pub fn cancel(&mut self, now: Time, exchange: ExchangeId) {
        if let Some(outgoing) = self.take_exchange(exchange) {
            self.advance(now, outgoing.peer);
        }
        let Some((index, token)) = self.observations.place(exchange) else { return };
        let Some(observed) = self.end_observation(index, token) else { return };
        let asking = Asking::new(observed.request.with_observe(Observe::Deregister), self.config.block_size);
        let response_timeout = self.config.response_timeout;
        let asked = Box::new(Asked { asking, response_timeout, report: Report::Response });
        let identity = Identity { message_id: self.draw_message_id(now, index), token };
        self.ask(now, exchange, index, (Reliability::Confirmable, identity), Place::Last, asked);
    }

    /// Has the next message of a request sent when it is its exchange's turn.
    pub(super) fn ask(
        &mut self,
        now: Time,
        exchange: ExchangeId,
        index: PeerIndex,
        (reliability, identity): (Reliability, Identity),
        place: Place,
        asked: Box<Asked>,
    ) {
        let Identity { message_id, token } = identity;
        let outgoing = Outgoing {
            peer: index,
            message_id,
            token,
            reliability,
            stage: Stage::Waiting,
            due: Time::MAX,
            datagram: None,
            purpose: Purpose::Request(asked),
        };
        self.line_up(now, exchange, outgoing, place);
    }

    /// Has a message sent when it is its exchange's turn.
    pub(super) fn begin(
        &mut self,
        now: Time,
        exchange: ExchangeId,
        peer: PeerIndex,
        message: &Message<'_>,
        place: Place,
        purpose: Purpose,
    ) {
        let reliability = match message.message_type {
            MessageType::NonConfirmable => Reliability::NonConfirmable,
            _ => Reliability::Confirmable,
        };
        let outgoing = Outgoing {
            peer,
            message_id: message.message_id,
            token: message.token,
            reliability,
            stage: Stage::Waiting,
            due: Time::MAX,
            datagram: Some(self.encode(message)),
            purpose,
        };
        self.line_up(now, exchange, outgoing, place);
    }

    fn line_up(&mut self, now: Time, exchange: ExchangeId, outgoing: Outgoing, place: Place) {
        let peer = outgoing.peer;
        self.exchanges.insert(exchange, outgoing);
        self.lanes.push(peer, exchange, place);
        self.advance(now, peer);
    }

    /// Begins the exchange whose turn it is.
    pub(super) fn advance(&mut self, now: Time, peer: PeerIndex) {
        let Some(exchange) = self.lanes.advance(peer) else { return };
        let attempts = Attempts::new(self.config.transmission.first_wait(&mut self.generator));
        self.send(now, exchange, attempts);
    }

    /// Sends the message of an exchange, once more or for the first time.
    fn send(&mut self, now: Time, exchange: ExchangeId, attempts: Attempts) {
        self.renew_notification(now, exchange);
        let Some(outgoing) = self.exchanges.get_mut(&exchange) else { return };
        outgoing.stage = Stage::InFlight(attempts);
        let peer = outgoing.peer;
        match outgoing.datagram.clone().or_else(|| outgoing.write_request(&mut self.scratch)) {
            Some(datagram) => {
                self.transmit(peer, datagram);
                self.plan(exchange, now + attempts.wait());
            }
            None => self.fail(now, exchange, Failure::BodyTooLarge),
        }
    }

    pub(super) fn plan(&mut self, exchange: ExchangeId, at: Time) {
        if let Some(outgoing) = self.exchanges.get_mut(&exchange) {
            outgoing.due = at;
            self.timers.push(at, Timer::Exchange(exchange));
        }
    }

    /// Nothing came back in time.
    pub(crate) fn on_exchange_due(&mut self, now: Time, at: Time, exchange: ExchangeId) {
        let Some(outgoing) = self.exchanges.get(&exchange).filter(|outgoing| outgoing.due == at) else { return };
        match (outgoing.stage, outgoing.reliability) {
            (Stage::Waiting, _) => {}
            (Stage::InFlight(attempts), Reliability::Confirmable) => match attempts.next(&self.config.transmission) {
                Some(next) => {
                    self.counters.retransmissions += 1;
                    self.send(now, exchange, next);
                }
                None => self.fail(now, exchange, Failure::TimedOut),
            },
            // What is not acknowledged must not hold up for long what waits behind it.
            (Stage::InFlight(_), Reliability::NonConfirmable) => self.await_response(now, exchange),
            (Stage::Awaiting, _) => self.fail(now, exchange, Failure::NoResponse),
        }
    }

    /// Another exchange may begin while the response to this one is still awaited.
    fn await_response(&mut self, now: Time, exchange: ExchangeId) {
        let Some(outgoing) = self.exchanges.get_mut(&exchange) else { return };
        let Purpose::Request(asked) = &outgoing.purpose else { return };
        outgoing.stage = Stage::Awaiting;
        let (peer, until) = (outgoing.peer, now + asked.response_timeout);
        self.plan(exchange, until);
        self.lanes.await_response(peer, exchange);
        self.advance(now, peer);
    }

    /// An acknowledgement without a response.
    pub(crate) fn on_acknowledged(&mut self, now: Time, index: PeerIndex, message_id: MessageId) {
        let Some(exchange) = self.confirmable_in_flight(index, message_id) else {
            self.counters.ignored += 1;
            return;
        };
        let peer = self.peers.peer(index);
        match self.exchanges.get(&exchange).map(|outgoing| &outgoing.purpose) {
            Some(Purpose::Request(asked)) => {
                if asked.report == Report::Response {
                    self.event(Event::Acknowledged { exchange, peer });
                }
                self.await_response(now, exchange);
            }
            Some(Purpose::Response(handle)) => {
                let handle = *handle;
                self.take_exchange(exchange);
                self.event(Event::ResponseDelivered { handle, peer });
                self.advance(now, index);
            }
            Some(Purpose::Notification(observer)) => {
                let observer = *observer;
                self.take_exchange(exchange);
                self.on_notification_delivered(now, index, observer);
                self.advance(now, index);
            }
            // Not what the standard has a ping answered with, but a sign of life.
            Some(Purpose::Ping) => self.on_pong(now, exchange, index),
            None => {}
        }
    }

    /// The peer could not deal with a message of ours (RFC 7252 §4.2).
    pub(crate) fn on_reset(&mut self, now: Time, index: PeerIndex, message_id: MessageId) {
        let exchange = self.lanes.in_progress(index).filter(|exchange| {
            let outgoing = self.exchanges.get(exchange);
            outgoing.is_some_and(|outgoing| outgoing.message_id == message_id)
        });
        match exchange {
            Some(exchange) if matches!(self.exchanges[&exchange].purpose, Purpose::Ping) => {
                self.on_pong(now, exchange, index);
            }
            Some(exchange) => self.fail(now, exchange, Failure::Reset),
            None => match self.observers.notified_by(index, message_id) {
                Some(observer) => self.end_observer(now, observer, Departure::Reset),
                None => self.counters.ignored += 1,
            },
        }
    }

    fn on_pong(&mut self, now: Time, exchange: ExchangeId, index: PeerIndex) {
        self.take_exchange(exchange);
        let peer = self.peers.peer(index);
        self.event(Event::Pong { exchange, peer });
        self.advance(now, index);
    }

    /// Ends an exchange without a response.
    pub(crate) fn fail(&mut self, now: Time, exchange: ExchangeId, failure: Failure) {
        let Some(outgoing) = self.take_exchange(exchange) else { return };
        let index = outgoing.peer;
        self.report_end(now, exchange, outgoing, failure);
        self.advance(now, index);
    }

    /// Ends all exchanges with a peer, beginning none of those that wait.
    pub(crate) fn fail_all(&mut self, now: Time, index: PeerIndex, failure: Failure) {
        let exchanges: Vec<_> = self.lanes.of(index).collect();
        let taken: Vec<_> = exchanges.into_iter().filter_map(|id| Some((id, self.take_exchange(id)?))).collect();
        for (exchange, outgoing) in taken {
            self.report_end(now, exchange, outgoing, failure);
        }
    }

    fn report_end(&mut self, now: Time, exchange: ExchangeId, outgoing: Outgoing, failure: Failure) {
        let peer = self.peers.peer(outgoing.peer);
        match outgoing.purpose {
            Purpose::Request(asked) => self.report_failure(exchange, outgoing.peer, asked.report, failure),
            Purpose::Response(handle) => self.event(Event::ResponseFailed { handle, peer, failure }),
            Purpose::Ping => self.event(Event::Failed { exchange, peer, failure }),
            Purpose::Notification(observer) => {
                let departure = match failure {
                    Failure::Reset => Departure::Reset,
                    Failure::Forgotten => Departure::Forgotten,
                    _ => Departure::TimedOut,
                };
                self.end_observer(now, observer, departure);
            }
        }
    }

    pub(super) fn report_failure(&mut self, exchange: ExchangeId, index: PeerIndex, report: Report, failure: Failure) {
        match report {
            Report::Response => {
                // The observation may have begun with a first block whose rest did not come.
                if let Some((index, token)) = self.observations.place(exchange) {
                    self.end_observation(index, token);
                }
                let peer = self.peers.peer(index);
                self.event(Event::Failed { exchange, peer, failure });
            }
            Report::Notification(token) => {
                self.counters.notifications_lost += 1;
                if let Some(observed) = self.observations.find_mut(index, token) {
                    observed.fetch = None;
                }
            }
        }
    }

    /// Takes an exchange out of every table.
    pub(crate) fn take_exchange(&mut self, exchange: ExchangeId) -> Option<Outgoing> {
        let outgoing = self.exchanges.remove(&exchange)?;
        if let Purpose::Response(_) = outgoing.purpose {
            self.peers.remove_unanswered(outgoing.peer);
        }
        self.lanes.release(outgoing.peer, exchange);
        Some(outgoing)
    }

    /// The exchange in flight whose message this is, if it can be acknowledged.
    fn confirmable_in_flight(&self, index: PeerIndex, message_id: MessageId) -> Option<ExchangeId> {
        let exchange = self.lanes.in_progress(index)?;
        let outgoing = self.exchanges.get(&exchange)?;
        let matches = outgoing.message_id == message_id && outgoing.reliability == Reliability::Confirmable;
        matches.then_some(exchange)
    }

    fn enter_to_ask(&mut self, now: Time, peer: P) -> Result<PeerIndex, RequestError> {
        let index = self.enter(now, peer).ok_or(RequestError::TooManyPeers)?;
        if self.lanes.of(index).count() >= self.config.limits.exchanges_per_peer_max {
            return Err(RequestError::TooManyExchanges);
        }
        Ok(index)
    }

    pub(super) fn draw_identity(&mut self, now: Time, index: PeerIndex) -> Identity {
        Identity { message_id: self.draw_message_id(now, index), token: self.generator.token() }
    }

    pub(super) fn is_token_in_use(&self, index: PeerIndex, token: Token) -> bool {
        self.asked_under(index, token).is_some() || self.observations.has(index, token)
    }

    /// The request to a peer with this token.
    pub(super) fn asked_under(&self, index: PeerIndex, token: Token) -> Option<ExchangeId> {
        self.lanes.of(index).find(|exchange| {
            let outgoing = self.exchanges.get(exchange);
            outgoing.is_some_and(|known| known.token == token && matches!(known.purpose, Purpose::Request(_)))
        })
    }
}

impl Outgoing {
    /// The message of a request; none if it is none, or its body has more blocks than can be counted.
    fn write_request(&self, scratch: &mut Vec<u8>) -> Option<Datagram> {
        let Purpose::Request(asked) = &self.purpose else { return None };
        let (options, payload) = asked.asking.message()?;
        let message_type = match self.reliability {
            Reliability::Confirmable => MessageType::Confirmable,
            Reliability::NonConfirmable => MessageType::NonConfirmable,
        };
        let message = Message {
            message_type,
            code: asked.asking.request().method.code(),
            message_id: self.message_id,
            token: self.token,
            options: options.view(),
            payload: &payload,
        };
        Some(message.write(scratch))
    }
}

/// What a caller may not put into a request.
fn check(options: OptionsView<'_>) -> Result<(), RequestError> {
    let reserved = [OptionNumber::BLOCK1, OptionNumber::BLOCK2];
    match options.entries().find(|(number, _)| reserved.contains(number)) {
        Some((number, _)) => Err(RequestError::ReservedOption(number)),
        None => Ok(()),
    }
}
