//! The packets that a server sends, written once, into the buffer that leaves.

use crate::Version;
use bytes::{BufMut, BytesMut};

use crate::PacketId;

mod property {
    pub(super) const MESSAGE_EXPIRY: u8 = 0x02;
    pub(super) const CONTENT_TYPE: u8 = 0x03;
    pub(super) const RESPONSE_TOPIC: u8 = 0x08;
    pub(super) const CORRELATION_DATA: u8 = 0x09;
    pub(super) const SESSION_EXPIRY: u8 = 0x11;
    pub(super) const SERVER_KEEP_ALIVE: u8 = 0x13;
    pub(super) const REASON_STRING: u8 = 0x1F;
    pub(super) const RECEIVE_MAXIMUM: u8 = 0x21;
    pub(super) const RETAIN_AVAILABLE: u8 = 0x25;
    pub(super) const MAXIMUM_PACKET_SIZE: u8 = 0x27;
    pub(super) const WILDCARD_SUBSCRIPTION_AVAILABLE: u8 = 0x28;
    pub(super) const SUBSCRIPTION_IDENTIFIER_AVAILABLE: u8 = 0x29;
    pub(super) const SHARED_SUBSCRIPTION_AVAILABLE: u8 = 0x2A;
}

/// A packet to send. A `reason` in words is left out if it is empty or does not fit.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Packet<'a> {
    ConnectAccepted(Accepted),
    ConnectRefused { code: u8, reason: &'a str },
    Publish(Publish<'a>),
    PublishAck { packet_id: PacketId, code: u8, reason: &'a str },
    PublishReceived { packet_id: PacketId, code: u8, reason: &'a str },
    PublishComplete { packet_id: PacketId, code: u8 },
    SubscribeAck { packet_id: PacketId, codes: &'a [u8], reason: &'a str },
    UnsubscribeAck { packet_id: PacketId, codes: &'a [u8] },
    PingResponse,
    Disconnect { code: u8, reason: &'a str },
}

/// What a CONNACK says to a client that is let in (MQTT 5 §3.2.2.3).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Accepted {
    pub(crate) session_present: bool,
    /// In seconds, where it is not what the client asked for.
    pub(crate) session_expiry: Option<u32>,
    /// In seconds, where it is not what the client asked for.
    pub(crate) server_keep_alive: Option<u16>,
    pub(crate) receive_maximum: u16,
    pub(crate) packet_bytes_max: u32,
}

/// A request on its way to its peripheral, with quality of service 1.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Publish<'a> {
    pub(crate) packet_id: PacketId,
    pub(crate) is_duplicate: bool,
    pub(crate) topic: &'a str,
    pub(crate) payload: &'a [u8],
    pub(crate) content_type: &'a str,
    pub(crate) response_topic: &'a str,
    pub(crate) correlation_data: &'a [u8],
    /// In seconds.
    pub(crate) message_expiry: u32,
}

/// How one client takes packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Manner {
    pub(crate) version: Version,
    /// The client's Maximum Packet Size.
    pub(crate) packet_bytes_max: u32,
    /// The client's Request Problem Information.
    pub(crate) wants_reasons: bool,
}

/// The packet is larger than the client takes, or than MQTT can say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooLarge {
    pub(crate) bytes: usize,
}

/// No packet is larger: four bytes of seven bits, and the header [MQTT-1.5.5-1].
const PACKET_BYTES_MAX: usize = 5 + ((1 << 28) - 1);

impl Packet<'_> {
    /// Appends the packet, whole or not at all.
    ///
    /// # Errors
    /// If it is larger than the client takes even without a reason [MQTT-3.1.2-24].
    pub(crate) fn encode(&self, manner: Manner, out: &mut BytesMut) -> Result<(), TooLarge> {
        match self.reason() {
            // Reasons are for those who want them [MQTT-3.1.2-29], where they fit [MQTT-3.4.2-2].
            reason if reason.is_empty() || !self.may_give_reason(manner) => self.encode_with("", manner, out),
            reason => self.encode_with(reason, manner, out).or_else(|_| self.encode_with("", manner, out)),
        }
    }

    fn encode_with(&self, reason: &str, manner: Manner, out: &mut BytesMut) -> Result<(), TooLarge> {
        let start = out.len();
        let is_whole = match manner.version {
            Version::Mqtt5 => self.put_body_5(reason, out),
            Version::Mqtt311 => self.put_body_311(out),
        };
        let body_bytes = out.len() - start;
        put_length_before(start, out);
        insert(start, &[self.first_byte()], out);
        let bytes = out.len() - start;
        if is_whole.is_ok() && bytes <= PACKET_BYTES_MAX.min(manner.packet_bytes_max as usize) {
            return Ok(());
        }
        out.truncate(start);
        Err(TooLarge { bytes: bytes.max(body_bytes) })
    }

    const fn reason(&self) -> &str {
        match self {
            Self::ConnectRefused { reason, .. }
            | Self::PublishAck { reason, .. }
            | Self::PublishReceived { reason, .. }
            | Self::SubscribeAck { reason, .. }
            | Self::Disconnect { reason, .. } => reason,
            _ => "",
        }
    }

    /// Request Problem Information does not concern CONNACK and DISCONNECT (MQTT 5 §3.1.2.11.7).
    const fn may_give_reason(&self, manner: Manner) -> bool {
        manner.wants_reasons || matches!(self, Self::ConnectRefused { .. } | Self::Disconnect { .. })
    }

    const fn first_byte(&self) -> u8 {
        match self {
            Self::ConnectAccepted(_) | Self::ConnectRefused { .. } => 0x20,
            Self::Publish(publish) => 0x32 | if publish.is_duplicate { 0x08 } else { 0 },
            Self::PublishAck { .. } => 0x40,
            Self::PublishReceived { .. } => 0x50,
            Self::PublishComplete { .. } => 0x70,
            Self::SubscribeAck { .. } => 0x90,
            Self::UnsubscribeAck { .. } => 0xB0,
            Self::PingResponse => 0xD0,
            Self::Disconnect { .. } => 0xE0,
        }
    }

    fn put_body_5(&self, reason: &str, out: &mut BytesMut) -> Result<(), StringTooLong> {
        match *self {
            Self::ConnectAccepted(accepted) => accepted.put_body_5(out),
            Self::ConnectRefused { code, .. } => {
                out.put_slice(&[0, code]);
                put_reason(reason, out)?;
            }
            Self::Publish(publish) => publish.put_body_5(out)?,
            Self::PublishAck { packet_id, code, .. } | Self::PublishReceived { packet_id, code, .. } => {
                put_acknowledgement(packet_id, code, reason, out)?;
            }
            Self::PublishComplete { packet_id, code } => put_acknowledgement(packet_id, code, "", out)?,
            Self::SubscribeAck { packet_id, codes, .. } => {
                out.put_u16(packet_id.number());
                put_reason(reason, out)?;
                out.put_slice(codes);
            }
            Self::UnsubscribeAck { packet_id, codes } => {
                out.put_u16(packet_id.number());
                out.put_u8(0);
                out.put_slice(codes);
            }
            Self::PingResponse => {}
            Self::Disconnect { code, .. } => {
                out.put_u8(code);
                put_reason(reason, out)?;
            }
        }
        Ok(())
    }

    fn put_body_311(&self, out: &mut BytesMut) -> Result<(), StringTooLong> {
        match *self {
            Self::ConnectAccepted(accepted) => out.put_slice(&[accepted.session_present.into(), 0]),
            Self::ConnectRefused { code, .. } => out.put_slice(&[0, code]),
            Self::Publish(publish) => {
                put_string(publish.topic, out)?;
                out.put_u16(publish.packet_id.number());
                out.put_slice(publish.payload);
            }
            Self::PublishAck { packet_id, .. }
            | Self::PublishReceived { packet_id, .. }
            | Self::PublishComplete { packet_id, .. }
            | Self::UnsubscribeAck { packet_id, .. } => out.put_u16(packet_id.number()),
            Self::SubscribeAck { packet_id, codes, .. } => {
                out.put_u16(packet_id.number());
                // There is one code for every refusal (3.1.1 [MQTT-3.9.3-2]).
                out.extend(codes.iter().map(|code| if *code < 0x80 { *code } else { 0x80 }));
            }
            // A 3.1.1 server has no DISCONNECT; it closes the connection.
            Self::PingResponse | Self::Disconnect { .. } => {}
        }
        Ok(())
    }
}

