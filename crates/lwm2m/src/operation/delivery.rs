//! A group request's operation for one member (step 4 of the group request): from the words of an application to an
//! operation of LwM2M, and from the client's answer to the member's outcome.
//!
//! A `message` is a write to resource 0, Data, of the client's Binary App Data Container. Data has any
//! number of instances, and a write to one that does not exist yet is refused by many clients; so the resource is
//! replaced as a whole, by one instance 0 that is the message. That is understood by clients of
//! every version, whatever was in the container before, and twice the same is the same. The content type of the message
//! does not travel: the resource for it, Data Format, is optional, and a client without it would
//! refuse the message with it.

use bugle_core::{Content, Operation, Outcome};
use thiserror::Error;

use super::content::{ContentError, from_content};
use super::{Answer, DeviceOperation, OperationError, WriteMode, first_instance, to_content};
use crate::codec::Record;
use crate::registration::Registration;
use crate::{Code, Path, Request, Response, Value, objects};

/// Data, of the Binary App Data Container.
const DATA: u16 = 0;

/// An operation on its way to one client.
#[derive(Debug, Clone, PartialEq)]
pub struct Delivery {
    operation: DeviceOperation,
    request: Request,
}

/// A client cannot be asked to do this. The fault is of the application.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DeliveryError {
    /// The operation means nothing at its path or to this client.
    #[error(transparent)]
    Operation(#[from] OperationError),
    /// The content cannot be written to its path.
    #[error(transparent)]
    Content(#[from] ContentError),
    /// The client takes no messages.
    #[error("the peripheral has no Binary App Data Container (object 19) for messages")]
    NoContainer,
}

impl DeliveryError {
    /// What it is for the member.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        let code = match self {
            Self::Operation(_) => Code::METHOD_NOT_ALLOWED,
            Self::Content(_) => Code::BAD_REQUEST,
            Self::NoContainer => Code::NOT_FOUND,
        };
        Outcome::Refused { code: code.to_string(), reason: self.to_string() }
    }
}

impl Delivery {
    /// The operation as this client has to be asked. The same operation for the same client is always the
    /// same request, so that it can be made again after a crash.
    ///
    /// # Errors
    /// If the client cannot be asked to do this.
    pub fn new(operation: &Operation, registration: &Registration) -> Result<Self, DeliveryError> {
        let operation = match operation {
            Operation::Read { path } => DeviceOperation::Read { path: (*path).into() },
            Operation::Execute { path, arguments } => {
                DeviceOperation::Execute { path: (*path).into(), arguments: arguments.clone() }
            }
            Operation::Write { path, content } => {
                let path = Path::from(*path);
                // What is not named in an instance is not meant to go.
                let mode = if path.depth() < 3 { WriteMode::Update } else { WriteMode::Replace };
                DeviceOperation::Write { path, mode, records: from_content(&path, content)? }
            }
            Operation::Message { content } => message(content, registration)?,
        };
        let request = operation.to_request(registration)?;
        Ok(Self { operation, request })
    }

    /// What is sent to the client.
    #[must_use]
    pub const fn request(&self) -> &Request {
        &self.request
    }

    /// Takes another content format, if that is all the client did not like; the request is then to be
    /// sent again. Nothing has been carried out in that case.
    #[must_use]
    pub fn retry(&self, registration: &Registration, response: &Response) -> Option<Self> {
        let request = self.operation.retry(registration, &self.request, response.code)?;
        Some(Self { operation: self.operation.clone(), request })
    }

    /// What the client's answer is for the member.
    #[must_use]
    pub fn outcome(&self, response: &Response) -> Outcome {
        match self.operation.understand(response) {
            Ok(Answer::Refused { code, reason }) => Outcome::Refused { code: code.to_string(), reason },
            Ok(Answer::Values(records)) => self.executed(&records),
            Ok(Answer::Links(_) | Answer::Done | Answer::Created { .. }) => {
                Outcome::Executed { answer: Content::default() }
            }
            Err(error) => Outcome::Failed { reason: format!("the answer is not understood: {error}") },
        }
    }

    fn executed(&self, records: &[Record]) -> Outcome {
        let DeviceOperation::Read { path } = &self.operation else {
            return Outcome::Executed { answer: Content::default() };
        };
        match to_content(path, records) {
            Ok(answer) => Outcome::Executed { answer },
            Err(error) => Outcome::Failed { reason: format!("the answer is not understood: {error}") },
        }
    }
}

