//! What a caller that keeps identities can rely on after a crash.

use bugle_coap::{Code, ContentFormat, Delivery, Event, Identity, MessageId, Method, Request, Response};

use crate::desk::{Desk, PEER};
use crate::wire::Wire;

fn write() -> Request {
    let request = Request::new(Method::Put).with_path("/3306/0/5850").expect("short segments");
    request.with_payload(ContentFormat::TEXT, "1")
}

#[test]
fn a_request_sent_anew_after_a_crash_is_taken_for_a_retransmission() {
    let mut before = Desk::new();
    let identity = Identity { message_id: MessageId::supplied(4_711), token: before.endpoint.draw_token() };
    let delivery = Delivery { identity: Some(identity), ..Delivery::default() };
    before.request_with(write(), delivery);
    let first = before.sent();
    assert_eq!(first.message_id, identity.message_id.number());
    assert_eq!(first.token, identity.token.as_bytes());

    let mut peer = Desk::new();
    let (handle, _) = peer.receive_request(&first);
    peer.endpoint.respond(peer.now, handle, Response::new(Code::CHANGED)).expect("not answered yet");
    let answer = peer.sent();

    let mut after = Desk::new();
    let exchange = after.request_with(write(), delivery);
    let second = after.sent();
    assert_eq!(second, first);
    peer.receive(&second);
    assert_eq!(peer.sent(), answer);
    peer.expect_silence();
    after.receive(&answer);
    assert!(matches!(after.event(), Event::Response { exchange: of, peer: PEER, .. } if of == exchange));
}

#[test]
fn an_answer_to_what_was_sent_before_the_crash_ends_the_exchange_even_while_it_waits() {
    let mut desk = Desk::new();
    desk.request(Request::new(Method::Get));
    desk.sent();
    let identity = Identity { message_id: MessageId::supplied(1), token: desk.endpoint.draw_token() };
    let delivery = Delivery { identity: Some(identity), ..Delivery::default() };
    let waiting = desk.request_with(write(), delivery);
    desk.expect_silence();
    desk.receive(&Wire::ack(Code::CHANGED, identity.message_id.number()).token(identity.token.as_bytes()));
    assert!(matches!(desk.event(), Event::Response { exchange, .. } if exchange == waiting));
}

#[test]
fn message_ids_that_the_endpoint_draws_never_meet_those_that_a_caller_supplies() {
    let mut desk = Desk::new();
    for _ in 0..300 {
        let exchange = desk.request(Request::new(Method::Get));
        assert!(desk.sent().message_id < MessageId::supplied(0).number());
        desk.endpoint.cancel(desk.now, exchange);
    }
}
