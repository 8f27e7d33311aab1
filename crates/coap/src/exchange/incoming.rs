//! Requests of peers, from the datagram to the answer.
//!
//! 1. A request that came before gets the answer it got before, or nothing yet.
//! 2. One that cannot be dealt with is refused at once: 4.02, 4.05, 5.05, or a reset.
//! 3. A block of a body is put to the others (4.08, 4.13); one of a kept body is answered from it.
//! 4. The caller is told of the whole request, once.
//! 5. If it answers within the processing delay, the answer is piggybacked; else an empty acknowledgement
//!    goes out, and the answer follows in a message of its own.
//!
//! ```text
//!   ── CON GET ──▶ caller                     ── CON GET ──▶ caller
//!   ◀─ ACK 2.05 ── answers at once            ◀─ ACK ─────── processing delay
//!                                             ◀─ CON 2.05 ── answers
//!                                             ── ACK ──────▶
//! ```

use std::hash::Hash;
use std::time::Duration;

use bugle_core::Time;
use bytes::Bytes;

use super::{Place, Purpose};
use crate::block::{Block, BodyKey, Taken, cut};
use crate::code::{Code, Method};
use crate::deduplication::Answer;
use crate::endpoint::Endpoint;
use crate::event::{Departure, Event, ExchangeId, Gone, RequestHandle};
use crate::message::{Message, MessageType};
use crate::option::OptionNumber;
use crate::options::OptionsView;
use crate::peers::PeerIndex;
use crate::request::{Observe, Request};
use crate::response::{Response, RetryHint};
use crate::timers::Timer;
use crate::token::{MessageId, Token};

/// A request of a peer that is not answered.
#[derive(Debug)]
pub(crate) struct Incoming {
    pub(crate) peer: PeerIndex,
    message_id: MessageId,
    pub(crate) token: Token,
    message_type: MessageType,
    is_acknowledged: bool,
    pub(super) key: BodyKey,
    /// The block that completed the body.
    block1: Option<Block>,
    /// The block of the answer that the peer wants.
    pub(super) block2: Option<Block>,
    pub(super) observe: Option<Observe>,
    /// When it is acknowledged, or given up.
    due: Time,
    /// When its peer has given up.
    until: Time,
}

/// The blocks that a request speaks of, if it does so in a way that can be understood.
struct Blocks {
    block1: Option<Block>,
    block2: Option<Block>,
}

impl Blocks {
    fn of(options: OptionsView<'_>) -> Option<Self> {
        let block = |number| match options.uint(number) {
            Some(value) => Block::from_uint(value).map(Some),
            None => Some(None),
        };
        Some(Self { block1: block(OptionNumber::BLOCK1)?, block2: block(OptionNumber::BLOCK2)? })
    }
}

impl<P: Copy + Eq + Hash> Endpoint<P> {
    /// Answers a request.
    ///
    /// # Errors
    /// If it was answered, or its peer has given up or is forgotten.
    pub fn respond(&mut self, now: Time, handle: RequestHandle, response: Response) -> Result<(), Gone> {
        let incoming = self.take_incoming(handle).ok_or(Gone)?;
        self.answer(now, handle, &incoming, response);
        Ok(())
    }

    /// Tells the peer that its request has arrived and that the answer takes longer (RFC 7252 §5.2.2). What is
    /// not acknowledged so, or answered, within the processing delay, is acknowledged then.
    ///
    /// # Errors
    /// If it was answered, or its peer has given up or is forgotten.
    pub fn acknowledge(&mut self, handle: RequestHandle) -> Result<(), Gone> {
        let incoming = self.incoming.get_mut(&handle).ok_or(Gone)?;
        if incoming.message_type == MessageType::NonConfirmable || incoming.is_acknowledged {
            return Ok(());
        }
        incoming.is_acknowledged = true;
        incoming.due = incoming.until;
        let (peer, message_id, until) = (incoming.peer, incoming.message_id, incoming.until);
        self.timers.push(until, Timer::Request(handle));
        let acknowledgement = self.encode(&Message::empty(MessageType::Acknowledgement, message_id));
        self.transmit(peer, acknowledgement);
        Ok(())
    }

