//! What a connection tells its owner.

use std::fmt;
use std::time::Duration;

use crate::Version;
use bugle_core::PeripheralId;
use bytes::Bytes;

use crate::{CloseReason, PacketId, Topic};

/// The user property with which a peripheral says in its answer that it refuses a request, and why.
pub const REFUSED: &str = "bugle-refused";

/// What came from the peripheral. Each packet that it sends after CONNECT makes at least one of
/// them, so each is a word from it; [`Event::Closed`] is the last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// It asks to connect: [`accept`](crate::Connection::accept) or
    /// [`refuse`](crate::Connection::refuse) it.
    Connect(Box<Connect>),
    /// It subscribes to its requests: [`acknowledge`](crate::Connection::acknowledge) when that is
    /// recorded. From then on requests may be published to it.
    Subscribe {
        /// To acknowledge.
        packet_id: PacketId,
    },
    /// It no longer wants its requests: [`acknowledge`](crate::Connection::acknowledge) when that is
    /// recorded.
    Unsubscribe {
        /// To acknowledge.
        packet_id: PacketId,
    },
    /// It says something.
    Publish(Publish),
    /// It will not send the publication of that id again: forget the id, then
    /// [`acknowledge`](crate::Connection::acknowledge).
    Released {
        /// To forget, and to acknowledge.
        packet_id: PacketId,
    },
    /// It has what was published under that id.
    Delivered {
        /// As given to [`publish`](crate::Connection::publish).
        packet_id: PacketId,
    },
    /// It does not take what was published under that id.
    Refused {
        /// As given to [`publish`](crate::Connection::publish).
        packet_id: PacketId,
        /// Why, 0x80 or above (MQTT 5 §3.4.2.1).
        code: u8,
        /// Why, in its words; empty if it has none.
        reason: Box<str>,
    },
    /// It is there, and no more than that.
    Ping,
    /// It sent what is of no use.
    Noise(Noise),
    /// The connection is over. Send what [`poll_transmit`](crate::Connection::poll_transmit) still
    /// holds, then close the transport.
    Closed(Closed),
}

/// A peripheral asks to connect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connect {
    /// Who it says it is, by its client identifier.
    pub peripheral: PeripheralId,
    /// What it speaks.
    pub version: Version,
    /// Whether it goes on where its session was, if there is one.
    pub start: Start,
    /// How often it lets hear from it at least; none if it does not say.
    pub keep_alive: Option<Duration>,
    /// How long its session outlives the connection, at most what was configured.
    pub session_expiry: Duration,
    /// Who else it says it is.
    pub username: Option<String>,
    /// What shows that.
    pub password: Option<Password>,
    /// Whether it leaves a will.
    pub has_will: bool,
}

/// Whether a session is begun or gone on with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// The session that there was ends (Clean Start, Clean Session).
    Clean,
    /// The session that there was goes on.
    Resume,
}

/// A password, which never shows in a debug print.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(Box<[u8]>);

impl Password {
    /// Its bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl From<&[u8]> for Password {
    fn from(bytes: &[u8]) -> Self {
        Self(bytes.into())
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

/// Something that a peripheral says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publish {
    /// How surely it is to arrive.
    pub delivery: Delivery,
    /// What it is about.
    pub topic: Topic,
    /// What it says.
    pub payload: Bytes,
    /// The payload's media type; empty where none is named, as always in MQTT 3.1.1.
    pub content_type: Box<str>,
    /// Why the peripheral refuses a request, in an answer that does: the value of the user property
    /// [`REFUSED`](crate::REFUSED) of MQTT 5.
    pub refusal: Option<Box<str>>,
}

/// How surely a publication is to arrive, and the id under which it is acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// Quality of service 0: nothing is acknowledged.
    AtMostOnce,
    /// Quality of service 1: acknowledge when the publication is durable.
    AtLeastOnce(PacketId),
    /// Quality of service 2: acknowledge when the publication and, with it, the id are durable. The
    /// id is of the session until [`Event::Released`].
    ExactlyOnce(PacketId),
}

/// What is published for a peripheral when its connection ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Will {
    /// What it is about.
    pub topic: Topic,
    /// What it says.
    pub payload: Bytes,
    /// The payload's media type; empty where none is named.
    pub content_type: Box<str>,
    /// How long after the end, unless the peripheral is back before or its session ends before.
    pub delay: Duration,
}

/// Packets that are of no use but do no harm either.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Noise {
    /// A publication to a topic that is not the peripheral's own; refused, or dropped.
    ForeignTopic,
    /// A subscription to what is not the peripheral's own, or of quality of service 0; refused.
    ForeignFilter,
    /// A publication that says it is UTF-8 and is not; refused, or dropped.
    PayloadFormat,
    /// A publication that came before.
    Duplicate,
    /// An acknowledgement or a release of what is not in flight.
    UnknownPacketId,
}

/// How a connection ended, and what is left of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closed {
    /// Why.
    pub reason: CloseReason,
    /// How long its session lives on; zero if it ends now, or was never accepted.
    pub session_expiry: Duration,
    /// What is to be published for the peripheral.
    pub will: Option<Box<Will>>,
}
