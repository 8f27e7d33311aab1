//! RFC 7641: observing, and being observed.

use std::time::Duration;

use bugle_coap::{
    BlockSize, Code, Config, ContentFormat, Departure, Event, ExchangeId, Failure, Gone, MessageType, Method,
    Observation, Observe, ObserverId, OptionNumber, Reliability, Request, Response, Token,
};

use crate::desk::{Desk, PEER};
use crate::wire::{GET, Wire};

const OBSERVE: OptionNumber = OptionNumber::OBSERVE;
const BLOCK2: OptionNumber = OptionNumber::BLOCK2;

fn state(text: &str) -> Response {
    Response::new(Code::CONTENT).with_payload(ContentFormat::TEXT, text.to_owned())
}

fn register(message_id: u16) -> Wire {
    Wire::con(GET, message_id).token([0x4a]).path("temperature").uint(OBSERVE, 0)
}

/// A peer that observes us.
fn observed(desk: &mut Desk) -> ObserverId {
    let (handle, request) = desk.receive_request(&register(1633));
    assert_eq!(request.observe(), Some(Observe::Register));
    let observer = desk.endpoint.accept_observer(desk.now, handle, state("22.9 Cel")).expect("not answered yet");
    let answer = desk.sent();
    assert_eq!((answer.message_id, answer.options.view().uint(OBSERVE)), (1633, Some(1)));
    observer.expect("it asks to observe")
}

fn notify(desk: &mut Desk, observer: ObserverId, text: &str, reliability: Reliability) {
    desk.endpoint.notify(desk.now, observer, state(text), reliability).expect("the observer is there");
}

/// A peer that we observe; the token of the observation.
fn observing(desk: &mut Desk) -> (ExchangeId, Vec<u8>) {
    let request = Request::new(Method::Get).with_path("/3303/0").expect("short segments");
    let exchange = desk.request(request.with_observe(Observe::Register));
    let request = desk.sent();
    let answer = Wire::ack(Code::CONTENT, request.message_id).token(&request.token);
    desk.receive(&answer.uint(OBSERVE, 10).payload("22.9"));
    let Event::Response { exchange: of, observation, .. } = desk.event() else { panic!("a response") };
    assert_eq!((of, observation), (exchange, Observation::Begun));
    (exchange, request.token)
}

fn notification(message_id: u16, token: &[u8], sequence: u32, text: &str) -> Wire {
    Wire::non(Code::CONTENT, message_id).token(token).uint(OBSERVE, sequence).payload(text)
}

fn told(desk: &mut Desk, exchange: ExchangeId) -> String {
    match desk.event() {
        Event::Notification { exchange: of, response, .. } if of == exchange => {
            String::from_utf8(response.payload.to_vec()).expect("text")
        }
        other => panic!("{other:?}"),
    }
}

/// Figure 1 and appendix A.
#[test]
fn an_observer_is_told_of_each_state_under_its_token_with_growing_numbers() {
    let mut desk = Desk::new();
    let observer = observed(&mut desk);
    notify(&mut desk, observer, "22.8 Cel", Reliability::NonConfirmable);
    let first = desk.sent();
    assert_eq!((first.message_type, first.token.as_slice()), (MessageType::NonConfirmable, &[0x4a][..]));
    notify(&mut desk, observer, "23.1 Cel", Reliability::Confirmable);
    let second = desk.sent();
    assert_eq!((second.message_type, second.payload.as_slice()), (MessageType::Confirmable, &b"23.1 Cel"[..]));
    assert_eq!([&first, &second].map(|wire| wire.options.view().uint(OBSERVE)), [Some(2), Some(3)]);
    desk.receive(&Wire::ack(Code::EMPTY, second.message_id));
    assert_eq!(desk.event(), Event::NotificationDelivered { observer, peer: PEER });
}

