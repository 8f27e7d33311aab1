//! RFC 7959: bodies in blocks.

use bugle_coap::{
    BlockSize, Code, Config, ContentFormat, Event, Failure, Limits, Method, Observation, OptionNumber, Request,
    Response,
};

use crate::desk::{Desk, PEER};
use crate::wire::{GET, POST, PUT, Wire};

const BLOCK1: OptionNumber = OptionNumber::BLOCK1;
const BLOCK2: OptionNumber = OptionNumber::BLOCK2;

fn body(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|index| (index / 16) as u8).collect()
}

fn blocks_of(bytes: usize) -> Config {
    Config { block_size: BlockSize::at_most(bytes), ..Config::default() }
}

fn content(bytes: usize) -> Response {
    Response::new(Code::CONTENT).with_payload(ContentFormat::OCTET_STREAM, body(bytes))
}

/// Figure 2: the server divides.
#[test]
fn a_long_response_is_fetched_block_by_block_and_asked_of_the_caller_once() {
    let mut desk = Desk::with(blocks_of(128));
    let (handle, _) = desk.receive_request(&Wire::con(GET, 1234).path("status"));
    desk.endpoint.respond(desk.now, handle, content(300)).expect("not answered yet");
    let first = desk.sent();
    assert_eq!((first.message_id, first.blocks().as_str()), (1234, "2:0/1/128"));
    assert_eq!(first.options.view().uint(OptionNumber::SIZE2), Some(300));
    let etag = first.options.view().first(OptionNumber::ETAG).expect("a tag").to_vec();
    let mut whole = first.payload;
    for (number, expected) in [(1, "2:1/1/128"), (2, "2:2/0/128")] {
        desk.receive(&Wire::con(GET, 1234 + number as u16).path("status").block(BLOCK2, number, false, 128));
        let part = desk.sent();
        assert_eq!(part.blocks(), expected);
        assert_eq!(part.options.view().first(OptionNumber::ETAG), Some(etag.as_slice()));
        whole.extend_from_slice(&part.payload);
    }
    assert_eq!(whole, body(300));
    desk.receive(&Wire::con(GET, 1237).path("status").block(BLOCK2, 3, false, 128));
    assert_eq!(desk.sent().code, Code::BAD_REQUEST);
    desk.expect_silence();
}

/// Figure 3 and 4: the client asks for smaller blocks, before the first or after it.
#[test]
fn blocks_are_as_small_as_the_client_asks_for() {
    let mut desk = Desk::new();
    let early = Wire::con(GET, 1).path("status").block(BLOCK2, 0, false, 64);
    let (handle, _) = desk.receive_request(&early);
    desk.endpoint.respond(desk.now, handle, content(200)).expect("not answered yet");
    assert_eq!(desk.sent().blocks(), "2:0/1/64");
    desk.receive(&Wire::con(GET, 2).path("status").block(BLOCK2, 2, false, 32));
    let late = desk.sent();
    assert_eq!((late.blocks().as_str(), late.payload.as_slice()), ("2:2/1/32", &body(200)[64..96]));
    // Any block, in any order.
    desk.receive(&Wire::con(GET, 3).path("status").block(BLOCK2, 6, false, 32));
    let last = desk.sent();
    assert_eq!((last.blocks().as_str(), last.payload.len()), ("2:6/0/32", 8));
    desk.expect_silence();
}

#[test]
fn a_block_of_a_body_that_is_not_kept_is_asked_of_the_caller() {
    let mut desk = Desk::new();
    let (handle, request) = desk.receive_request(&Wire::con(GET, 1).path("status").block(BLOCK2, 3, false, 64));
    assert_eq!(request.options.view().first(BLOCK2), None);
    desk.endpoint.respond(desk.now, handle, content(300)).expect("not answered yet");
    let part = desk.sent();
    assert_eq!((part.blocks().as_str(), part.payload.as_slice()), ("2:3/1/64", &body(300)[192..256]));
    let (handle, _) = desk.receive_request(&Wire::con(GET, 2).path("gone").block(BLOCK2, 3, false, 64));
    desk.endpoint.respond(desk.now, handle, Response::new(Code::NOT_FOUND)).expect("not answered yet");
    assert_eq!(desk.sent().code, Code::NOT_FOUND);
}

