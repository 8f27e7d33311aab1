//! The packets that a client sends once it is let in.

use crate::Version;
use bytes::BytesMut;
use rmqtt_codec::error::DecodeError;
use rmqtt_codec::types::{Publish, QoS};
use rmqtt_codec::{v3, v5};
use tokio_util::codec::Decoder;

use super::{describe, frame};
use crate::{Fault, PacketId};

const PINGREQ: u8 = 0xC0;
const PUBACK: u8 = 0x40;
const PUBREL: u8 = 0x62;
const SUBSCRIBE: u8 = 0x82;
const DISCONNECT: u8 = 0xE0;

/// A packet of either version.
#[derive(Debug)]
pub(crate) enum Packet {
    Publish(Box<Publish>),
    PublishAck { packet_id: PacketId, code: u8, reason: Box<str> },
    PublishRelease { packet_id: PacketId },
    Subscribe { packet_id: PacketId, filters: Vec<(Box<str>, QoS)> },
    Unsubscribe { packet_id: PacketId, filters: Vec<Box<str>> },
    Ping,
    Disconnect { code: u8, session_expiry: Option<u32> },
}

/// Reads a whole packet.
///
/// # Errors
/// If it is malformed, or one that a client never sends or never sends again.
pub(crate) fn decode(version: Version, packet: &[u8]) -> Result<Packet, Fault> {
    if let Some(packet) = decode_short(packet) {
        return Ok(packet);
    }
    check(version, packet)?;
    // The codec asks for five bytes of room behind the packet; given them, it copies nothing.
    let mut bytes = BytesMut::with_capacity(packet.len() + 5);
    bytes.extend_from_slice(packet);
    let malformed = |error: DecodeError| match error {
        // No filter at all is a protocol error [MQTT-3.8.3-2, MQTT-3.10.3-2].
        DecodeError::InvalidTopicFilter => Fault::Protocol(describe(&error)),
        _ => Fault::Malformed(describe(&error)),
    };
    let incomplete = Fault::Malformed("the packet is not whole");
    match version {
        Version::Mqtt5 => {
            let (packet, _) = v5::Codec::default().decode(&mut bytes).map_err(malformed)?.ok_or(incomplete)?;
            from_5(packet)
        }
        Version::Mqtt311 => {
            let (packet, _) = v3::Codec::default().decode(&mut bytes).map_err(malformed)?.ok_or(incomplete)?;
            from_311(packet)
        }
    }
}

/// What a great many clients send all day long, read without an allocation.
fn decode_short(packet: &[u8]) -> Option<Packet> {
    match *packet {
        [PINGREQ, 0] => Some(Packet::Ping),
        [PUBACK, 2, high, low] => {
            let packet_id = PacketId::new(u16::from_be_bytes([high, low]))?;
            Some(Packet::PublishAck { packet_id, code: 0, reason: Box::default() })
        }
        [PUBREL, 2, high, low] => {
            let packet_id = PacketId::new(u16::from_be_bytes([high, low]))?;
            Some(Packet::PublishRelease { packet_id })
        }
        _ => None,
    }
}

/// Looks at what the codec does not.
fn check(version: Version, packet: &[u8]) -> Result<(), Fault> {
    let body = frame::body(packet);
    match (packet.first(), version) {
        (Some(&PINGREQ), _) if !body.is_empty() => Err(Fault::Malformed("PINGREQ has a body")),
        (Some(&DISCONNECT), Version::Mqtt311) if !body.is_empty() => Err(Fault::Malformed("DISCONNECT has a body")),
        (Some(&SUBSCRIBE), Version::Mqtt311) => check_requested_qos(body),
        _ => Ok(()),
    }
}

/// The upper six bits of a requested quality of service are reserved (3.1.1 [MQTT-3-8.3-4]).
fn check_requested_qos(body: &[u8]) -> Result<(), Fault> {
    let mut rest = body.get(2..).unwrap_or_default();
    while let [high, low, after @ ..] = rest {
        let filter_bytes = usize::from(u16::from_be_bytes([*high, *low]));
        match after.get(filter_bytes..) {
            Some([qos, next @ ..]) if *qos <= 2 => rest = next,
            _ => return Err(Fault::Malformed("a requested quality of service")),
        }
    }
    Ok(())
}