#[test]
fn while_a_notification_is_on_its_way_only_the_newest_state_waits_and_takes_its_place() {
    let mut desk = Desk::new();
    let observer = observed(&mut desk);
    notify(&mut desk, observer, "1", Reliability::Confirmable);
    let first = desk.sent();
    for text in ["2", "3", "4"] {
        notify(&mut desk, observer, text, Reliability::Confirmable);
    }
    desk.expect_silence();
    desk.sleep_secs(3);
    let again = desk.sent();
    assert_eq!(again.payload, b"4");
    assert!(again.message_id != first.message_id && again.options.view().uint(OBSERVE) == Some(3));
    // The attempts go on being counted: five in all.
    desk.sleep_secs(90);
    assert_eq!(desk.skip_sent(), 3);
    assert_eq!(desk.event(), Event::ObserverGone { observer, peer: PEER, departure: Departure::TimedOut });
    assert_eq!(desk.endpoint.notify(desk.now, observer, state("5"), Reliability::Confirmable), Err(Gone));
}

#[test]
fn a_state_that_changed_while_a_notification_was_on_its_way_follows_its_acknowledgement() {
    let mut desk = Desk::new();
    let observer = observed(&mut desk);
    notify(&mut desk, observer, "1", Reliability::Confirmable);
    let first = desk.sent();
    notify(&mut desk, observer, "2", Reliability::NonConfirmable);
    desk.receive(&Wire::ack(Code::EMPTY, first.message_id));
    let second = desk.sent();
    assert_eq!(second.payload, b"2");
    desk.receive(&Wire::ack(Code::EMPTY, second.message_id));
    assert_eq!(desk.event(), Event::NotificationDelivered { observer, peer: PEER });
    desk.expect_silence();
}

#[test]
fn an_observer_that_says_so_or_rejects_a_notification_observes_no_more() {
    for reliability in [Reliability::Confirmable, Reliability::NonConfirmable] {
        let mut desk = Desk::new();
        let observer = observed(&mut desk);
        notify(&mut desk, observer, "1", reliability);
        let notification = desk.sent();
        desk.receive(&Wire::rst(notification.message_id));
        assert_eq!(desk.event(), Event::ObserverGone { observer, peer: PEER, departure: Departure::Reset });
        assert_eq!(desk.endpoint.census().observers, 0);
    }
    let mut desk = Desk::new();
    let observer = observed(&mut desk);
    desk.receive(&Wire::con(GET, 1700).token([0x4a]).path("temperature").uint(OBSERVE, 1));
    assert_eq!(desk.event(), Event::ObserverGone { observer, peer: PEER, departure: Departure::Cancelled });
    // It is a GET, too.
    let Event::Request { handle, .. } = desk.event() else { panic!("a request") };
    assert_eq!(desk.endpoint.accept_observer(desk.now, handle, state("22.9 Cel")), Ok(None));
    assert_eq!(desk.sent().options.view().first(OBSERVE), None);
}

#[test]
fn an_error_is_the_last_word_to_an_observer() {
    let mut desk = Desk::new();
    let observer = observed(&mut desk);
    notify(&mut desk, observer, "1", Reliability::Confirmable);
    desk.sent();
    let gone = Response::new(Code::NOT_FOUND);
    desk.endpoint.notify(desk.now, observer, gone, Reliability::NonConfirmable).expect("the observer is there");
    let departure = Departure::Ended(Code::NOT_FOUND);
    assert_eq!(desk.event(), Event::ObserverGone { observer, peer: PEER, departure });
    let last = desk.sent();
    assert_eq!((last.message_type, last.code), (MessageType::Confirmable, Code::NOT_FOUND));
    assert_eq!(last.options.view().first(OBSERVE), None);
    desk.receive(&Wire::ack(Code::EMPTY, last.message_id));
    desk.sleep_secs(100);
    desk.expect_silence();
}

#[test]
fn asking_again_under_the_same_token_is_the_same_observation() {
    let mut desk = Desk::new();
    let observer = observed(&mut desk);
    let (handle, _) = desk.receive_request(&register(1800));
    assert_eq!(desk.endpoint.accept_observer(desk.now, handle, state("1")), Ok(Some(observer)));
    assert_eq!(desk.endpoint.census().observers, 1);
    assert_eq!(desk.sent().options.view().uint(OBSERVE), Some(2));
}

#[test]
fn once_a_day_a_notification_is_confirmable_whatever_the_caller_says() {
    let mut desk = Desk::new();
    let observer = observed(&mut desk);
    desk.sleep_secs(86_400);
    notify(&mut desk, observer, "1", Reliability::NonConfirmable);
    let first = desk.sent();
    assert_eq!(first.message_type, MessageType::Confirmable);
    desk.receive(&Wire::ack(Code::EMPTY, first.message_id));
    notify(&mut desk, observer, "2", Reliability::NonConfirmable);
    assert_eq!(desk.sent().message_type, MessageType::NonConfirmable);
}