fn message(content: &Content, registration: &Registration) -> Result<DeviceOperation, DeliveryError> {
    let container = objects::BINARY_APP_DATA_CONTAINER;
    let instance = match first_instance(registration, container) {
        Some(instance) => instance,
        // A client that names no objects at all, or the object without instances, may well have it.
        None if registration.objects().is_empty() || registration.objects().object(container).is_some() => 0,
        None => return Err(DeliveryError::NoContainer),
    };
    let value = Value::Opaque(content.bytes.clone());
    Ok(DeviceOperation::Write {
        path: Path::of_resource(container, instance, DATA),
        mode: WriteMode::Replace,
        records: vec![Record::new(Path::of_resource_instance(container, instance, DATA, 0), value)],
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{hex, registration, request};
    use crate::{ContentFormat, Method, Version};

    fn path(text: &str) -> bugle_core::ResourcePath {
        text.parse().expect("a path")
    }

    fn write(at: &str, text: &str) -> Operation {
        Operation::Write { path: path(at), content: Content::text(text) }
    }

    fn client(links: &str) -> Registration {
        let request = request(Method::Post, "/rd", "ep=x", links);
        crate::registration::Register::from_request(&request, Version::V1_2).expect("a registration").registration
    }

    #[test]
    fn a_value_is_written_to_its_resource() {
        let delivery =
            Delivery::new(&write("/3311/0/5850", "true"), &registration(Version::V1_1, "")).expect("a write");
        let request = delivery.request();
        assert_eq!((request.method, request.path.join("/")), (Method::Put, "3311/0/5850".into()));
        assert_eq!((request.content_format, &request.payload[..]), (Some(ContentFormat::TEXT), &b"1"[..]));
        assert_eq!(delivery.outcome(&Response::new(Code::CHANGED)), Outcome::Executed { answer: Content::default() });
    }

    #[test]
    fn several_values_leave_the_rest_of_the_instance_alone() {
        let content = Content {
            content_type: "application/senml+json".into(),
            bytes: br#"[{"bn":"/3311/0/","n":"5850","vb":true},{"n":"5851","v":40}]"#.to_vec(),
        };
        let operation = Operation::Write { path: path("/3311/0"), content };
        let delivery = Delivery::new(&operation, &registration(Version::V1_0, "")).expect("a write");
        assert_eq!(delivery.request().method, Method::Post);
        assert_eq!(delivery.request().payload, hex("E116DA01 E116DB28"));
    }

    #[test]
    fn a_message_replaces_what_is_in_the_container() {
        let message = Operation::Message { content: Content::text("hello") };
        let delivery = Delivery::new(&message, &registration(Version::V1_0, "")).expect("a message");
        let request = delivery.request();
        assert_eq!((request.method, request.path.join("/")), (Method::Put, "19/0/0".into()));
        assert_eq!(request.payload, hex("8700 4500 68656C6C6F"));
        let delivery = Delivery::new(&message, &registration(Version::V1_1, "110")).expect("a message");
        assert_eq!(delivery.request().payload, br#"[{"n":"/19/0/0/0","vd":"aGVsbG8"}]"#);
    }

    #[test]
    fn a_message_goes_to_the_container_that_the_client_has() {
        let message = Operation::Message { content: Content::text("hello") };
        let to = |links: &str| Delivery::new(&message, &client(links)).map(|delivery| delivery.request.path.join("/"));
        assert_eq!(to("</3/0>,</19/2>"), Ok("19/2/0".into()));
        assert_eq!(to("</19>"), Ok("19/0/0".into()));
        assert_eq!(to(""), Ok("19/0/0".into()));
        assert_eq!(to("</3/0>"), Err(DeliveryError::NoContainer));
        let outcome = DeliveryError::NoContainer.outcome();
        assert!(matches!(outcome, Outcome::Refused { code, .. } if code == "4.04"));
    }

    #[test]
    fn what_is_read_reaches_the_application_readably() {
        let read = Operation::Read { path: path("/3303/0/5700") };
        let delivery = Delivery::new(&read, &registration(Version::V1_1, "112")).expect("a read");
        assert_eq!(delivery.request().accept, Some(ContentFormat::SENML_CBOR));
        let response = Response::content(ContentFormat::TLV, hex("E4164441AC0000"));
        assert_eq!(delivery.outcome(&response), Outcome::Executed { answer: Content::text("21.5") });
        let broken = Response::content(ContentFormat::TLV, hex("E416"));
        assert!(matches!(delivery.outcome(&broken), Outcome::Failed { .. }));
    }

    #[test]
    fn a_no_of_the_client_is_a_refusal() {
        let execute = Operation::Execute { path: path("/3/0/4"), arguments: String::new() };
        let delivery = Delivery::new(&execute, &registration(Version::V1_1, "")).expect("an execute");
        let outcome = delivery.outcome(&Response::new(Code::METHOD_NOT_ALLOWED));
        assert!(matches!(outcome, Outcome::Refused { code, .. } if code == "4.05"));
    }

    #[test]
    fn what_the_client_cannot_be_asked_is_a_refusal_too() {
        let client = registration(Version::V1_1, "");
        let error = Delivery::new(&write("/3311/0/5851", "half"), &client).expect_err("no integer");
        assert!(
            matches!(error.outcome(), Outcome::Refused { code, reason } if code == "4.00" && reason.contains("integer"))
        );
        let execute = Operation::Execute { path: path("/3/0"), arguments: String::new() };
        let error = Delivery::new(&execute, &client).expect_err("no resource");
        assert!(matches!(error.outcome(), Outcome::Refused { code, .. } if code == "4.05"));
    }

    #[test]
    fn another_format_is_tried_only_if_the_format_was_the_trouble() {
        let client = registration(Version::V1_1, "");
        let delivery = Delivery::new(&write("/3311/0/5851", "40"), &client).expect("a write");
        let again = delivery.retry(&client, &Response::new(Code::UNSUPPORTED_CONTENT_FORMAT)).expect("a second try");
        assert_eq!(again.request().content_format, Some(ContentFormat::TLV));
        assert_eq!(delivery.retry(&client, &Response::new(Code::BAD_REQUEST)), None);
    }

    #[test]
    fn the_server_object_is_found_where_the_client_has_it() {
        let disable = DeviceOperation::disable(&client("</1/1>,</3/0>"));
        assert_eq!(disable, DeviceOperation::Execute { path: Path::of_resource(1, 1, 4), arguments: String::new() });
        let trigger = DeviceOperation::trigger_update(&client(""));
        assert_eq!(trigger, DeviceOperation::Execute { path: Path::of_resource(1, 0, 8), arguments: String::new() });
    }
}