    pub(crate) fn on_request(&mut self, now: Time, peer: P, message: &Message<'_>) {
        if self.on_duplicate(now, peer, message) {
            return;
        }
        if let Some(number) = message.options.not_understood() {
            return self.refuse_option(peer, message, number);
        }
        let Some(blocks) = Blocks::of(message.options) else {
            return self.refuse(now, peer, message, Response::new(Code::BAD_REQUEST));
        };
        let is_for_proxy = [OptionNumber::PROXY_URI, OptionNumber::PROXY_SCHEME];
        if is_for_proxy.iter().any(|number| message.options.first(*number).is_some()) {
            return self.refuse(now, peer, message, Response::new(Code::PROXYING_NOT_SUPPORTED));
        }
        let Some(method) = Method::from_code(message.code) else {
            return self.refuse(now, peer, message, Response::new(Code::METHOD_NOT_ALLOWED));
        };
        let key = BodyKey::new(method, message.options);
        if self.fetch_block(now, peer, message, &blocks, &key) {
            return;
        }
        if let Some(handle) = self.take_in(now, peer, message, &blocks, key) {
            self.assemble(now, peer, handle, message);
        }
    }

    /// A request that could do no harm twice is not remembered: it is refused twice.
    fn refuse(&mut self, now: Time, peer: P, message: &Message<'_>, response: Response) {
        self.counters.rejected += 1;
        self.answer_at_once(now, peer, message, &response);
    }

    /// RFC 7252 §5.4.1: 4.02 if the request is confirmable, else it is rejected.
    fn refuse_option(&mut self, peer: P, message: &Message<'_>, number: OptionNumber) {
        if message.message_type == MessageType::NonConfirmable {
            return self.reject(peer, message);
        }
        let diagnostic = format!("option {number}");
        let answer = Message {
            message_type: MessageType::Acknowledgement,
            code: Code::BAD_OPTION,
            options: OptionsView::default(),
            payload: diagnostic.as_bytes(),
            ..*message
        };
        self.counters.rejected += 1;
        self.transmit_to(peer, &answer);
    }

    /// Answers from a body that is kept, if the request is for a later block of one.
    fn fetch_block(&mut self, now: Time, peer: P, message: &Message<'_>, blocks: &Blocks, key: &BodyKey) -> bool {
        let Some(wanted) = blocks.block2.filter(|block| block.number > 0) else { return false };
        let Some(index) = self.peers.find(peer) else { return false };
        let until = now + self.body_lifetime();
        let Some(response) = self.bodies.fetch(until, &(index, key.clone())) else { return false };
        let part = Block::at(wanted.offset(), wanted.size.min(self.config.block_size), false)
            .and_then(|block| cut(response, block))
            .unwrap_or_else(|| Response::new(Code::BAD_REQUEST));
        self.answer_at_once(now, peer, message, &part);
        true
    }

    /// Remembers a request; none if there is no room for it now. Its peer will send it again.
    fn take_in(
        &mut self,
        now: Time,
        peer: P,
        message: &Message<'_>,
        blocks: &Blocks,
        key: BodyKey,
    ) -> Option<RequestHandle> {
        let Some(index) = self.enter(now, peer) else {
            self.counters.dropped += 1;
            return None;
        };
        let transmission = &self.config.transmission;
        let (until, due) = match message.message_type {
            MessageType::Confirmable => (now + transmission.exchange_lifetime(), now + transmission.processing_delay),
            _ => (now + transmission.non_lifetime(), now + transmission.non_lifetime()),
        };
        let handle = RequestHandle::new(self.next_number());
        let limits = &self.config.limits;
        let is_full = self.peers.unanswered(index) >= limits.unanswered_per_peer_max
            || self
                .remembered
                .remember(index, (message.message_id, message.token), until, Answer::Pending(handle), limits)
                .is_err();
        if is_full {
            self.counters.dropped += 1;
            return None;
        }
        self.peers.add_unanswered(index);
        self.timers.push(due, Timer::Request(handle));
        let incoming = Incoming {
            peer: index,
            message_id: message.message_id,
            token: message.token,
            message_type: message.message_type,
            is_acknowledged: false,
            observe: None,
            key,
            block1: blocks.block1,
            block2: blocks.block2,
            due,
            until,
        };
        self.incoming.insert(handle, incoming);
        Some(handle)
    }

