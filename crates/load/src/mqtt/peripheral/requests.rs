//! The requests that a simulated peripheral has got, and its answers to them.

use std::collections::VecDeque;

use bugle_core::{Content, Operation, PeripheralId, RequestId, Time};
use bytes::Bytes;
use bytestring::ByteString;
use serde::Deserialize;

use super::outbox::{Draft, Purpose};
use crate::mqtt::packet::Message;

/// Requests that a peripheral remembers, so that it does none of them twice.
const REMEMBERED_MAX: usize = 32;

/// A request as its payload tells it.
#[derive(Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Request {
    #[serde(rename = "request")]
    pub(super) id: RequestId,
    #[serde(flatten)]
    pub(super) operation: Operation,
}

impl Request {
    /// The request in `message`, if it is one.
    pub(super) fn read(message: &Message) -> Option<Self> {
        serde_json::from_slice(&message.payload).ok()
    }
}

/// What a peripheral says to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reply {
    Done(Content),
    Refused(String),
}

/// An answer, and when it is due.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) due: Time,
    pub(super) request: RequestId,
    pub(super) reply: Reply,
    pub(super) response_topic: Option<ByteString>,
    pub(super) correlation: Option<Bytes>,
}

impl Answer {
    /// As a message: to where the request said, or else where this peripheral's answers go.
    pub(super) fn into_draft(self, peripheral: &PeripheralId) -> Draft {
        let topic =
            self.response_topic.unwrap_or_else(|| format!("bugle/{peripheral}/responses/{}", self.request).into());
        let (content, property) = match self.reply {
            Reply::Done(content) => (content, None),
            // MQTT 3.1.1 has no properties, so that the reason goes into the payload as well.
            Reply::Refused(reason) => {
                let property = ("bugle-refused".into(), reason.clone().into());
                (Content::text(format!("refused: {reason}")), Some(property))
            }
        };
        Draft {
            purpose: Purpose::Answer(self.request),
            topic,
            payload: content.bytes.into(),
            content_type: (!content.content_type.is_empty()).then(|| content.content_type.into()),
            correlation: self.correlation,
            property,
        }
    }
}

/// Requests got, and answers that are due.
#[derive(Debug, Default)]
pub(super) struct Requests {
    /// With the reply; none where requests are not answered.
    remembered: VecDeque<(RequestId, Option<Reply>)>,
    due: Vec<Answer>,
}

impl Requests {
    /// The reply given to `request`, if it came before.
    pub(super) fn recall(&self, request: RequestId) -> Option<&Option<Reply>> {
        self.remembered.iter().find(|(known, _)| *known == request).map(|(_, reply)| reply)
    }

    pub(super) fn remember(&mut self, request: RequestId, reply: Option<Reply>) {
        if self.remembered.len() == REMEMBERED_MAX {
            self.remembered.pop_front();
        }
        self.remembered.push_back((request, reply));
    }

    /// Whether an answer to `request` is due already.
    pub(super) fn is_due(&self, request: RequestId) -> bool {
        self.due.iter().any(|answer| answer.request == request)
    }

    pub(super) fn has_due(&self) -> bool {
        !self.due.is_empty()
    }

    /// Keeps `answer` until it is due. No more are kept than requests are remembered.
    pub(super) fn keep(&mut self, answer: Answer) {
        if self.due.len() < REMEMBERED_MAX {
            self.due.push(answer);
        }
    }

    pub(super) fn next_due(&self) -> Option<Time> {
        self.due.iter().map(|answer| answer.due).min()
    }

    /// Takes an answer that is due now.
    pub(super) fn take_due(&mut self, now: Time) -> Option<Answer> {
        let at = self.due.iter().position(|answer| answer.due <= now)?;
        Some(self.due.remove(at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mqtt::packet::Dup;

    fn read(payload: &'static str) -> Option<Request> {
        Request::read(&Message {
            id: None,
            dup: Dup::First,
            payload: payload.into(),
            response_topic: None,
            correlation: None,
        })
    }

    #[test]
    fn a_request_is_its_id_and_an_operation() {
        let request = read(r#"{"request":"01M8QZ4T7B0XK","do":"read","path":"/3/0/0"}"#).expect("a request");
        assert_eq!(request.id.to_string(), "01M8QZ4T7B0XK");
        assert!(matches!(request.operation, Operation::Read { .. }));
        let request = read(r#"{"request":"01M8QZ4T7B0XK","do":"message","content":{"text":"on"}}"#);
        assert!(matches!(request, Some(Request { operation: Operation::Message { .. }, .. })));
    }

    #[test]
    fn anything_else_is_none() {
        for payload in ["", "on", "{}", r#"{"do":"read","path":"/3/0/0"}"#, r#"{"request":"01M8QZ4T7B0XK"}"#] {
            assert_eq!(read(payload), None, "{payload}");
        }
    }

    #[test]
    fn only_so_many_requests_are_remembered() {
        let mut requests = Requests::default();
        let id = |number| RequestId::from_number(number).expect("a request id");
        for number in 0..=REMEMBERED_MAX as u64 {
            requests.remember(id(number), None);
        }
        assert_eq!(requests.recall(id(0)), None);
        assert_eq!(requests.recall(id(1)), Some(&None));
    }

    #[test]
    fn a_refusal_is_told_in_a_property() {
        let answer = Answer {
            due: Time::ZERO,
            request: RequestId::from_number(1).expect("a request id"),
            reply: Reply::Refused("no".into()),
            response_topic: None,
            correlation: None,
        };
        let draft = answer.into_draft(&PeripheralId::new("m1").expect("a peripheral id"));
        assert_eq!(draft.topic, "bugle/m1/responses/0000000000001");
        assert_eq!(draft.property, Some(("bugle-refused".into(), "no".into())));
    }
}
