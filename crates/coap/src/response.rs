//! A response, as it is given and as it arrives.

use std::time::Duration;

use bytes::Bytes;

use crate::code::{Code, ContentFormat};
use crate::option::OptionNumber;
use crate::options::{OptionValueError, Options};
use crate::request::{format, segments};

/// A response with its whole body: block-wise transfer happens below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// What became of the request.
    pub code: Code,
    /// What is said of it.
    pub options: Options,
    /// The body, empty if there is none.
    pub payload: Bytes,
}

/// The peer cannot serve the request now, and says when to ask again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryHint {
    /// 4.29: whoever asks, asks too often (RFC 8516).
    TooManyRequests {
        /// How long to wait at least.
        after: Duration,
    },
    /// 5.03: whoever is asked has too much to do (RFC 7252 §5.9.3.4).
    ServiceUnavailable {
        /// How long to wait at least.
        after: Duration,
    },
}

impl Response {
    /// A Max-Age that is not said is this long (RFC 7252 §5.10.5).
    const MAX_AGE_DEFAULT: u32 = 60;

    /// A response without options and body.
    #[must_use]
    pub fn new(code: Code) -> Self {
        Self { code, options: Options::new(), payload: Bytes::new() }
    }

    /// A response that tells when to ask again, in whole seconds.
    #[must_use]
    pub fn retry(hint: RetryHint) -> Self {
        let (code, after) = match hint {
            RetryHint::TooManyRequests { after } => (Code::TOO_MANY_REQUESTS, after),
            RetryHint::ServiceUnavailable { after } => (Code::SERVICE_UNAVAILABLE, after),
        };
        Self::new(code).with_max_age(after)
    }

    /// With a body.
    #[must_use]
    pub fn with_payload(mut self, format: ContentFormat, payload: impl Into<Bytes>) -> Self {
        self.options.set_uint(OptionNumber::CONTENT_FORMAT, format.0.into());
        self.payload = payload.into();
        self
    }

    /// With a body of plain text that says what is wrong (RFC 7252 §5.5.2).
    #[must_use]
    pub fn with_diagnostic(mut self, text: impl Into<String>) -> Self {
        self.payload = Bytes::from(text.into());
        self
    }

    /// With the path of what was created, written as `/rd/5a3f`.
    ///
    /// # Errors
    /// If a segment has more than 255 bytes.
    pub fn with_location(mut self, path: &str) -> Result<Self, OptionValueError> {
        for segment in segments(path) {
            self.options.add(OptionNumber::LOCATION_PATH, segment.as_bytes())?;
        }
        Ok(self)
    }

    /// With how long it may be taken for true, rounded up to whole seconds.
    #[must_use]
    pub fn with_max_age(mut self, age: Duration) -> Self {
        let seconds = age.as_secs() + u64::from(age.subsec_nanos() > 0);
        self.options.set_uint(OptionNumber::MAX_AGE, u32::try_from(seconds).unwrap_or(u32::MAX));
        self
    }

    /// With the tag of its representation. Without one, a body that takes several blocks gets one.
    ///
    /// # Errors
    /// If the tag has not 1 to 8 bytes.
    pub fn with_etag(mut self, tag: &[u8]) -> Result<Self, OptionValueError> {
        self.options.remove(OptionNumber::ETAG);
        self.options.add(OptionNumber::ETAG, tag)?;
        Ok(self)
    }

    /// The format of its body.
    #[must_use]
    pub fn content_format(&self) -> Option<ContentFormat> {
        format(self.options.view(), OptionNumber::CONTENT_FORMAT)
    }

    /// The segments of the path of what was created.
    pub fn location(&self) -> impl Iterator<Item = &str> + Clone {
        self.options.view().texts(OptionNumber::LOCATION_PATH)
    }

    /// The tag of its representation.
    #[must_use]
    pub fn etag(&self) -> Option<&[u8]> {
        self.options.view().first(OptionNumber::ETAG)
    }

    /// How long it may be taken for true.
    #[must_use]
    pub fn max_age(&self) -> Duration {
        let seconds = self.options.view().uint(OptionNumber::MAX_AGE).unwrap_or(Self::MAX_AGE_DEFAULT);
        Duration::from_secs(seconds.into())
    }

    /// When to ask again, if the peer could not serve the request now.
    #[must_use]
    pub fn retry_hint(&self) -> Option<RetryHint> {
        match self.code {
            Code::TOO_MANY_REQUESTS => Some(RetryHint::TooManyRequests { after: self.max_age() }),
            Code::SERVICE_UNAVAILABLE => Some(RetryHint::ServiceUnavailable { after: self.max_age() }),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_retry_hint_is_read_as_it_was_given() {
        for hint in [
            RetryHint::TooManyRequests { after: Duration::from_secs(7) },
            RetryHint::ServiceUnavailable { after: Duration::from_secs(0) },
        ] {
            assert_eq!(Response::retry(hint).retry_hint(), Some(hint));
        }
        let bare = Response::new(Code::SERVICE_UNAVAILABLE);
        assert_eq!(bare.retry_hint(), Some(RetryHint::ServiceUnavailable { after: Duration::from_secs(60) }));
        assert_eq!(Response::new(Code::NOT_FOUND).retry_hint(), None);
    }

    #[test]
    fn part_of_a_second_to_wait_is_not_rounded_away() {
        let response = Response::new(Code::CONTENT).with_max_age(Duration::from_millis(1));
        assert_eq!(response.max_age(), Duration::from_secs(1));
    }

    #[test]
    fn a_created_resource_has_a_location() {
        let response = Response::new(Code::CREATED).with_location("/rd/5a3f").expect("short segments");
        assert_eq!(response.location().collect::<Vec<_>>(), ["rd", "5a3f"]);
    }
}
