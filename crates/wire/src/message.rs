//! The messages of the stream, checked.

use bugle_core::GatewayId;
use bytes::Bytes;

use crate::convert::Word;
use crate::{WireError, proto};

/// The version of the schema that is spoken here.
pub const VERSION: u32 = 1;

/// What a gateway sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FromGateway {
    /// Its first message.
    Hello(Hello),
    /// Entries of the up log.
    Up(Entries),
    /// The gateway has the down log on disk up to here.
    DownAcknowledged {
        /// The last entry that it has.
        through: u64,
    },
    /// Asks for [`FromPlatform::Pong`].
    Ping {
        /// To be sent back.
        token: u64,
    },
}

/// What the platform sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FromPlatform {
    /// Its first message.
    Welcome {
        /// The last up entry that it has on disk.
        up_applied: u64,
    },
    /// Entries of the down log.
    Down(Entries),
    /// The platform has the up log on disk up to here.
    UpAcknowledged {
        /// The last entry that it has.
        through: u64,
    },
    /// Answers [`FromGateway::Ping`].
    Pong {
        /// As it came.
        token: u64,
    },
    /// Its last message.
    Closing {
        /// Why it ends the stream.
        reason: CloseReason,
        /// In words, for the gateway's log.
        detail: String,
    },
}

/// Where both logs stand at a gateway that connects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hello {
    /// The version of the schema that the gateway speaks.
    pub version: u32,
    /// Which gateway.
    pub gateway: GatewayId,
    /// The last down entry that it has on disk; 0 for none.
    pub down_received: u64,
    /// The oldest up entry that it still has; `up_last + 1` if it has none.
    pub up_first: u64,
    /// The newest up entry that it has ever made; 0 for none.
    pub up_last: u64,
    /// Drawn at random when it started.
    pub boot: u64,
    /// Name and version of its software.
    pub software: String,
}

/// Why the platform ends a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CloseReason {
    /// This platform node stops.
    Stopping,
    /// The same gateway has connected anew.
    Replaced,
    /// The gateway's version is not spoken here.
    Version,
    /// The gateway is unknown, or not the one its certificate names.
    Identity,
    /// The logs do not fit together.
    LogConflict,
    /// The gateway sent what the schema does not allow.
    Protocol,
}

/// Entries of one log, at least one, that follow each other without gaps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entries {
    first: u64,
    entries: Vec<Bytes>,
}

impl Entries {
    /// The `entries` of which the first has the number `first`.
    ///
    /// # Errors
    /// If there are none, or their numbers do not run from 1 to [`i64::MAX`].
    pub fn new(first: u64, entries: Vec<Bytes>) -> Result<Self, WireError> {
        let after = first.checked_add(entries.len() as u64).filter(|after| *after <= 1 << 63);
        match after {
            _ if entries.is_empty() => Err(WireError::Missing { field: "entries" }),
            Some(_) if first > 0 => Ok(Self { first, entries }),
            _ => Err(WireError::OutOfRange { field: "first_sequence", value: first }),
        }
    }

    /// The number of the first.
    #[must_use]
    pub const fn first(&self) -> u64 {
        self.first
    }

    /// The number of the last.
    #[must_use]
    pub const fn last(&self) -> u64 {
        self.first + (self.entries.len() as u64 - 1)
    }

    /// Those after `through`; none if there are none.
    #[must_use]
    pub fn after(mut self, through: u64) -> Option<Self> {
        if self.last() <= through {
            return None;
        }
        if let Some(known @ 1..) = (through + 1).checked_sub(self.first) {
            // Fewer than there are, as the last is not among them.
            self.entries.drain(..known as usize);
            self.first = through + 1;
        }
        Some(self)
    }
}

impl IntoIterator for Entries {
    type Item = (u64, Bytes);
    type IntoIter = std::iter::Zip<std::ops::RangeFrom<u64>, std::vec::IntoIter<Bytes>>;

    fn into_iter(self) -> Self::IntoIter {
        (self.first..).zip(self.entries)
    }
}

impl From<FromGateway> for proto::FromGateway {
    fn from(message: FromGateway) -> Self {
        use proto::from_gateway::Message;
        let message = match message {
            FromGateway::Hello(hello) => Message::Hello(proto::Hello {
                version: hello.version,
                gateway: hello.gateway.to_string(),
                down_received: hello.down_received,
                up_first: hello.up_first,
                up_last: hello.up_last,
                boot: hello.boot,
                software: hello.software,
            }),
            FromGateway::Up(up) => Message::Up(proto::Up { first_sequence: up.first, entries: up.entries }),
            FromGateway::DownAcknowledged { through } => Message::DownAcknowledged(proto::DownAcknowledged { through }),
            FromGateway::Ping { token } => Message::Ping(proto::Ping { token }),
        };
        Self { message: Some(message) }
    }
}

