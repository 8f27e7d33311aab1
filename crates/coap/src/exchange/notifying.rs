//! Telling peers of what they observe (RFC 7641 §4).
//!
//! 1. A peer asks to observe; the caller answers and takes it as an observer, or just answers.
//! 2. The caller notifies it of each change. While a confirmable notification is on its way, only the newest
//!    state waits behind it, and goes out in its place when it is due again (§4.5.2).
//! 3. It observes no more when it says so, rejects a notification, does not acknowledge one, or is told of an error.

use std::hash::Hash;

use bugle_core::Time;

use super::{Place, Purpose, Reliability};
use crate::block::Block;
use crate::endpoint::Endpoint;
use crate::event::{Departure, Event, ExchangeId, Gone, ObserverId, RequestHandle};
use crate::message::{Message, MessageType};
use crate::observe::Observer;
use crate::option::OptionNumber;
use crate::peers::PeerIndex;
use crate::request::Observe;
use crate::response::Response;
use crate::token::Token;

impl<P: Copy + Eq + Hash> Endpoint<P> {
    /// Answers a request, and takes its peer as an observer if that is what it asks for. None if it does not,
    /// or the response is no success, or the peer observes too much already.
    ///
    /// # Errors
    /// If it was answered, or its peer has given up or is forgotten.
    pub fn accept_observer(
        &mut self,
        now: Time,
        handle: RequestHandle,
        mut response: Response,
    ) -> Result<Option<ObserverId>, Gone> {
        let incoming = self.take_incoming(handle).ok_or(Gone)?;
        let (peer, token) = (incoming.peer, incoming.token);
        // RFC 7641 §4.1: asking again under the same token is no second observation.
        let known = self.observers.find(peer, token);
        let has_room = known.is_some() || self.observers.of(peer).count() < self.config.limits.observers_per_peer_max;
        let is_taken = incoming.observe == Some(Observe::Register) && response.code.is_success() && has_room;
        if !is_taken {
            self.answer(now, handle, &incoming, response);
            return Ok(None);
        }
        let id = match known {
            Some(id) => id,
            None => {
                let id = ObserverId::new(self.next_number());
                let size = incoming.block2.map_or(self.config.block_size, |block| block.size);
                self.observers.insert(id, Observer::new(now, peer, token, incoming.key.clone(), size));
                id
            }
        };
        if let Some(observer) = self.observers.get_mut(id) {
            response.options.set_uint(OptionNumber::OBSERVE, observer.next_sequence());
        }
        self.answer(now, handle, &incoming, response);
        Ok(Some(id))
    }

    /// Tells an observer of a newer state. [`Event::NotificationDelivered`] follows if it goes confirmably and no
    /// newer state takes its place. Anything but success is the last word (RFC 7641 §4.2).
    ///
    /// # Errors
    /// If the observer is gone.
    pub fn notify(
        &mut self,
        now: Time,
        observer: ObserverId,
        response: Response,
        reliability: Reliability,
    ) -> Result<(), Gone> {
        let watching = self.observers.get_mut(observer).ok_or(Gone)?;
        let (peer, code) = (watching.peer, response.code);
        if code.is_success() && watching.on_its_way.is_some() {
            watching.newer = Some(Box::new(response));
            return Ok(());
        }
        let must_confirm = !code.is_success() || watching.must_confirm(now);
        let overtaken = watching.on_its_way.take();
        if let Some(overtaken) = overtaken {
            self.take_exchange(overtaken);
        }
        let Some((token, part)) = self.notification(now, observer, response) else { return Err(Gone) };
        if must_confirm || reliability == Reliability::Confirmable {
            self.notify_confirmably(now, observer, peer, token, &part);
        } else {
            self.notify_once(now, observer, peer, token, &part);
        }
        if !code.is_success() {
            self.observers.remove(observer);
            let peer = self.peers.peer(peer);
            self.event(Event::ObserverGone { observer, peer, departure: Departure::Ended(code) });
        }
        self.advance(now, peer);
        Ok(())
    }

