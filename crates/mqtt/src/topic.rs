//! The few topics of a peripheral, and nobody else's.
//!
//! ```text
//! bugle/<peripheral id>/requests                  to it
//! bugle/<peripheral id>/responses/<request id>    from it
//! bugle/<peripheral id>/standby                   from it
//! bugle/<peripheral id>/deregister                from it
//! bugle/<peripheral id>/reports/<name>            from it
//! ```

use std::fmt;

use bugle_core::{PeripheralId, RequestId};
use thiserror::Error;

use crate::limits::REPORT_NAME_BYTES_MAX;

const ROOT: &str = "bugle/";

/// What a peripheral publishes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Topic {
    /// The answer to a request.
    Response(RequestId),
    /// It goes to standby, perhaps saying in how many seconds it wakes.
    Standby,
    /// It leaves.
    Deregister,
    /// Something that it wants the application to have.
    Report(ReportName),
}

/// Why a topic name is none that the peripheral may publish to. The fault is the peripheral's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum TopicError {
    /// The topic is another peripheral's, or nobody's.
    #[error("publish to bugle/<client id>/responses/<request id>, standby, deregister or reports/<name> only")]
    Foreign,
    /// Its last part is no request id.
    #[error("the last part of the topic must be the request id, as it came with the request")]
    Request,
    /// Its last part is no name of a report.
    #[error("a report's name has 1 to {REPORT_NAME_BYTES_MAX} bytes, none of them + or # or a control character")]
    Report,
}

impl Topic {
    /// Reads a topic name that `peripheral` publishes to.
    ///
    /// # Errors
    /// If it is none of the peripheral's own, or its last part is not what it must be.
    pub fn parse(name: &str, peripheral: &PeripheralId) -> Result<Self, TopicError> {
        let own = own(name, peripheral).ok_or(TopicError::Foreign)?;
        match own {
            "standby" => return Ok(Self::Standby),
            "deregister" => return Ok(Self::Deregister),
            _ => {}
        }
        if let Some(request) = own.strip_prefix("responses/") {
            return request.parse().map(Self::Response).map_err(|_| TopicError::Request);
        }
        match own.strip_prefix("reports/") {
            Some(name) => ReportName::new(name).map(Self::Report),
            None => Err(TopicError::Foreign),
        }
    }
}

/// What a peripheral says a report is of: 1 to 128 bytes, in which `/` is free to use.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReportName(Box<str>);

impl ReportName {
    /// Checks `name` and takes it.
    ///
    /// # Errors
    /// If it is empty, too long, or holds a wildcard or a control character.
    pub fn new(name: &str) -> Result<Self, TopicError> {
        let is_sound = !name.is_empty()
            && name.len() <= REPORT_NAME_BYTES_MAX
            // A topic name holds no wildcard [MQTT-3.3.2-2] and no null [MQTT-1.5.4-2].
            && !name.chars().any(|character| matches!(character, '+' | '#') || character.is_control());
        if is_sound { Ok(Self(name.into())) } else { Err(TopicError::Report) }
    }

    /// The name itself.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name itself, no longer as one.
    #[must_use]
    pub fn into_string(self) -> String {
        self.0.into()
    }
}

/// The topic that requests go to, of one peripheral.
pub(crate) struct Requests<'a>(pub(crate) &'a PeripheralId);

impl Requests<'_> {
    /// Whether a topic filter is this topic exactly.
    pub(crate) fn is_named_by(&self, filter: &str) -> bool {
        own(filter, self.0) == Some("requests")
    }
}

impl fmt::Display for Requests<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{ROOT}{}/requests", self.0)
    }
}

/// The topic that the answer to one request is published to.
pub(crate) struct Response<'a>(pub(crate) &'a PeripheralId, pub(crate) RequestId);

impl fmt::Display for Response<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{ROOT}{}/responses/{}", self.0, self.1)
    }
}

/// What follows `bugle/<peripheral id>/`.
fn own<'a>(name: &'a str, peripheral: &PeripheralId) -> Option<&'a str> {
    name.strip_prefix(ROOT)?.strip_prefix(peripheral.as_str())?.strip_prefix('/')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn meter() -> PeripheralId {
        PeripheralId::new("meter-1").expect("a peripheral id")
    }

    fn parse(name: &str) -> Result<Topic, TopicError> {
        Topic::parse(name, &meter())
    }

    #[test]
    fn a_peripheral_has_four_kinds_of_topic_to_publish_to() {
        let request = RequestId::from_number(42).expect("a request id");
        assert_eq!(parse(&format!("bugle/meter-1/responses/{request}")), Ok(Topic::Response(request)));
        assert_eq!(parse("bugle/meter-1/standby"), Ok(Topic::Standby));
        assert_eq!(parse("bugle/meter-1/deregister"), Ok(Topic::Deregister));
        let Ok(Topic::Report(name)) = parse("bugle/meter-1/reports/power/l1") else { panic!("a report") };
        assert_eq!(name.as_str(), "power/l1");
    }

    #[test]
    fn what_is_not_its_own_is_foreign() {
        for name in [
            "",
            "bugle",
            "bugle/meter-1",
            "bugle/meter-1/",
            "bugle/meter-1/requests",
            "bugle/meter-1/reports",
            "bugle/meter-1/standby/",
            "bugle/meter-2/standby",
            "bugle/meter-10/standby",
            "bugle/meter/standby",
            "/bugle/meter-1/standby",
            "Bugle/meter-1/standby",
            "$SYS/broker",
        ] {
            assert_eq!(parse(name), Err(TopicError::Foreign), "{name}");
        }
    }

    #[test]
    fn an_answer_names_its_request() {
        assert_eq!(parse("bugle/meter-1/responses/"), Err(TopicError::Request));
        assert_eq!(parse("bugle/meter-1/responses/42"), Err(TopicError::Request));
    }

    #[test]
    fn a_report_name_is_neither_empty_nor_endless() {
        assert!(ReportName::new(&"x".repeat(REPORT_NAME_BYTES_MAX)).is_ok());
        assert_eq!(ReportName::new(&"x".repeat(REPORT_NAME_BYTES_MAX + 1)), Err(TopicError::Report));
        for name in ["", "a+b", "#", "a\0b", "a\nb"] {
            assert_eq!(ReportName::new(name), Err(TopicError::Report), "{name:?}");
        }
    }

    #[test]
    fn requests_come_on_one_topic_that_no_pattern_stands_for() {
        let meter = meter();
        let requests = Requests(&meter);
        assert!(requests.is_named_by(&requests.to_string()));
        for filter in ["bugle/meter-1/#", "bugle/+/requests", "#", "bugle/meter-2/requests"] {
            assert!(!requests.is_named_by(filter), "{filter}");
        }
    }

    proptest! {
        #[test]
        fn an_answer_to_the_response_topic_is_the_answer_to_that_request(
            peripheral in "[!-~&&[^/+#?%\"\\\\]]{1,128}", number in 0..=i64::MAX as u64,
        ) {
            let peripheral = PeripheralId::new(peripheral).expect("a peripheral id");
            let request = RequestId::from_number(number).expect("63 bits");
            let topic = Response(&peripheral, request).to_string();
            prop_assert_eq!(Topic::parse(&topic, &peripheral), Ok(Topic::Response(request)));
        }
    }
}
