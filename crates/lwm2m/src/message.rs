//! Requests and responses of LwM2M, whatever carries them.
//!
//! They hold what CoAP's options and codes say and nothing of how messages travel: no message id, no
//! token, no address.

use std::fmt;

use crate::ContentFormat;

/// What a request does (LwM2M 1.1 transport, 6.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Read, Discover, Observe.
    Get,
    /// Register, Update, Execute, Create, partial Write, Send.
    Post,
    /// Write, Write-Attributes.
    Put,
    /// De-register, Delete.
    Delete,
    /// Read-Composite, Observe-Composite.
    Fetch,
    /// Write-Composite.
    IPatch,
}

impl Method {
    const ALL: [(Self, u8); 6] =
        [(Self::Get, 1), (Self::Post, 2), (Self::Put, 3), (Self::Delete, 4), (Self::Fetch, 5), (Self::IPatch, 7)];

    /// Its code as CoAP's header has it (RFC 7252, 12.1.1; RFC 8132, 6).
    #[must_use]
    pub fn byte(self) -> u8 {
        Self::ALL.into_iter().find(|(method, _)| *method == self).map(|(_, byte)| byte).expect("all are listed")
    }

    /// The method with this code; none if LwM2M has no use for it.
    #[must_use]
    pub fn from_byte(byte: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|(_, known)| *known == byte).map(|(method, _)| method)
    }
}

/// What a GET or FETCH says of observing (RFC 7641, 2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Observe {
    /// Tell me from now on: 0.
    Register,
    /// Do not any more: 1.
    Cancel,
}

impl Observe {
    /// The number in CoAP's option.
    #[must_use]
    pub const fn number(self) -> u32 {
        match self {
            Self::Register => 0,
            Self::Cancel => 1,
        }
    }

    /// What the number in CoAP's option means in a request, if anything.
    #[must_use]
    pub const fn from_number(number: u32) -> Option<Self> {
        match number {
            0 => Some(Self::Register),
            1 => Some(Self::Cancel),
            _ => None,
        }
    }
}

/// A request, of either side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// What it does.
    pub method: Method,
    /// The parts of the path, as in CoAP's Uri-Path options.
    pub path: Vec<String>,
    /// The parts of the query, as in CoAP's Uri-Query options.
    pub query: Vec<String>,
    /// What the payload is.
    pub content_format: Option<ContentFormat>,
    /// What the answer shall be; without it whoever answers chooses.
    pub accept: Option<ContentFormat>,
    /// Whether to be told of changes.
    pub observe: Option<Observe>,
    /// The payload, whole.
    pub payload: Vec<u8>,
}

impl Request {
    /// A request with a method and a path, and nothing else yet.
    #[must_use]
    pub const fn new(method: Method, path: Vec<String>) -> Self {
        Self { method, path, query: Vec::new(), content_format: None, accept: None, observe: None, payload: Vec::new() }
    }

    /// The same with a payload.
    #[must_use]
    pub fn with_payload(mut self, format: ContentFormat, payload: Vec<u8>) -> Self {
        self.content_format = Some(format);
        self.payload = payload;
        self
    }
}

/// The answer to a request, or a notification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// Yes or no, and which.
    pub code: Code,
    /// The parts of the path of what was created, as in CoAP's Location-Path options.
    pub location: Vec<String>,
    /// What the payload is.
    pub content_format: Option<ContentFormat>,
    /// In a notification, and in the answer that opens an observation: which of them is newer.
    pub observe: Option<u32>,
    /// For how many seconds it holds; with 5.03 or 4.29, after how many to ask again.
    pub max_age: Option<u32>,
    /// The payload, whole.
    pub payload: Vec<u8>,
}

impl Response {
    /// A response that is only its code.
    #[must_use]
    pub const fn new(code: Code) -> Self {
        Self { code, location: Vec::new(), content_format: None, observe: None, max_age: None, payload: Vec::new() }
    }

    /// 2.01 Created, at this place.
    #[must_use]
    pub fn created(location: Vec<String>) -> Self {
        Self { location, ..Self::new(Code::CREATED) }
    }

    /// 2.05 Content.
    #[must_use]
    pub fn content(format: ContentFormat, payload: Vec<u8>) -> Self {
        Self { content_format: Some(format), payload, ..Self::new(Code::CONTENT) }
    }

    /// A refusal with a sentence for the reader of the peer's log (RFC 7252, 5.5.2).
    #[must_use]
    pub fn refused(code: Code, diagnostic: impl fmt::Display) -> Self {
        Self { payload: diagnostic.to_string().into_bytes(), ..Self::new(code) }
    }

    /// A refusal that says after how many seconds to ask again.
    #[must_use]
    pub const fn later(code: Code, seconds: u32) -> Self {
        let mut response = Self::new(code);
        response.max_age = Some(seconds);
        response
    }
}

