//! CoRE link format and the registrations made of it: whatever is read is written so that it reads the same.

#![no_main]

use bugle_lwm2m::registration::Register;
use bugle_lwm2m::{ContentFormat, Link, Method, Request, Version};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|payload: &[u8]| {
    if let Ok(links) = Link::read_all(payload) {
        assert_eq!(Link::read_all(Link::write_all(&links).as_bytes()), Ok(links));
    }
    // The first line is the query, the rest the payload.
    let (query, payload) = payload.split_at(payload.iter().position(|byte| *byte == b'\n').unwrap_or(0));
    let mut request = Request::new(Method::Post, vec!["rd".to_owned()]);
    request.query = String::from_utf8_lossy(query).split('&').map(str::to_owned).collect();
    request = request.with_payload(ContentFormat::LINK_FORMAT, payload.get(1..).unwrap_or_default().to_vec());
    if let Ok(register) = Register::from_request(&request, Version::V1_2) {
        assert_eq!(Register::from_request(&register.to_request(), Version::V1_2), Ok(register));
    }
});
