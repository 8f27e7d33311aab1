//! From a client's response to what it means for the operation it answers.

use thiserror::Error;

use super::DeviceOperation;
use crate::codec::{self, DecodeError, Record};
use crate::link::LinkError;
use crate::{Code, ContentFormat, Link, Path, Response, limits};

/// What a client answered.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// The values that were asked for, now or in a notification.
    Values(Vec<Record>),
    /// What there is, and its attributes.
    Links(Vec<Link>),
    /// It is done.
    Done,
    /// It is done, and the instance is there.
    Created {
        /// Its id, if the client says it.
        instance: Option<u16>,
    },
    /// No.
    Refused {
        /// Which no.
        code: Code,
        /// In words: the client's own if it has any, else those of the code.
        reason: String,
    },
}

/// A response that does not answer the operation. The fault is of the peer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AnswerError {
    /// The code is none for this operation.
    #[error("{0} is no answer to this")]
    Code(Code),
    /// The values are not understood.
    #[error(transparent)]
    Values(#[from] DecodeError),
    /// The links are not understood.
    #[error(transparent)]
    Links(#[from] LinkError),
}

impl DeviceOperation {
    /// What a response to this operation means; for an observation also what a notification means.
    ///
    /// # Errors
    /// If the response is not one that answers this operation, or is not understood.
    pub fn understand(&self, response: &Response) -> Result<Answer, AnswerError> {
        let code = response.code;
        if code.is_refusal() {
            return Ok(Answer::Refused { code, reason: reason(response) });
        }
        match (self, code) {
            (Self::Read { path } | Self::Observe { path } | Self::CancelObservation { path }, Code::CONTENT) => {
                Ok(Answer::Values(values(path, response)?))
            }
            (
                Self::ReadComposite { paths }
                | Self::ObserveComposite { paths }
                | Self::CancelObservationComposite { paths },
                Code::CONTENT,
            ) => {
                let records = values(&Path::ROOT, response)?;
                match records.iter().find(|record| !paths.iter().any(|path| record.path.is_within(path))) {
                    Some(other) => {
                        Err(AnswerError::Values(DecodeError::Outside { path: other.path, base: Path::ROOT }))
                    }
                    None => Ok(Answer::Values(records)),
                }
            }
            (Self::Discover { .. }, Code::CONTENT) => {
                if response.payload.len() > limits::PAYLOAD_BYTES_MAX {
                    return Err(AnswerError::Values(DecodeError::TooLarge));
                }
                Ok(Answer::Links(Link::read_all(&response.payload)?))
            }
            (
                Self::Write { .. } | Self::WriteAttributes { .. } | Self::Execute { .. } | Self::WriteComposite { .. },
                Code::CHANGED,
            )
            | (Self::Delete { .. }, Code::DELETED) => Ok(Answer::Done),
            (Self::Create { .. }, Code::CREATED) => {
                let instance = response.location.last().and_then(|instance| instance.parse().ok());
                Ok(Answer::Created { instance })
            }
            (_, code) => Err(AnswerError::Code(code)),
        }
    }
}

/// The values of a response. Without a content format, one value is text and several are TLV: what
/// clients of 1.0 send that leave it out.
fn values(path: &Path, response: &Response) -> Result<Vec<Record>, DecodeError> {
    let usual = if path.depth() < 3 { ContentFormat::TLV } else { ContentFormat::TEXT };
    codec::decode(response.content_format.unwrap_or(usual), path, &response.payload)
}

/// The sentence that a client may send with a no (RFC 7252, 5.5.2), fit to be shown.
fn reason(response: &Response) -> String {
    const CHARACTERS_MAX: usize = 200;
    let diagnostic = match response.content_format {
        None => std::str::from_utf8(&response.payload).unwrap_or_default().trim(),
        Some(_) => "",
    };
    if diagnostic.is_empty() {
        return response.code.meaning().to_owned();
    }
    diagnostic.chars().filter(|character| !character.is_control()).take(CHARACTERS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Value;
    use crate::testing::hex;

    fn path(text: &str) -> Path {
        text.parse().expect("a path")
    }

    fn battery(value: i64) -> Answer {
        Answer::Values(vec![Record::new(path("/3/0/9"), Value::Integer(value))])
    }

    #[test]
    fn a_value_is_understood_in_whatever_it_comes() {
        let read = DeviceOperation::Read { path: path("/3/0/9") };
        for (format, payload) in [
            (0, "31 30 30"),
            (60, "18 64"),
            (1542, "C1 09 64"),
            (11542, "C1 09 64"),
            (112, "81 A2 00 66 2F332F302F39 02 18 64"),
            (11544, "A1 03 A1 00 A1 09 18 64"),
        ] {
            let response = Response::content(ContentFormat::new(format), hex(payload));
            assert_eq!(read.understand(&response), Ok(battery(100)), "{format}");
        }
        for (format, payload) in [(110, r#"[{"n":"/3/0/9","v":100}]"#), (11543, r#"{"bn":"/3/0/9","e":[{"v":100}]}"#)] {
            let response = Response::content(ContentFormat::new(format), payload.into());
            assert_eq!(read.understand(&response), Ok(battery(100)), "{format}");
        }
    }

    #[test]
    fn a_response_without_a_format_is_what_old_clients_mean_by_it() {
        let bare = |payload: Vec<u8>| Response { payload, ..Response::new(Code::CONTENT) };
        let read = |at: &str| DeviceOperation::Read { path: path(at) };
        assert_eq!(read("/3/0/9").understand(&bare(b"100".to_vec())), Ok(battery(100)));
        assert_eq!(read("/3/0").understand(&bare(hex("C10964"))), Ok(battery(100)));
    }

    #[test]
    fn a_notification_is_understood_like_the_answer() {
        let observe = DeviceOperation::Observe { path: path("/3/0/9") };
        let notification = Response {
            observe: Some(12),
            ..Response::content(ContentFormat::SENML_JSON, br#"[{"bn":"/3/0/9","v":99}]"#.to_vec())
        };
        assert_eq!(observe.understand(&notification), Ok(battery(99)));
    }

    #[test]
    fn a_composite_answer_holds_only_what_was_asked_for() {
        let response = Response::content(ContentFormat::SENML_JSON, br#"[{"n":"/3/0/9","v":100}]"#.to_vec());
        let read = |at: &str| DeviceOperation::ReadComposite { paths: vec![path(at), path("/1")] };
        assert_eq!(read("/3").understand(&response), Ok(battery(100)));
        assert!(matches!(read("/4").understand(&response), Err(AnswerError::Values(DecodeError::Outside { .. }))));
    }

    #[test]
    fn what_discover_answers_are_links() {
        let response = Response::content(ContentFormat::LINK_FORMAT, b"</3/0>;pmin=10,</3/0/9>".to_vec());
        let Ok(Answer::Links(links)) = (DeviceOperation::Discover { path: path("/3/0") }).understand(&response) else {
            panic!("no links");
        };
        assert_eq!((links.len(), links[0].attribute("pmin")), (2, Some("10")));
    }

    #[test]
    fn yes_has_another_code_for_each_operation() {
        let execute = DeviceOperation::Execute { path: path("/3/0/4"), arguments: String::new() };
        assert_eq!(execute.understand(&Response::new(Code::CHANGED)), Ok(Answer::Done));
        assert_eq!(execute.understand(&Response::new(Code::CONTENT)), Err(AnswerError::Code(Code::CONTENT)));
        let delete = DeviceOperation::Delete { path: path("/3311/1") };
        assert_eq!(delete.understand(&Response::new(Code::DELETED)), Ok(Answer::Done));
        let create = DeviceOperation::Create { path: path("/3311/1"), records: Vec::new() };
        let created = Response::created(vec!["3311".into(), "1".into()]);
        assert_eq!(create.understand(&created), Ok(Answer::Created { instance: Some(1) }));
    }

    #[test]
    fn a_no_says_why_in_the_words_of_the_client_or_of_the_code() {
        let read = DeviceOperation::Read { path: path("/3/0/9") };
        let refused = |response: Response| match read.understand(&response) {
            Ok(Answer::Refused { code, reason }) => (code.to_string(), reason),
            other => panic!("{other:?}"),
        };
        let bare = refused(Response::new(Code::METHOD_NOT_ALLOWED));
        assert_eq!(bare, ("4.05".into(), "method not allowed: the target does not allow the operation".into()));
        let worded = refused(Response::refused(Code::INTERNAL_SERVER_ERROR, "sensor\n\u{7} broken"));
        assert_eq!(worded, ("5.00".into(), "sensor broken".into()));
        let long = refused(Response::refused(Code::BAD_REQUEST, "x".repeat(10_000)));
        assert_eq!(long.1.len(), 200);
    }
}
