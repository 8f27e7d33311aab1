//! The packets of an MQTT client, the same for both versions, over a codec library.

use std::num::{NonZeroU16, NonZeroU32};
use std::time::Duration;

use bugle_mqtt::Version;
use bytes::{Bytes, BytesMut};
use bytestring::ByteString;
use rmqtt_codec::error::{DecodeError, EncodeError};
use rmqtt_codec::types::{Publish, QoS};
use rmqtt_codec::{v3, v5};
use thiserror::Error;
use tokio_util::codec::{Decoder, Encoder};

use crate::event::Session;
use crate::mqtt::peripheral::Credentials;

/// The largest packet that is taken from a server.
const PACKET_BYTES_MAX: u32 = 256 * 1024;

/// A packet for the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ToServer {
    Connect(Connect),
    Subscribe {
        id: NonZeroU16,
        topic: ByteString,
    },
    Publish(ToPublish),
    Acknowledge {
        id: NonZeroU16,
    },
    Ping,
    /// With the session's expiry where that changes (MQTT 5).
    Disconnect {
        session_expiry: Option<Duration>,
    },
}

/// What a client says first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Connect {
    pub(crate) client_id: ByteString,
    pub(crate) credentials: Option<Credentials>,
    pub(crate) start: Start,
    pub(crate) keep_alive: Duration,
    pub(crate) session_expiry: Duration,
}

/// Whether a client wants its old session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Start {
    Clean,
    Resume,
}

/// A message of a client's own, with QoS 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ToPublish {
    pub(crate) id: NonZeroU16,
    pub(crate) dup: Dup,
    pub(crate) topic: ByteString,
    pub(crate) payload: Bytes,
    pub(crate) content_type: Option<ByteString>,
    pub(crate) correlation: Option<Bytes>,
    pub(crate) property: Option<(ByteString, ByteString)>,
}

/// Whether a message goes out again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dup {
    First,
    Again,
}

/// A packet from the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum FromServer {
    Connected {
        session: Session,
        keep_alive: Option<Duration>,
        receive_max: u16,
    },
    Refused {
        code: u8,
        reason: Option<String>,
    },
    Subscribed {
        id: NonZeroU16,
    },
    SubscriptionRefused {
        id: NonZeroU16,
        code: u8,
    },
    Message(Message),
    Acknowledged {
        id: NonZeroU16,
        code: u8,
    },
    Pong,
    Disconnect {
        code: Option<u8>,
    },
    /// Legal, but of no concern to a client that does what ours do.
    Other,
}

/// A message from the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message {
    /// None with QoS 0.
    pub(crate) id: Option<NonZeroU16>,
    pub(crate) dup: Dup,
    pub(crate) payload: Bytes,
    pub(crate) response_topic: Option<ByteString>,
    pub(crate) correlation: Option<Bytes>,
}

/// What is wrong with a packet. The fault is of the server, or of whoever gave us too much to send.
#[derive(Debug, Error)]
pub(crate) enum PacketError {
    #[error("the server sent a packet that is malformed: {0}")]
    Decode(#[from] DecodeError),
    #[error("a packet cannot be written: {0}")]
    Encode(#[from] EncodeError),
}

/// Writes and reads packets of one connection.
#[derive(Debug)]
pub(crate) enum Codec {
    V3(v3::Codec),
    V5(v5::Codec),
}

impl Codec {
    pub(crate) fn new(version: Version) -> Self {
        match version {
            Version::Mqtt311 => Self::V3(v3::Codec::new(PACKET_BYTES_MAX)),
            Version::Mqtt5 => Self::V5(v5::Codec::new(PACKET_BYTES_MAX, 0)),
        }
    }

    /// Appends `packet` to `buffer`.
    pub(crate) fn write(&mut self, packet: ToServer, buffer: &mut BytesMut) -> Result<(), PacketError> {
        match self {
            Self::V3(codec) => codec.encode(to_v3(packet), buffer)?,
            Self::V5(codec) => codec.encode(to_v5(packet), buffer)?,
        }
        Ok(())
    }

    /// Takes the next packet off `buffer`, if it is there as a whole.
    pub(crate) fn read(&mut self, buffer: &mut BytesMut) -> Result<Option<FromServer>, PacketError> {
        Ok(match self {
            Self::V3(codec) => codec.decode(buffer)?.map(|(packet, _)| from_v3(packet)),
            Self::V5(codec) => codec.decode(buffer)?.map(|(packet, _)| from_v5(packet)),
        })
    }
}

impl Credentials {
    fn into_fields(self) -> (ByteString, Bytes) {
        (self.username.into(), self.password.into())
    }
}

fn whole_seconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_secs()).unwrap_or(u32::MAX)
}

fn keep_alive_seconds(duration: Duration) -> u16 {
    u16::try_from(duration.as_secs()).unwrap_or(u16::MAX)
}

