//! RFC 7252: messages and exchanges.

use std::time::Duration;

use bugle_coap::{
    Code, Config, ContentFormat, Delivery, Event, Failure, Freshness, Gone, Method, Observation, OptionNumber,
    Reliability, Request, Response, RetryHint, Transmission,
};

use crate::desk::{Desk, PEER};
use crate::wire::{GET, POST, PUT, Wire};

fn get(path: &str) -> Request {
    Request::new(Method::Get).with_path(path).expect("short segments")
}

fn text(text: &'static str) -> Response {
    Response::new(Code::CONTENT).with_payload(ContentFormat::TEXT, text)
}

const NON: Delivery = Delivery { reliability: Reliability::NonConfirmable, identity: None, response_timeout: None };

/// Figure 16 and 17.
#[test]
fn a_confirmable_request_is_answered_in_its_acknowledgement() {
    let mut desk = Desk::new();
    let (handle, request) = desk.receive_request(&Wire::con(GET, 0x7d35).token([0x20]).path("temperature"));
    assert_eq!((request.method, request.path().collect::<Vec<_>>()), (Method::Get, vec!["temperature"]));
    desk.endpoint.respond(desk.now, handle, text("22.3 C")).expect("not answered yet");
    let answer = desk.sent();
    let expected = Wire::ack(Code::CONTENT, 0x7d35).token([0x20]).uint(OptionNumber::CONTENT_FORMAT, 0);
    assert_eq!(answer, expected.payload("22.3 C"));
    assert_eq!(desk.endpoint.respond(desk.now, handle, text("again")), Err(Gone));
    desk.expect_silence();
}

/// Figure 18.
#[test]
fn a_request_that_got_lost_is_sent_again_after_a_random_wait() {
    let mut desk = Desk::new();
    let exchange = desk.request(get("temperature"));
    let first = desk.sent();
    desk.sleep(Duration::from_millis(1_999));
    desk.expect_silence();
    desk.sleep(Duration::from_millis(1_002));
    let second = desk.sent();
    assert_eq!(first, second);
    desk.receive(&Wire::ack(Code::CONTENT, first.message_id).token(&first.token).payload("22.3 C"));
    let Event::Response { exchange: of, response, peer, observation } = desk.event() else { panic!("a response") };
    assert_eq!((of, peer, observation), (exchange, PEER, Observation::None));
    assert_eq!(response.payload, "22.3 C");
    desk.sleep_secs(300);
    desk.expect_silence();
}

/// Figure 19.
#[test]
fn a_request_that_comes_again_is_answered_again_and_told_once() {
    let mut desk = Desk::new();
    let wire = Wire::con(POST, 0x7d37).token([0x42]).path("rd");
    let (handle, _) = desk.receive_request(&wire);
    desk.receive(&wire);
    desk.expect_silence();
    let created = Response::new(Code::CREATED).with_location("/rd/5a3f").expect("short segments");
    desk.endpoint.respond(desk.now, handle, created).expect("not answered yet");
    let answer = desk.sent();
    for _ in 0..3 {
        desk.sleep_secs(80);
        desk.receive(&wire);
        assert_eq!(desk.sent(), answer);
        desk.expect_silence();
    }
    // EXCHANGE_LIFETIME is 247 seconds; then the id may be another request's.
    desk.sleep_secs(8);
    desk.receive_request(&wire);
}

/// Figure 20 to 22: the answer takes longer than the peer should wait for the acknowledgement.
#[test]
fn an_answer_that_takes_long_follows_an_empty_acknowledgement() {
    let mut desk = Desk::new();
    let wire = Wire::con(GET, 0x7d38).token([0x53]).path("temperature");
    let (handle, _) = desk.receive_request(&wire);
    desk.sleep_secs(1);
    assert_eq!(desk.sent(), Wire::ack(Code::EMPTY, 0x7d38));
    desk.receive(&wire);
    assert_eq!(desk.sent(), Wire::ack(Code::EMPTY, 0x7d38));
    desk.sleep_secs(30);
    desk.endpoint.respond(desk.now, handle, text("22.3 C")).expect("not answered yet");
    let answer = desk.sent();
    assert_eq!((answer.token.as_slice(), answer.payload.as_slice()), (&[0x53][..], &b"22.3 C"[..]));
    assert_eq!(answer.message_type, bugle_coap::MessageType::Confirmable);
    desk.receive(&wire);
    assert_eq!(desk.sent(), Wire::ack(Code::EMPTY, 0x7d38));
    desk.sleep_secs(3);
    assert_eq!(desk.sent(), answer);
    desk.receive(&Wire::ack(Code::EMPTY, answer.message_id));
    assert_eq!(desk.event(), Event::ResponseDelivered { handle, peer: PEER });
    desk.sleep_secs(300);
    desk.expect_silence();
}