fn from_5(packet: v5::Packet) -> Result<Packet, Fault> {
    Ok(match packet {
        v5::Packet::Publish(publish) => Packet::Publish(publish),
        v5::Packet::PublishAck(ack) => Packet::PublishAck {
            packet_id: ack.packet_id.into(),
            code: ack.reason_code.into(),
            reason: ack.reason_string.as_deref().unwrap_or_default().into(),
        },
        v5::Packet::PublishRelease(release) => Packet::PublishRelease { packet_id: release.packet_id.into() },
        v5::Packet::Subscribe(subscribe) => {
            if subscribe.id.is_some() {
                return Err(Fault::SubscriptionIdentifier);
            }
            let filters = subscribe.topic_filters.iter();
            Packet::Subscribe {
                packet_id: subscribe.packet_id.into(),
                filters: filters.map(|(filter, options)| ((&**filter).into(), options.qos)).collect(),
            }
        }
        v5::Packet::Unsubscribe(unsubscribe) => Packet::Unsubscribe {
            packet_id: unsubscribe.packet_id.into(),
            filters: unsubscribe.topic_filters.iter().map(|filter| (&**filter).into()).collect(),
        },
        v5::Packet::PingRequest => Packet::Ping,
        v5::Packet::Disconnect(disconnect) => Packet::Disconnect {
            code: disconnect.reason_code.into(),
            session_expiry: disconnect.session_expiry_interval_secs,
        },
        v5::Packet::Connect(_) => return Err(SECOND_CONNECT),
        v5::Packet::PublishReceived(_) | v5::Packet::PublishComplete(_) => return Err(NOT_EXACTLY_ONCE),
        // Without an Authentication Method in CONNECT there is no AUTH [MQTT-4.12.0-7].
        v5::Packet::Auth(_) => return Err(Fault::Protocol("AUTH without an authentication method")),
        v5::Packet::ConnectAck(_)
        | v5::Packet::SubscribeAck(_)
        | v5::Packet::UnsubscribeAck(_)
        | v5::Packet::PingResponse => return Err(SERVER_ONLY),
    })
}

fn from_311(packet: v3::Packet) -> Result<Packet, Fault> {
    Ok(match packet {
        v3::Packet::Publish(publish) => Packet::Publish(publish),
        v3::Packet::PublishAck { packet_id } => {
            Packet::PublishAck { packet_id: packet_id.into(), code: 0, reason: Box::default() }
        }
        v3::Packet::PublishRelease { packet_id } => Packet::PublishRelease { packet_id: packet_id.into() },
        v3::Packet::Subscribe { packet_id, topic_filters } => Packet::Subscribe {
            packet_id: packet_id.into(),
            filters: topic_filters.iter().map(|(filter, qos)| ((&**filter).into(), *qos)).collect(),
        },
        v3::Packet::Unsubscribe { packet_id, topic_filters } => Packet::Unsubscribe {
            packet_id: packet_id.into(),
            filters: topic_filters.iter().map(|filter| (&**filter).into()).collect(),
        },
        v3::Packet::PingRequest => Packet::Ping,
        v3::Packet::Disconnect => Packet::Disconnect { code: 0, session_expiry: None },
        v3::Packet::Connect(_) => return Err(SECOND_CONNECT),
        v3::Packet::PublishReceived { .. } | v3::Packet::PublishComplete { .. } => return Err(NOT_EXACTLY_ONCE),
        v3::Packet::ConnectAck(_)
        | v3::Packet::SubscribeAck { .. }
        | v3::Packet::UnsubscribeAck { .. }
        | v3::Packet::PingResponse => return Err(SERVER_ONLY),
    })
}

/// [MQTT-3.1.0-2]
const SECOND_CONNECT: Fault = Fault::Protocol("a second CONNECT");
const NOT_EXACTLY_ONCE: Fault = Fault::Protocol("an acknowledgement of quality of service 2, which is never sent");
const SERVER_ONLY: Fault = Fault::Protocol("a packet that only servers send");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_acknowledgement_in_short_is_the_one_in_full() {
        let short = decode(Version::Mqtt5, &[PUBACK, 2, 0, 7]).expect("a PUBACK");
        let full = decode(Version::Mqtt5, &[PUBACK, 4, 0, 7, 0, 0]).expect("a PUBACK");
        assert_eq!(format!("{short:?}"), format!("{full:?}"));
        let short = decode(Version::Mqtt5, &[PUBREL, 2, 0, 7]).expect("a PUBREL");
        let full = decode(Version::Mqtt5, &[PUBREL, 4, 0, 7, 0, 0]).expect("a PUBREL");
        assert_eq!(format!("{short:?}"), format!("{full:?}"));
    }

    #[test]
    fn a_packet_id_of_zero_is_malformed() {
        for version in [Version::Mqtt311, Version::Mqtt5] {
            for kind in [PUBACK, PUBREL] {
                assert!(matches!(decode(version, &[kind, 2, 0, 0]), Err(Fault::Malformed(_))));
            }
        }
    }

    #[test]
    fn reserved_bits_of_a_requested_quality_of_service_are_malformed() {
        assert!(decode(Version::Mqtt311, b"\x82\x06\0\x01\0\x01a\x01").is_ok());
        for version in [Version::Mqtt311, Version::Mqtt5] {
            let packet = b"\x82\x06\0\x01\0\x01a\x41";
            assert!(matches!(decode(version, packet), Err(Fault::Malformed(_))), "{version:?}");
        }
    }

    #[test]
    fn what_has_no_body_may_not_have_one() {
        assert!(matches!(decode(Version::Mqtt5, &[PINGREQ, 1, 0]), Err(Fault::Malformed(_))));
        assert!(matches!(decode(Version::Mqtt311, &[DISCONNECT, 1, 0]), Err(Fault::Malformed(_))));
    }

    #[test]
    fn a_client_that_talks_like_a_server_breaks_the_protocol() {
        for packet in [b"\xD0\0".as_slice(), b"\x20\x02\0\0", b"\xB0\x02\0\x01", b"\x50\x02\0\x01"] {
            assert!(matches!(decode(Version::Mqtt311, packet), Err(Fault::Protocol(_))), "{packet:?}");
        }
    }
}
