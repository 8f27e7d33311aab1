//! Identifiers: who and what the other words speak of.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use thiserror::Error;

/// Why a text is no identifier. The fault is of whoever wrote the text.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum IdError {
    /// The text is empty.
    #[error("a {kind} must not be empty")]
    Empty {
        /// What the text was to be, as in "peripheral id".
        kind: &'static str,
    },
    /// The text is longer than the identifier may be.
    #[error("a {kind} has at most {max} bytes, this one has {length}")]
    TooLong {
        /// What the text was to be.
        kind: &'static str,
        /// The most bytes it may have.
        max: usize,
        /// The bytes it has.
        length: usize,
    },
    /// The text holds a character that the identifier may not hold.
    #[error("a {kind} must not contain {character:?}; allowed are {allowed}")]
    Character {
        /// What the text was to be.
        kind: &'static str,
        /// The first character that is not allowed.
        character: char,
        /// The characters that are, in words.
        allowed: &'static str,
    },
    /// The text is no request id.
    #[error("a request id is 13 letters and digits as printed when the request was sent")]
    Request,
}

/// Letters, digits and the punctuation that is safe in a path, a topic and a table.
fn is_plain(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '.' | '_' | '-' | ':')
}

fn is_visible(character: char) -> bool {
    character.is_ascii_graphic()
}

/// An endpoint name or client id may hold anything printable that is not special in an MQTT topic.
fn is_endpoint(character: char) -> bool {
    character.is_ascii_graphic() && !matches!(character, '/' | '+' | '#' | '?' | '%' | '"' | '\\')
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $max:literal, $is_allowed:path, $allowed:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The most bytes that it may have.
            pub const BYTES_MAX: usize = $max;

            /// Checks `text` and takes it.
            ///
            /// # Errors
            /// If `text` is empty, too long or holds a character that is not allowed.
            pub fn new(text: impl Into<Arc<str>>) -> Result<Self, IdError> {
                let text = text.into();
                if text.is_empty() {
                    return Err(IdError::Empty { kind: $kind });
                }
                if text.len() > Self::BYTES_MAX {
                    return Err(IdError::TooLong { kind: $kind, max: Self::BYTES_MAX, length: text.len() });
                }
                match text.chars().find(|character| !$is_allowed(*character)) {
                    Some(character) => Err(IdError::Character { kind: $kind, character, allowed: $allowed }),
                    None => Ok(Self(text)),
                }
            }

            /// The text itself.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                Self::new(text)
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                Self::new(text).map_err(de::Error::custom)
            }
        }
    };
}

text_id!(
    /// Who a peripheral is: its LwM2M endpoint name or MQTT client id.
    PeripheralId, "peripheral id", 128, is_endpoint, "printable ASCII characters other than / + # ? % \" \\"
);
text_id!(
    /// Which group of its application a group is.
    GroupId, "group id", 64, is_plain, "letters, digits and . _ - :"
);
text_id!(
    /// Which application.
    ApplicationId, "application id", 64, is_plain, "letters, digits and . _ - :"
);
text_id!(
    /// Which gateway.
    GatewayId, "gateway id", 64, is_plain, "letters, digits and . _ - :"
);

text_id!(
    /// Which schedule of its application.
    ScheduleId, "schedule id", 64, is_plain, "letters, digits and . _ - :"
);

text_id!(
    /// What group requests have in common of which only the newest matters.
    CollapseKey, "collapse key", 128, is_visible, "visible ASCII characters"
);

/// Which registration of a peripheral at one gateway; later registrations have larger numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(value_type = u64))]
pub struct RegistrationId(u64);

impl RegistrationId {
    /// The registration with this number.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// Its number.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0
    }
}

impl fmt::Display for RegistrationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Which group request: 63 bits, the upper of which are the time of acceptance, so that request ids
/// sort by age and a platform restored from a backup does not give one out again.
///
/// Written as 13 letters and digits of Crockford's base 32.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(u64);

impl RequestId {
    const DIGITS: &'static [u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    const LENGTH: usize = 13;
    const RANDOM_BITS: u32 = 20;

    /// The request accepted at `accepted`; `random` tells those of one millisecond apart.
    #[must_use]
    pub const fn compose(accepted: crate::Time, random: u32) -> Self {
        let low = random as u64 & ((1 << Self::RANDOM_BITS) - 1);
        Self(((accepted.as_millis() << Self::RANDOM_BITS) | low) & i64::MAX as u64)
    }

    /// The request with this number, or none if it has more than 63 bits.
    #[must_use]
    pub const fn from_number(number: u64) -> Option<Self> {
        if number > i64::MAX as u64 { None } else { Some(Self(number)) }
    }

    /// Its number.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [b'0'; Self::LENGTH];
        let mut rest = self.0;
        for digit in text.iter_mut().rev() {
            *digit = Self::DIGITS[(rest & 31) as usize];
            rest >>= 5;
        }
        f.pad(std::str::from_utf8(&text).expect("base 32 digits are ASCII"))
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for RequestId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        if text.len() != Self::LENGTH {
            return Err(IdError::Request);
        }
        let mut number: u64 = 0;
        for byte in text.bytes() {
            let digit = Self::DIGITS.iter().position(|digit| *digit == byte.to_ascii_uppercase());
            let digit = digit.ok_or(IdError::Request)? as u64;
            number = number.checked_mul(32).and_then(|high| high.checked_add(digit)).ok_or(IdError::Request)?;
        }
        Self::from_number(number).ok_or(IdError::Request)
    }
}

impl Serialize for RequestId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for RequestId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Time;

    #[test]
    fn an_endpoint_name_may_be_a_urn_but_no_topic() {
        assert!(PeripheralId::new("urn:imei:356938035643809").is_ok());
        assert!(matches!(PeripheralId::new("a/b"), Err(IdError::Character { character: '/', .. })));
        assert!(matches!(PeripheralId::new(""), Err(IdError::Empty { .. })));
        assert!(matches!(PeripheralId::new("x".repeat(129)), Err(IdError::TooLong { length: 129, .. })));
    }

    #[test]
    fn an_identifier_in_json_is_checked() {
        assert!(serde_json::from_str::<GroupId>("\"lamps\"").is_ok());
        assert!(serde_json::from_str::<GroupId>("\"lamps/east\"").is_err());
    }

    proptest! {
        #[test]
        fn a_request_id_reads_back_as_written(number in 0..=i64::MAX as u64) {
            let id = RequestId::from_number(number).expect("at most 63 bits");
            prop_assert_eq!(id.to_string().parse::<RequestId>(), Ok(id));
        }

        #[test]
        fn request_ids_sort_by_age(early in 0_u64..1 << 42, later in 1_u64..1000, a: u32, b: u32) {
            let first = RequestId::compose(Time::from_millis(early), a);
            let second = RequestId::compose(Time::from_millis(early + later), b);
            prop_assert!(first < second);
        }
    }
}