/// RFC 7959, figure 12.
#[test]
fn the_rest_of_a_long_notification_is_there_to_fetch() {
    let mut desk = Desk::with(Config { block_size: BlockSize::at_most(16), ..Config::default() });
    let observer = observed(&mut desk);
    notify(&mut desk, observer, "a state of more than one block", Reliability::NonConfirmable);
    let first = desk.sent();
    assert_eq!((first.blocks().as_str(), first.options.view().uint(OBSERVE)), ("2:0/1/16", Some(2)));
    desk.receive(&Wire::con(GET, 1900).token([0x4b]).path("temperature").block(BLOCK2, 1, false, 16));
    let rest = desk.sent();
    assert_eq!([first.payload, rest.payload].concat(), b"a state of more than one block");
    assert_eq!(rest.options.view().first(OBSERVE), None);
}

#[test]
fn notifications_are_told_in_order_and_what_comes_late_is_not() {
    let mut desk = Desk::new();
    let (exchange, token) = observing(&mut desk);
    desk.receive(&notification(1, &token, 12, "23.1"));
    assert_eq!(told(&mut desk, exchange), "23.1");
    desk.receive(&notification(2, &token, 11, "23.0"));
    desk.receive(&notification(1, &token, 12, "23.1"));
    desk.expect_silence();
    assert_eq!(desk.endpoint.counters().notifications_stale, 1);
    // RFC 7641 §3.4: after 128 seconds the numbers say nothing any more.
    desk.sleep_secs(129);
    desk.receive(&notification(3, &token, 11, "22.0"));
    assert_eq!(told(&mut desk, exchange), "22.0");
}

#[test]
fn a_confirmable_notification_is_acknowledged_even_if_it_is_late() {
    let mut desk = Desk::new();
    let (exchange, token) = observing(&mut desk);
    let confirmable =
        |id, sequence| Wire { message_type: MessageType::Confirmable, ..notification(id, &token, sequence, "x") };
    desk.receive(&confirmable(1, 12));
    assert_eq!(desk.sent(), Wire::ack(Code::EMPTY, 1));
    told(&mut desk, exchange);
    desk.receive(&confirmable(2, 11));
    assert_eq!(desk.sent(), Wire::ack(Code::EMPTY, 2));
    desk.expect_silence();
}

#[test]
fn an_observation_ends_with_a_word_from_the_peer() {
    for last in [Wire::con(Code::NOT_FOUND, 5), Wire::con(Code::CONTENT, 5).payload("last")] {
        let mut desk = Desk::new();
        let (exchange, token) = observing(&mut desk);
        desk.receive(&last.clone().token(&token));
        assert_eq!(desk.sent(), Wire::ack(Code::EMPTY, 5));
        let Event::ObservationEnded { exchange: of, response, .. } = desk.event() else { panic!("the end") };
        assert_eq!((of, response.code), (exchange, last.code));
        desk.receive(&Wire { message_type: MessageType::Confirmable, ..notification(6, &token, 20, "more") });
        assert_eq!(desk.sent(), Wire::rst(6));
        desk.expect_silence();
    }
}

/// RFC 7641 §3.6.
#[test]
fn the_end_of_an_observation_is_asked_for_under_its_token() {
    let mut desk = Desk::new();
    let (exchange, token) = observing(&mut desk);
    desk.endpoint.cancel(desk.now, exchange);
    let cancel = desk.sent();
    assert_eq!((cancel.token.as_slice(), cancel.options.view().uint(OBSERVE)), (token.as_slice(), Some(1)));
    assert_eq!(cancel.options.view().texts(OptionNumber::URI_PATH).collect::<Vec<_>>(), ["3303", "0"]);
    desk.receive(&Wire::ack(Code::CONTENT, cancel.message_id).token(&token).payload("22.9"));
    let Event::Response { exchange: of, observation, .. } = desk.event() else { panic!("a response") };
    assert_eq!((of, observation), (exchange, Observation::None));
    desk.receive(&notification(9, &token, 20, "more"));
    assert_eq!(desk.sent(), Wire::rst(9));
}

