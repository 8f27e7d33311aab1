//! Requests and responses of any content, at the server, at a simulated device and at the outcome of a delivery.

#![no_main]

use arbitrary::Arbitrary;
use bugle_core::{Content, Operation, PeripheralId, ResourcePath, Time};
use bugle_lwm2m::client::{Device, Input, Output, Settings};
use bugle_lwm2m::operation::Delivery;
use bugle_lwm2m::registration::Register;
use bugle_lwm2m::{ClientRequest, Code, ContentFormat, Method, Observe, Request, Response, Version};
use libfuzzer_sys::fuzz_target;

#[derive(Debug, Arbitrary)]
struct Message<'b> {
    method: u8,
    path: Vec<&'b str>,
    query: Vec<&'b str>,
    content_format: Option<u16>,
    accept: Option<u16>,
    observe: Option<u32>,
    payload: &'b [u8],
}

#[derive(Debug, Arbitrary)]
struct World<'b> {
    requests: Vec<Message<'b>>,
    code: u8,
    answer_format: Option<u16>,
    answer: &'b [u8],
    path: [u16; 3],
    depth: u8,
    content_type: u8,
}

/// Mostly formats that mean something.
fn format(number: u16) -> ContentFormat {
    const KNOWN: [u16; 11] = [0, 40, 42, 60, 110, 112, 320, 322, 11542, 11543, 11544];
    ContentFormat::new(KNOWN.get(usize::from(number % 16)).copied().unwrap_or(number))
}

fn request(message: &Message<'_>) -> Request {
    let methods = [Method::Get, Method::Post, Method::Put, Method::Delete, Method::Fetch, Method::IPatch];
    let mut request = Request::new(
        methods[usize::from(message.method) % methods.len()],
        message.path.iter().map(|part| (*part).to_owned()).collect(),
    );
    request.query = message.query.iter().map(|part| (*part).to_owned()).collect();
    request.content_format = message.content_format.map(format);
    request.accept = message.accept.map(format);
    request.observe = message.observe.and_then(Observe::from_number);
    request.payload = message.payload.to_vec();
    request
}

fuzz_target!(|world: World<'_>| {
    let mut device = Device::new(Settings::new(PeripheralId::new("x").expect("a name")));
    let now = Time::from_millis(1_790_000_000_000);
    device.handle_input(now, Input::Start);
    let Some(Output::Ask { exchange, request: first }) = device.poll_output() else { panic!("it registers") };
    let register = Register::from_request(&first, Version::V1_2).expect("its registration is in order");
    device.handle_input(now, Input::Answered { exchange, response: Response::created(vec!["rd".to_owned()]) });
    while device.poll_output().is_some() {}

    for (token, message) in world.requests.iter().enumerate() {
        let request = request(message);
        let _ = ClientRequest::from_request(&request, Version::V1_2);
        device.handle_input(now, Input::Asked { token: token as u64, request });
        assert!(matches!(device.poll_output(), Some(Output::Answer { .. })), "every request has an answer");
        while device.poll_output().is_some() {}
    }

    let parts = &world.path[..usize::from(world.depth % 3) + 1];
    let Ok(path) = ResourcePath::new(parts) else { return };
    let content_types = ["", "text/plain", "application/json", "application/senml+json", "application/cbor", "x/y"];
    let content_type = content_types[usize::from(world.content_type) % content_types.len()].to_owned();
    let response = Response {
        content_format: world.answer_format.map(format),
        payload: world.answer.to_vec(),
        ..Response::new(Code::from_byte(world.code))
    };
    for operation in [
        Operation::Read { path },
        Operation::Write { path, content: Content { content_type, bytes: world.answer.to_vec() } },
        Operation::Message { content: Content { content_type: String::new(), bytes: world.answer.to_vec() } },
    ] {
        let Ok(delivery) = Delivery::new(&operation, &register.registration) else { continue };
        let _ = delivery.outcome(&response);
        let _ = delivery.retry(&register.registration, &response);
    }
});
