//! The options of CoAP: what each one's value may be, and what becomes of those that are not understood.

use std::fmt;

/// Which option (RFC 7252 §5.4.6).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OptionNumber(u16);

/// What the value of an option is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Empty,
    Opaque,
    Uint,
    String,
}

/// What the standards say of an option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Definition {
    pub(crate) format: Format,
    pub(crate) bytes_min: usize,
    pub(crate) bytes_max: usize,
    pub(crate) is_repeatable: bool,
}

macro_rules! options {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $format:ident, $min:literal, $max:literal, $is_repeatable:literal;)*) => {
        impl OptionNumber {
            $($(#[$doc])* pub const $name: Self = Self($number);)*

            pub(crate) const fn definition(self) -> Option<Definition> {
                match self.0 {
                    $($number => Some(Definition {
                        format: Format::$format,
                        bytes_min: $min,
                        bytes_max: $max,
                        is_repeatable: $is_repeatable,
                    }),)*
                    _ => None,
                }
            }
        }
    };
}

options! {
    /// If-Match
    IF_MATCH = 1, Opaque, 0, 8, true;
    /// Uri-Host
    URI_HOST = 3, String, 1, 255, false;
    /// ETag
    ETAG = 4, Opaque, 1, 8, true;
    /// If-None-Match
    IF_NONE_MATCH = 5, Empty, 0, 0, false;
    /// Observe (RFC 7641)
    OBSERVE = 6, Uint, 0, 3, false;
    /// Uri-Port
    URI_PORT = 7, Uint, 0, 2, false;
    /// Location-Path
    LOCATION_PATH = 8, String, 0, 255, true;
    /// Uri-Path
    URI_PATH = 11, String, 0, 255, true;
    /// Content-Format
    CONTENT_FORMAT = 12, Uint, 0, 2, false;
    /// Max-Age
    MAX_AGE = 14, Uint, 0, 4, false;
    /// Uri-Query
    URI_QUERY = 15, String, 0, 255, true;
    /// Hop-Limit (RFC 8768)
    HOP_LIMIT = 16, Uint, 1, 1, false;
    /// Accept
    ACCEPT = 17, Uint, 0, 2, false;
    /// Location-Query
    LOCATION_QUERY = 20, String, 0, 255, true;
    /// Block2 (RFC 7959)
    BLOCK2 = 23, Uint, 0, 3, false;
    /// Block1 (RFC 7959)
    BLOCK1 = 27, Uint, 0, 3, false;
    /// Size2 (RFC 7959)
    SIZE2 = 28, Uint, 0, 4, false;
    /// Proxy-Uri
    PROXY_URI = 35, String, 1, 1034, false;
    /// Proxy-Scheme
    PROXY_SCHEME = 39, String, 1, 255, false;
    /// Size1
    SIZE1 = 60, Uint, 0, 4, false;
    /// Echo (RFC 9175)
    ECHO = 252, Opaque, 1, 40, false;
    /// Request-Tag (RFC 9175)
    REQUEST_TAG = 292, Opaque, 0, 8, true;
}

impl OptionNumber {
    /// The option with this number.
    #[must_use]
    pub const fn new(number: u16) -> Self {
        Self(number)
    }

    /// Its number.
    #[must_use]
    pub const fn number(self) -> u16 {
        self.0
    }

    /// Whether a message must not be acted upon without understanding it (RFC 7252 §5.4.1).
    #[must_use]
    pub const fn is_critical(self) -> bool {
        self.0 & 1 == 1
    }

    /// Whether two requests that differ in it may be about the same representation, or parts of the
    /// same body: the options that say so of themselves (RFC 7252 §5.4.6), and those of which their own
    /// standard says it (RFC 7641 §2, RFC 7959 §2.4).
    pub(crate) const fn is_outside_cache_key(self) -> bool {
        self.0 & 0x1e == 0x1c || matches!(self, Self::OBSERVE | Self::BLOCK1 | Self::BLOCK2 | Self::ETAG)
    }

    /// Whether this value is one that the option may have. An option that is not known may have any.
    pub(crate) fn allows(self, value: &[u8]) -> bool {
        self.definition().is_none_or(|definition| {
            (definition.bytes_min..=definition.bytes_max).contains(&value.len())
                && (definition.format != Format::String || std::str::from_utf8(value).is_ok())
        })
    }
}

impl fmt::Debug for OptionNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "option {}", self.0)
    }
}

impl fmt::Display for OptionNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_options_are_critical() {
        for critical in [OptionNumber::IF_MATCH, OptionNumber::URI_PATH, OptionNumber::BLOCK1, OptionNumber::ACCEPT] {
            assert!(critical.is_critical(), "{critical:?}");
        }
        for elective in [OptionNumber::OBSERVE, OptionNumber::ETAG, OptionNumber::SIZE1, OptionNumber::ECHO] {
            assert!(!elective.is_critical(), "{elective:?}");
        }
    }

    #[test]
    fn what_may_differ_between_the_blocks_of_one_body_is_outside_the_cache_key() {
        for outside in [OptionNumber::SIZE1, OptionNumber::SIZE2, OptionNumber::BLOCK1, OptionNumber::ECHO] {
            assert!(outside.is_outside_cache_key(), "{outside:?}");
        }
        for inside in [OptionNumber::URI_PATH, OptionNumber::URI_QUERY, OptionNumber::REQUEST_TAG, OptionNumber::ACCEPT]
        {
            assert!(!inside.is_outside_cache_key(), "{inside:?}");
        }
    }

    #[test]
    fn a_value_of_the_wrong_length_or_no_text_is_not_allowed() {
        assert!(OptionNumber::CONTENT_FORMAT.allows(&[]));
        assert!(!OptionNumber::CONTENT_FORMAT.allows(&[0, 0, 40]));
        assert!(!OptionNumber::IF_NONE_MATCH.allows(&[1]));
        assert!(!OptionNumber::URI_PATH.allows(&[0xff]));
        assert!(OptionNumber::new(2049).allows(&[0; 400]));
    }
}