#[test]
fn the_caller_may_acknowledge_before_the_processing_delay_is_over() {
    let mut desk = Desk::new();
    let (handle, _) = desk.receive_request(&Wire::con(GET, 1));
    desk.endpoint.acknowledge(handle).expect("not answered yet");
    assert_eq!(desk.sent(), Wire::ack(Code::EMPTY, 1));
    desk.endpoint.acknowledge(handle).expect("not answered yet");
    desk.sleep_secs(200);
    desk.expect_silence();
}

#[test]
fn a_separate_answer_that_is_not_taken_is_told() {
    for is_reset in [true, false] {
        let mut desk = Desk::new();
        let (handle, _) = desk.receive_request(&Wire::con(GET, 1));
        desk.sleep_secs(1);
        desk.endpoint.respond(desk.now, handle, text("late")).expect("not answered yet");
        assert_eq!(desk.sent().code, Code::EMPTY);
        let answer = desk.sent();
        let failure = if is_reset {
            desk.receive(&Wire::rst(answer.message_id));
            Failure::Reset
        } else {
            desk.sleep_secs(93);
            assert_eq!(desk.skip_sent(), 4);
            Failure::TimedOut
        };
        assert_eq!(desk.event(), Event::ResponseFailed { handle, peer: PEER, failure });
        desk.expect_silence();
    }
}

#[test]
fn a_request_that_nobody_answers_is_given_up_when_its_peer_has() {
    let mut desk = Desk::new();
    let (handle, _) = desk.receive_request(&Wire::con(GET, 1));
    desk.sleep_secs(247);
    assert_eq!(desk.skip_sent(), 1);
    assert_eq!(desk.endpoint.respond(desk.now, handle, text("too late")), Err(Gone));
    assert_eq!(desk.endpoint.census().unanswered, 0);
}

/// Figure 23.
#[test]
fn a_non_confirmable_request_has_a_non_confirmable_answer() {
    let mut desk = Desk::new();
    let wire = Wire::non(GET, 0x7d40).token([0x75]).path("temperature");
    let (handle, _) = desk.receive_request(&wire);
    desk.sleep_secs(100);
    desk.expect_silence();
    desk.endpoint.respond(desk.now, handle, text("22.3 C")).expect("not answered yet");
    let answer = desk.sent();
    assert_eq!(answer.message_type, bugle_coap::MessageType::NonConfirmable);
    assert_eq!(answer.token, [0x75]);
    // RFC 7252 §4.5: one that comes again is ignored.
    desk.receive(&wire);
    desk.expect_silence();
}

#[test]
fn a_request_without_any_answer_is_sent_five_times_and_fails() {
    let mut desk = Desk::new();
    let exchange = desk.request(get("temperature"));
    let began = desk.now;
    desk.sleep_secs(93);
    assert_eq!(desk.skip_sent(), 5);
    assert_eq!(desk.event(), Event::Failed { exchange, peer: PEER, failure: Failure::TimedOut });
    assert!(desk.now - began >= Duration::from_secs(62));
    assert_eq!(desk.endpoint.counters().retransmissions, 4);
}

#[test]
fn an_acknowledged_request_is_not_sent_again_and_waits_for_its_response() {
    let mut desk = Desk::new();
    let exchange = desk.request(get("temperature"));
    let request = desk.sent();
    desk.receive(&Wire::ack(Code::EMPTY, request.message_id));
    assert_eq!(desk.event(), Event::Acknowledged { exchange, peer: PEER });
    desk.sleep_secs(90);
    desk.expect_silence();
    let separate = Wire::con(Code::CONTENT, 0xad7b).token(&request.token).payload("22.3 C");
    desk.receive(&separate);
    assert_eq!(desk.sent(), Wire::ack(Code::EMPTY, 0xad7b));
    assert!(matches!(desk.event(), Event::Response { exchange: of, .. } if of == exchange));
    // The acknowledgement got lost.
    desk.receive(&separate);
    assert_eq!(desk.sent(), Wire::ack(Code::EMPTY, 0xad7b));
    desk.expect_silence();
}