#[test]
fn the_rest_of_an_answer_to_what_changed_something_is_never_made_by_doing_it_again() {
    let mut desk = Desk::new();
    desk.receive(&Wire::con(POST, 1).path("soap").block(BLOCK2, 1, false, 64));
    assert_eq!(desk.sent().code, Code::REQUEST_ENTITY_INCOMPLETE);
    desk.expect_silence();
}

#[test]
fn a_body_that_nobody_fetches_from_is_forgotten() {
    let mut desk = Desk::new();
    let (handle, _) = desk.receive_request(&Wire::con(GET, 1).path("status"));
    desk.endpoint.respond(desk.now, handle, content(5_000)).expect("not answered yet");
    desk.skip_sent();
    assert_eq!(desk.endpoint.census().body_bytes, 5_000);
    desk.sleep_secs(2 * 247 + 60);
    assert_eq!(desk.endpoint.census(), bugle_coap::Census::default());
}

/// Figure 8: the server takes the body atomically.
#[test]
fn a_long_request_reaches_the_caller_whole() {
    let mut desk = Desk::new();
    let put = |id, number, has_more, payload: &[u8]| {
        Wire::con(PUT, id).token([7]).path("options").block(BLOCK1, number, has_more, 128).payload(payload)
    };
    let whole = body(300);
    desk.receive(&put(1234, 0, true, &whole[..128]));
    let taken = desk.sent();
    assert_eq!((taken.code, taken.blocks().as_str(), taken.message_id), (Code::CONTINUE, "1:0/1/128", 1234));
    desk.receive(&put(1235, 1, true, &whole[128..256]));
    assert_eq!(desk.sent().blocks(), "1:1/1/128");
    // A block that comes again is taken once.
    desk.receive(&put(1235, 1, true, &whole[128..256]));
    assert_eq!(desk.sent().blocks(), "1:1/1/128");
    let (handle, request) = desk.receive_request(&put(1236, 2, false, &whole[256..]));
    assert_eq!(request.payload, whole);
    assert_eq!(request.options.view().first(BLOCK1), None);
    desk.endpoint.respond(desk.now, handle, Response::new(Code::CHANGED)).expect("not answered yet");
    let done = desk.sent();
    assert_eq!((done.code, done.blocks().as_str()), (Code::CHANGED, "1:2/0/128"));
    assert_eq!(desk.endpoint.census().body_bytes, 0);
}

/// Figure 10: the server asks for smaller blocks.
#[test]
fn a_client_is_asked_for_blocks_no_larger_than_the_endpoints() {
    let mut desk = Desk::with(blocks_of(32));
    let whole = body(150);
    desk.receive(&Wire::con(PUT, 1).path("options").block(BLOCK1, 0, true, 128).payload(&whole[..128]));
    assert_eq!(desk.sent().blocks(), "1:0/1/32");
    let last = Wire::con(PUT, 2).path("options").block(BLOCK1, 4, false, 32).payload(&whole[128..]);
    assert_eq!(desk.receive_request(&last).1.payload, whole);
}

#[test]
fn a_block_whose_forerunners_are_missing_is_refused() {
    let mut desk = Desk::new();
    desk.receive(&Wire::con(PUT, 1).path("options").block(BLOCK1, 1, false, 64).payload("rest"));
    assert_eq!(desk.sent().code, Code::REQUEST_ENTITY_INCOMPLETE);
    let first = Wire::con(PUT, 2).path("options").block(BLOCK1, 0, true, 64).payload([0; 64]);
    desk.receive(&first);
    desk.sent();
    // Too long a time, too.
    desk.sleep_secs(310);
    desk.receive(&Wire::con(PUT, 3).path("options").block(BLOCK1, 1, false, 64).payload("rest"));
    assert_eq!(desk.sent().code, Code::REQUEST_ENTITY_INCOMPLETE);
    desk.expect_silence();
}

