//! The CONNECT packet of either version.

use std::time::Duration;

use crate::Version;
use bugle_core::PeripheralId;
use bytes::{Bytes, BytesMut};
use rmqtt_codec::error::DecodeError;
use rmqtt_codec::{v3, v5};
use tokio_util::codec::Decoder;

use super::frame;
use crate::{Fault, Refusal, Start, Topic, Will};

/// What a client that asks to connect says of itself.
#[derive(Debug)]
pub(crate) struct Connecting {
    pub(crate) version: Version,
    pub(crate) peripheral: PeripheralId,
    pub(crate) start: Start,
    /// In seconds; 0 for none.
    pub(crate) keep_alive: u16,
    /// In seconds, `u32::MAX` for ever.
    pub(crate) session_expiry: u32,
    pub(crate) receive_maximum: u16,
    pub(crate) packet_bytes_max: u32,
    /// Whether it wants reasons in words (Request Problem Information).
    pub(crate) wants_reasons: bool,
    pub(crate) username: Option<String>,
    pub(crate) password: Option<Bytes>,
    pub(crate) will: Option<Box<Will>>,
}

/// Why there is nobody to let in.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Rejection {
    /// No CONNECT at all: nothing to answer to.
    Fault(Fault),
    /// To be told so in a CONNACK of that version.
    Refusal(Version, Refusal),
}

