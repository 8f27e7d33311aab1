//! Update: a client stays, and says what has changed (LwM2M 1.1 core, 6.2.2).
//!
//! 1. The client sends `POST /rd/<id>`, with those of its parameters and objects that have changed; mostly
//!    with nothing at all.
//! 2. The server answers 2.04, or 4.04 if it knows no such registration, and the client registers anew.

use std::time::Duration;

use super::described::Described;
use super::parameters::Parameters;
use super::{Binding, Registration, RegistrationError};
use crate::{ContentFormat, Link, Method, Request};

/// What a client says has changed; the rest stays as it was.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Update {
    pub(super) lifetime: Option<Duration>,
    pub(super) binding: Option<Binding>,
    pub(super) sms: Option<String>,
    pub(super) described: Option<Described>,
}

impl Update {
    /// Reads a request to `/rd/<id>`.
    ///
    /// # Errors
    /// If a parameter or the payload is not understood, or exceeds a limit.
    pub fn from_request(request: &Request) -> Result<Self, RegistrationError> {
        let parameters = Parameters::read(&request.query)?;
        let described = if request.payload.is_empty() { None } else { Some(Described::read(request)?) };
        Ok(Self { lifetime: parameters.lifetime()?, binding: parameters.binding()?, sms: parameters.sms()?, described })
    }

    /// Whether it only says that the client is still there.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The new lifetime, if there is one.
    #[must_use]
    pub const fn lifetime(&self) -> Option<Duration> {
        self.lifetime
    }

    /// The request of a client that is registered at `location`; with its objects, if these have changed.
    #[must_use]
    pub fn request(location: Vec<String>, lifetime: Option<Duration>, objects: Option<&Registration>) -> Request {
        let mut request = Request::new(Method::Post, location);
        request.query.extend(lifetime.map(|lifetime| format!("lt={}", lifetime.as_secs())));
        match objects {
            Some(registration) => {
                let links = Link::write_all(&registration.links());
                request.with_payload(ContentFormat::LINK_FORMAT, links.into_bytes())
            }
            None => request,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registration::Register;
    use crate::testing::request;
    use crate::{Path, Version};

    fn registered(query: &str) -> Registration {
        let payload = r#"</>;rt="oma.lwm2m";ct=112,</1/0>,</3/0>"#;
        let register = Register::from_request(&request(Method::Post, "/rd", query, payload), Version::V1_2);
        register.expect("a registration").registration
    }

    fn updated(registration: &Registration, query: &str, payload: &str) -> Registration {
        let update = Update::from_request(&request(Method::Post, "/rd/1", query, payload)).expect("an update");
        let mut after = registration.clone();
        after.apply(update);
        after
    }

    #[test]
    fn an_update_that_says_nothing_changes_nothing() {
        let before = registered("ep=x&lt=60&lwm2m=1.1&b=U&Q&sms=49");
        assert_eq!(updated(&before, "", ""), before);
        assert!(Update::from_request(&request(Method::Post, "/rd/1", "", "")).expect("an update").is_empty());
    }

    #[test]
    fn only_what_is_named_changes() {
        let before = registered("ep=x&lt=60&lwm2m=1.1&b=U&Q");
        let after = updated(&before, "lt=90", "");
        assert_eq!((after.lifetime(), after.binding()), (Duration::from_secs(90), before.binding()));
        let after = updated(&before, "sms=4917", "");
        assert_eq!((after.sms(), after.lifetime()), (Some("4917"), before.lifetime()));
        let after = updated(&before, "", "</1/0>,</3/0>,</3303/5>");
        assert_eq!(after.objects().object(3303).map(|object| object.instances().collect()), Some(vec![5]));
        assert_eq!((after.formats(), after.root()), (before.formats(), ""));
        let after = updated(&after, "", r#"</>;rt="oma.lwm2m";ct=110,</1/0>"#);
        assert_ne!(after.formats(), before.formats());
    }

    #[test]
    fn queue_mode_outlives_an_update_of_the_binding_from_1_1_on() {
        let before = registered("ep=x&lwm2m=1.1&b=U&Q");
        assert!(updated(&before, "b=UT", "").binding().is_queue_mode());
        let before = registered("ep=x&b=UQ");
        assert!(!updated(&before, "b=U", "").binding().is_queue_mode());
    }

    #[test]
    fn a_broken_update_is_refused() {
        for (query, payload) in [("lt=x", ""), ("b=X", ""), ("", "</1"), ("lt=1&lt=2", "")] {
            assert!(Update::from_request(&request(Method::Post, "/rd/1", query, payload)).is_err());
        }
    }

    #[test]
    fn the_request_of_a_client_is_read_back() {
        let now = Registration::new(
            Version::V1_1,
            Duration::from_secs(60),
            Binding::UDP,
            crate::ContentFormats::NONE,
            [Path::of_instance(3, 0)],
        );
        let request = Update::request(vec!["rd".into(), "7".into()], Some(Duration::from_secs(5)), Some(&now));
        let mut after = registered("ep=x&lwm2m=1.1");
        after.apply(Update::from_request(&request).expect("an update"));
        assert_eq!((after.lifetime(), after.objects()), (Duration::from_secs(5), now.objects()));
        assert!(Update::from_request(&Update::request(Vec::new(), None, None)).expect("an update").is_empty());
    }
}
