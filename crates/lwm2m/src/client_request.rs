//! What clients ask of a server: to register, to stay, to go, and to take what they send (LwM2M 1.1
//! transport, 6.4.3 and 6.4.5).

use thiserror::Error;

use crate::codec::{self, DecodeError, Record};
use crate::registration::{RESOURCE, Register, RegistrationError, Update};
use crate::{Code, ContentFormat, Method, Path, Request, Response, Version};

/// The path that Send goes to (LwM2M 1.1 transport, 6.4.5).
pub const SEND_RESOURCE: &str = "dp";

/// A request of a client to a server.
#[derive(Debug, Clone, PartialEq)]
pub enum ClientRequest {
    /// It comes.
    Register(Box<Register>),
    /// It stays, and says what has changed.
    Update {
        /// The id that it was given when it registered.
        registration: String,
        /// What has changed.
        update: Box<Update>,
    },
    /// It goes.
    Deregister {
        /// The id that it was given when it registered.
        registration: String,
    },
    /// It sends values without being asked.
    Send {
        /// The values.
        records: Vec<Record>,
    },
}

/// A request of a client is not understood or not possible. The fault is of the peer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ClientRequestError {
    /// There is nothing at this path.
    #[error("there is nothing at this path")]
    Path,
    /// What is at this path does not do this.
    #[error("that cannot be done here")]
    Method,
    /// A registration or update is not understood.
    #[error(transparent)]
    Registration(#[from] RegistrationError),
    /// What it sends is not understood.
    #[error(transparent)]
    Send(#[from] DecodeError),
}

impl ClientRequestError {
    /// How it is refused.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::Path => Code::NOT_FOUND,
            Self::Method => Code::METHOD_NOT_ALLOWED,
            Self::Registration(error) => error.code(),
            Self::Send(error) => error.code(),
        }
    }

    /// The answer that says so.
    #[must_use]
    pub fn response(&self) -> Response {
        Response::refused(self.code(), self)
    }
}

impl ClientRequest {
    /// Reads a request. Registrations with versions after `newest` are refused.
    ///
    /// # Errors
    /// If there is no such path, it cannot do what is asked, or the request is not understood.
    pub fn from_request(request: &Request, newest: Version) -> Result<Self, ClientRequestError> {
        let path: Vec<&str> = request.path.iter().map(String::as_str).collect();
        match (&path[..], request.method) {
            ([RESOURCE], Method::Post) => Ok(Self::Register(Box::new(Register::from_request(request, newest)?))),
            ([RESOURCE, registration], Method::Post) => {
                let update = Box::new(Update::from_request(request)?);
                Ok(Self::Update { registration: (*registration).to_owned(), update })
            }
            ([RESOURCE, registration], Method::Delete) => {
                Ok(Self::Deregister { registration: (*registration).to_owned() })
            }
            ([SEND_RESOURCE], Method::Post) => Ok(Self::Send { records: sent(request)? }),
            ([RESOURCE] | [RESOURCE, _] | [SEND_RESOURCE], _) => Err(ClientRequestError::Method),
            _ => Err(ClientRequestError::Path),
        }
    }
}

/// The values of a Send name their places themselves (LwM2M 1.1 core, 6.4.6).
fn sent(request: &Request) -> Result<Vec<Record>, DecodeError> {
    let format = request
        .content_format
        .ok_or(DecodeError::Malformed { format: "Send", what: "it does not say its content format" })?;
    match format.canonical() {
        ContentFormat::SENML_JSON | ContentFormat::SENML_CBOR | ContentFormat::LWM2M_CBOR => {
            codec::decode(format, &Path::ROOT, &request.payload)
        }
        _ => Err(DecodeError::Format(format)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Value;
    use crate::testing::request;

    fn read(method: Method, path: &str) -> Result<ClientRequest, Code> {
        ClientRequest::from_request(&request(method, path, "ep=x", ""), Version::V1_2).map_err(|error| error.code())
    }

    #[test]
    fn each_request_is_known_by_method_and_path() {
        assert!(matches!(read(Method::Post, "/rd"), Ok(ClientRequest::Register(_))));
        let update = Box::new(Update::default());
        assert_eq!(read(Method::Post, "/rd/5a"), Ok(ClientRequest::Update { registration: "5a".into(), update }));

        assert_eq!(read(Method::Delete, "/rd/5a"), Ok(ClientRequest::Deregister { registration: "5a".into() }));
    }

    #[test]
    fn there_is_nothing_else() {
        assert_eq!(read(Method::Get, "/rd"), Err(Code::METHOD_NOT_ALLOWED));
        assert_eq!(read(Method::Delete, "/rd"), Err(Code::METHOD_NOT_ALLOWED));
        assert_eq!(read(Method::Put, "/dp"), Err(Code::METHOD_NOT_ALLOWED));
        assert_eq!(read(Method::Post, "/bs"), Err(Code::NOT_FOUND));
        assert_eq!(read(Method::Get, "/.well-known/core"), Err(Code::NOT_FOUND));
        assert_eq!(read(Method::Post, "/rd/5a/b"), Err(Code::NOT_FOUND));
        assert_eq!(read(Method::Get, "/"), Err(Code::NOT_FOUND));
    }

    #[test]
    fn what_is_sent_names_its_places() {
        let send = |format, payload: &[u8]| {
            let request = Request::new(Method::Post, vec!["dp".into()]).with_payload(format, payload.to_vec());
            ClientRequest::from_request(&request, Version::V1_1)
        };
        let temperature = Record::new(Path::of_resource(3303, 0, 5700), Value::Float(21.5));
        let json = br#"[{"bn":"/3303/0/5700","v":21.5}]"#;
        assert_eq!(send(ContentFormat::SENML_JSON, json), Ok(ClientRequest::Send { records: vec![temperature] }));
        let error = send(ContentFormat::TLV, b"").expect_err("TLV does not name objects");
        assert_eq!(error.code(), Code::UNSUPPORTED_CONTENT_FORMAT);
        let error = send(ContentFormat::SENML_JSON, b"[").expect_err("no SenML");
        assert_eq!(error.response().code, Code::BAD_REQUEST);
        let mute = Request::new(Method::Post, vec!["dp".into()]);
        assert!(ClientRequest::from_request(&mute, Version::V1_1).is_err());
    }
}