    /// Tells the caller of a request, once its body is whole.
    fn assemble(&mut self, now: Time, peer: P, handle: RequestHandle, message: &Message<'_>) {
        let Some(incoming) = self.incoming.get(&handle) else { return };
        let index = incoming.peer;
        let payload = match incoming.block1 {
            None => Bytes::copy_from_slice(message.payload),
            Some(block) => {
                let until = now + self.config.transmission.exchange_lifetime();
                let size = message.options.uint(OptionNumber::SIZE1);
                let of = (index, incoming.key.clone());
                match self.uploads.take(until, of, block, message.payload, size, &self.config.limits) {
                    Taken::Whole(body) => body,
                    taken => return self.answer_block(now, handle, &taken),
                }
            }
        };
        // A body that is gone cannot be made anew by acting on the request once more.
        if incoming.block2.is_some_and(|block| block.number > 0) && !incoming.key.method().is_safe() {
            return self.answer_internally(now, handle, Response::new(Code::REQUEST_ENTITY_INCOMPLETE));
        }
        let mut request = Request { method: incoming.key.method(), options: message.options.to_options(), payload };
        request.options.remove(OptionNumber::BLOCK1);
        request.options.remove(OptionNumber::BLOCK2);
        let observe = request.observe();
        if let Some(incoming) = self.incoming.get_mut(&handle) {
            incoming.observe = observe;
        }
        if observe == Some(Observe::Deregister)
            && let Some(observer) = self.observers.find(index, message.token)
        {
            self.end_observer(now, observer, Departure::Cancelled);
        }
        let freshness = self.freshness(now, peer, message.options);
        self.event(Event::Request { handle, peer, request, freshness });
    }

    /// Answers a block that does not complete a body.
    fn answer_block(&mut self, now: Time, handle: RequestHandle, taken: &Taken) {
        let response = match taken {
            Taken::Whole(_) | Taken::Continue => Response::new(Code::CONTINUE),
            Taken::Incomplete => Response::new(Code::REQUEST_ENTITY_INCOMPLETE),
            Taken::Misshapen => Response::new(Code::BAD_REQUEST),
            Taken::NoRoom => {
                Response::retry(RetryHint::ServiceUnavailable { after: self.config.transmission.ack_timeout })
            }
            Taken::TooLarge => {
                let mut response = Response::new(Code::REQUEST_ENTITY_TOO_LARGE);
                let max = u32::try_from(self.config.limits.body_bytes_max).unwrap_or(u32::MAX);
                response.options.set_uint(OptionNumber::SIZE1, max);
                response
            }
        };
        self.answer_internally(now, handle, response);
    }

    fn answer_internally(&mut self, now: Time, handle: RequestHandle, response: Response) {
        if let Some(incoming) = self.take_incoming(handle) {
            self.answer(now, handle, &incoming, response);
        }
    }

    /// The processing delay, or the patience of the peer, is over.
    pub(crate) fn on_request_due(&mut self, at: Time, handle: RequestHandle) {
        let Some(incoming) = self.incoming.get(&handle).filter(|incoming| incoming.due == at) else { return };
        if incoming.due < incoming.until {
            // It was there a moment ago.
            let _ = self.acknowledge(handle);
        } else {
            self.take_incoming(handle);
        }
    }

    pub(super) fn answer(&mut self, now: Time, handle: RequestHandle, incoming: &Incoming, response: Response) {
        let mut part = self.first_part(now, incoming.peer, &incoming.key, incoming.block2, response);
        // RFC 7959 §2.9.3: with 4.13, it would say that the body is welcome in smaller blocks.
        if let Some(block) = incoming.block1.filter(|_| part.code != Code::REQUEST_ENTITY_TOO_LARGE) {
            let has_more = part.code == Code::CONTINUE;
            let size = block.size.min(self.config.block_size);
            part.options.set_uint(OptionNumber::BLOCK1, Block { has_more, size, ..block }.to_uint());
        }
        let message = Message {
            message_type: MessageType::Acknowledgement,
            code: part.code,
            message_id: incoming.message_id,
            token: incoming.token,
            options: part.options.view(),
            payload: &part.payload,
        };
        match incoming.message_type {
            MessageType::Confirmable if incoming.is_acknowledged => {
                let acknowledgement = Message::empty(MessageType::Acknowledgement, incoming.message_id);
                let again = Answer::Again(self.encode(&acknowledgement));
                self.remembered.settle(incoming.peer, (incoming.message_id, incoming.token), again);
                let message_id = self.draw_message_id(now, incoming.peer);
                let message = Message { message_type: MessageType::Confirmable, message_id, ..message };
                let exchange = ExchangeId::new(self.next_number());
                // It counts as unanswered until the answer has arrived, or a peer could have us keep any number.
                self.peers.add_unanswered(incoming.peer);
                self.begin(now, exchange, incoming.peer, &message, Place::First, Purpose::Response(handle));
            }
            MessageType::Confirmable => {
                let datagram = self.encode(&message);
                let again = Answer::Again(datagram.clone());
                self.remembered.settle(incoming.peer, (incoming.message_id, incoming.token), again);
                self.transmit(incoming.peer, datagram);
            }
            _ => {
                // RFC 7252 §4.5: a non-confirmable message that comes again is ignored.
                self.remembered.settle(incoming.peer, (incoming.message_id, incoming.token), Answer::Silence);
                let message_id = self.draw_message_id(now, incoming.peer);
                let message = Message { message_type: MessageType::NonConfirmable, message_id, ..message };
                let datagram = self.encode(&message);
                self.transmit(incoming.peer, datagram);
            }
        }
    }

