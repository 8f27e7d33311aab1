//! From an operation to the request for a particular client (LwM2M 1.1 transport, 6.4.4 and 6.4.5).

use thiserror::Error;

use super::{DeviceOperation, WriteMode, formats};
use crate::codec::{self, EncodeError, Record};
use crate::registration::Registration;
use crate::{AttributeError, Code, ContentFormat, Method, Observe, Path, Request, Version, limits};

/// An operation cannot be put to a client. The fault is of whoever asks for it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum OperationError {
    /// The operation means nothing at this path.
    #[error("{0} is nothing that can be asked of {1}")]
    Path(&'static str, Path),
    /// The client's version does not have it.
    #[error("{0} needs a client of LwM2M {1}")]
    Version(&'static str, Version),
    /// The arguments are not of the form that LwM2M gives them.
    #[error("arguments are digits, each with or without a text, as 0='x',1")]
    Arguments,
    /// The attributes are impossible.
    #[error(transparent)]
    Attributes(#[from] AttributeError),
    /// The values do not fit together or into any format of the client.
    #[error(transparent)]
    Values(#[from] EncodeError),
    /// There are no paths, or too many.
    #[error("a composite operation has 1 to {max} paths", max = limits::COMPOSITE_PATHS_MAX)]
    Paths,
}

impl DeviceOperation {
    /// The request that puts this operation to a client.
    ///
    /// # Errors
    /// If the operation means nothing at its path or to the client's version, or its values cannot be written.
    pub fn to_request(&self, registration: &Registration) -> Result<Request, OperationError> {
        self.check(registration.version())?;
        let accept = formats::accept(registration);
        let at = |method, path: &Path| Request::new(method, segments(registration, path));
        Ok(match self {
            Self::Read { path } => Request { accept, ..at(Method::Get, path) },
            Self::Observe { path } => Request { accept, observe: Some(Observe::Register), ..at(Method::Get, path) },
            Self::CancelObservation { path } => {
                Request { accept, observe: Some(Observe::Cancel), ..at(Method::Get, path) }
            }
            Self::Discover { path } => Request { accept: Some(ContentFormat::LINK_FORMAT), ..at(Method::Get, path) },
            Self::Write { path, mode: WriteMode::Replace, .. } => {
                self.with_values(at(Method::Put, path), registration)?
            }
            Self::Write { path, mode: WriteMode::Update, .. } => {
                self.with_values(at(Method::Post, path), registration)?
            }
            Self::Create { path, .. } => self.with_values(at(Method::Post, &path.truncated(1)), registration)?,
            Self::WriteAttributes { path, changes } => Request { query: changes.to_query(), ..at(Method::Put, path) },
            Self::Execute { path, arguments } if arguments.is_empty() => at(Method::Post, path),
            Self::Execute { path, arguments } => {
                at(Method::Post, path).with_payload(ContentFormat::TEXT, arguments.clone().into_bytes())
            }
            Self::Delete { path } => at(Method::Delete, path),
            Self::ReadComposite { .. } => self.fetch(registration, None)?,
            Self::ObserveComposite { .. } => self.fetch(registration, Some(Observe::Register))?,
            Self::CancelObservationComposite { .. } => self.fetch(registration, Some(Observe::Cancel))?,
            Self::WriteComposite { .. } => self.with_values(at(Method::IPatch, &Path::ROOT), registration)?,
        })
    }

    /// What to try instead of a request of this operation that the client has refused for its content
    /// format (4.15) or for the one it was to answer in (4.06). Nothing has been carried out then,
    /// so that the operation is still asked for once only.
    #[must_use]
    pub fn retry(&self, registration: &Registration, refused: &Request, code: Code) -> Option<Request> {
        match code {
            Code::NOT_ACCEPTABLE if refused.accept.is_some() && !matches!(self, Self::Discover { .. }) => {
                Some(Request { accept: None, ..refused.clone() })
            }
            Code::UNSUPPORTED_CONTENT_FORMAT => {
                let formats = self.formats(registration);
                let tried = formats.iter().position(|format| Some(*format) == refused.content_format)?;
                formats[tried + 1..].iter().find_map(|format| {
                    let payload = self.payload(*format).ok()?;
                    Some(refused.clone().with_payload(*format, payload))
                })
            }
            _ => None,
        }
    }

    /// The formats that its payload can have, best first.
    fn formats(&self, registration: &Registration) -> Vec<ContentFormat> {
        match self {
            Self::Write { path, records, .. } => formats::for_values(registration, path, records),
            Self::Create { path, records } => formats::for_values(registration, &path.truncated(1), records),
            Self::ReadComposite { .. }
            | Self::ObserveComposite { .. }
            | Self::CancelObservationComposite { .. }
            | Self::WriteComposite { .. } => formats::for_composite(registration),
            _ => Vec::new(),
        }
    }

    fn payload(&self, format: ContentFormat) -> Result<Vec<u8>, EncodeError> {
        match self {
            Self::Write { path, records, .. } => codec::encode(format, path, records),
            Self::Create { path, records } => codec::encode(format, &path.truncated(1), records),
            Self::WriteComposite { records } => codec::encode(format, &Path::ROOT, records),
            Self::ReadComposite { paths }
            | Self::ObserveComposite { paths }
            | Self::CancelObservationComposite { paths } => codec::encode_paths(format, paths),
            _ => Ok(Vec::new()),
        }
    }

    /// Adds the payload in the best format that holds it.
    fn with_values(&self, request: Request, registration: &Registration) -> Result<Request, OperationError> {
        let mut first_error = None;
        for format in self.formats(registration) {
            match self.payload(format) {
                Ok(payload) => return Ok(request.with_payload(format, payload)),
                Err(error) => first_error = first_error.or(Some(error)),
            }
        }
        Err(OperationError::Values(first_error.expect("there is a format for every operation with a payload")))
    }

    fn fetch(&self, registration: &Registration, observe: Option<Observe>) -> Result<Request, OperationError> {
        let request = Request::new(Method::Fetch, segments(registration, &Path::ROOT));
        let request = self.with_values(request, registration)?;
        // The answer in the format of the question, unless the client offers another.
        let accept = formats::accept(registration).or(request.content_format);
        Ok(Request { accept, observe, ..request })
    }

    fn check(&self, version: Version) -> Result<(), OperationError> {
        match self {
            Self::Read { path } => check_depth("read", path, 1..=4, version),
            Self::Observe { path } | Self::CancelObservation { path } => check_depth("observe", path, 1..=4, version),
            Self::Discover { path } => check_depth("discover", path, 1..=3, version),
            Self::Write { path, mode, records } => {
                check_depth("write", path, 2..=4, version)?;
                check_values("write", path, records)?;
                if *mode == WriteMode::Update && path.depth() == 3 && version == Version::V1_0 {
                    return Err(OperationError::Version("an update of some instances of a resource", Version::V1_1));
                }
                Ok(())
            }
            Self::WriteAttributes { path, changes } => {
                check_depth("write attributes", path, 1..=4, version)?;
                Ok(changes.check(path, version)?)
            }
            Self::Execute { path, arguments } => {
                check_depth("execute", path, 3..=3, version)?;
                if are_arguments(arguments) { Ok(()) } else { Err(OperationError::Arguments) }
            }
            Self::Create { path, records } => {
                check_depth("create", path, 2..=2, version)?;
                check_values("create", path, records)
            }
            Self::Delete { path } if path.depth() == 4 => match version {
                Version::V1_2 => Ok(()),
                _ => Err(OperationError::Version("deleting a resource instance", Version::V1_2)),
            },
            Self::Delete { path } => check_depth("delete", path, 2..=2, version),
            Self::ReadComposite { paths }
            | Self::ObserveComposite { paths }
            | Self::CancelObservationComposite { paths } => {
                check_composite(version)?;
                let is_fine = (1..=limits::COMPOSITE_PATHS_MAX).contains(&paths.len());
                if is_fine { Ok(()) } else { Err(OperationError::Paths) }
            }
            Self::WriteComposite { records } => {
                check_composite(version)?;
                check_values("write", &Path::ROOT, records)
            }
        }
    }
}

fn check_depth(
    operation: &'static str,
    path: &Path,
    depths: std::ops::RangeInclusive<usize>,
    version: Version,
) -> Result<(), OperationError> {
    if !depths.contains(&path.depth()) {
        return Err(OperationError::Path(operation, *path));
    }
    if path.depth() == 4 && version == Version::V1_0 {
        return Err(OperationError::Version("a resource instance by itself", Version::V1_1));
    }
    Ok(())
}

fn check_values(operation: &'static str, path: &Path, records: &[Record]) -> Result<(), OperationError> {
    match records.iter().find(|record| !record.path.is_within(path)) {
        Some(outside) => Err(OperationError::Path(operation, outside.path)),
        None => Ok(()),
    }
}

fn check_composite(version: Version) -> Result<(), OperationError> {
    match version {
        Version::V1_0 => Err(OperationError::Version("a composite operation", Version::V1_1)),
        _ => Ok(()),
    }
}

/// The parts of a path on the wire, behind those of the client's alternate path.
fn segments(registration: &Registration, path: &Path) -> Vec<String> {
    let root = registration.root().split('/').filter(|part| !part.is_empty()).map(str::to_owned);
    root.chain(path.parts().iter().map(u16::to_string)).collect()
}

/// Whether a text is of the form of arguments: digits, each with or without a text in single quotes
/// (LwM2M 1.1 core, 6.3.5).
fn are_arguments(text: &str) -> bool {
    let mut rest = text;
    while let Some(digit) = rest.bytes().next() {
        if !digit.is_ascii_digit() {
            return false;
        }
        rest = &rest[1..];
        if let Some(quoted) = rest.strip_prefix("='") {
            let Some((argument, behind)) = quoted.split_once('\'') else { return false };
            if !argument.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\' && byte != b'"' || byte == b' ') {
                return false;
            }
            rest = behind;
        }
        match rest.strip_prefix(',') {
            Some("") => return false,
            Some(next) => rest = next,
            None => return rest.is_empty(),
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{hex, registration};
    use crate::{AttributeChanges, Value};

    fn path(text: &str) -> Path {
        text.parse().expect("a path")
    }

    fn line(request: &Request) -> String {
        let query = if request.query.is_empty() { String::new() } else { format!("?{}", request.query.join("&")) };
        format!("{:?} /{}{query}", request.method, request.path.join("/"))
    }

    fn on(version: Version, ct: &str, operation: &DeviceOperation) -> Result<Request, OperationError> {
        operation.to_request(&registration(version, ct))
    }

    fn dimmer(value: i64) -> Vec<Record> {
        vec![Record::new(path("/3311/0/5851"), Value::Integer(value))]
    }

    #[test]
    fn each_operation_has_its_method_and_path() {
        let nine = path("/3/0/9");
        for (operation, expected) in [
            (DeviceOperation::Read { path: nine }, "Get /3/0/9"),
            (DeviceOperation::Discover { path: path("/3") }, "Get /3"),
            (DeviceOperation::Observe { path: nine }, "Get /3/0/9"),
            (DeviceOperation::CancelObservation { path: nine }, "Get /3/0/9"),
            (DeviceOperation::Execute { path: path("/3/0/4"), arguments: String::new() }, "Post /3/0/4"),
            (DeviceOperation::Delete { path: path("/3311/1") }, "Delete /3311/1"),
            (DeviceOperation::Create { path: path("/3311/0"), records: dimmer(1) }, "Post /3311"),
            (DeviceOperation::ReadComposite { paths: vec![nine] }, "Fetch /"),
            (DeviceOperation::ObserveComposite { paths: vec![nine] }, "Fetch /"),
            (DeviceOperation::CancelObservationComposite { paths: vec![nine] }, "Fetch /"),
            (DeviceOperation::WriteComposite { records: dimmer(1) }, "IPatch /"),
            (
                DeviceOperation::Write { path: path("/3311/0"), mode: WriteMode::Update, records: dimmer(1) },
                "Post /3311/0",
            ),
            (
                DeviceOperation::Write { path: path("/3311/0/5851"), mode: WriteMode::Replace, records: dimmer(1) },
                "Put /3311/0/5851",
            ),
            (
                DeviceOperation::WriteAttributes {
                    path: nine,
                    changes: AttributeChanges::from_query(&["pmin=1", "gt=20"]).expect("attributes"),
                },
                "Put /3/0/9?pmin=1&gt=20",
            ),
        ] {
            assert_eq!(line(&on(Version::V1_1, "110", &operation).expect(expected)), expected);
        }
    }

    #[test]
    fn answers_are_asked_for_in_what_the_client_offers() {
        let read = DeviceOperation::Read { path: path("/3/0") };
        let accept = |ct| on(Version::V1_1, ct, &read).expect("a request").accept;
        assert_eq!(accept("110 112"), Some(ContentFormat::SENML_CBOR));
        assert_eq!(accept(""), None);
        let observe = on(Version::V1_1, "110", &DeviceOperation::Observe { path: path("/3/0") }).expect("a request");
        assert_eq!((observe.observe, observe.accept), (Some(Observe::Register), Some(ContentFormat::SENML_JSON)));
        let cancel = DeviceOperation::CancelObservation { path: path("/3/0") };
        assert_eq!(on(Version::V1_1, "", &cancel).expect("a request").observe, Some(Observe::Cancel));
        let composite = on(Version::V1_1, "", &DeviceOperation::ReadComposite { paths: vec![path("/3")] });
        let composite = composite.expect("a request");
        assert_eq!((composite.accept, composite.content_format), (Some(ContentFormat::SENML_CBOR), composite.accept));
    }

    #[test]
    fn the_alternate_path_of_the_client_comes_first() {
        let payload = r#"</lwm2m>;rt="oma.lwm2m",</lwm2m/3/0>"#;
        let request = crate::testing::request(Method::Post, "/rd", "ep=x&lwm2m=1.1", payload);
        let register = crate::registration::Register::from_request(&request, Version::V1_2).expect("a registration");
        let read = DeviceOperation::Read { path: path("/3/0") }.to_request(&register.registration).expect("a request");
        assert_eq!(read.path, ["lwm2m", "3", "0"]);
    }

    #[test]
    fn a_write_that_is_refused_for_its_format_is_tried_in_the_next() {
        let write =
            DeviceOperation::Write { path: path("/3311/0/5851"), mode: WriteMode::Replace, records: dimmer(50) };
        let client = registration(Version::V1_1, "");
        let mut request = write.to_request(&client).expect("a request");
        assert_eq!(request.payload, b"50");
        let mut tried = vec![request.content_format.map(ContentFormat::number)];
        while let Some(next) = write.retry(&client, &request, Code::UNSUPPORTED_CONTENT_FORMAT) {
            tried.push(next.content_format.map(ContentFormat::number));
            request = next;
        }
        assert_eq!(tried, [Some(0), Some(11542), Some(112), Some(110), Some(60)]);
        assert_eq!(write.retry(&client, &request, Code::BAD_REQUEST), None);
    }

    #[test]
    fn a_read_that_cannot_be_answered_as_asked_is_left_to_the_client() {
        let client = registration(Version::V1_1, "112");
        let read = DeviceOperation::Read { path: path("/3/0/9") };
        let request = read.to_request(&client).expect("a request");
        let again = read.retry(&client, &request, Code::NOT_ACCEPTABLE).expect("a second try");
        assert_eq!((again.accept, &again.path), (None, &request.path));
        assert_eq!(read.retry(&client, &again, Code::NOT_ACCEPTABLE), None);
    }

    #[test]
    fn what_means_nothing_is_not_sent() {
        let refused = |version, operation: DeviceOperation| on(version, "", &operation).expect_err("no request");
        let execute =
            |at: &str, arguments: &str| DeviceOperation::Execute { path: path(at), arguments: arguments.into() };
        assert!(matches!(
            refused(Version::V1_1, DeviceOperation::Read { path: Path::ROOT }),
            OperationError::Path("read", _)
        ));
        assert!(matches!(refused(Version::V1_1, execute("/3/0", "")), OperationError::Path("execute", _)));
        assert_eq!(refused(Version::V1_1, execute("/3/0/4", "x")), OperationError::Arguments);
        let instance = DeviceOperation::Read { path: path("/3/0/6/0") };
        assert!(matches!(refused(Version::V1_0, instance), OperationError::Version(_, Version::V1_1)));
        let composite = DeviceOperation::ReadComposite { paths: vec![path("/3")] };
        assert!(matches!(refused(Version::V1_0, composite), OperationError::Version(_, Version::V1_1)));
        let delete = DeviceOperation::Delete { path: path("/19/0/0/1") };
        assert!(matches!(refused(Version::V1_1, delete), OperationError::Version(_, Version::V1_2)));
        let elsewhere = DeviceOperation::Write { path: path("/3/0"), mode: WriteMode::Update, records: dimmer(1) };
        assert_eq!(refused(Version::V1_1, elsewhere), OperationError::Path("write", path("/3311/0/5851")));
        for count in [0, limits::COMPOSITE_PATHS_MAX + 1] {
            let composite = DeviceOperation::ReadComposite { paths: vec![path("/3"); count] };
            assert_eq!(refused(Version::V1_1, composite), OperationError::Paths);
        }
        let infinite = DeviceOperation::Write {
            path: path("/3308/0/5900"),
            mode: WriteMode::Replace,
            records: vec![Record::new(path("/3308/0/5900"), Value::Float(f64::NAN))],
        };
        assert!(matches!(refused(Version::V1_1, infinite), OperationError::Values(EncodeError::NotFinite(_))));
    }

    #[test]
    fn arguments_have_the_form_of_the_standard() {
        for text in ["", "5", "2='10.3'", "7,0='https://www.oma.org'", "0,1,2,3,4", "0=''", "1='a b'"] {
            assert!(are_arguments(text), "{text}");
        }
        for text in ["x", "10", "0=", "0='x", "0='x'1", "0,", ",0", "0='\\'", "0=x"] {
            assert!(!are_arguments(text), "{text}");
        }
    }

    #[test]
    fn an_instance_is_created_with_its_id() {
        let create = DeviceOperation::Create { path: path("/3311/0"), records: dimmer(7) };
        let request = on(Version::V1_0, "", &create).expect("a request");
        assert_eq!((request.content_format, request.payload), (Some(ContentFormat::TLV), hex("0400E116DB07")));
        let request = on(Version::V1_1, "110", &create).expect("a request");
        assert_eq!(request.payload, br#"[{"n":"/3311/0/5851","v":7}]"#);
    }
}
