//! The packets of an MQTT client, the same for both versions, as bytes.

use std::num::NonZeroU16;
use std::time::Duration;

use bugle_core::RequestId;
use bugle_mqtt::Version;
use bytes::{Bytes, BytesMut};
use rmqtt_codec::types::{Publish, QoS};
use rmqtt_codec::{v3, v5};
use serde::Deserialize;
use tokio_util::codec::{Decoder, Encoder};

/// The largest packet that is taken.
const PACKET_BYTES_MAX: u32 = 256 * 1024;

/// A packet for the gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ToGateway {
    Connect {
        client_id: String,
        start: Start,
        keep_alive: Duration,
        session_expiry: Duration,
    },
    Subscribe {
        id: NonZeroU16,
        topic: String,
    },
    Publish(Message),
    Acknowledge {
        id: NonZeroU16,
    },
    Ping,
    /// With the session's end where that is now (MQTT 5).
    Disconnect(Parting),
}

/// Whether a client wants its old session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Start {
    Clean,
    Resume,
}

/// Whether a client leaves its session behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Parting {
    KeepSession,
    EndSession,
}

/// A message of a client's own, of quality of service 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) id: NonZeroU16,
    pub(crate) is_repeat: bool,
    pub(crate) topic: String,
    pub(crate) payload: Vec<u8>,
    /// Why a request is refused, in an answer that does.
    pub(crate) refusal: Option<String>,
}

/// A packet from the gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum FromGateway {
    Connected {
        is_resumed: bool,
    },
    Refused {
        code: u8,
    },
    Subscribed,
    Request {
        id: NonZeroU16,
        is_repeat: bool,
        request: RequestId,
    },
    Acknowledged {
        id: NonZeroU16,
        code: u8,
    },
    Pong,
    Disconnect {
        code: u8,
    },
    /// Nothing that a gateway should send.
    Nonsense,
}

/// The part of a request's payload that every client reads.
#[derive(Deserialize)]
struct Envelope {
    request: RequestId,
}

/// Writes and reads the packets of one connection.
#[derive(Debug)]
pub(crate) struct Packets {
    codec: Codec,
    received: BytesMut,
}

#[derive(Debug)]
enum Codec {
    V3(v3::Codec),
    V5(v5::Codec),
}

impl Packets {
    pub(crate) fn new(version: Version) -> Self {
        let codec = match version {
            Version::Mqtt311 => Codec::V3(v3::Codec::new(PACKET_BYTES_MAX)),
            Version::Mqtt5 => Codec::V5(v5::Codec::new(PACKET_BYTES_MAX, 0)),
        };
        Self { codec, received: BytesMut::new() }
    }

    pub(crate) fn write(&mut self, packet: ToGateway) -> Vec<u8> {
        let mut bytes = BytesMut::new();
        let written = match &mut self.codec {
            Codec::V3(codec) => codec.encode(to_v3(packet), &mut bytes),
            Codec::V5(codec) => codec.encode(to_v5(packet), &mut bytes),
        };
        written.expect("a peripheral sends what can be written");
        bytes.to_vec()
    }

    pub(crate) fn receive(&mut self, bytes: &[u8]) {
        self.received.extend_from_slice(bytes);
    }

    /// The next packet that is there as a whole.
    pub(crate) fn read(&mut self) -> Option<FromGateway> {
        match &mut self.codec {
            Codec::V3(codec) => codec.decode(&mut self.received).map(|read| read.map(|(packet, _)| from_v3(packet))),
            Codec::V5(codec) => codec.decode(&mut self.received).map(|read| read.map(|(packet, _)| from_v5(packet))),
        }
        .unwrap_or(Some(FromGateway::Nonsense))
    }
}

fn seconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_secs()).unwrap_or(u32::MAX)
}

fn to_v3(packet: ToGateway) -> v3::Packet {
    match packet {
        ToGateway::Connect { client_id, start, keep_alive, session_expiry } => {
            v3::Packet::Connect(Box::new(v3::Connect {
                clean_session: start == Start::Clean || session_expiry.is_zero(),
                keep_alive: seconds(keep_alive) as u16,
                client_id: client_id.into(),
                ..v3::Connect::default()
            }))
        }
        ToGateway::Subscribe { id, topic } => {
            v3::Packet::Subscribe { packet_id: id, topic_filters: vec![(topic.into(), QoS::AtLeastOnce)] }
        }
        ToGateway::Publish(message) => v3::Packet::Publish(Box::new(publish(message, None))),
        ToGateway::Acknowledge { id } => v3::Packet::PublishAck { packet_id: id },
        ToGateway::Ping => v3::Packet::PingRequest,
        ToGateway::Disconnect(_) => v3::Packet::Disconnect,
    }
}

