//! How LwM2M's requests and responses travel in those of CoAP (LwM2M 1.1 transport, 6.4), for servers and
//! clients.

mod device;

use std::time::Duration;

use bugle_coap::{OptionNumber, Options};
use bugle_lwm2m::{Code, ContentFormat, Method, Observe, Request, Response};

pub use device::{CoapDevice, Output};

/// A request as CoAP has it.
#[must_use]
pub fn to_coap_request(request: &Request) -> bugle_coap::Request {
    let method = bugle_coap::Method::from_code(bugle_coap::Code::from_byte(request.method.byte()))
        .expect("LwM2M's methods are CoAP's");
    let mut coap = bugle_coap::Request::new(method);
    add_texts(&mut coap.options, OptionNumber::URI_PATH, &request.path);
    add_texts(&mut coap.options, OptionNumber::URI_QUERY, &request.query);
    if let Some(observe) = request.observe {
        add_uint(&mut coap.options, OptionNumber::OBSERVE, observe.number());
    }
    if let Some(format) = request.accept {
        add_uint(&mut coap.options, OptionNumber::ACCEPT, format.number().into());
    }
    if let Some(format) = request.content_format {
        add_uint(&mut coap.options, OptionNumber::CONTENT_FORMAT, format.number().into());
    }
    coap.payload = request.payload.clone().into();
    coap
}

/// A request as LwM2M has it; none if its method is of no use to LwM2M.
#[must_use]
pub fn from_coap_request(coap: &bugle_coap::Request) -> Option<Request> {
    let method = Method::from_byte(coap.method.code().as_byte())?;
    let observe = coap.observe().map(|observe| match observe {
        bugle_coap::Observe::Register => Observe::Register,
        bugle_coap::Observe::Deregister => Observe::Cancel,
    });
    Some(Request {
        method,
        path: coap.path().map(str::to_owned).collect(),
        query: coap.queries().map(str::to_owned).collect(),
        content_format: coap.content_format().map(|format| ContentFormat::new(format.0)),
        accept: coap.accept().map(|format| ContentFormat::new(format.0)),
        observe,
        payload: coap.payload.to_vec(),
    })
}

/// A response as CoAP has it. How new a notification is, the endpoint says itself.
#[must_use]
pub fn to_coap_response(response: &Response) -> bugle_coap::Response {
    let mut coap = bugle_coap::Response::new(bugle_coap::Code::from_byte(response.code.byte()));
    add_texts(&mut coap.options, OptionNumber::LOCATION_PATH, &response.location);
    if let Some(format) = response.content_format {
        add_uint(&mut coap.options, OptionNumber::CONTENT_FORMAT, format.number().into());
    }
    coap.payload = response.payload.clone().into();
    match response.max_age {
        Some(seconds) => coap.with_max_age(Duration::from_secs(seconds.into())),
        None => coap,
    }
}

/// A response as LwM2M has it.
#[must_use]
pub fn from_coap_response(coap: &bugle_coap::Response) -> Response {
    let options = coap.options.view();
    Response {
        code: Code::from_byte(coap.code.as_byte()),
        location: coap.location().map(str::to_owned).collect(),
        content_format: coap.content_format().map(|format| ContentFormat::new(format.0)),
        observe: options.uint(OptionNumber::OBSERVE),
        max_age: options.uint(OptionNumber::MAX_AGE),
        payload: coap.payload.to_vec(),
    }
}

/// Texts that are too long for their option do not occur: paths and queries of ours are short.
fn add_texts(options: &mut Options, number: OptionNumber, texts: &[String]) {
    for text in texts {
        options.add(number, text.as_bytes()).expect("parts of paths and queries are short");
    }
}

fn add_uint(options: &mut Options, number: OptionNumber, value: u32) {
    options.add_uint(number, value).expect("a number of these options has up to four bytes");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_the_same_behind_the_journey() {
        let request = Request {
            query: vec!["lt=60".into(), "b=U".into()],
            accept: Some(ContentFormat::SENML_JSON),
            ..Request::new(Method::Post, vec!["rd".into(), "5a".into()])
        }
        .with_payload(ContentFormat::LINK_FORMAT, b"</3/0>".to_vec());
        assert_eq!(from_coap_request(&to_coap_request(&request)), Some(request));
        let observe = Request { observe: Some(Observe::Register), ..Request::new(Method::Get, vec!["3".into()]) };
        assert_eq!(from_coap_request(&to_coap_request(&observe)), Some(observe));
    }

    #[test]
    fn a_response_is_the_same_behind_the_journey() {
        let created = Response::created(vec!["rd".into(), "5a".into()]);
        assert_eq!(from_coap_response(&to_coap_response(&created)), created);
        let later = Response::later(Code::SERVICE_UNAVAILABLE, 30);
        assert_eq!(from_coap_response(&to_coap_response(&later)), later);
        let content = Response::content(ContentFormat::TLV, vec![0xc1, 9, 100]);
        assert_eq!(from_coap_response(&to_coap_response(&content)), content);
    }

    #[test]
    fn a_method_that_lwm2m_has_no_use_for_is_none() {
        assert_eq!(from_coap_request(&bugle_coap::Request::new(bugle_coap::Method::Patch)), None);
    }
}