    /// Answers without remembering that it did.
    fn answer_at_once(&mut self, now: Time, peer: P, message: &Message<'_>, response: &Response) {
        let (message_type, message_id) = match message.message_type {
            MessageType::NonConfirmable => {
                // The id of the answer is what must be remembered.
                let Some(index) = self.enter(now, peer) else { return };
                (MessageType::NonConfirmable, self.draw_message_id(now, index))
            }
            _ => (MessageType::Acknowledgement, message.message_id),
        };
        let answer = Message {
            message_type,
            code: response.code,
            message_id,
            token: message.token,
            options: response.options.view(),
            payload: &response.payload,
        };
        self.transmit_to(peer, &answer);
    }

    /// The block of a response that goes out now. The rest is kept for the peer to fetch.
    pub(super) fn first_part(
        &mut self,
        now: Time,
        peer: PeerIndex,
        key: &BodyKey,
        wanted: Option<Block>,
        mut response: Response,
    ) -> Response {
        let offset = wanted.map_or(0, Block::offset);
        let size = wanted.map_or(self.config.block_size, |block| block.size.min(self.config.block_size));
        // An error is whole whatever block was asked for: it is no part of the body.
        if response.payload.len() <= size.bytes() && (offset == 0 || !response.code.is_success()) {
            return response;
        }
        if response.etag().is_none() {
            // RFC 7959 §2.4: by its tag the peer knows that all blocks are of one representation.
            let digest = self.generator.digest(&response.payload).to_be_bytes();
            response.options.insert(OptionNumber::ETAG, &digest[..4]);
        }
        let part = Block::at(offset, size, false).and_then(|block| cut(&response, block));
        let Some(part) = part else { return Response::new(Code::BAD_REQUEST) };
        let until = now + self.body_lifetime();
        response.options.remove(OptionNumber::OBSERVE);
        self.bodies.keep(until, (peer, key.clone()), response, &self.config.limits);
        part
    }

    /// How long a body is kept for its peer to go on fetching. A separate response may take one lifetime to
    /// arrive, and the peer's next request another until it is its turn.
    fn body_lifetime(&self) -> Duration {
        2 * self.config.transmission.exchange_lifetime()
    }

    /// Answers a message that came before as it was answered before (RFC 7252 §4.5).
    pub(crate) fn on_duplicate(&mut self, now: Time, peer: P, message: &Message<'_>) -> bool {
        let Some(index) = self.peers.find(peer) else { return false };
        let Some(answer) = self.remembered.answer(now, index, (message.message_id, message.token)) else {
            return false;
        };
        let again = match answer {
            Answer::Silence => None,
            Answer::Again(datagram) => Some(datagram.clone()),
            Answer::Pending(handle) => {
                let is_acknowledged = self.incoming.get(handle).is_some_and(|incoming| incoming.is_acknowledged);
                let acknowledgement = Message::empty(MessageType::Acknowledgement, message.message_id);
                is_acknowledged.then(|| self.encode(&acknowledgement))
            }
        };
        self.counters.duplicates += 1;
        if let Some(datagram) = again {
            self.transmit(index, datagram);
        }
        true
    }

    pub(super) fn take_incoming(&mut self, handle: RequestHandle) -> Option<Incoming> {
        let incoming = self.incoming.remove(&handle)?;
        self.peers.remove_unanswered(incoming.peer);
        Some(incoming)
    }

    /// Gives up a request that nobody will answer.
    pub(crate) fn drop_incoming(&mut self, handle: RequestHandle) {
        self.take_incoming(handle);
    }
}
