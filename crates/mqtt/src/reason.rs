//! Why connections are refused and closed, and the codes that say so on the wire.

use crate::Version;
use thiserror::Error;

/// Why a connection is over. Each variant is of one party: the peripheral, the network, or us.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CloseReason {
    /// The peripheral said goodbye, with this reason code: 0x00 but where it is not well, or wants
    /// its will published.
    #[error("the peripheral disconnected with reason 0x{code:02X}")]
    Disconnected {
        /// The reason code; 0x00 in MQTT 3.1.1.
        code: u8,
    },
    /// The peripheral broke a rule.
    #[error("the peripheral is at fault: {0}")]
    Fault(#[from] Fault),
    /// Nothing came from the peripheral for one and a half times its keep-alive.
    #[error("no word from the peripheral for one and a half times its keep-alive")]
    KeepAlive,
    /// The transport ended without DISCONNECT.
    #[error("the network connection was lost")]
    Lost,
    /// We did not let it in.
    #[error("refused: {0}")]
    Refused(Refusal),
    /// We ended it.
    #[error("ended: {0}")]
    Ended(Ending),
}

/// Why a CONNECT is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Refusal {
    /// The user name or the password is wrong.
    #[error("bad user name or password")]
    BadCredentials,
    /// The application, or the absence of an allocation, says no.
    #[error("not authorized")]
    NotAuthorized,
    /// The peripheral is blocked.
    #[error("blocked")]
    Blocked,
    /// Not now: too many ask, or nobody decides. Say in words when to try again.
    #[error("busy, to be tried again")]
    Busy,
    /// The gateway cannot serve now.
    #[error("the server is unavailable")]
    Unavailable,
    /// The client speaks a version other than 5 and 3.1.1.
    #[error("the protocol version is not supported")]
    ProtocolVersion,
    /// The client identifier is empty or is no peripheral id.
    #[error("the client identifier is no peripheral id")]
    ClientIdentifier,
    /// The client wants enhanced authentication.
    #[error("enhanced authentication is not supported")]
    AuthenticationMethod,
    /// The will is to be published to a topic that is not the peripheral's own.
    #[error("the will is for a topic that is not the peripheral's own")]
    WillTopic,
    /// The will is to be retained.
    #[error("messages are not retained")]
    WillRetain,
    /// The client takes packets only so small that nothing of use fits in.
    #[error("the client's Maximum Packet Size is too small")]
    PacketSize,
    /// The CONNECT is not as the standard says.
    #[error("the CONNECT is malformed")]
    Malformed,
    /// More was sent ahead of the CONNACK than is held.
    #[error("too much was sent ahead of the CONNACK")]
    HeldBytes,
}

impl Refusal {
    /// The code in a CONNACK (MQTT 5 §3.2.2.2, 3.1.1 §3.2.2.3); none where 3.1.1 has none.
    pub(crate) const fn code(self, version: Version) -> Option<u8> {
        match version {
            Version::Mqtt5 => Some(self.code_5()),
            Version::Mqtt311 => self.code_311(),
        }
    }

    const fn code_5(self) -> u8 {
        match self {
            Self::Malformed => 0x81,
            Self::ProtocolVersion => 0x84,
            Self::ClientIdentifier => 0x85,
            Self::BadCredentials => 0x86,
            Self::NotAuthorized => 0x87,
            Self::Unavailable => 0x88,
            Self::Blocked => 0x8A,
            Self::AuthenticationMethod => 0x8C,
            Self::WillTopic => 0x90,
            Self::PacketSize => 0x95,
            Self::Busy | Self::HeldBytes => 0x97,
            Self::WillRetain => 0x9A,
        }
    }