impl From<Fault> for Rejection {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// Reads a whole packet as the first of a connection.
pub(crate) fn decode(packet: &[u8]) -> Result<Connecting, Rejection> {
    if packet.first() != Some(&frame::CONNECT) {
        // [MQTT-3.1.0-1]
        return Err(Fault::Protocol("the first packet is not CONNECT").into());
    }
    let version = version(frame::body(packet))?;
    let refuse = |refusal| Rejection::Refusal(version, refusal);
    let refuse_error = |error: DecodeError| match error {
        DecodeError::InvalidClientId => refuse(Refusal::ClientIdentifier),
        _ => refuse(Refusal::Malformed),
    };
    let mut bytes = BytesMut::from(packet);
    match version {
        Version::Mqtt5 => match v5::Codec::default().decode(&mut bytes).map_err(refuse_error)? {
            Some((v5::Packet::Connect(connect), _)) => from_5(*connect).map_err(refuse),
            _ => Err(refuse(Refusal::Malformed)),
        },
        Version::Mqtt311 => match v3::Codec::default().decode(&mut bytes).map_err(refuse_error)? {
            Some((v3::Packet::Connect(connect), _)) => from_311(*connect).map_err(refuse),
            _ => Err(refuse(Refusal::Malformed)),
        },
    }
}

/// The version, from the protocol's name and level (MQTT 5 §3.1.2.1 and §3.1.2.2).
fn version(body: &[u8]) -> Result<Version, Rejection> {
    let (level, flags) = match body {
        [0, 4, b'M', b'Q', b'T', b'T', level, flags, ..] => (*level, *flags),
        // MQTT 3.1 had another name.
        [0, 6, b'M', b'Q', b'I', b's', b'd', b'p', ..] => {
            return Err(Rejection::Refusal(Version::Mqtt311, Refusal::ProtocolVersion));
        }
        // [MQTT-3.1.2-1]
        _ => return Err(Fault::Malformed("the protocol's name is not MQTT").into()),
    };
    let version = match level {
        4 => Version::Mqtt311,
        5 => Version::Mqtt5,
        // [MQTT-3.1.2-2], in the form of the nearest version that is spoken.
        0..4 => return Err(Rejection::Refusal(Version::Mqtt311, Refusal::ProtocolVersion)),
        6.. => return Err(Rejection::Refusal(Version::Mqtt5, Refusal::ProtocolVersion)),
    };
    // Without a will neither its quality of service nor its retain flag is set
    // [MQTT-3.1.2-11, MQTT-3.1.2-13]; and quality of service 3 is none [MQTT-3.1.2-12].
    let (will, will_details) = (flags & 0b0000_0100 != 0, flags & 0b0011_1000);
    if (!will && will_details != 0) || will_details & 0b0001_1000 == 0b0001_1000 {
        return Err(Rejection::Refusal(version, Refusal::Malformed));
    }
    // In 3.1.1 no password comes without a user name [MQTT-3.1.2-22].
    if version == Version::Mqtt311 && flags & 0b1100_0000 == 0b0100_0000 {
        return Err(Rejection::Refusal(version, Refusal::Malformed));
    }
    Ok(version)
}

fn from_5(connect: v5::Connect) -> Result<Connecting, Refusal> {
    if connect.auth_method.is_some() || connect.auth_data.is_some() {
        // [MQTT-4.12.0-1]
        return Err(Refusal::AuthenticationMethod);
    }
    let peripheral = peripheral(&connect.client_id)?;
    let will = match connect.last_will {
        // [MQTT-3.2.2-13]
        Some(will) if will.retain => return Err(Refusal::WillRetain),
        Some(will) => {
            let content_type = will.content_type.as_deref().unwrap_or_default();
            let delay = Duration::from_secs(will.will_delay_interval_sec.unwrap_or(0).into());
            Some(self::will(&peripheral, &will.topic, will.message, content_type, delay)?)
        }
        None => None,
    };
    Ok(Connecting {
        version: Version::Mqtt5,
        start: if connect.clean_start { Start::Clean } else { Start::Resume },
        keep_alive: connect.keep_alive,
        session_expiry: connect.session_expiry_interval_secs,
        receive_maximum: connect.receive_max.map_or(u16::MAX, std::num::NonZeroU16::get),
        packet_bytes_max: connect.max_packet_size.map_or(u32::MAX, std::num::NonZeroU32::get),
        wants_reasons: connect.request_problem_info,
        username: connect.username.as_deref().map(username).transpose()?,
        password: connect.password,
        peripheral,
        will,
    })
}

fn from_311(connect: v3::Connect) -> Result<Connecting, Refusal> {
    let peripheral = peripheral(&connect.client_id)?;
    let will = match connect.last_will {
        // Nothing in 3.1.1 tells the client that nothing is retained; so the flag is not its fault.
        Some(will) => Some(self::will(&peripheral, &will.topic, will.message, "", Duration::ZERO)?),
        None => None,
    };
    Ok(Connecting {
        version: Version::Mqtt311,
        start: if connect.clean_session { Start::Clean } else { Start::Resume },
        keep_alive: connect.keep_alive,
        // A session that is not clean outlives the connection for as long as the server keeps
        // sessions (3.1.1 §3.1.2.4).
        session_expiry: if connect.clean_session { 0 } else { u32::MAX },
        receive_maximum: u16::MAX,
        packet_bytes_max: u32::MAX,
        wants_reasons: false,
        username: connect.username.as_deref().map(username).transpose()?,
        password: connect.password,
        peripheral,
        will,
    })
}

/// A server may choose which client identifiers it takes (MQTT 5 §3.1.3.1), and assigns none.
fn peripheral(client_id: &str) -> Result<PeripheralId, Refusal> {
    PeripheralId::new(client_id).map_err(|_| Refusal::ClientIdentifier)
}

/// No string holds a null character [MQTT-1.5.4-2].
fn username(text: &str) -> Result<String, Refusal> {
    if text.contains('\0') { Err(Refusal::Malformed) } else { Ok(text.to_owned()) }
}

fn will(
    peripheral: &PeripheralId,
    topic: &str,
    payload: Bytes,
    content_type: &str,
    delay: Duration,
) -> Result<Box<Will>, Refusal> {
    let topic = Topic::parse(topic, peripheral).map_err(|_| Refusal::WillTopic)?;
    // A copy, so that the will does not keep the whole CONNECT, password included, in memory.
    let payload = Bytes::copy_from_slice(&payload);
    Ok(Box::new(Will { topic, payload, content_type: content_type.into(), delay }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_that_is_not_spoken_is_told_in_the_nearest_one_that_is() {
        let refused = |version| Err(Rejection::Refusal(version, Refusal::ProtocolVersion));
        assert_eq!(version(b"\0\x06MQIsdp\x03\x02"), refused(Version::Mqtt311));
        assert_eq!(version(b"\0\x04MQTT\x03\x02"), refused(Version::Mqtt311));
        assert_eq!(version(b"\0\x04MQTT\x06\x02"), refused(Version::Mqtt5));
    }

    #[test]
    fn another_protocol_gets_no_answer() {
        for body in [b"".as_slice(), b"\0\x04HTTP\x04\x02", b"\0\x04MQTT", b"\0\x04MQTT\x04"] {
            assert!(matches!(version(body), Err(Rejection::Fault(_))), "{body:?}");
        }
    }

    #[test]
    fn details_of_a_will_without_a_will_are_malformed() {
        for (level, known) in [(4, Version::Mqtt311), (5, Version::Mqtt5)] {
            for flags in [0b0010_0000, 0b0000_1000, 0b0001_1100] {
                let body = [0, 4, b'M', b'Q', b'T', b'T', level, flags];
                assert_eq!(version(&body), Err(Rejection::Refusal(known, Refusal::Malformed)));
            }
        }
    }
}