fn to_v3(packet: ToServer) -> v3::Packet {
    match packet {
        ToServer::Connect(connect) => {
            let (username, password) = connect.credentials.map(Credentials::into_fields).unzip();
            v3::Packet::Connect(Box::new(v3::Connect {
                clean_session: connect.session_expiry.is_zero() || connect.start == Start::Clean,
                keep_alive: keep_alive_seconds(connect.keep_alive),
                client_id: connect.client_id,
                username,
                password,
                ..v3::Connect::default()
            }))
        }
        ToServer::Subscribe { id, topic } => {
            v3::Packet::Subscribe { packet_id: id, topic_filters: vec![(topic, QoS::AtLeastOnce)] }
        }
        ToServer::Publish(publish) => v3::Packet::Publish(Box::new(to_publish(publish, Version::Mqtt311))),
        ToServer::Acknowledge { id } => v3::Packet::PublishAck { packet_id: id },
        ToServer::Ping => v3::Packet::PingRequest,
        ToServer::Disconnect { .. } => v3::Packet::Disconnect,
    }
}

fn to_v5(packet: ToServer) -> v5::Packet {
    match packet {
        ToServer::Connect(connect) => {
            let (username, password) = connect.credentials.map(Credentials::into_fields).unzip();
            v5::Packet::Connect(Box::new(v5::Connect {
                clean_start: connect.start == Start::Clean,
                keep_alive: keep_alive_seconds(connect.keep_alive),
                session_expiry_interval_secs: whole_seconds(connect.session_expiry),
                max_packet_size: NonZeroU32::new(PACKET_BYTES_MAX),
                client_id: connect.client_id,
                username,
                password,
                ..v5::Connect::default()
            }))
        }
        ToServer::Subscribe { id, topic } => {
            let options = v5::SubscriptionOptions { qos: QoS::AtLeastOnce, ..Default::default() };
            let topic_filters = vec![(topic, options)];
            v5::Packet::Subscribe(v5::Subscribe { packet_id: id, id: None, user_properties: vec![], topic_filters })
        }
        ToServer::Publish(publish) => v5::Packet::Publish(Box::new(to_publish(publish, Version::Mqtt5))),
        ToServer::Acknowledge { id } => v5::Packet::PublishAck(v5::PublishAck {
            packet_id: id,
            reason_code: v5::PublishAckReason::Success,
            properties: vec![],
            reason_string: None,
        }),
        ToServer::Ping => v5::Packet::PingRequest,
        ToServer::Disconnect { session_expiry } => {
            let mut disconnect = v5::Disconnect::new(v5::DisconnectReasonCode::NormalDisconnection);
            disconnect.session_expiry_interval_secs = session_expiry.map(whole_seconds);
            v5::Packet::Disconnect(disconnect)
        }
    }
}

fn to_publish(publish: ToPublish, version: Version) -> Publish {
    let properties = (version == Version::Mqtt5).then(|| v5::PublishProperties {
        correlation_data: publish.correlation,
        content_type: publish.content_type,
        user_properties: publish.property.into_iter().collect(),
        ..v5::PublishProperties::default()
    });
    Publish {
        dup: publish.dup == Dup::Again,
        retain: false,
        qos: QoS::AtLeastOnce,
        topic: publish.topic,
        packet_id: Some(publish.id),
        payload: publish.payload,
        properties,
    }
}

fn session(is_present: bool) -> Session {
    if is_present { Session::Resumed } else { Session::New }
}

fn from_v3(packet: v3::Packet) -> FromServer {
    match packet {
        v3::Packet::ConnectAck(ack) if ack.return_code == v3::ConnectAckReason::ConnectionAccepted => {
            FromServer::Connected { session: session(ack.session_present), keep_alive: None, receive_max: u16::MAX }
        }
        v3::Packet::ConnectAck(ack) => FromServer::Refused { code: ack.return_code.into(), reason: None },
        v3::Packet::SubscribeAck { packet_id, status } => match status[..] {
            [v3::SubscribeReturnCode::Success(_)] => FromServer::Subscribed { id: packet_id },
            _ => FromServer::SubscriptionRefused { id: packet_id, code: 0x80 },
        },
        v3::Packet::Publish(publish) => FromServer::Message(message(*publish)),
        v3::Packet::PublishAck { packet_id } => FromServer::Acknowledged { id: packet_id, code: 0 },
        v3::Packet::PingResponse => FromServer::Pong,
        v3::Packet::Disconnect => FromServer::Disconnect { code: None },
        _ => FromServer::Other,
    }
}

fn from_v5(packet: v5::Packet) -> FromServer {
    match packet {
        v5::Packet::ConnectAck(ack) if ack.reason_code == v5::ConnectAckReason::Success => FromServer::Connected {
            session: session(ack.session_present),
            keep_alive: ack.server_keepalive_sec.map(|seconds| Duration::from_secs(seconds.into())),
            receive_max: ack.receive_max.get(),
        },
        v5::Packet::ConnectAck(ack) => FromServer::Refused {
            code: ack.reason_code.into(),
            reason: ack.reason_string.map(|reason| reason.to_string()),
        },
        v5::Packet::SubscribeAck(ack) => match ack.status[..] {
            [status] if u8::from(status) < 0x80 => FromServer::Subscribed { id: ack.packet_id },
            [status] => FromServer::SubscriptionRefused { id: ack.packet_id, code: status.into() },
            _ => FromServer::SubscriptionRefused { id: ack.packet_id, code: 0x82 },
        },
        v5::Packet::Publish(publish) => FromServer::Message(message(*publish)),
        v5::Packet::PublishAck(ack) => FromServer::Acknowledged { id: ack.packet_id, code: ack.reason_code.into() },
        v5::Packet::PingResponse => FromServer::Pong,
        v5::Packet::Disconnect(disconnect) => FromServer::Disconnect { code: Some(disconnect.reason_code.into()) },
        _ => FromServer::Other,
    }
}