/// RFC 9175 §3: blocks of two bodies for the same resource are not mixed.
#[test]
fn blocks_with_another_request_tag_belong_to_another_body() {
    let mut desk = Desk::new();
    let put = |id, tag: u8, number, has_more, payload: [u8; 16]| {
        let wire = Wire::con(PUT, id).path("options").block(BLOCK1, number, has_more, 16).payload(payload);
        wire.option(OptionNumber::REQUEST_TAG, &[tag])
    };
    for (id, tag) in [(1, 1), (2, 2)] {
        desk.receive(&put(id, tag, 0, true, [tag; 16]));
        assert_eq!(desk.sent().code, Code::CONTINUE);
    }
    let (_, request) = desk.receive_request(&put(3, 1, 1, false, [1; 16]));
    assert_eq!(request.payload, [1; 32].as_slice());
}

#[test]
fn a_body_that_is_too_large_is_refused_with_the_size_that_is_not() {
    let limits = Limits { body_bytes_max: 100, ..Limits::default() };
    let mut desk = Desk::with(Config { limits, ..Config::default() });
    let first = Wire::con(PUT, 1).path("firmware").block(BLOCK1, 0, true, 64).payload([0; 64]);
    desk.receive(&first.clone().uint(OptionNumber::SIZE1, 101));
    let refused = desk.sent();
    assert_eq!((refused.code, refused.blocks().as_str()), (Code::REQUEST_ENTITY_TOO_LARGE, ""));
    assert_eq!(refused.options.view().uint(OptionNumber::SIZE1), Some(100));
    desk.receive(&Wire { message_id: 2, ..first });
    assert_eq!(desk.sent().code, Code::CONTINUE);
    desk.receive(&Wire::con(PUT, 3).path("firmware").block(BLOCK1, 1, false, 64).payload([0; 64]));
    assert_eq!(desk.sent().code, Code::REQUEST_ENTITY_TOO_LARGE);
    assert_eq!(desk.endpoint.census().body_bytes, 0);
}

#[test]
fn a_block_of_the_wrong_length_or_the_reserved_size_is_refused() {
    let mut desk = Desk::new();
    desk.receive(&Wire::con(PUT, 1).path("a").block(BLOCK1, 0, true, 64).payload("short"));
    assert_eq!(desk.sent().code, Code::BAD_REQUEST);
    desk.receive(&Wire::con(PUT, 2).path("a").uint(BLOCK1, 0x0f).payload("reserved"));
    assert_eq!(desk.sent().code, Code::BAD_REQUEST);
    desk.receive(&Wire::con(GET, 3).path("a").uint(BLOCK2, 7));
    assert_eq!(desk.sent().code, Code::BAD_REQUEST);
    desk.expect_silence();
}

/// Figure 11: both ways in one exchange, and the caller asked once.
#[test]
fn a_long_request_may_have_a_long_response() {
    let mut desk = Desk::with(blocks_of(64));
    let whole = body(100);
    let post = |id: u16| Wire::con(POST, id).path("soap");
    desk.receive(&post(1).block(BLOCK1, 0, true, 64).payload(&whole[..64]));
    assert_eq!(desk.sent().blocks(), "1:0/1/64");
    let (handle, request) = desk.receive_request(&post(2).block(BLOCK1, 1, false, 64).payload(&whole[64..]));
    assert_eq!(request.payload, whole);
    desk.endpoint.respond(desk.now, handle, content(150)).expect("not answered yet");
    assert_eq!(desk.sent().blocks(), "2:0/1/64 1:1/0/64");
    desk.receive(&post(3).block(BLOCK2, 1, false, 64));
    assert_eq!(desk.sent().blocks(), "2:1/1/64");
    desk.receive(&post(4).block(BLOCK2, 2, false, 64));
    assert_eq!(desk.sent().blocks(), "2:2/0/64");
    desk.expect_silence();
}

