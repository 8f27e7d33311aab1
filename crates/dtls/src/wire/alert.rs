//! Alerts (RFC 5246 §7.2).

use std::fmt;

/// What an alert says.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Alert(u8);

impl Alert {
    /// The sender has nothing more to say.
    pub const CLOSE_NOTIFY: Self = Self(0);
    /// A message that is not expected now.
    pub const UNEXPECTED_MESSAGE: Self = Self(10);
    /// A record that does not authenticate.
    pub const BAD_RECORD_MAC: Self = Self(20);
    /// Nothing that both sides can do.
    pub const HANDSHAKE_FAILURE: Self = Self(40);
    /// A certificate that is not accepted.
    pub const BAD_CERTIFICATE: Self = Self(42);
    /// A field that contradicts others.
    pub const ILLEGAL_PARAMETER: Self = Self(47);
    /// A message that cannot be read.
    pub const DECODE_ERROR: Self = Self(50);
    /// A signature, or the end of the handshake, that does not verify.
    pub const DECRYPT_ERROR: Self = Self(51);
    /// A version that is not spoken.
    pub const PROTOCOL_VERSION: Self = Self(70);
    /// The sender cannot go on.
    pub const INTERNAL_ERROR: Self = Self(80);
    /// The sender will not negotiate again inside the session.
    pub const NO_RENEGOTIATION: Self = Self(100);

    /// The alert with this number.
    #[must_use]
    pub const fn from_code(code: u8) -> Self {
        Self(code)
    }

    /// Its number in the registry.
    #[must_use]
    pub const fn code(self) -> u8 {
        self.0
    }

    pub(crate) const fn to_bytes(self, level: AlertLevel) -> [u8; 2] {
        let level = match level {
            AlertLevel::Warning => 1,
            AlertLevel::Fatal => 2,
        };
        [level, self.0]
    }

    /// Reads one, and how grave it is.
    pub(crate) fn parse(body: &[u8]) -> Option<(AlertLevel, Self)> {
        let [level, code] = body.first_chunk::<2>()?;
        Some((if *level == 1 { AlertLevel::Warning } else { AlertLevel::Fatal }, Self(*code)))
    }
}

/// How grave an alert is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AlertLevel {
    Warning,
    /// The end of the session, or of the handshake.
    Fatal,
}

impl fmt::Debug for Alert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Alert({self})")
    }
}

impl fmt::Display for Alert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match *self {
            Self::CLOSE_NOTIFY => "close notify",
            Self::UNEXPECTED_MESSAGE => "unexpected message",
            Self::BAD_RECORD_MAC => "bad record mac",
            Self::HANDSHAKE_FAILURE => "handshake failure",
            Self::BAD_CERTIFICATE => "bad certificate",
            Self::ILLEGAL_PARAMETER => "illegal parameter",
            Self::DECODE_ERROR => "decode error",
            Self::DECRYPT_ERROR => "decrypt error",
            Self::PROTOCOL_VERSION => "protocol version",
            Self::INTERNAL_ERROR => "internal error",
            Self::NO_RENEGOTIATION => "no renegotiation",
            Self(code) => return write!(f, "alert {code}"),
        })
    }
}
