//! What a simulated peripheral publishes, with QoS 1: it is kept until the server has taken it.

use std::collections::VecDeque;
use std::num::NonZeroU16;

use bugle_core::RequestId;
use bytes::Bytes;
use bytestring::ByteString;

use crate::event::Session;
use crate::mqtt::packet::{Dup, ToPublish};

/// Messages that wait for a server to take them; one more is given up.
const MESSAGES_MAX: usize = 64;
/// Messages that are under way at once, if the server does not want fewer.
const IN_FLIGHT_MAX: u16 = 16;

/// A message that is to be published.
#[derive(Debug, Clone)]
pub(super) struct Draft {
    pub(super) purpose: Purpose,
    pub(super) topic: ByteString,
    pub(super) payload: Bytes,
    pub(super) content_type: Option<ByteString>,
    pub(super) correlation: Option<Bytes>,
    pub(super) property: Option<(ByteString, ByteString)>,
}

/// What a message is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// It answers this request.
    Answer(RequestId),
    /// Anything else.
    Own,
}

/// Whether there was room for a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Room {
    Enough,
    None,
}

/// Messages in order; the first `in_flight` are under way. Those that ever were have a packet id.
#[derive(Debug)]
pub(super) struct Outbox {
    messages: VecDeque<(Option<NonZeroU16>, Draft)>,
    in_flight: usize,
    in_flight_max: u16,
    last_id: u16,
}

impl Outbox {
    pub(super) const fn new() -> Self {
        Self { messages: VecDeque::new(), in_flight: 0, in_flight_max: IN_FLIGHT_MAX, last_id: 0 }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    pub(super) fn push(&mut self, draft: Draft) -> Room {
        if self.messages.len() == MESSAGES_MAX {
            return Room::None;
        }
        self.messages.push_back((None, draft));
        Room::Enough
    }

    pub(super) fn has_answer_to(&self, request: RequestId) -> bool {
        self.messages.iter().any(|(_, draft)| draft.purpose == Purpose::Answer(request))
    }

    /// On a new connection nothing is under way any more. What was goes out again first, and to a server that
    /// remembers the session under its old packet id (MQTT 5, 4.4).
    pub(super) fn reconnect(&mut self, receive_max: u16, session: Session) {
        self.in_flight = 0;
        self.in_flight_max = receive_max.clamp(1, IN_FLIGHT_MAX);
        if session == Session::New {
            self.messages.iter_mut().for_each(|(id, _)| *id = None);
        }
    }

    /// The next message to put under way, if there is one and there may be one more.
    pub(super) fn next(&mut self) -> Option<ToPublish> {
        if self.in_flight >= usize::from(self.in_flight_max) {
            return None;
        }
        let (id, dup) = match self.messages.get(self.in_flight)?.0 {
            Some(id) => (id, Dup::Again),
            None => (self.new_id(), Dup::First),
        };
        let (slot, draft) = self.messages.get_mut(self.in_flight)?;
        *slot = Some(id);
        self.in_flight += 1;
        Some(draft.to_publish(id, dup))
    }

    /// The server has had its say on the message `id`: what was it for?
    pub(super) fn take(&mut self, id: NonZeroU16) -> Option<Purpose> {
        let at = self.messages.iter().take(self.in_flight).position(|(known, _)| *known == Some(id))?;
        let (_, draft) = self.messages.remove(at)?;
        self.in_flight -= 1;
        Some(draft.purpose)
    }

    /// A packet id that no message under way has.
    pub(super) fn new_id(&mut self) -> NonZeroU16 {
        loop {
            self.last_id = self.last_id.wrapping_add(1);
            let Some(id) = NonZeroU16::new(self.last_id) else { continue };
            if !self.messages.iter().any(|(taken, _)| *taken == Some(id)) {
                return id;
            }
        }
    }
}

impl Draft {
    fn to_publish(&self, id: NonZeroU16, dup: Dup) -> ToPublish {
        ToPublish {
            id,
            dup,
            topic: self.topic.clone(),
            payload: self.payload.clone(),
            content_type: self.content_type.clone(),
            correlation: self.correlation.clone(),
            property: self.property.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft(payload: &'static str) -> Draft {
        Draft {
            purpose: Purpose::Own,
            topic: "t".into(),
            payload: payload.into(),
            content_type: None,
            correlation: None,
            property: None,
        }
    }

    #[test]
    fn what_is_under_way_goes_out_again_in_order_under_its_old_id() {
        let mut outbox = Outbox::new();
        for payload in ["a", "b", "c"] {
            assert_eq!(outbox.push(draft(payload)), Room::Enough);
        }
        let a = outbox.next().expect("a");
        let b = outbox.next().expect("b");
        assert_eq!(outbox.take(a.id), Some(Purpose::Own));
        outbox.reconnect(u16::MAX, Session::Resumed);
        assert_eq!(outbox.next(), Some(ToPublish { dup: Dup::Again, ..b }));
        assert_eq!(outbox.next().map(|publish| (publish.payload, publish.dup)), Some(("c".into(), Dup::First)));
    }

    #[test]
    fn no_more_is_under_way_than_the_server_wants() {
        let mut outbox = Outbox::new();
        outbox.push(draft("a"));
        outbox.push(draft("b"));
        assert!(outbox.next().is_some() && outbox.next().is_some());
        outbox.reconnect(1, Session::Resumed);
        let a = outbox.next().expect("a");
        assert_eq!(outbox.next(), None);
        outbox.take(a.id);
        assert!(outbox.next().is_some());
    }

    #[test]
    fn to_a_server_that_has_forgotten_everything_is_new() {
        let mut outbox = Outbox::new();
        outbox.push(draft("a"));
        outbox.next();
        outbox.reconnect(u16::MAX, Session::New);
        assert_eq!(outbox.next().map(|publish| publish.dup), Some(Dup::First));
    }

    #[test]
    fn the_outbox_is_bounded() {
        let mut outbox = Outbox::new();
        for _ in 0..MESSAGES_MAX {
            assert_eq!(outbox.push(draft("a")), Room::Enough);
        }
        assert_eq!(outbox.push(draft("a")), Room::None);
    }

    #[test]
    fn an_acknowledgement_of_nothing_is_nothing() {
        let mut outbox = Outbox::new();
        outbox.push(draft("a"));
        assert_eq!(outbox.take(NonZeroU16::MIN), None);
    }
}