fn to_v5(packet: ToGateway) -> v5::Packet {
    match packet {
        ToGateway::Connect { client_id, start, keep_alive, session_expiry } => {
            v5::Packet::Connect(Box::new(v5::Connect {
                clean_start: start == Start::Clean,
                keep_alive: seconds(keep_alive) as u16,
                session_expiry_interval_secs: seconds(session_expiry),
                client_id: client_id.into(),
                ..v5::Connect::default()
            }))
        }
        ToGateway::Subscribe { id, topic } => {
            let options = v5::SubscriptionOptions { qos: QoS::AtLeastOnce, ..v5::SubscriptionOptions::default() };
            let topic_filters = vec![(topic.into(), options)];
            v5::Packet::Subscribe(v5::Subscribe { packet_id: id, id: None, user_properties: vec![], topic_filters })
        }
        ToGateway::Publish(message) => {
            let refusal = message.refusal.clone();
            let refusal = refusal.map(|reason| (bugle_mqtt::REFUSED.to_owned().into(), reason.into()));
            let properties =
                v5::PublishProperties { user_properties: refusal.into_iter().collect(), ..Default::default() };
            v5::Packet::Publish(Box::new(publish(message, Some(properties))))
        }
        ToGateway::Acknowledge { id } => {
            v5::Packet::PublishAck(v5::PublishAck { packet_id: id, ..v5::PublishAck::default() })
        }
        ToGateway::Ping => v5::Packet::PingRequest,
        ToGateway::Disconnect(parting) => {
            let mut disconnect = v5::Disconnect::new(v5::DisconnectReasonCode::NormalDisconnection);
            disconnect.session_expiry_interval_secs = (parting == Parting::EndSession).then_some(0);
            v5::Packet::Disconnect(disconnect)
        }
    }
}

fn publish(message: Message, properties: Option<v5::PublishProperties>) -> Publish {
    Publish {
        dup: message.is_repeat,
        retain: false,
        qos: QoS::AtLeastOnce,
        topic: message.topic.into(),
        packet_id: Some(message.id),
        payload: Bytes::from(message.payload),
        properties,
    }
}

fn from_v3(packet: v3::Packet) -> FromGateway {
    match packet {
        v3::Packet::ConnectAck(ack) if ack.return_code == v3::ConnectAckReason::ConnectionAccepted => {
            FromGateway::Connected { is_resumed: ack.session_present }
        }
        v3::Packet::ConnectAck(ack) => FromGateway::Refused { code: ack.return_code.into() },
        v3::Packet::SubscribeAck { status, .. } if matches!(status[..], [v3::SubscribeReturnCode::Success(_)]) => {
            FromGateway::Subscribed
        }
        v3::Packet::Publish(publish) => request(&publish),
        v3::Packet::PublishAck { packet_id } => FromGateway::Acknowledged { id: packet_id, code: 0 },
        v3::Packet::PingResponse => FromGateway::Pong,
        _ => FromGateway::Nonsense,
    }
}

fn from_v5(packet: v5::Packet) -> FromGateway {
    match packet {
        v5::Packet::ConnectAck(ack) if ack.reason_code == v5::ConnectAckReason::Success => {
            FromGateway::Connected { is_resumed: ack.session_present }
        }
        v5::Packet::ConnectAck(ack) => FromGateway::Refused { code: ack.reason_code.into() },
        v5::Packet::SubscribeAck(ack) if ack.status.iter().all(|status| u8::from(*status) < 0x80) => {
            FromGateway::Subscribed
        }
        v5::Packet::Publish(publish) => request(&publish),
        v5::Packet::PublishAck(ack) => FromGateway::Acknowledged { id: ack.packet_id, code: ack.reason_code.into() },
        v5::Packet::PingResponse => FromGateway::Pong,
        v5::Packet::Disconnect(disconnect) => FromGateway::Disconnect { code: disconnect.reason_code.into() },
        _ => FromGateway::Nonsense,
    }
}

fn request(publish: &Publish) -> FromGateway {
    match (publish.packet_id, serde_json::from_slice::<Envelope>(&publish.payload)) {
        (Some(id), Ok(envelope)) => FromGateway::Request { id, is_repeat: publish.dup, request: envelope.request },
        _ => FromGateway::Nonsense,
    }
}