impl Accepted {
    fn put_body_5(&self, out: &mut BytesMut) {
        out.put_slice(&[self.session_present.into(), 0]);
        let start = out.len();
        if let Some(seconds) = self.session_expiry {
            out.put_u8(property::SESSION_EXPIRY);
            out.put_u32(seconds);
        }
        if let Some(seconds) = self.server_keep_alive {
            out.put_u8(property::SERVER_KEEP_ALIVE);
            out.put_u16(seconds);
        }
        out.put_u8(property::RECEIVE_MAXIMUM);
        out.put_u16(self.receive_maximum);
        out.put_u8(property::MAXIMUM_PACKET_SIZE);
        out.put_u32(self.packet_bytes_max);
        // Maximum QoS is left out for 2, Topic Alias Maximum for 0.
        out.put_slice(&[
            property::RETAIN_AVAILABLE,
            0,
            property::WILDCARD_SUBSCRIPTION_AVAILABLE,
            0,
            property::SUBSCRIPTION_IDENTIFIER_AVAILABLE,
            0,
            property::SHARED_SUBSCRIPTION_AVAILABLE,
            0,
        ]);
        put_length_before(start, out);
    }
}

impl Publish<'_> {
    fn put_body_5(&self, out: &mut BytesMut) -> Result<(), StringTooLong> {
        put_string(self.topic, out)?;
        out.put_u16(self.packet_id.number());
        let start = out.len();
        out.put_u8(property::MESSAGE_EXPIRY);
        out.put_u32(self.message_expiry);
        if !self.content_type.is_empty() {
            out.put_u8(property::CONTENT_TYPE);
            put_string(self.content_type, out)?;
        }
        out.put_u8(property::RESPONSE_TOPIC);
        put_string(self.response_topic, out)?;
        out.put_u8(property::CORRELATION_DATA);
        put_bytes(self.correlation_data, out)?;
        put_length_before(start, out);
        out.put_slice(self.payload);
        Ok(())
    }
}

