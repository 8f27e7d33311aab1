//! Every bound, reached.

use std::time::Duration;

use bugle_dtls::{CloseReason, Config, Event, HandshakeError, Limits, SendError, WhenFull};

use crate::desk::{Authority, Desk, valve};

const MINUTE: Duration = Duration::from_secs(60);

fn desk(limits: Limits) -> Desk {
    Desk::new(Config { limits, ..Config::default() })
}

#[test]
fn a_full_server_refuses_newcomers_if_it_is_told_to() {
    let mut desk = desk(Limits { sessions_max: 2, when_full: WhenFull::Refuse, ..Limits::default() });
    desk.seat_connected(1, valve());
    desk.seat_connected(2, valve());
    desk.seat(3, valve());
    desk.connect(3);
    desk.settle();
    assert_eq!(desk.server.counters().refused, 1);
    assert_eq!(desk.server.census().sessions, 2);
    // Who has a session may have another in its place.
    desk.seat(2, valve());
    desk.connect(2);
    desk.settle();
    desk.assert_they_talk(2);
    // The newcomer asks again, and finds room.
    desk.server.close(1);
    desk.run(MINUTE);
    desk.assert_they_talk(3);
}

#[test]
fn a_full_server_ends_the_session_that_was_silent_for_longest_if_it_is_told_to() {
    let mut desk = desk(Limits { sessions_max: 3, when_full: WhenFull::EndIdlest, ..Limits::default() });
    for address in 1..=3 {
        desk.seat_connected(address, valve());
        desk.run(MINUTE);
    }
    desk.client(1).send(b"still here").expect("there is a session");
    desk.settle();
    desk.told.clear();
    desk.seat(4, valve());
    desk.connect(4);
    desk.settle();
    assert_eq!(desk.told[0], Event::Closed { peer: 2, reason: CloseReason::NoRoom });
    assert!(matches!(desk.told[1], Event::Established { peer: 4, .. }));
    assert_eq!(desk.server.census().sessions, 3);
    desk.assert_they_talk(1);
}

#[test]
fn nobody_makes_room_for_one_who_has_not_shown_who_it_is() {
    let mut desk = desk(Limits { sessions_max: 1, when_full: WhenFull::EndIdlest, ..Limits::default() });
    desk.seat_connected(1, valve());
    desk.seat(2, crate::desk::with_key("valve-7", 9));
    desk.connect(2);
    desk.settle();
    assert!(!desk.server.is_established(2));
    desk.assert_they_talk(1);
}

#[test]
fn no_more_handshakes_are_under_way_than_the_limit_and_those_that_go_on_forever_end() {
    let mut desk = desk(Limits { handshakes_max: 3, ..Limits::default() });
    for address in 1..=5 {
        desk.seat(address, valve());
        desk.connect(address);
        let hello = desk.hello_with_cookie(address);
        desk.deliver(address, &hello);
        while desk.server.poll_output().is_some() {}
        desk.clients.remove(&address);
    }
    assert_eq!((desk.server.census().handshakes, desk.server.counters().refused), (3, 2));
    desk.run(MINUTE * 2);
    assert_eq!(desk.server.census().handshakes, 0);
    let timed_out = |event: &Event<u16>| {
        matches!(event, Event::HandshakeFailed { claimed: None, error: HandshakeError::TimedOut, .. })
    };
    assert!(desk.told.len() == 3 && desk.told.iter().all(timed_out), "{:?}", desk.told);
    assert_eq!(desk.server.next_timeout(), None);
}

#[test]
fn a_session_ends_when_its_peer_was_silent_for_too_long() {
    let mut desk = desk(Limits { idle_after: MINUTE * 10, ..Limits::default() });
    desk.seat_connected(1, valve());
    desk.run(MINUTE * 9);
    desk.client(1).send(b"still here").expect("there is a session");
    // That it is sent to does not show that it is there.
    desk.run(MINUTE * 5);
    desk.server.send(1, b"are you").expect("there is a session");
    desk.run(MINUTE * 4);
    assert!(desk.server.is_established(1));
    desk.run(MINUTE * 2);
    assert_eq!(desk.told.last(), Some(&Event::Closed { peer: 1, reason: CloseReason::Idle }));
    assert_eq!(desk.clients_told.last(), Some(&(1, Event::Closed { peer: (), reason: CloseReason::ByPeer })));
    assert_eq!(desk.server.send(1, b"are you"), Err(SendError::NoSession));
    assert_eq!((desk.server.census().sessions, desk.server.next_timeout()), (0, None));
}

#[test]
fn a_message_longer_than_the_limit_ends_the_handshake() {
    let authority = Authority::new("authority");
    let certificates = Some(authority.certificates("gateway"));
    let limits = Limits { handshake_bytes_max: 200, ..Limits::default() };
    let mut desk = Desk::new(Config { certificates, limits, ..Config::default() });
    let credential = bugle_dtls::ClientCredential::Certificate(authority.certificates("valve-7"));
    desk.seat(1, bugle_dtls::ClientConfig::new(credential));
    desk.connect(1);
    desk.settle();
    let error = HandshakeError::Malformed;
    assert_eq!(desk.told, [Event::HandshakeFailed { peer: 1, claimed: None, error }]);
}

#[test]
fn what_does_not_fit_a_record_is_not_sent() {
    let mut desk = desk(Limits::default());
    desk.seat_connected(1, valve());
    assert_eq!(desk.server.send(1, &[0; 16_385]), Err(SendError::TooLong(16_385)));
    assert_eq!(desk.client(1).send(&[0; 16_385]), Err(SendError::TooLong(16_385)));
    desk.server.send(1, &[0; 16_384]).expect("it fits");
    desk.settle();
    assert_eq!(desk.received_by(1), [[0; 16_384]]);
}
