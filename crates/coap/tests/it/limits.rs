//! Every bound, reached. Those of single tables are reached where the tables are.

use std::time::Duration;

use bugle_coap::{
    Census, Code, Config, Delivery, Event, Failure, Identity, Limits, MessageId, Method, Observe, OptionNumber,
    Request, RequestError, Response, Token,
};

use crate::desk::{Desk, PEER};
use crate::wire::{GET, Wire};

fn desk(limits: Limits) -> Desk {
    Desk::with(Config { limits, ..Config::default() })
}

fn get() -> Request {
    Request::new(Method::Get)
}

#[test]
fn no_more_exchanges_with_a_peer_are_open_than_the_limit() {
    let mut desk = desk(Limits { exchanges_per_peer_max: 3, ..Limits::default() });
    for _ in 0..3 {
        desk.request(get());
    }
    let refused = desk.endpoint.request(desk.now, PEER, get(), Delivery::default());
    assert_eq!(refused, Err(RequestError::TooManyExchanges));
    assert_eq!(desk.endpoint.ping(desk.now, PEER), Err(RequestError::TooManyExchanges));
    assert!(desk.endpoint.request(desk.now, PEER + 1, get(), Delivery::default()).is_ok());
}

#[test]
fn a_peer_that_acknowledges_and_never_answers_is_not_asked_any_number_of_times() {
    let mut desk = desk(Limits { exchanges_per_peer_max: 2, ..Limits::default() });
    for _ in 0..2 {
        desk.request(get());
        let sent = desk.sent();
        desk.receive(&Wire::ack(Code::EMPTY, sent.message_id));
        desk.event();
    }
    let refused = desk.endpoint.request(desk.now, PEER, get(), Delivery::default());
    assert_eq!(refused, Err(RequestError::TooManyExchanges));
    desk.sleep_secs(100);
    let ended = [desk.event(), desk.event()];
    assert!(ended.iter().all(|event| matches!(event, Event::Failed { failure: Failure::NoResponse, .. })));
    desk.request(get());
}

#[test]
fn requests_of_one_peer_more_than_the_limit_are_dropped_until_some_are_answered() {
    let mut desk = desk(Limits { unanswered_per_peer_max: 2, ..Limits::default() });
    let (first, _) = desk.receive_request(&Wire::con(GET, 1));
    desk.receive_request(&Wire::con(GET, 2));
    let third = Wire::con(GET, 3);
    desk.receive(&third);
    desk.expect_silence();
    assert_eq!(desk.endpoint.counters().dropped, 1);
    desk.receive_from(PEER + 1, &third.bytes());
    desk.event();
    desk.endpoint.respond(desk.now, first, Response::new(Code::CONTENT)).expect("not answered yet");
    desk.sent();
    desk.receive_request(&third);
}

#[test]
fn a_peer_that_never_acknowledges_cannot_have_any_number_of_answers_kept_for_it() {
    let mut desk = desk(Limits { unanswered_per_peer_max: 2, ..Limits::default() });
    for id in 1..=2 {
        let (handle, _) = desk.receive_request(&Wire::con(GET, id));
        desk.endpoint.acknowledge(handle).expect("not answered yet");
        desk.endpoint.respond(desk.now, handle, Response::new(Code::CONTENT)).expect("not answered yet");
    }
    desk.skip_sent();
    desk.receive(&Wire::con(GET, 3));
    desk.expect_silence();
    desk.sleep_secs(93);
    assert!(matches!(desk.event(), Event::ResponseFailed { failure: Failure::TimedOut, .. }));
    desk.receive_request(&Wire::con(GET, 4));
}

#[test]
fn no_more_peers_are_remembered_than_the_limit_and_pings_are_answered_to_all() {
    let mut desk = desk(Limits { peers_max: 1, ..Limits::default() });
    desk.receive_request(&Wire::con(GET, 1));
    desk.receive_from(PEER + 1, &Wire::con(GET, 1).bytes());
    desk.expect_silence();
    let refused = desk.endpoint.request(desk.now, PEER + 1, get(), Delivery::default());
    assert_eq!(refused, Err(RequestError::TooManyPeers));
    desk.receive_from(PEER + 1, &Wire::con(Code::EMPTY, 2).bytes());
    assert_eq!(desk.sent_to(), (PEER + 1, Wire::rst(2)));
    desk.sleep_secs(310);
    desk.skip_sent();
    desk.receive_from(PEER + 1, &Wire::con(GET, 1).bytes());
    assert!(matches!(desk.event(), Event::Request { .. }));
}

#[test]
fn a_peer_is_forgotten_with_the_last_that_must_be_remembered_of_it() {
    let mut desk = desk(Limits::default());
    for id in 0..100 {
        let (handle, _) = desk.receive_request(&Wire::con(GET, id));
        desk.endpoint.respond(desk.now, handle, Response::new(Code::CONTENT)).expect("not answered yet");
        desk.sleep_secs(1);
    }
    assert_eq!(desk.endpoint.census(), Census { peers: 1, remembered: 32, ..Census::default() });
    desk.sleep_secs(310);
    assert_eq!(desk.endpoint.census(), Census::default());
    desk.request(get());
    desk.sleep_secs(93 + 310);
    assert_eq!(desk.endpoint.census(), Census::default());
    assert_eq!(desk.endpoint.next_timeout(), None);
}

