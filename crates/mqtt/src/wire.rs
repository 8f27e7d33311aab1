//! Bytes to packets and packets to bytes, the same for both versions.
//!
//! Incoming packets are read by `rmqtt-codec`, after a look at what it is lax about. Outgoing ones
//! are few and are written here, because that library's encoder wants owned, boxed values for each
//! and miscounts for clients with a small Maximum Packet Size; the tests read them with its decoder.

pub(crate) mod connect;
pub(crate) mod frame;
pub(crate) mod incoming;
pub(crate) mod outgoing;

use rmqtt_codec::error::DecodeError;

/// What is wrong with a packet, in words.
fn describe(error: &DecodeError) -> &'static str {
    match error {
        DecodeError::InvalidProtocol | DecodeError::UnsupportedProtocolLevel => "the protocol name or version",
        DecodeError::InvalidLength => "a length does not fit",
        DecodeError::ConnectReservedFlagSet | DecodeError::ConnAckReservedFlagSet => "a reserved flag is set",
        DecodeError::InvalidConnectFlags => "the CONNECT flags contradict each other",
        DecodeError::InvalidClientId => "the client identifier is missing",
        DecodeError::UnsupportedPacketType => "the packet's type or flags",
        DecodeError::PacketIdRequired => "the packet identifier is missing",
        DecodeError::InvalidTopicFilter => "a topic filter is missing",
        DecodeError::InvalidTopicName => "the topic name is missing",
        DecodeError::Utf8Error => "a string is not UTF-8",
        DecodeError::MalformedPacket | DecodeError::MaxSizeExceeded { .. } | DecodeError::Io(_) => {
            "a field has a value that it may not have"
        }
    }
}