impl TryFrom<proto::FromGateway> for FromGateway {
    type Error = WireError;

    fn try_from(message: proto::FromGateway) -> Result<Self, WireError> {
        use proto::from_gateway::Message;
        Ok(match message.message.ok_or(WireError::Missing { field: "message" })? {
            Message::Hello(hello) => Self::Hello(Hello {
                version: hello.version,
                gateway: hello.gateway.parse()?,
                down_received: hello.down_received,
                up_first: hello.up_first,
                up_last: hello.up_last,
                boot: hello.boot,
                software: hello.software,
            }),
            Message::Up(up) => Self::Up(Entries::new(up.first_sequence, up.entries)?),
            Message::DownAcknowledged(proto::DownAcknowledged { through }) => Self::DownAcknowledged { through },
            Message::Ping(proto::Ping { token }) => Self::Ping { token },
        })
    }
}

impl From<FromPlatform> for proto::FromPlatform {
    fn from(message: FromPlatform) -> Self {
        use proto::from_platform::Message;
        let message = match message {
            FromPlatform::Welcome { up_applied } => Message::Welcome(proto::Welcome { up_applied }),
            FromPlatform::Down(down) => {
                Message::Down(proto::Down { first_sequence: down.first, entries: down.entries })
            }
            FromPlatform::UpAcknowledged { through } => Message::UpAcknowledged(proto::UpAcknowledged { through }),
            FromPlatform::Pong { token } => Message::Pong(proto::Pong { token }),
            FromPlatform::Closing { reason, detail } => {
                Message::Closing(proto::Closing { reason: reason.to_number(), detail })
            }
        };
        Self { message: Some(message) }
    }
}

impl TryFrom<proto::FromPlatform> for FromPlatform {
    type Error = WireError;

    fn try_from(message: proto::FromPlatform) -> Result<Self, WireError> {
        use proto::from_platform::Message;
        Ok(match message.message.ok_or(WireError::Missing { field: "message" })? {
            Message::Welcome(proto::Welcome { up_applied }) => Self::Welcome { up_applied },
            Message::Down(down) => Self::Down(Entries::new(down.first_sequence, down.entries)?),
            Message::UpAcknowledged(proto::UpAcknowledged { through }) => Self::UpAcknowledged { through },
            Message::Pong(proto::Pong { token }) => Self::Pong { token },
            Message::Closing(closing) => {
                Self::Closing { reason: Word::from_number(closing.reason)?, detail: closing.detail }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::strategies;

    fn entries(first: u64, count: usize) -> Result<Entries, WireError> {
        Entries::new(first, (0..count).map(|index| Bytes::from(vec![index as u8])).collect())
    }

    #[test]
    fn entries_are_numbered_from_one_and_never_none() {
        assert_eq!(entries(1, 0), Err(WireError::Missing { field: "entries" }));
        assert_eq!(entries(0, 2), Err(WireError::OutOfRange { field: "first_sequence", value: 0 }));
        let last = i64::MAX as u64;
        assert!(entries(last, 1).is_ok());
        assert_eq!(entries(last, 2), Err(WireError::OutOfRange { field: "first_sequence", value: last }));
        assert!(entries(u64::MAX, 2).is_err());
    }

    #[test]
    fn entries_that_are_known_already_are_left_out() {
        let three = entries(5, 3).expect("entries");
        assert_eq!(three.clone().after(2), Some(three.clone()));
        assert_eq!(three.clone().after(4), Some(three.clone()));
        let rest: Vec<(u64, Bytes)> = three.clone().after(6).into_iter().flatten().collect();
        assert_eq!(rest, [(7, Bytes::from(vec![2]))]);
        assert_eq!(three.after(7), None);
    }

    #[test]
    fn an_empty_message_is_refused() {
        let missing = WireError::Missing { field: "message" };
        assert_eq!(FromGateway::try_from(proto::FromGateway { message: None }), Err(missing.clone()));
        assert_eq!(FromPlatform::try_from(proto::FromPlatform { message: None }), Err(missing));
    }

    proptest! {
        #[test]
        fn every_message_of_a_gateway_reads_back_as_written(message in strategies::from_gateway()) {
            let encoded = prost::Message::encode_to_vec(&proto::FromGateway::from(message.clone()));
            let decoded: proto::FromGateway = prost::Message::decode(&*encoded).expect("just encoded");
            prop_assert_eq!(FromGateway::try_from(decoded), Ok(message));
        }

        #[test]
        fn every_message_of_the_platform_reads_back_as_written(message in strategies::from_platform()) {
            let encoded = prost::Message::encode_to_vec(&proto::FromPlatform::from(message.clone()));
            let decoded: proto::FromPlatform = prost::Message::decode(&*encoded).expect("just encoded");
            prop_assert_eq!(FromPlatform::try_from(decoded), Ok(message));
        }
    }
}
