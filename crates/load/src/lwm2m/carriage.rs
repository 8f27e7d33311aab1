//! How LwM2M travels in CoAP: its requests and responses as messages, and back (LwM2M 1.1 transport, 6.4).

use bugle_coap::{Code, Method, OptionNumber, OptionValueError, Options};
use bugle_lwm2m::{ContentFormat, Observe};

/// A request of LwM2M as one of CoAP.
///
/// # Errors
/// If a part of its path or query is longer than CoAP's options may be. The fault is of whoever asks.
pub fn request_to_coap(request: bugle_lwm2m::Request) -> Result<bugle_coap::Request, OptionValueError> {
    let mut options = Options::new();
    add_texts(&mut options, OptionNumber::URI_PATH, &request.path)?;
    add_texts(&mut options, OptionNumber::URI_QUERY, &request.query)?;
    add_format(&mut options, OptionNumber::CONTENT_FORMAT, request.content_format)?;
    add_format(&mut options, OptionNumber::ACCEPT, request.accept)?;
    if let Some(observe) = request.observe {
        options.add_uint(OptionNumber::OBSERVE, observe.number())?;
    }
    let method = Method::from_code(Code::from_byte(request.method.byte())).expect("LwM2M's methods are CoAP's");
    Ok(bugle_coap::Request { method, options, payload: request.payload.into() })
}

/// A request of CoAP as one of LwM2M; none if LwM2M has no use for its method.
#[must_use]
pub fn request_from_coap(request: &bugle_coap::Request) -> Option<bugle_lwm2m::Request> {
    Some(bugle_lwm2m::Request {
        method: bugle_lwm2m::Method::from_byte(request.method.code().as_byte())?,
        path: request.path().map(str::to_owned).collect(),
        query: request.queries().map(str::to_owned).collect(),
        content_format: request.content_format().map(format_from_coap),
        accept: request.accept().map(format_from_coap),
        observe: request.observe().map(|observe| match observe {
            bugle_coap::Observe::Register => Observe::Register,
            bugle_coap::Observe::Deregister => Observe::Cancel,
        }),
        payload: request.payload.to_vec(),
    })
}

/// A response of LwM2M as one of CoAP. That of an observation is numbered by CoAP.
///
/// # Errors
/// If a part of its location is longer than CoAP's options may be. The fault is of whoever answers.
pub fn response_to_coap(response: bugle_lwm2m::Response) -> Result<bugle_coap::Response, OptionValueError> {
    let mut options = Options::new();
    add_texts(&mut options, OptionNumber::LOCATION_PATH, &response.location)?;
    add_format(&mut options, OptionNumber::CONTENT_FORMAT, response.content_format)?;
    if let Some(seconds) = response.max_age {
        options.add_uint(OptionNumber::MAX_AGE, seconds)?;
    }
    let code = Code::from_byte(response.code.byte());
    Ok(bugle_coap::Response { code, options, payload: response.payload.into() })
}

/// A response of CoAP as one of LwM2M.
#[must_use]
pub fn response_from_coap(response: &bugle_coap::Response) -> bugle_lwm2m::Response {
    bugle_lwm2m::Response {
        code: bugle_lwm2m::Code::from_byte(response.code.as_byte()),
        location: response.location().map(str::to_owned).collect(),
        content_format: response.content_format().map(format_from_coap),
        observe: response.options.view().uint(OptionNumber::OBSERVE),
        max_age: response.options.view().uint(OptionNumber::MAX_AGE),
        payload: response.payload.to_vec(),
    }
}

fn add_texts(options: &mut Options, number: OptionNumber, texts: &[String]) -> Result<(), OptionValueError> {
    texts.iter().try_for_each(|text| options.add(number, text.as_bytes()))
}

fn add_format(
    options: &mut Options,
    number: OptionNumber,
    format: Option<ContentFormat>,
) -> Result<(), OptionValueError> {
    format.map_or(Ok(()), |format| options.add_uint(number, format.number().into()))
}

const fn format_from_coap(format: bugle_coap::ContentFormat) -> ContentFormat {
    ContentFormat::new(format.0)
}

#[cfg(test)]
mod tests {
    use bugle_lwm2m::{Method, Request, Response};

    use super::*;

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_request_comes_back_as_it_went() {
        for method in [Method::Get, Method::Post, Method::Put, Method::Delete, Method::Fetch, Method::IPatch] {
            let request = Request {
                query: texts(&["ep=lamp-1", "lt=300"]),
                accept: Some(ContentFormat::SENML_CBOR),
                ..Request::new(method, texts(&["rd", "5a3f"])).with_payload(ContentFormat::TLV, vec![1, 2])
            };
            let carried = request_to_coap(request.clone()).expect("short texts");
            assert_eq!(request_from_coap(&carried), Some(request));
        }
    }

    #[test]
    fn only_what_can_observe_does() {
        let observing = |method, observe| Request { observe: Some(observe), ..Request::new(method, texts(&["3"])) };
        let carried = |request| request_from_coap(&request_to_coap(request).expect("short texts"));
        for observe in [Observe::Register, Observe::Cancel] {
            let request = observing(Method::Get, observe);
            assert_eq!(carried(request.clone()), Some(request));
            assert_eq!(carried(observing(Method::Put, observe)).and_then(|request| request.observe), None);
        }
    }

    #[test]
    fn a_response_comes_back_as_it_went() {
        for response in [
            Response::created(texts(&["rd", "5a3f"])),
            Response::content(ContentFormat::SENML_JSON, b"[]".to_vec()),
            Response::later(bugle_lwm2m::Code::SERVICE_UNAVAILABLE, 7),
            Response::refused(bugle_lwm2m::Code::FORBIDDEN, "no"),
        ] {
            let carried = response_to_coap(response.clone()).expect("short texts");
            assert_eq!(response_from_coap(&carried), response);
        }
    }

    #[test]
    fn what_does_not_fit_and_what_is_no_matter_of_lwm2m_is_told() {
        let long = Request::new(Method::Get, vec!["x".repeat(256)]);
        assert!(request_to_coap(long).is_err());
        assert_eq!(request_from_coap(&bugle_coap::Request::new(bugle_coap::Method::Patch)), None);
    }
}