#[test]
fn a_long_body_is_asked_block_by_block_with_fresh_tokens_and_told_whole() {
    let mut desk = Desk::new();
    let exchange = desk.request(Request::new(Method::Get).with_path("/status").expect("a short segment"));
    let whole = body(40);
    let mut tokens = Vec::new();
    for number in 0..3_u32 {
        let request = desk.sent();
        assert_eq!(request.blocks(), if number == 0 { String::new() } else { format!("2:{number}/0/16") });
        tokens.push(request.token.clone());
        let chunk = whole.chunks(16).nth(number as usize).expect("three chunks");
        let answer =
            Wire::ack(Code::CONTENT, request.message_id).token(&request.token).option(OptionNumber::ETAG, b"e");
        desk.receive(&answer.block(BLOCK2, number, number < 2, 16).payload(chunk));
    }
    let Event::Response { exchange: of, response, observation, .. } = desk.event() else { panic!("a response") };
    assert_eq!((of, observation), (exchange, Observation::None));
    assert_eq!((response.payload.to_vec(), response.etag()), (whole, Some(&b"e"[..])));
    tokens.dedup();
    assert_eq!(tokens.len(), 3);
    desk.expect_silence();
}

#[test]
fn an_endpoint_with_small_blocks_asks_for_them_at_once() {
    let mut desk = Desk::with(blocks_of(256));
    desk.request(Request::new(Method::Get));
    assert_eq!(desk.sent().blocks(), "2:0/0/256");
}

#[test]
fn a_long_body_is_sent_block_by_block_and_the_response_told_once() {
    let mut desk = Desk::with(blocks_of(64));
    let whole = body(150);
    let request = Request::new(Method::Put).with_payload(ContentFormat::OCTET_STREAM, whole.clone());
    let exchange = desk.request(request);
    let mut received = Vec::new();
    for (number, expected) in [(0, "2:0/0/64 1:0/1/64"), (1, "2:0/0/64 1:1/1/64"), (2, "2:0/0/64 1:2/0/64")] {
        let block = desk.sent();
        assert_eq!(block.blocks(), expected);
        assert_eq!(block.options.view().uint(OptionNumber::SIZE1), (number == 0).then_some(150));
        received.extend_from_slice(&block.payload);
        let code = if number < 2 { Code::CONTINUE } else { Code::CHANGED };
        let answer = Wire::ack(code, block.message_id).token(&block.token);
        desk.receive(&answer.block(BLOCK1, number, number < 2, 64));
    }
    assert_eq!(received, whole);
    assert!(matches!(desk.event(), Event::Response { exchange: of, .. } if of == exchange));
    desk.expect_silence();
}

#[test]
fn a_transfer_is_not_interrupted_by_what_was_asked_later() {
    let mut desk = Desk::new();
    desk.request(Request::new(Method::Get).with_path("/long").expect("a short segment"));
    desk.request(Request::new(Method::Get).with_path("/next").expect("a short segment"));
    let first = desk.sent();
    desk.receive(
        &Wire::ack(Code::CONTENT, first.message_id).token(&first.token).block(BLOCK2, 0, true, 16).payload([0; 16]),
    );
    assert_eq!(desk.sent().blocks(), "2:1/0/16");
    desk.expect_silence();
}

#[test]
fn a_transfer_whose_peer_goes_away_fails() {
    let mut desk = Desk::new();
    let exchange = desk.request(Request::new(Method::Get));
    let first = desk.sent();
    desk.receive(
        &Wire::ack(Code::CONTENT, first.message_id).token(&first.token).block(BLOCK2, 0, true, 16).payload([0; 16]),
    );
    desk.sleep_secs(93);
    assert_eq!(desk.skip_sent(), 5);
    assert_eq!(desk.event(), Event::Failed { exchange, peer: PEER, failure: Failure::TimedOut });
}