#[test]
fn a_peer_that_does_not_let_itself_be_observed_just_answers() {
    let mut desk = Desk::new();
    desk.request(Request::new(Method::Get).with_observe(Observe::Register));
    let request = desk.sent();
    desk.receive(&Wire::ack(Code::CONTENT, request.message_id).token(&request.token).payload("22.9"));
    let Event::Response { observation, .. } = desk.event() else { panic!("a response") };
    assert_eq!(observation, Observation::None);
    assert_eq!(desk.endpoint.census().observations, 0);
}

#[test]
fn a_long_notification_is_told_whole() {
    let mut desk = Desk::new();
    let (exchange, token) = observing(&mut desk);
    let tagged =
        |wire: Wire, number, has_more| wire.option(OptionNumber::ETAG, b"e").block(BLOCK2, number, has_more, 16);
    desk.receive(&tagged(notification(1, &token, 11, "sixteen bytes at"), 0, true));
    let fetch = desk.sent();
    assert_eq!((fetch.blocks().as_str(), fetch.options.view().first(OBSERVE)), ("2:1/0/16", None));
    assert_ne!(fetch.token, token);
    desk.receive(&tagged(Wire::ack(Code::CONTENT, fetch.message_id).token(&fetch.token).payload(" a time"), 1, false));
    assert_eq!(told(&mut desk, exchange), "sixteen bytes at a time");
    desk.expect_silence();
}

#[test]
fn a_newer_notification_stops_the_fetching_of_an_older_one() {
    let mut desk = Desk::new();
    let (exchange, token) = observing(&mut desk);
    desk.receive(&notification(1, &token, 11, "sixteen bytes at").block(BLOCK2, 0, true, 16));
    desk.sent();
    desk.receive(&notification(2, &token, 12, "short"));
    assert_eq!(told(&mut desk, exchange), "short");
    assert_eq!(desk.endpoint.census().exchanges, 0);
    // Of a notification whose rest does not come, nothing is told; the next one is.
    desk.receive(&notification(3, &token, 13, "sixteen bytes at").block(BLOCK2, 0, true, 16));
    desk.sleep_secs(93);
    desk.skip_sent();
    desk.expect_silence();
    assert_eq!(desk.endpoint.counters().notifications_lost, 1);
    desk.receive(&notification(4, &token, 14, "next"));
    assert_eq!(told(&mut desk, exchange), "next");
}

#[test]
fn an_observation_whose_first_body_cannot_be_had_is_none() {
    let mut desk = Desk::new();
    let exchange = desk.request(Request::new(Method::Get).with_observe(Observe::Register));
    let request = desk.sent();
    let answer = Wire::ack(Code::CONTENT, request.message_id).token(&request.token).uint(OBSERVE, 1);
    desk.receive(&answer.block(BLOCK2, 0, true, 16).payload([0; 16]));
    desk.sleep_secs(93);
    desk.skip_sent();
    assert_eq!(desk.event(), Event::Failed { exchange, peer: PEER, failure: Failure::TimedOut });
    assert_eq!(desk.endpoint.census().observations, 0);
}

#[test]
fn an_observation_from_before_a_restart_goes_on() {
    let mut desk = Desk::new();
    let token = Token::new(&[1, 2, 3]).expect("three bytes");
    let request = Request::new(Method::Get).with_path("/3303/0").expect("short segments");
    let request = request.with_observe(Observe::Register);
    let exchange = desk.endpoint.restore_observation(desk.now, PEER, token, request).expect("nothing else is observed");
    desk.sleep(Duration::from_secs(3_600));
    desk.receive(&notification(1, token.as_bytes(), 4_711, "23.1"));
    assert_eq!(told(&mut desk, exchange), "23.1");
    desk.endpoint.cancel(desk.now, exchange);
    assert_eq!(desk.sent().options.view().uint(OBSERVE), Some(1));
}

#[test]
fn a_notification_with_a_critical_option_that_is_unknown_ends_the_observation() {
    let mut desk = Desk::new();
    let (exchange, token) = observing(&mut desk);
    desk.receive(&notification(1, &token, 11, "x").option(OptionNumber::new(9), b"oscore"));
    assert_eq!(desk.sent(), Wire::rst(1));
    assert_eq!(desk.event(), Event::Failed { exchange, peer: PEER, failure: Failure::Unintelligible });
}