#[test]
fn no_more_is_observed_on_either_side_than_the_limits() {
    let mut desk = desk(Limits { observers_per_peer_max: 1, observations_per_peer_max: 1, ..Limits::default() });
    let accepted: Vec<_> = (1..=2)
        .map(|id| {
            let (handle, _) =
                desk.receive_request(&Wire::con(GET, id).token([id as u8]).uint(OptionNumber::OBSERVE, 0));
            desk.endpoint.accept_observer(desk.now, handle, Response::new(Code::CONTENT)).expect("not answered yet")
        })
        .collect();
    assert!(accepted[0].is_some() && accepted[1].is_none());
    desk.skip_sent();
    let observe = get().with_observe(Observe::Register);
    desk.request(observe.clone());
    let request = desk.sent();
    desk.receive(&Wire::ack(Code::CONTENT, request.message_id).token(&request.token).uint(OptionNumber::OBSERVE, 1));
    desk.event();
    let refused = desk.endpoint.request(desk.now, PEER, observe.clone(), Delivery::default());
    assert_eq!(refused, Err(RequestError::TooManyObservations));
    let refused = desk.endpoint.restore_observation(desk.now, PEER, Token::EMPTY, observe);
    assert_eq!(refused, Err(RequestError::TooManyObservations));
}

#[test]
fn a_response_with_a_larger_body_than_is_taken_fails() {
    let mut desk = desk(Limits { body_bytes_max: 20, ..Limits::default() });
    let exchange = desk.request(get());
    let request = desk.sent();
    let answer = Wire::ack(Code::CONTENT, request.message_id).token(&request.token);
    desk.receive(&answer.block(OptionNumber::BLOCK2, 0, true, 16).uint(OptionNumber::SIZE2, 21).payload([0; 16]));
    assert_eq!(desk.event(), Event::Failed { exchange, peer: PEER, failure: Failure::BodyTooLarge });
}

#[test]
fn what_the_endpoint_writes_itself_a_caller_may_not() {
    let mut desk = desk(Limits::default());
    let mut request = get();
    request.options.add_uint(OptionNumber::BLOCK2, 0).expect("any number will do");
    let refused = desk.endpoint.request(desk.now, PEER, request, Delivery::default());
    assert_eq!(refused, Err(RequestError::ReservedOption(OptionNumber::BLOCK2)));
    let identity = Identity { message_id: MessageId::supplied(1), token: Token::EMPTY };
    let delivery = Delivery { identity: Some(identity), ..Delivery::default() };
    desk.request_with(get(), delivery);
    let refused = desk.endpoint.request(desk.now, PEER, get(), delivery);
    assert_eq!(refused, Err(RequestError::TokenInUse));
}

#[test]
fn a_peer_that_is_forgotten_takes_everything_with_it_and_each_end_is_told() {
    let mut desk = desk(Limits::default());
    let awaited = desk.request(get());
    let request = desk.sent();
    desk.receive(&Wire::ack(Code::EMPTY, request.message_id));
    desk.event();
    let in_flight = desk.request(get());
    let waiting = desk.request(get());
    let (handle, _) = desk.receive_request(&Wire::con(GET, 1).token([1]).uint(OptionNumber::OBSERVE, 0));
    let observer = desk.endpoint.accept_observer(desk.now, handle, Response::new(Code::CONTENT));
    let observer = observer.expect("not answered yet").expect("it asks to observe");
    let (unanswered, _) = desk.receive_request(&Wire::con(GET, 2));
    let observe = get().with_observe(Observe::Register);
    let observation = desk.endpoint.restore_observation(desk.now, PEER, Token::EMPTY, observe).expect("room");
    let block = Wire::con(Code::new(0, 3), 3).block(OptionNumber::BLOCK1, 0, true, 16).payload([0; 16]);
    desk.receive(&block);
    desk.skip_sent();
    desk.endpoint.forget(desk.now, PEER);
    for exchange in [in_flight, waiting, awaited] {
        assert_eq!(desk.event(), Event::Failed { exchange, peer: PEER, failure: Failure::Forgotten });
    }
    let departure = bugle_coap::Departure::Forgotten;
    assert_eq!(desk.event(), Event::ObserverGone { observer, peer: PEER, departure });
    assert_eq!(desk.event(), Event::Failed { exchange: observation, peer: PEER, failure: Failure::Forgotten });
    assert!(desk.endpoint.respond(desk.now, unanswered, Response::new(Code::CONTENT)).is_err());
    assert_eq!(desk.endpoint.census(), Census::default());
    desk.sleep_secs(300);
    desk.expect_silence();
}

#[test]
fn a_peer_that_moved_is_answered_at_its_new_address_and_its_duplicates_are_known_there() {
    let mut desk = desk(Limits::default());
    desk.request(get());
    let request = desk.sent();
    let wire = Wire::con(GET, 1);
    let (handle, _) = desk.receive_request(&wire);
    // Whoever had the new address before is forgotten.
    let former = desk.endpoint.request(desk.now, PEER + 1, get(), Delivery::default()).expect("nothing waits");
    assert_eq!(desk.sent_to().0, PEER + 1);
    desk.endpoint.peer_moved(desk.now, PEER, PEER + 1);
    assert_eq!(desk.event(), Event::Failed { exchange: former, peer: PEER + 1, failure: Failure::Forgotten });
    desk.endpoint.respond(desk.now, handle, Response::new(Code::CONTENT)).expect("not answered yet");
    assert_eq!(desk.sent_to().0, PEER + 1);
    desk.receive_from(PEER + 1, &wire.bytes());
    assert_eq!(desk.sent_to(), (PEER + 1, Wire::ack(Code::CONTENT, 1)));
    desk.sleep(Duration::from_secs(3));
    assert_eq!(desk.sent_to(), (PEER + 1, request));
    assert_eq!(desk.endpoint.census().peers, 1);
}
