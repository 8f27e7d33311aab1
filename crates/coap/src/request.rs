//! A request, as it is asked and as it arrives.

use bytes::Bytes;

use crate::code::{ContentFormat, Method};
use crate::option::OptionNumber;
use crate::options::{OptionValueError, Options, OptionsView};

/// A request with its whole body: block-wise transfer happens below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// What is asked for.
    pub method: Method,
    /// Where, and how.
    pub options: Options,
    /// The body, empty if there is none.
    pub payload: Bytes,
}

/// What a request wants to have observed (RFC 7641 §2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Observe {
    /// Tell whoever asks of every change from now on.
    Register,
    /// Tell no more.
    Deregister,
}

impl Request {
    /// A request without options and body.
    #[must_use]
    pub fn new(method: Method) -> Self {
        Self { method, options: Options::new(), payload: Bytes::new() }
    }

    /// With a path, written as `/3/0/9`.
    ///
    /// # Errors
    /// If a segment has more than 255 bytes.
    pub fn with_path(mut self, path: &str) -> Result<Self, OptionValueError> {
        for segment in segments(path) {
            self.options.add(OptionNumber::URI_PATH, segment.as_bytes())?;
        }
        Ok(self)
    }

    /// With one argument of the query, as `lt=300`.
    ///
    /// # Errors
    /// If it has more than 255 bytes.
    pub fn with_query(mut self, argument: &str) -> Result<Self, OptionValueError> {
        self.options.add(OptionNumber::URI_QUERY, argument.as_bytes())?;
        Ok(self)
    }

    /// With a body.
    #[must_use]
    pub fn with_payload(mut self, format: ContentFormat, payload: impl Into<Bytes>) -> Self {
        self.options.set_uint(OptionNumber::CONTENT_FORMAT, format.0.into());
        self.payload = payload.into();
        self
    }

    /// Asking for the response in this format.
    #[must_use]
    pub fn with_accept(mut self, format: ContentFormat) -> Self {
        self.options.set_uint(OptionNumber::ACCEPT, format.0.into());
        self
    }

    /// Asking to observe, or to observe no more.
    #[must_use]
    pub fn with_observe(mut self, observe: Observe) -> Self {
        self.options.set_uint(OptionNumber::OBSERVE, observe as u32);
        self
    }

    /// The segments of its path.
    pub fn path(&self) -> impl Iterator<Item = &str> + Clone {
        self.options.view().texts(OptionNumber::URI_PATH)
    }

    /// The arguments of its query.
    pub fn queries(&self) -> impl Iterator<Item = &str> + Clone {
        self.options.view().texts(OptionNumber::URI_QUERY)
    }

    /// The format of its body.
    #[must_use]
    pub fn content_format(&self) -> Option<ContentFormat> {
        format(self.options.view(), OptionNumber::CONTENT_FORMAT)
    }

    /// The format that it asks for.
    #[must_use]
    pub fn accept(&self) -> Option<ContentFormat> {
        format(self.options.view(), OptionNumber::ACCEPT)
    }

    /// Whether it asks to observe. Only GET and FETCH can (RFC 7641 §2, RFC 8132 §2.4).
    #[must_use]
    pub fn observe(&self) -> Option<Observe> {
        if !self.method.is_safe() {
            return None;
        }
        match self.options.view().uint(OptionNumber::OBSERVE)? {
            0 => Some(Observe::Register),
            1 => Some(Observe::Deregister),
            _ => None,
        }
    }
}

/// The segments of a path, of which the root has none (RFC 7252 §6.4).
pub(crate) fn segments(path: &str) -> impl Iterator<Item = &str> {
    let path = path.strip_prefix('/').unwrap_or(path);
    path.split('/').filter(move |_| !path.is_empty())
}

pub(crate) fn format(options: OptionsView<'_>, number: OptionNumber) -> Option<ContentFormat> {
    options.uint(number).and_then(|format| u16::try_from(format).ok()).map(ContentFormat)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(path: &str) -> Request {
        Request::new(Method::Get).with_path(path).expect("short segments")
    }

    #[test]
    fn a_path_becomes_its_segments_and_the_root_has_none() {
        assert_eq!(get("/3/0/9").path().collect::<Vec<_>>(), ["3", "0", "9"]);
        assert_eq!(get("rd/").path().collect::<Vec<_>>(), ["rd", ""]);
        assert_eq!(get("a").path().collect::<Vec<_>>(), ["a"]);
        assert_eq!(get("/").path().count(), 0);
        assert_eq!(get("").path().count(), 0);
        assert!(Request::new(Method::Get).with_path(&"x".repeat(256)).is_err());
    }

    #[test]
    fn only_get_and_fetch_can_ask_to_observe() {
        assert_eq!(get("/3").with_observe(Observe::Register).observe(), Some(Observe::Register));
        assert_eq!(get("/3").with_observe(Observe::Deregister).observe(), Some(Observe::Deregister));
        assert_eq!(Request::new(Method::Post).with_observe(Observe::Register).observe(), None);
        assert_eq!(get("/3").observe(), None);
    }

    #[test]
    fn a_request_tells_the_formats_it_has_and_wants() {
        let request = Request::new(Method::Post)
            .with_payload(ContentFormat::LWM2M_TLV, &b"\xc8"[..])
            .with_accept(ContentFormat::SENML_CBOR);
        assert_eq!(request.content_format(), Some(ContentFormat::LWM2M_TLV));
        assert_eq!(request.accept(), Some(ContentFormat::SENML_CBOR));
    }
}
