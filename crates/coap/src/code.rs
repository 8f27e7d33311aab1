//! What a message asks or answers: methods and response codes.

use std::fmt;

/// The code of a message: a class and a detail, written as `2.05` (RFC 7252 §3).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Code(u8);

macro_rules! response_codes {
    ($($(#[$doc:meta])* $name:ident = $class:literal, $detail:literal;)*) => {
        impl Code {
            $($(#[$doc])* pub const $name: Self = Self::new($class, $detail);)*
        }
    };
}

response_codes! {
    /// An empty message: a ping, an acknowledgement or a reset.
    EMPTY = 0, 0;
    /// 2.01
    CREATED = 2, 1;
    /// 2.02
    DELETED = 2, 2;
    /// 2.03
    VALID = 2, 3;
    /// 2.04
    CHANGED = 2, 4;
    /// 2.05
    CONTENT = 2, 5;
    /// 2.31: this block is taken, send the next (RFC 7959 §2.9.1).
    CONTINUE = 2, 31;
    /// 4.00
    BAD_REQUEST = 4, 0;
    /// 4.01
    UNAUTHORIZED = 4, 1;
    /// 4.02: a critical option was not understood.
    BAD_OPTION = 4, 2;
    /// 4.03
    FORBIDDEN = 4, 3;
    /// 4.04
    NOT_FOUND = 4, 4;
    /// 4.05
    METHOD_NOT_ALLOWED = 4, 5;
    /// 4.06
    NOT_ACCEPTABLE = 4, 6;
    /// 4.08: blocks of the body are missing (RFC 7959 §2.9.2).
    REQUEST_ENTITY_INCOMPLETE = 4, 8;
    /// 4.09 (RFC 8132)
    CONFLICT = 4, 9;
    /// 4.12
    PRECONDITION_FAILED = 4, 12;
    /// 4.13: the body is too large (RFC 7959 §2.9.3).
    REQUEST_ENTITY_TOO_LARGE = 4, 13;
    /// 4.15
    UNSUPPORTED_CONTENT_FORMAT = 4, 15;
    /// 4.22 (RFC 8132)
    UNPROCESSABLE_ENTITY = 4, 22;
    /// 4.29 (RFC 8516)
    TOO_MANY_REQUESTS = 4, 29;
    /// 5.00
    INTERNAL_SERVER_ERROR = 5, 0;
    /// 5.01
    NOT_IMPLEMENTED = 5, 1;
    /// 5.02
    BAD_GATEWAY = 5, 2;
    /// 5.03
    SERVICE_UNAVAILABLE = 5, 3;
    /// 5.04
    GATEWAY_TIMEOUT = 5, 4;
    /// 5.05
    PROXYING_NOT_SUPPORTED = 5, 5;
}

impl Code {
    /// The code of this class and detail. The class has 3 bits and the detail 5; higher ones are cut.
    #[must_use]
    pub const fn new(class: u8, detail: u8) -> Self {
        Self((class << 5) | (detail & 0x1f))
    }

    /// The code as it stands in a message.
    #[must_use]
    pub const fn from_byte(byte: u8) -> Self {
        Self(byte)
    }

    /// The code as it stands in a message.
    #[must_use]
    pub const fn as_byte(self) -> u8 {
        self.0
    }

    /// The digit before the point.
    #[must_use]
    pub const fn class(self) -> u8 {
        self.0 >> 5
    }

    /// The digits after the point.
    #[must_use]
    pub const fn detail(self) -> u8 {
        self.0 & 0x1f
    }

    /// Whether it is one of a request, known or not.
    #[must_use]
    pub const fn is_request(self) -> bool {
        self.class() == 0 && self.0 != 0
    }

    /// Whether it is one of a response, known or not.
    #[must_use]
    pub const fn is_response(self) -> bool {
        matches!(self.class(), 2 | 4 | 5)
    }

    /// Whether it says that the request was understood and done.
    #[must_use]
    pub const fn is_success(self) -> bool {
        self.class() == 2
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:02}", self.class(), self.detail())
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What a request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Method {
    /// 0.01
    Get,
    /// 0.02
    Post,
    /// 0.03
    Put,
    /// 0.04
    Delete,
    /// 0.05 (RFC 8132)
    Fetch,
    /// 0.06 (RFC 8132)
    Patch,
    /// 0.07 (RFC 8132)
    IPatch,
}

impl Method {
    /// All of them.
    pub const ALL: [Self; 7] = [Self::Get, Self::Post, Self::Put, Self::Delete, Self::Fetch, Self::Patch, Self::IPatch];

    /// The method that a request's code names, if it is a known one.
    #[must_use]
    pub fn from_code(code: Code) -> Option<Self> {
        Self::ALL.into_iter().find(|method| method.code() == code)
    }

    /// The code of a request with this method.
    #[must_use]
    pub const fn code(self) -> Code {
        Code::new(0, self as u8 + 1)
    }

    /// Whether asking twice is no different from asking once, and changes nothing (RFC 7252 §5.1).
    #[must_use]
    pub const fn is_safe(self) -> bool {
        matches!(self, Self::Get | Self::Fetch)
    }
}

/// What a payload is written in, by its number in the IANA registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContentFormat(pub u16);

impl ContentFormat {
    /// `text/plain; charset=utf-8`
    pub const TEXT: Self = Self(0);
    /// `application/link-format`
    pub const LINK_FORMAT: Self = Self(40);
    /// `application/octet-stream`
    pub const OCTET_STREAM: Self = Self(42);
    /// `application/json`
    pub const JSON: Self = Self(50);
    /// `application/cbor`
    pub const CBOR: Self = Self(60);
    /// `application/senml+json`
    pub const SENML_JSON: Self = Self(110);
    /// `application/senml+cbor`
    pub const SENML_CBOR: Self = Self(112);
    /// `application/vnd.oma.lwm2m+tlv`
    pub const LWM2M_TLV: Self = Self(11542);
    /// `application/vnd.oma.lwm2m+json`
    pub const LWM2M_JSON: Self = Self(11543);
    /// `application/vnd.oma.lwm2m+cbor`
    pub const LWM2M_CBOR: Self = Self(11544);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_written_as_the_standards_write_it() {
        assert_eq!(Code::CONTENT.to_string(), "2.05");
        assert_eq!(Code::TOO_MANY_REQUESTS.as_byte(), 0x9d);
        assert_eq!(Code::from_byte(0x84), Code::NOT_FOUND);
    }

    #[test]
    fn every_method_is_named_by_its_code_and_no_other_code_names_one() {
        let named: Vec<_> = (0..=u8::MAX).filter_map(|byte| Method::from_code(Code::from_byte(byte))).collect();
        assert_eq!(named, Method::ALL);
        assert_eq!(Method::IPatch.code().to_string(), "0.07");
    }

    #[test]
    fn reserved_classes_are_neither_request_nor_response() {
        for class in [1, 3, 6, 7] {
            let code = Code::new(class, 1);
            assert!(!code.is_request() && !code.is_response(), "{code}");
        }
    }
}