#[test]
fn a_response_stands_for_the_acknowledgement_that_got_lost() {
    let mut desk = Desk::new();
    let exchange = desk.request(get("temperature"));
    let request = desk.sent();
    desk.receive(&Wire::non(Code::CONTENT, 1).token(&request.token).payload("22.3 C"));
    assert!(matches!(desk.event(), Event::Response { exchange: of, .. } if of == exchange));
    desk.receive(&Wire::ack(Code::EMPTY, request.message_id));
    desk.sleep_secs(100);
    desk.expect_silence();
}

#[test]
fn a_response_that_does_not_follow_the_acknowledgement_is_missed_in_the_end() {
    let mut desk = Desk::new();
    let delivery = Delivery { response_timeout: Some(Duration::from_secs(30)), ..Delivery::default() };
    let exchange = desk.request_with(get("temperature"), delivery);
    let request = desk.sent();
    desk.receive(&Wire::ack(Code::EMPTY, request.message_id));
    desk.event();
    desk.sleep(Duration::from_millis(29_999));
    desk.expect_silence();
    desk.sleep(Duration::from_millis(1));
    assert_eq!(desk.event(), Event::Failed { exchange, peer: PEER, failure: Failure::NoResponse });
    // What comes too late is rejected.
    desk.receive(&Wire::con(Code::CONTENT, 9).token(&request.token));
    assert_eq!(desk.sent(), Wire::rst(9));
}

#[test]
fn a_reset_request_fails() {
    let mut desk = Desk::new();
    let exchange = desk.request(get("temperature"));
    let request = desk.sent();
    desk.receive(&Wire::rst(request.message_id.wrapping_add(1)));
    desk.expect_silence();
    desk.receive(&Wire::rst(request.message_id));
    assert_eq!(desk.event(), Event::Failed { exchange, peer: PEER, failure: Failure::Reset });
}

#[test]
fn a_response_from_elsewhere_or_with_another_token_is_no_answer() {
    let mut desk = Desk::new();
    desk.request(get("temperature"));
    let request = desk.sent();
    desk.receive_from(PEER + 1, &Wire::ack(Code::CONTENT, request.message_id).token(&request.token).bytes());
    desk.receive(&Wire::ack(Code::CONTENT, request.message_id).token([1, 2, 3]));
    desk.receive(&Wire::ack(Code::CONTENT, request.message_id.wrapping_add(1)).token(&request.token));
    desk.expect_silence();
    assert_eq!(desk.endpoint.counters().ignored, 3);
    desk.receive_from(PEER + 1, &Wire::con(Code::CONTENT, 5).token(&request.token).bytes());
    assert_eq!(desk.sent_to(), (PEER + 1, Wire::rst(5)));
    desk.expect_silence();
}

#[test]
fn one_exchange_is_in_progress_with_a_peer_and_the_others_wait_in_order() {
    let mut desk = Desk::new();
    for path in ["a", "b", "c"] {
        desk.request(get(path));
    }
    for path in ["a", "b", "c"] {
        let request = desk.sent();
        assert_eq!(request.options.view().texts(OptionNumber::URI_PATH).collect::<Vec<_>>(), [path]);
        desk.expect_silence();
        desk.receive(&Wire::ack(Code::CONTENT, request.message_id).token(&request.token));
        desk.event();
    }
}

#[test]
fn a_response_that_is_awaited_does_not_hold_up_the_next_request() {
    let mut desk = Desk::new();
    desk.request(get("slow"));
    desk.request(get("fast"));
    let slow = desk.sent();
    desk.expect_silence();
    desk.receive(&Wire::ack(Code::EMPTY, slow.message_id));
    desk.event();
    let fast = desk.sent();
    desk.receive(&Wire::con(Code::CONTENT, 1).token(&slow.token));
    desk.event();
    desk.receive(&Wire::ack(Code::CONTENT, fast.message_id).token(&fast.token));
    desk.event();
}

#[test]
fn a_non_confirmable_request_is_sent_once_and_holds_up_the_next_no_longer_than_a_round_trip() {
    let mut desk = Desk::new();
    let delivery = Delivery { response_timeout: Some(Duration::from_secs(20)), ..NON };
    let exchange = desk.request_with(get("lossy"), delivery);
    desk.request(get("next"));
    assert_eq!(desk.sent().message_type, bugle_coap::MessageType::NonConfirmable);
    desk.expect_silence();
    desk.sleep_secs(3);
    let next = desk.sent();
    desk.receive(&Wire::ack(Code::CONTENT, next.message_id).token(&next.token));
    desk.event();
    desk.sleep_secs(20);
    assert_eq!(desk.event(), Event::Failed { exchange, peer: PEER, failure: Failure::NoResponse });
    desk.expect_silence();
}