    fn notify_once(&mut self, now: Time, observer: ObserverId, peer: PeerIndex, token: Token, part: &Response) {
        let message_id = self.draw_message_id(now, peer);
        let message = Message {
            message_type: MessageType::NonConfirmable,
            code: part.code,
            message_id,
            token,
            options: part.options.view(),
            payload: &part.payload,
        };
        let datagram = self.encode(&message);
        self.transmit(peer, datagram);
        if let Some(watching) = self.observers.get_mut(observer) {
            watching.on_notified(message_id);
        }
    }

    fn notify_confirmably(&mut self, now: Time, observer: ObserverId, peer: PeerIndex, token: Token, part: &Response) {
        let message = Message {
            message_type: MessageType::Confirmable,
            code: part.code,
            message_id: self.draw_message_id(now, peer),
            token,
            options: part.options.view(),
            payload: &part.payload,
        };
        let exchange = ExchangeId::new(self.next_number());
        if let Some(watching) = self.observers.get_mut(observer) {
            watching.on_its_way = Some(exchange);
        }
        self.begin(now, exchange, peer, &message, Place::Last, Purpose::Notification(observer));
    }

    /// What goes out of a newer state.
    fn notification(&mut self, now: Time, observer: ObserverId, mut response: Response) -> Option<(Token, Response)> {
        let watching = self.observers.get_mut(observer)?;
        if response.code.is_success() {
            response.options.set_uint(OptionNumber::OBSERVE, watching.next_sequence());
        }
        let (peer, token, key) = (watching.peer, watching.token, watching.key.clone());
        let wanted = Block { number: 0, has_more: false, size: watching.block_size };
        Some((token, self.first_part(now, peer, &key, Some(wanted), response)))
    }

    /// Puts the newest state in place of the one that is to be sent (again).
    pub(super) fn renew_notification(&mut self, now: Time, exchange: ExchangeId) {
        let Some(outgoing) = self.exchanges.get(&exchange) else { return };
        let Purpose::Notification(observer) = outgoing.purpose else { return };
        let peer = outgoing.peer;
        let Some(newer) = self.observers.get_mut(observer).and_then(|watching| watching.newer.take()) else { return };
        let Some((token, part)) = self.notification(now, observer, *newer) else { return };
        // It is another message, so it has another id; the attempts go on being counted.
        let message_id = self.draw_message_id(now, peer);
        let datagram = self.encode(&Message {
            message_type: MessageType::Confirmable,
            code: part.code,
            message_id,
            token,
            options: part.options.view(),
            payload: &part.payload,
        });
        if let Some(outgoing) = self.exchanges.get_mut(&exchange) {
            outgoing.message_id = message_id;
            outgoing.datagram = Some(datagram);
        }
    }

    /// A confirmable notification has arrived.
    pub(super) fn on_notification_delivered(&mut self, now: Time, index: PeerIndex, observer: ObserverId) {
        let Some(watching) = self.observers.get_mut(observer) else { return };
        watching.on_confirmed(now);
        match watching.newer.take() {
            Some(newer) => {
                // The observer was found a moment ago.
                let _ = self.notify(now, observer, *newer, Reliability::Confirmable);
            }
            None => {
                let peer = self.peers.peer(index);
                self.event(Event::NotificationDelivered { observer, peer });
            }
        }
    }

    /// Forgets an observer, and what is on its way to it.
    pub(crate) fn end_observer(&mut self, now: Time, observer: ObserverId, departure: Departure) {
        let Some(watching) = self.observers.remove(observer) else { return };
        if let Some(exchange) = watching.on_its_way {
            self.take_exchange(exchange);
            self.advance(now, watching.peer);
        }
        let peer = self.peers.peer(watching.peer);
        self.event(Event::ObserverGone { observer, peer, departure });
    }
}
