//! Where a CoAP request goes.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use thiserror::Error;

/// Where a CoAP request goes: `coap://host[:port][/path][?query]` (RFC 7252 §6.1).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct CoapUri(String);

/// A text is no CoAP URI. The fault is of whoever wrote it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a CoAP URI is coap://host, coap://host:port or either with /a/path, without blanks or percent signs")]
pub struct CoapUriError;

impl CoapUri {
    const PORT: u16 = 5683;

    fn parts(&self) -> (&str, &str, &str) {
        let rest = self.0.strip_prefix("coap://").unwrap_or(&self.0);
        let (before, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = before.split_once('/').unwrap_or((before, ""));
        (authority, path, query)
    }

    /// The host, a name or an address, and the port.
    #[must_use]
    pub fn authority(&self) -> (&str, u16) {
        let (authority, ..) = self.parts();
        split_port(authority).unwrap_or((authority, Self::PORT))
    }

    /// The segments of the path.
    pub fn path(&self) -> impl Iterator<Item = &str> {
        self.parts().1.split('/').filter(|segment| !segment.is_empty())
    }

    /// The arguments of the query.
    pub fn query(&self) -> impl Iterator<Item = &str> {
        self.parts().2.split('&').filter(|argument| !argument.is_empty())
    }

    /// The text itself.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Host and port of an authority; a host in brackets is without them.
fn split_port(authority: &str) -> Option<(&str, u16)> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?,
        None => authority.find(':').map_or((authority, ""), |at| authority.split_at(at)),
    };
    let port = match port.strip_prefix(':') {
        Some(port) => port.parse().ok().filter(|port| *port > 0)?,
        None if port.is_empty() => CoapUri::PORT,
        None => return None,
    };
    (!host.is_empty()).then_some((host, port))
}

impl FromStr for CoapUri {
    type Err = CoapUriError;

    fn from_str(text: &str) -> Result<Self, CoapUriError> {
        let is_plain = text.starts_with("coap://")
            && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#' && byte != b'%');
        let uri = Self(text.to_owned());
        let (authority, ..) = uri.parts();
        if is_plain && split_port(authority).is_some() { Ok(uri) } else { Err(CoapUriError) }
    }
}

impl fmt::Display for CoapUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for CoapUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for CoapUri {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for CoapUri {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_coap_uri_says_host_port_path_and_query() {
        for (text, authority, path, query) in [
            ("coap://a", ("a", 5683), vec![], vec![]),
            ("coap://192.0.2.7:1/wake/up?x=1&y", ("192.0.2.7", 1), vec!["wake", "up"], vec!["x=1", "y"]),
            ("coap://[::1]:61616/", ("::1", 61616), vec![], vec![]),
            ("coap://[::1]?q", ("::1", 5683), vec![], vec!["q"]),
        ] {
            let uri: CoapUri = text.parse().expect("a CoAP URI");
            assert_eq!(uri.authority(), authority);
            assert_eq!((uri.path().collect::<Vec<_>>(), uri.query().collect::<Vec<_>>()), (path, query));
        }
    }
}