/// The text has more than the 65,535 bytes that MQTT can say.
struct StringTooLong;

/// PUBACK, PUBREC and PUBCOMP; success in short form (MQTT 5 §3.4.2.1).
fn put_acknowledgement(packet_id: PacketId, code: u8, reason: &str, out: &mut BytesMut) -> Result<(), StringTooLong> {
    out.put_u16(packet_id.number());
    if code != 0 {
        out.put_u8(code);
        if !reason.is_empty() {
            put_reason(reason, out)?;
        }
    }
    Ok(())
}

/// Properties that are no more than a reason.
fn put_reason(reason: &str, out: &mut BytesMut) -> Result<(), StringTooLong> {
    let start = out.len();
    if !reason.is_empty() {
        out.put_u8(property::REASON_STRING);
        put_string(reason, out)?;
    }
    put_length_before(start, out);
    Ok(())
}

fn put_string(text: &str, out: &mut BytesMut) -> Result<(), StringTooLong> {
    put_bytes(text.as_bytes(), out)
}

fn put_bytes(bytes: &[u8], out: &mut BytesMut) -> Result<(), StringTooLong> {
    out.put_u16(bytes.len().try_into().map_err(|_| StringTooLong)?);
    out.put_slice(bytes);
    Ok(())
}

/// Puts how many bytes there are from `start` on in front of them (MQTT 5 §1.5.5). Written after
/// the fact, so that no length is ever counted apart from what it is the length of.
fn put_length_before(start: usize, out: &mut BytesMut) {
    let mut rest = out.len() - start;
    let mut length = [0; 5];
    let mut length_bytes = 0;
    for byte in &mut length {
        *byte = (rest & 0x7F) as u8;
        rest >>= 7;
        length_bytes += 1;
        if rest == 0 {
            break;
        }
        *byte |= 0x80;
    }
    insert(start, &length[..length_bytes], out);
}