#[test]
fn a_ping_is_answered_with_a_reset_and_a_reset_is_a_pong() {
    let mut desk = Desk::new();
    desk.receive(&Wire::con(Code::EMPTY, 77));
    assert_eq!(desk.sent(), Wire::rst(77));
    let exchange = desk.endpoint.ping(desk.now, PEER).expect("nothing waits");
    let ping = desk.sent();
    assert_eq!(ping, Wire::con(Code::EMPTY, ping.message_id));
    desk.receive(&Wire::rst(ping.message_id));
    assert_eq!(desk.event(), Event::Pong { exchange, peer: PEER });
    let exchange = desk.endpoint.ping(desk.now, PEER).expect("nothing waits");
    desk.sleep_secs(93);
    assert_eq!(desk.event(), Event::Failed { exchange, peer: PEER, failure: Failure::TimedOut });
}

#[test]
fn a_cancelled_request_is_sent_no_more_and_the_next_begins() {
    let mut desk = Desk::new();
    let first = desk.request(get("a"));
    desk.request(get("b"));
    let request = desk.sent();
    desk.endpoint.cancel(desk.now, first);
    assert_eq!(desk.sent().options.view().first(OptionNumber::URI_PATH), Some(&b"b"[..]));
    desk.receive(&Wire::ack(Code::CONTENT, request.message_id).token(&request.token));
    desk.expect_silence();
}

#[test]
fn hints_when_to_ask_again_arrive_as_they_are_sent() {
    let mut desk = Desk::new();
    let hint = RetryHint::TooManyRequests { after: Duration::from_secs(7) };
    let (handle, _) = desk.receive_request(&Wire::con(POST, 1).path("rd"));
    desk.endpoint.respond(desk.now, handle, Response::retry(hint)).expect("not answered yet");
    let answer = desk.sent();
    assert_eq!(answer.code.to_string(), "4.29");
    assert_eq!(answer.options.view().uint(OptionNumber::MAX_AGE), Some(7));
    desk.request(get("busy"));
    let request = desk.sent();
    let busy = Wire::ack(Code::SERVICE_UNAVAILABLE, request.message_id).token(&request.token);
    desk.receive(&busy.uint(OptionNumber::MAX_AGE, 30));
    let Event::Response { response, .. } = desk.event() else { panic!("a response") };
    assert_eq!(response.retry_hint(), Some(RetryHint::ServiceUnavailable { after: Duration::from_secs(30) }));
}

/// RFC 9175 §2.3.
#[test]
fn a_challenged_peer_is_known_to_be_there_when_it_asks_again() {
    let mut desk = Desk::new();
    let (handle, _) = desk.receive_request(&Wire::con(PUT, 1).path("valve"));
    desk.endpoint.challenge(desk.now, handle).expect("not answered yet");
    let challenge = desk.sent();
    assert_eq!(challenge.code, Code::UNAUTHORIZED);
    let value = challenge.options.view().first(OptionNumber::ECHO).expect("a value to repeat").to_vec();
    let again = |id: u16| Wire::con(PUT, id).path("valve").option(OptionNumber::ECHO, &value);
    let freshness = |desk: &mut Desk, peer, id| {
        desk.receive_from(peer, &again(id).bytes());
        match desk.event() {
            Event::Request { freshness, .. } => freshness,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(freshness(&mut desk, PEER, 2), Freshness::Echoed);
    assert_eq!(freshness(&mut desk, PEER + 1, 3), Freshness::Unknown);
    desk.sleep_secs(61);
    assert_eq!(freshness(&mut desk, PEER, 4), Freshness::Unknown);
}

#[test]
fn the_parameters_of_transmission_are_the_callers_to_set() {
    let transmission = Transmission {
        ack_timeout: Duration::from_millis(100),
        ack_random_percent: 0,
        max_retransmit: 1,
        processing_delay: Duration::from_millis(10),
        ..Transmission::default()
    };
    let mut desk = Desk::with(Config { transmission, ..Config::default() });
    let exchange = desk.request(get("near"));
    desk.sleep(Duration::from_millis(299));
    assert_eq!(desk.skip_sent(), 2);
    desk.expect_silence();
    desk.sleep(Duration::from_millis(1));
    assert_eq!(desk.event(), Event::Failed { exchange, peer: PEER, failure: Failure::TimedOut });
    desk.receive_request(&Wire::con(GET, 1));
    desk.sleep(Duration::from_millis(10));
    assert_eq!(desk.sent(), Wire::ack(Code::EMPTY, 1));
}
