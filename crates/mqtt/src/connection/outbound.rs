//! What is published to the peripheral: requests, with quality of service 1 (MQTT 5 §4.3.2).

use std::fmt::Write as _;
use std::time::Duration;

use bugle_core::RequestId;
use thiserror::Error;

use super::session::Session;
use super::{Output, PacketId};
use crate::topic::{Requests, Response};
use crate::wire::outgoing::{self, Packet, TooLarge};
use crate::{Event, Noise, limits};

/// A request for the peripheral, for its topic `requests`.
///
/// An MQTT 5 client is told with it to which topic to answer, with the request id as correlation
/// data. A 3.1.1 client gets no more than the payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Publication<'a> {
    /// Which packet it is: as of the first transmission, on disk before that.
    pub packet_id: PacketId,
    /// Whether the peripheral may have got it before.
    pub transmission: Transmission,
    /// Which request.
    pub request: RequestId,
    /// The request itself.
    pub payload: &'a [u8],
    /// The payload's media type; empty to name none.
    pub content_type: &'a str,
    /// How long the request still lives.
    pub message_expiry: Duration,
}

/// Whether a packet was sent before, on an earlier connection of the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transmission {
    /// It was not.
    First,
    /// It was, and was not acknowledged [MQTT-3.3.1-1].
    Again,
}

/// Why nothing was published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PublishError {
    /// The peripheral is not there, or not yet. The caller is early or late.
    #[error("the peripheral is not connected")]
    NotConnected,
    /// The peripheral has not subscribed to its requests; it may yet.
    #[error("the peripheral has not subscribed to its requests")]
    NotSubscribed,
    /// The packet id awaits its PUBACK. The caller's mistake.
    #[error("packet id {0} is in flight")]
    InFlight(PacketId),
    /// The peripheral takes no more before it has acknowledged what it has.
    #[error("the peripheral's Receive Maximum is reached")]
    ReceiveMaximum,
    /// The peripheral will never take it.
    #[error("too large for this client: {bytes} bytes, of which it takes {bytes_max}")]
    TooLarge {
        /// How many bytes the packet has.
        bytes: usize,
        /// How many bytes a packet to this client may have.
        bytes_max: u32,
    },
}

impl Session {
    pub(super) fn publish(&mut self, publication: &Publication<'_>, output: &mut Output) -> Result<(), PublishError> {
        let packet_id = publication.packet_id;
        if !self.is_subscribed {
            return Err(PublishError::NotSubscribed);
        }
        if self.outbound.contains(&packet_id) {
            return Err(PublishError::InFlight(packet_id));
        }
        if self.outbound.len() >= limits::DELIVERIES_IN_FLIGHT_MAX.min(self.receive_maximum.into()) {
            // [MQTT-3.3.4-9]
            return Err(PublishError::ReceiveMaximum);
        }
        let mut names = Names::default();
        let [topic, response_topic, correlation_data] = names.of(self, publication.request);
        let publish = Packet::Publish(outgoing::Publish {
            packet_id,
            is_duplicate: publication.transmission == Transmission::Again,
            topic,
            payload: publication.payload,
            content_type: publication.content_type,
            response_topic,
            correlation_data: correlation_data.as_bytes(),
            message_expiry: expiry_seconds(publication.message_expiry),
        });
        let manner = self.manner();
        publish.encode(manner, &mut output.bytes).map_err(|TooLarge { bytes }| {
            // [MQTT-3.1.2-24]
            PublishError::TooLarge { bytes, bytes_max: manner.packet_bytes_max }
        })?;
        self.outbound.push(packet_id);
        Ok(())
    }

    pub(super) fn on_publish_ack(&mut self, packet_id: PacketId, code: u8, reason: Box<str>, output: &mut Output) {
        let event = match self.outbound.iter().position(|in_flight| *in_flight == packet_id) {
            None => Event::Noise(Noise::UnknownPacketId),
            Some(index) => {
                self.outbound.swap_remove(index);
                // From 0x80 on it is a refusal (MQTT 5 §2.4).
                if code < 0x80 { Event::Delivered { packet_id } } else { Event::Refused { packet_id, code, reason } }
            }
        };
        output.events.push_back(event);
    }
}

/// Three texts in one allocation.
#[derive(Default)]
struct Names(String);

impl Names {
    /// Where a request goes, where its answer goes, and the request id.
    fn of(&mut self, session: &Session, request: RequestId) -> [&str; 3] {
        let peripheral = session.peripheral();
        let is_written = write!(self.0, "{}", Requests(peripheral));
        let first = self.0.len();
        let is_written = is_written.and_then(|()| write!(self.0, "{}", Response(peripheral, request)));
        let second = self.0.len();
        is_written.and_then(|()| write!(self.0, "{request}")).expect("writing to a string does not fail");
        let (topics, request) = self.0.split_at(second);
        let (topic, response_topic) = topics.split_at(first);
        [topic, response_topic, request]
    }
}

/// Whole seconds, begun ones included, as 0 would be no life at all (MQTT 5 §3.3.2.3.3).
fn expiry_seconds(remaining: Duration) -> u32 {
    u32::try_from(remaining.as_millis().div_ceil(1000)).unwrap_or(u32::MAX).max(1)
}