    /// A reason that none of the five codes is for closes the connection without CONNACK.
    const fn code_311(self) -> Option<u8> {
        match self {
            Self::ProtocolVersion => Some(1),
            Self::ClientIdentifier => Some(2),
            Self::Busy | Self::Unavailable | Self::HeldBytes => Some(3),
            Self::BadCredentials => Some(4),
            Self::NotAuthorized | Self::Blocked | Self::WillTopic => Some(5),
            Self::AuthenticationMethod | Self::WillRetain | Self::PacketSize | Self::Malformed => None,
        }
    }
}

/// Why we end a connection that was accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Ending {
    /// Somebody asked for it: the application, the M2M user.
    #[error("by administrative action")]
    AdministrativeAction,
    /// The peripheral has connected again.
    #[error("the session was taken over by a newer connection")]
    SessionTakenOver,
    /// The gateway stops.
    #[error("the server is shutting down")]
    ShuttingDown,
    /// The gateway has more to do than it can.
    #[error("the server is busy")]
    Busy,
}

impl Ending {
    const fn code(self) -> u8 {
        match self {
            Self::Busy => 0x89,
            Self::ShuttingDown => 0x8B,
            Self::SessionTakenOver => 0x8E,
            Self::AdministrativeAction => 0x98,
        }
    }
}

/// A rule that the peripheral broke. Always its fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Fault {
    /// The bytes are no MQTT.
    #[error("malformed packet: {0}")]
    Malformed(&'static str),
    /// The packet may not come so, or not now.
    #[error("protocol error: {0}")]
    Protocol(&'static str),
    /// The packet is larger than was announced.
    #[error("a packet is larger than the announced maximum")]
    PacketTooLarge,
    /// More publications await acknowledgement than was announced.
    #[error("more is in flight than the announced Receive Maximum")]
    ReceiveMaximum,
    /// Topic aliases were announced as not taken.
    #[error("topic aliases are not supported")]
    TopicAlias,
    /// Retained messages were announced as not taken.
    #[error("messages are not retained")]
    Retain,
    /// Subscription identifiers were announced as not taken.
    #[error("subscription identifiers are not supported")]
    SubscriptionIdentifier,
    /// It published where it may not, and its version knows no other answer [MQTT-3.3.5-2].
    #[error("published to a topic that is not its own")]
    Topic,
    /// It asks for more than is kept for it.
    #[error("quota exceeded: {0}")]
    Quota(&'static str),
    /// It takes too small packets for the answer to what it sent.
    #[error("the answer is larger than the packets it takes")]
    AnswerTooLarge,
    /// No CONNECT came in time.
    #[error("no CONNECT in time")]
    ConnectTime,
}

impl Fault {
    const fn code(self) -> u8 {
        match self {
            Self::Malformed(_) => 0x81,
            Self::Protocol(_) => 0x82,
            Self::Topic => 0x90,
            Self::ReceiveMaximum => 0x93,
            Self::TopicAlias => 0x94,
            Self::PacketTooLarge | Self::AnswerTooLarge => 0x95,
            Self::Quota(_) => 0x97,
            Self::Retain => 0x9A,
            Self::ConnectTime => 0xA0,
            Self::SubscriptionIdentifier => 0xA1,
        }
    }
}

impl CloseReason {
    /// The reason code of the DISCONNECT (MQTT 5 §3.14.2.1) that tells it to the peripheral, where
    /// that is still possible and is not told otherwise.
    pub(crate) const fn disconnect_code(&self) -> Option<u8> {
        match self {
            Self::Disconnected { .. } | Self::Lost | Self::Refused(_) => None,
            Self::Fault(fault) => Some(fault.code()),
            Self::KeepAlive => Some(0x8D),
            Self::Ended(ending) => Some(ending.code()),
        }
    }

    /// Whether the will is published: always but after a DISCONNECT with code 0x00
    /// [MQTT-3.1.2-8, MQTT-3.1.2-10, MQTT-3.14.4-3].
    pub(crate) const fn publishes_the_will(&self) -> bool {
        !matches!(self, Self::Disconnected { code: 0 })
    }
}