fn insert(start: usize, bytes: &[u8], out: &mut BytesMut) {
    out.put_slice(bytes);
    out[start..].rotate_right(bytes.len());
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rmqtt_codec::v5;
    use tokio_util::codec::Decoder;

    use super::*;

    fn read(bytes: &mut BytesMut) -> v5::Packet {
        let (packet, _) = v5::Codec::default().decode(bytes).expect("MQTT 5").expect("a whole packet");
        packet
    }

    fn manner(packet_bytes_max: u32) -> Manner {
        Manner { version: Version::Mqtt5, packet_bytes_max, wants_reasons: true }
    }

    #[test]
    fn a_reason_is_left_out_where_it_does_not_fit() {
        let packet_id = PacketId::new(7).expect("not zero");
        let packet = Packet::PublishAck { packet_id, code: 0x87, reason: "no topic of yours" };
        for (packet_bytes_max, bytes, is_told) in [(26, 26, true), (25, 5, false), (5, 5, false)] {
            let mut out = BytesMut::new();
            packet.encode(manner(packet_bytes_max), &mut out).expect("fits");
            assert_eq!(out.len(), bytes);
            let v5::Packet::PublishAck(ack) = read(&mut out) else { panic!("a PUBACK") };
            assert_eq!(ack.reason_string.is_some(), is_told);
        }
        let mut out = BytesMut::from("before");
        assert_eq!(packet.encode(manner(4), &mut out), Err(TooLarge { bytes: 5 }));
        assert_eq!(out, "before");
    }

    proptest! {
        #[test]
        fn a_publication_reads_back_as_written(
            number in 1..=u16::MAX,
            is_duplicate: bool,
            payload_bytes in prop_oneof![0..300_usize, 16_000..17_000_usize],
            content_type in "[a-z/]{0,200}",
            packet_bytes_max in prop_oneof![Just(u32::MAX), 64..600_u32],
        ) {
            let packet_id = PacketId::new(number).expect("not zero");
            let payload = vec![0x5A; payload_bytes];
            let publish = Packet::Publish(Publish {
                packet_id,
                is_duplicate,
                topic: "bugle/m/requests",
                payload: &payload,
                content_type: &content_type,
                response_topic: "bugle/m/responses/1",
                correlation_data: b"1",
                message_expiry: 60,
            });
            let mut out = BytesMut::from("before");
            let result = publish.encode(manner(packet_bytes_max), &mut out);
            let before = out.split_to(6);
            prop_assert_eq!(before, "before");
            if let Err(TooLarge { bytes }) = result {
                prop_assert!(out.is_empty() && bytes > packet_bytes_max as usize);
                return Ok(());
            }
            prop_assert!(out.len() <= packet_bytes_max as usize);
            let v5::Packet::Publish(read) = read(&mut out) else { panic!("a PUBLISH") };
            prop_assert!(out.is_empty());
            prop_assert_eq!((read.packet_id.map(PacketId::from), read.dup), (Some(packet_id), is_duplicate));
            prop_assert_eq!(&*read.payload, payload.as_slice());
            let properties = read.properties.expect("properties");
            prop_assert_eq!(properties.content_type.as_deref().unwrap_or_default(), content_type);
            prop_assert_eq!(properties.response_topic.as_deref(), Some("bugle/m/responses/1"));
        }
    }
}