fn message(publish: Publish) -> Message {
    let properties = publish.properties.unwrap_or_default();
    Message {
        id: publish.packet_id,
        dup: if publish.dup { Dup::Again } else { Dup::First },
        payload: publish.payload,
        response_topic: properties.response_topic,
        correlation: properties.correlation_data,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What a server of this version reads.
    fn read_by_server(version: Version, packet: ToServer) -> (Option<v3::Packet>, Option<v5::Packet>) {
        let mut buffer = BytesMut::new();
        Codec::new(version).write(packet, &mut buffer).expect("it can be written");
        match version {
            Version::Mqtt311 => {
                (v3::Codec::new(0).decode(&mut buffer).expect("it is well formed").map(|(packet, _)| packet), None)
            }
            Version::Mqtt5 => {
                (None, v5::Codec::new(0, 0).decode(&mut buffer).expect("it is well formed").map(|(packet, _)| packet))
            }
        }
    }

    fn connect(session_expiry: Duration) -> ToServer {
        ToServer::Connect(Connect {
            client_id: "m1".into(),
            credentials: Some(Credentials { username: "m1".into(), password: "secret".into() }),
            start: Start::Resume,
            keep_alive: Duration::from_secs(30),
            session_expiry,
        })
    }

    #[test]
    fn a_session_that_outlives_the_connection_is_asked_for_in_either_version() {
        let (Some(v3::Packet::Connect(packet)), _) = read_by_server(Version::Mqtt311, connect(Duration::from_secs(9)))
        else {
            panic!("a CONNECT");
        };
        assert!(!packet.clean_session);
        assert_eq!(packet.password.as_deref(), Some(&b"secret"[..]));
        let (_, Some(v5::Packet::Connect(packet))) = read_by_server(Version::Mqtt5, connect(Duration::from_secs(9)))
        else {
            panic!("a CONNECT");
        };
        assert_eq!((packet.clean_start, packet.session_expiry_interval_secs), (false, 9));
    }

    #[test]
    fn a_session_that_ends_with_its_connection_is_clean_in_3_1_1() {
        let (Some(v3::Packet::Connect(packet)), _) = read_by_server(Version::Mqtt311, connect(Duration::ZERO)) else {
            panic!("a CONNECT");
        };
        assert!(packet.clean_session);
    }

    #[test]
    fn a_packet_that_is_not_there_as_a_whole_waits_for_the_rest() {
        let mut whole = BytesMut::new();
        let ack = v5::Packet::ConnectAck(Box::default());
        v5::Codec::new(0, 0).encode(ack, &mut whole).expect("it can be written");
        let mut codec = Codec::new(Version::Mqtt5);
        let mut buffer = BytesMut::new();
        for byte in &whole[..whole.len() - 1] {
            buffer.extend_from_slice(&[*byte]);
            assert_eq!(codec.read(&mut buffer).expect("nothing wrong yet"), None);
        }
        buffer.extend_from_slice(&whole[whole.len() - 1..]);
        let packet = codec.read(&mut buffer).expect("well formed").expect("whole");
        assert!(matches!(packet, FromServer::Connected { session: Session::New, .. }));
    }

    #[test]
    fn a_password_never_shows_in_a_debug_print() {
        let shown = format!("{:?}", connect(Duration::ZERO));
        assert!(shown.contains("m1") && !shown.contains("secret"), "{shown}");
    }

    proptest! {
        #[test]
        fn whatever_a_server_sends_is_read_or_refused_and_never_held_for_ever(
            chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..8),
        ) {
            for version in [Version::Mqtt311, Version::Mqtt5] {
                let mut codec = Codec::new(version);
                let mut buffer = BytesMut::new();
                'connection: for chunk in &chunks {
                    buffer.extend_from_slice(chunk);
                    loop {
                        let before = buffer.len();
                        match codec.read(&mut buffer) {
                            Ok(Some(_)) => prop_assert!(buffer.len() < before || before == 0),
                            Ok(None) => break,
                            Err(_) => break 'connection,
                        }
                    }
                    prop_assert!(buffer.len() <= PACKET_BYTES_MAX as usize);
                }
            }
        }
    }

    #[test]
    fn a_malformed_packet_is_the_servers_fault() {
        let mut buffer = BytesMut::from(&[0xff_u8, 0xff, 0xff, 0xff, 0xff][..]);
        assert!(matches!(Codec::new(Version::Mqtt311).read(&mut buffer), Err(PacketError::Decode(_))));
    }
}
