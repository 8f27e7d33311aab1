//! RFC 7252 §4.2, §4.3, §5.4.1: what cannot be dealt with.

use bugle_coap::{Code, Event, Failure, MessageType, Method, OptionNumber, Request};

use crate::desk::{Desk, PEER};
use crate::wire::{GET, POST, Wire};

const UNKNOWN_CRITICAL: OptionNumber = OptionNumber::new(2049);
const UNKNOWN_ELECTIVE: OptionNumber = OptionNumber::new(2048);

#[test]
fn a_confirmable_request_with_an_unknown_critical_option_is_refused_and_another_rejected() {
    let mut desk = Desk::new();
    desk.receive(&Wire::con(GET, 1).token([5]).option(UNKNOWN_CRITICAL, b"x"));
    assert_eq!(desk.sent(), Wire::ack(Code::BAD_OPTION, 1).token([5]).payload("option 2049"));
    desk.receive(&Wire::non(GET, 2).option(UNKNOWN_CRITICAL, b"x"));
    assert_eq!(desk.sent(), Wire::rst(2));
    desk.expect_silence();
    assert_eq!((desk.endpoint.counters().rejected, desk.endpoint.census().peers), (2, 0));
    desk.receive_request(&Wire::con(GET, 3).option(UNKNOWN_ELECTIVE, b"x"));
}

#[test]
fn a_critical_option_that_may_not_come_twice_is_refused() {
    let mut desk = Desk::new();
    let accept = OptionNumber::ACCEPT;
    desk.receive(&Wire::con(GET, 1).uint(accept, 60).uint(accept, 50));
    assert_eq!(desk.sent().code, Code::BAD_OPTION);
    desk.expect_silence();
}

#[test]
fn a_response_with_an_unknown_critical_option_fails_its_exchange() {
    for is_piggybacked in [true, false] {
        let mut desk = Desk::new();
        let exchange = desk.request(Request::new(Method::Get));
        let request = desk.sent();
        if is_piggybacked {
            let answer = Wire::ack(Code::CONTENT, request.message_id).token(&request.token);
            desk.receive(&answer.option(UNKNOWN_CRITICAL, b"x"));
        } else {
            desk.receive(&Wire::con(Code::CONTENT, 9).token(&request.token).option(UNKNOWN_CRITICAL, b"x"));
            assert_eq!(desk.sent(), Wire::rst(9));
        }
        assert_eq!(desk.event(), Event::Failed { exchange, peer: PEER, failure: Failure::Unintelligible });
        desk.expect_silence();
    }
}

#[test]
fn an_unknown_method_is_not_allowed_and_a_proxy_is_not_offered() {
    let mut desk = Desk::new();
    desk.receive(&Wire::con(Code::new(0, 8), 1).token([1]));
    assert_eq!(desk.sent(), Wire::ack(Code::METHOD_NOT_ALLOWED, 1).token([1]));
    desk.receive(&Wire::con(GET, 2).option(OptionNumber::PROXY_URI, b"coap://elsewhere"));
    assert_eq!(desk.sent(), Wire::ack(Code::PROXYING_NOT_SUPPORTED, 2));
    desk.receive(&Wire::non(Code::new(0, 31), 3));
    assert_eq!(desk.sent().message_type, MessageType::NonConfirmable);
    desk.expect_silence();
}

#[test]
fn what_is_malformed_and_confirmable_is_rejected_and_the_rest_ignored() {
    let mut desk = Desk::new();
    let rejected: [&[u8]; 6] = [
        &[0x49, 1, 0, 7, 1, 2, 3, 4, 5, 6, 7, 8, 9],
        &[0x40, 1, 0, 7, 0xff],
        &[0x40, 1, 0, 7, 0xf0],
        &[0x40, 0, 0, 7, 0xff, 1],
        &[0x41, 0, 0, 7, 1],
        &[0x40, 0xe1, 0, 7],
    ];
    for datagram in rejected {
        desk.receive_from(PEER, datagram);
        assert_eq!(desk.sent(), Wire::rst(7), "{datagram:?}");
        for message_type in 1..=3 {
            let mut ignored = datagram.to_vec();
            ignored[0] |= message_type << 4;
            desk.receive_from(PEER, &ignored);
        }
        desk.expect_silence();
    }
    for datagram in [&[][..], &[0x40, 1, 0], &[0xc0, 1, 0, 7], &[0x00, 1, 0, 7]] {
        desk.receive_from(PEER, datagram);
    }
    desk.expect_silence();
    assert_eq!(desk.endpoint.counters().malformed, 28);
}

#[test]
fn what_makes_no_sense_together_is_ignored() {
    let mut desk = Desk::new();
    desk.receive(&Wire::new(MessageType::Acknowledgement, GET, 1));
    desk.receive(&Wire::new(MessageType::Reset, Code::CONTENT, 1));
    desk.receive(&Wire::new(MessageType::NonConfirmable, Code::EMPTY, 1));
    desk.receive(&Wire::ack(Code::EMPTY, 1));
    desk.receive(&Wire::rst(1));
    desk.expect_silence();
    assert_eq!(desk.endpoint.counters().ignored, 5);
    assert_eq!(desk.endpoint.census().peers, 0);
}

#[test]
fn a_response_that_nobody_waits_for_is_rejected() {
    let mut desk = Desk::new();
    desk.receive(&Wire::con(Code::CONTENT, 1).token([9]));
    assert_eq!(desk.sent(), Wire::rst(1));
    desk.receive(&Wire::non(Code::CONTENT, 2).token([9]));
    assert_eq!(desk.sent(), Wire::rst(2));
    desk.expect_silence();
}

#[test]
fn the_noise_of_one_peer_does_not_disturb_another() {
    let mut desk = Desk::new();
    let request = Wire::con(POST, 1).path("rd");
    desk.receive_request(&request);
    for noise in [&[0x40, 1, 0, 1, 0xff][..], &[0x70, 0, 0, 1], &[0x60, 0, 0, 1]] {
        desk.receive_from(PEER + 1, noise);
    }
    desk.skip_sent();
    desk.receive_from(PEER + 1, &request.bytes());
    assert!(matches!(desk.event(), Event::Request { peer, .. } if peer == PEER + 1));
}