/// A response code (RFC 7252, 5.9), written like `4.05`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Code(u8);

macro_rules! codes {
    ($($name:ident = $class:literal, $detail:literal, $meaning:literal;)*) => {
        impl Code {
            $(#[doc = $meaning] pub const $name: Self = Self::of($class, $detail);)*

            /// What it means, in words.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self {
                    $(Self::$name => $meaning,)*
                    _ => match self.class() {
                        2 => "success",
                        4 => "the request was wrong",
                        5 => "the peer could not do it",
                        _ => "no response code",
                    },
                }
            }
        }
    };
}

codes! {
    CREATED = 2, 1, "created";
    DELETED = 2, 2, "deleted";
    VALID = 2, 3, "valid";
    CHANGED = 2, 4, "changed";
    CONTENT = 2, 5, "content";
    BAD_REQUEST = 4, 0, "bad request: malformed, or not understood";
    UNAUTHORIZED = 4, 1, "unauthorized: access right permission denied";
    BAD_OPTION = 4, 2, "bad option: an option was not understood";
    FORBIDDEN = 4, 3, "forbidden: not allowed for this peer";
    NOT_FOUND = 4, 4, "not found: the target does not exist";
    METHOD_NOT_ALLOWED = 4, 5, "method not allowed: the target does not allow the operation";
    NOT_ACCEPTABLE = 4, 6, "not acceptable: none of the accepted content formats can be returned";
    REQUEST_ENTITY_INCOMPLETE = 4, 8, "request entity incomplete: a block is missing";
    CONFLICT = 4, 9, "conflict: the request does not fit the present state";
    PRECONDITION_FAILED = 4, 12, "precondition failed: the version is not supported";
    REQUEST_ENTITY_TOO_LARGE = 4, 13, "request entity too large";
    UNSUPPORTED_CONTENT_FORMAT = 4, 15, "unsupported content format";
    UNPROCESSABLE_ENTITY = 4, 22, "unprocessable entity: understood, but not possible";
    TOO_MANY_REQUESTS = 4, 29, "too many requests: ask again later";
    INTERNAL_SERVER_ERROR = 5, 0, "internal server error";
    NOT_IMPLEMENTED = 5, 1, "not implemented";
    SERVICE_UNAVAILABLE = 5, 3, "service unavailable: ask again later";
}

impl Code {
    /// The code with this class, 0 to 7, and this detail, 0 to 31.
    const fn of(class: u8, detail: u8) -> Self {
        Self((class << 5) | detail)
    }

    /// The code as CoAP's header has it.
    #[must_use]
    pub const fn from_byte(byte: u8) -> Self {
        Self(byte)
    }

    /// As CoAP's header has it.
    #[must_use]
    pub const fn byte(self) -> u8 {
        self.0
    }

    /// 2 is yes; 4 and 5 are no.
    #[must_use]
    pub const fn class(self) -> u8 {
        self.0 >> 5
    }

    /// Whether it is a yes.
    #[must_use]
    pub const fn is_success(self) -> bool {
        self.class() == 2
    }

    /// Whether it is a no.
    #[must_use]
    pub const fn is_refusal(self) -> bool {
        matches!(self.class(), 4 | 5)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:02}", self.class(), self.0 & 0x1f)
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_method_is_known_by_its_code() {
        for byte in [1, 2, 3, 4, 5, 7] {
            assert_eq!(Method::from_byte(byte).map(Method::byte), Some(byte));
        }
        assert_eq!(Method::from_byte(6), None, "LwM2M has no PATCH that is not idempotent");
    }

    #[test]
    fn a_code_is_written_as_the_standards_write_it() {
        assert_eq!(Code::METHOD_NOT_ALLOWED.to_string(), "4.05");
        assert_eq!(Code::UNSUPPORTED_CONTENT_FORMAT.to_string(), "4.15");
        assert_eq!(Code::from_byte(0x45), Code::CONTENT);
        assert_eq!(Code::CHANGED.byte(), 0x44);
    }

    #[test]
    fn an_unknown_code_still_says_whose_side_it_is_on() {
        assert_eq!(Code::of(4, 18).meaning(), "the request was wrong");
        assert_eq!(Code::of(5, 9).meaning(), "the peer could not do it");
        assert!(Code::of(4, 18).is_refusal() && !Code::of(2, 31).is_refusal());
    }

    #[test]
    fn other_observe_numbers_mean_nothing_in_a_request() {
        for observe in [Observe::Register, Observe::Cancel] {
            assert_eq!(Observe::from_number(observe.number()), Some(observe));
        }
        assert_eq!(Observe::from_number(2), None);
    }
}
