//! Register: a client comes (LwM2M 1.1 core, 6.2.1; transport, 6.4.3).
//!
//! 1. The client sends `POST /rd?ep=…&lt=…&lwm2m=…&b=…&Q&sms=…`, with its objects as payload
//!    (step 2 of registering).
//! 2. The server answers 2.01 with the place of the registration, `rd/<id>`, or refuses: 4.00 what it
//!    does not understand, 4.03 whom it does not know or want, 4.12 a version that it does not speak.

use bugle_core::{IdError, PeripheralId};
use thiserror::Error;

use super::described::Described;
use super::parameters::Parameters;
use super::{BindingError, RESOURCE, Registration};
use crate::{Code, ContentFormat, Link, LinkError, Method, Request, Response, Version, VersionError, limits};

/// What a client says when it comes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Register {
    /// Its name; none if the security layer is to tell it (LwM2M 1.1 core, 6.2.1).
    pub endpoint: Option<PeripheralId>,
    /// The rest of what it says of itself.
    pub registration: Registration,
    /// The profile ids of a client of 1.2, as it wrote them.
    pub profiles: Option<String>,
}

/// A registration is not understood or not possible. The fault is of the peer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RegistrationError {
    /// The name is none that a peripheral can have.
    #[error("the endpoint name is not accepted: {0}")]
    Endpoint(#[from] IdError),
    /// The lifetime is no number of seconds.
    #[error("the lifetime is no number of seconds")]
    Lifetime,
    /// The version is not of the form `1.1`.
    #[error("{}", VersionError::Malformed)]
    Version,
    /// The version is not spoken here.
    #[error("this server speaks LwM2M 1.0 to {newest}")]
    Unsupported {
        /// The newest version that is.
        newest: Version,
    },
    /// The binding has other letters.
    #[error(transparent)]
    Binding(#[from] BindingError),
    /// A parameter is there twice.
    #[error("{0} is named twice")]
    Twice(&'static str),
    /// The number for SMS is too long.
    #[error("the SMS number has more than {max} bytes", max = limits::SMS_BYTES_MAX)]
    Sms,
    /// The payload is in another format.
    #[error("objects are named in {}", ContentFormat::LINK_FORMAT)]
    Format,
    /// The payload is no links.
    #[error(transparent)]
    Links(#[from] LinkError),
    /// There are too many object instances.
    #[error("there are more than {max} object instances", max = limits::INSTANCES_MAX)]
    Instances,
    /// The alternate path is too long.
    #[error("the alternate path has more than {max} bytes", max = limits::ROOT_BYTES_MAX)]
    Root,
}

impl RegistrationError {
    /// How it is refused (LwM2M 1.1 transport, 6.4.3).
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::Unsupported { .. } => Code::PRECONDITION_FAILED,
            Self::Links(LinkError::TooMany) | Self::Instances => Code::REQUEST_ENTITY_TOO_LARGE,
            _ => Code::BAD_REQUEST,
        }
    }

    /// The answer that says so.
    #[must_use]
    pub fn response(&self) -> Response {
        Response::refused(self.code(), self)
    }
}

impl Register {
    /// Reads a request to `/rd`. Versions after `newest` are refused, so that the client tries an older one.
    ///
    /// # Errors
    /// If a parameter or the payload is not understood, or exceeds a limit.
    pub fn from_request(request: &Request, newest: Version) -> Result<Self, RegistrationError> {
        let parameters = Parameters::read(&request.query)?;
        let version = match parameters.version {
            Some(text) => text.parse(),
            None => Ok(Version::V1_0),
        };
        let version = match version {
            Ok(version) if version <= newest => version,
            Ok(_) | Err(VersionError::Unsupported) => return Err(RegistrationError::Unsupported { newest }),
            Err(VersionError::Malformed) => return Err(RegistrationError::Version),
        };
        let registration = Registration::of(version, &parameters, Described::read(request)?)?;
        let endpoint = parameters.endpoint.map(PeripheralId::new).transpose()?;
        Ok(Self { endpoint, registration, profiles: parameters.profiles.map(str::to_owned) })
    }

    /// The request of a client.
    #[must_use]
    pub fn to_request(&self) -> Request {
        let registration = &self.registration;
        let mut request = Request::new(Method::Post, vec![RESOURCE.to_owned()]);
        request.query.extend(self.endpoint.as_ref().map(|endpoint| format!("ep={endpoint}")));
        request.query.push(format!("lt={}", registration.lifetime().as_secs()));
        request.query.push(format!("lwm2m={}", registration.version()));
        request.query.push(format!("b={}", registration.binding().to_parameter(registration.version())));
        if registration.binding().is_queue_mode() && registration.version() > Version::V1_0 {
            request.query.push("Q".to_owned());
        }
        request.query.extend(registration.sms().map(|sms| format!("sms={sms}")));
        request.query.extend(self.profiles.as_ref().map(|profiles| format!("pid={profiles}")));
        let links = Link::write_all(&registration.links());
        request.with_payload(ContentFormat::LINK_FORMAT, links.into_bytes())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::super::{Binding, ObjectVersion};
    use super::*;
    use crate::Path;
    use crate::testing::request;

    fn read(query: &str, payload: &str) -> Result<Register, RegistrationError> {
        Register::from_request(&request(Method::Post, "/rd", query, payload), Version::V1_2)
    }

    fn instances(registration: &Registration, object: u16) -> Vec<u16> {
        registration.objects().object(object).map(|object| object.instances().collect()).unwrap_or_default()
    }

    #[test]
    fn what_clients_really_send_is_understood() {
        let register = read(
            "lwm2m=1.1&ep=dev0001&b=U&lt=20",
            r#"</>;rt="oma.lwm2m";ct=110,</1>;ver=1.1,</1/0>,</3/0>,</3303/0>,</3303/1>"#,
        )
        .expect("a registration");
        assert_eq!(register.endpoint.as_ref().map(PeripheralId::as_str), Some("dev0001"));
        let registration = register.registration;
        assert_eq!(registration.version(), Version::V1_1);
        assert_eq!(registration.lifetime(), Duration::from_secs(20));
        assert_eq!(registration.binding(), Binding::UDP);
        assert!(registration.formats().contains(ContentFormat::SENML_JSON));
        let server = registration.objects().object(1).expect("it has a server object");
        assert_eq!(server.version, Some(ObjectVersion { major: 1, minor: 1 }));
        assert_eq!(instances(&registration, 3303), [0, 1]);
        assert_eq!(registration.root(), "");
    }

    #[test]
    fn what_is_not_said_is_what_the_standard_says() {
        let register = read("ep=x", "</1/0>").expect("a registration of 1.0");
        let registration = register.registration;
        assert_eq!(registration.version(), Version::V1_0);
        assert_eq!(registration.lifetime(), Duration::from_secs(86_400));
        assert_eq!(registration.binding(), Binding::UDP);
        assert!(registration.formats().is_empty());
        assert_eq!(read("lt=60", "").map(|register| register.endpoint), Ok(None));
    }

    #[test]
    fn queue_mode_is_a_parameter_or_part_of_the_binding() {
        for query in ["ep=x&lwm2m=1.1&Q", "ep=x&b=U&Q&lwm2m=1.2", "b=UQ&ep=x", "ep=x&lwm2m=1.0&b=UQS"] {
            assert!(read(query, "").expect(query).registration.binding().is_queue_mode(), "{query}");
        }
        assert!(!read("ep=x&b=U", "").expect("no sleeper").registration.binding().is_queue_mode());
    }

    #[test]
    fn parameters_that_are_not_known_do_not_matter() {
        assert!(read("ep=x&et=sensor&d=local&con=coap&foo", "</1/0>").is_ok());
        let register = read("ep=x&pid=5&sms=%2B4917", "").expect("a registration");
        assert_eq!(register.profiles.as_deref(), Some("5"));
        assert_eq!(register.registration.sms(), Some("%2B4917"));
    }

    #[test]
    fn a_version_that_is_not_spoken_sends_the_client_to_an_older_one() {
        let older = |query: &str| {
            Register::from_request(&request(Method::Post, "/rd", query, ""), Version::V1_1)
                .map_err(|error| error.code())
        };
        assert_eq!(older("ep=x&lwm2m=1.2").err(), Some(Code::PRECONDITION_FAILED));
        assert!(older("ep=x&lwm2m=1.1").is_ok());
        let error = read("ep=x&lwm2m=2.0", "").expect_err("not spoken");
        assert_eq!(error.response().code, Code::PRECONDITION_FAILED);
        assert_eq!(error.to_string(), "this server speaks LwM2M 1.0 to 1.2");
    }

    #[test]
    fn what_is_not_understood_is_a_bad_request() {
        for (query, payload) in [
            ("ep=", ""),
            ("ep=a/b", ""),
            ("ep=x&ep=y", ""),
            ("ep=x&lt=soon", ""),
            ("ep=x&lt=-1", ""),
            ("ep=x&lt=", ""),
            ("ep=x&lwm2m=new", ""),
            ("ep=x&b=X", ""),
            ("ep=x&sms=123456789012345678901234567890123", ""),
            ("ep=x", "</1/0"),
        ] {
            let error = read(query, payload).expect_err(query);
            assert_eq!(error.code(), Code::BAD_REQUEST, "{query} {payload}");
        }
        let mut other = request(Method::Post, "/rd", "ep=x", "</1/0>");
        other.content_format = Some(ContentFormat::TEXT);
        assert_eq!(Register::from_request(&other, Version::V1_2), Err(RegistrationError::Format));
        other.content_format = None;
        assert!(Register::from_request(&other, Version::V1_2).is_ok());
    }

    #[test]
    fn a_lifetime_of_0_and_one_beyond_all_bounds_last_as_long_as_can_be() {
        for query in ["ep=x&lt=0", "ep=x&lt=4294967296", "ep=x&lt=99999999999999999999999"] {
            assert_eq!(read(query, "").expect(query).registration.lifetime(), limits::LIFETIME_MAX, "{query}");
        }
    }

    #[test]
    fn objects_may_be_under_another_path() {
        let register = read("ep=x", r#"</lwm2m>;rt="oma.lwm2m";ct="112 11542",</lwm2m/1/0>,</lwm2m/3/0>,</3/7>"#)
            .expect("a registration");
        assert_eq!(register.registration.root(), "/lwm2m");
        assert_eq!(instances(&register.registration, 3), [0]);
        assert_eq!(instances(&register.registration, 1), [0]);
        assert_eq!(
            register.to_request().payload,
            br#"</lwm2m>;rt="oma.lwm2m";ct="112 11542",</lwm2m/1/0>,</lwm2m/3/0>"#
        );
        let long = format!(r#"</{}>;rt="oma.lwm2m""#, "x".repeat(limits::ROOT_BYTES_MAX));
        assert_eq!(read("ep=x", &long), Err(RegistrationError::Root));
    }

    #[test]
    fn links_that_are_no_objects_and_objects_that_no_server_sees_are_passed_over() {
        let register = read("ep=x", "</.well-known/core>,</sensors/temp>;ct=0,</0/0>,</0/1>,</21/0>,</5>,</3/0/9>")
            .expect("a registration");
        let ids: Vec<u16> = register.registration.objects().iter().map(|object| object.id).collect();
        assert_eq!(ids, [5]);
        assert!(instances(&register.registration, 5).is_empty());
    }

    #[test]
    fn object_instances_stop_at_the_limit() {
        let links = |count: usize| {
            let links: Vec<String> = (0..count).map(|instance| format!("</3303/{instance}>")).collect();
            links.join(",")
        };
        assert!(read("ep=x", &links(limits::INSTANCES_MAX)).is_ok());
        let error = read("ep=x", &links(limits::INSTANCES_MAX + 1)).expect_err("one too many");
        assert_eq!((error.code(), error), (Code::REQUEST_ENTITY_TOO_LARGE, RegistrationError::Instances));
    }

    #[test]
    fn a_typical_registration_takes_less_than_100_bytes() {
        let register = read(
            "lwm2m=1.1&ep=lamp-0001&b=U&lt=300&Q",
            r#"</>;rt="oma.lwm2m";ct=110,</1>;ver=1.1,</1/0>,</3>;ver=1.1,</3/0>,</19/0>,</3303/0>,</3311/0>"#,
        )
        .expect("a registration");
        let registration = register.registration;
        assert_eq!(registration.objects().iter().count(), 5);
        let bytes = size_of::<Registration>() + registration.heap_bytes();
        assert!(bytes <= 56, "{bytes}");
    }

    proptest! {
        #[test]
        fn a_registration_reads_back_as_written(
            version in prop::sample::select(vec![Version::V1_0, Version::V1_1, Version::V1_2]),
            seconds in 1..=u32::MAX,
            binding in "U|UT|S|N",
            is_sleeper: bool,
            formats in prop::collection::vec(prop::sample::select(vec![110, 112, 11542_u16]), 0..3),
            instances in prop::collection::vec((1..u16::MAX, 0..u16::MAX), 0..20),
        ) {
            let mut binding: Binding = binding.parse().expect("a binding");
            if is_sleeper {
                binding = binding.with_queue_mode();
            }
            let instances = instances.into_iter().map(|(object, instance)| Path::of_instance(object, instance));
            let formats = formats.into_iter().map(ContentFormat::new).collect();
            let lifetime = Duration::from_secs(u64::from(seconds));
            let register = Register {
                endpoint: Some(PeripheralId::new("x").expect("a name")),
                registration: Registration::new(version, lifetime, binding, formats, instances),
                profiles: None,
            };
            prop_assert_eq!(Register::from_request(&register.to_request(), Version::V1_2), Ok(register));
        }
    }
}
