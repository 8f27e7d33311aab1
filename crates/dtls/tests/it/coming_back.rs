//! Peers that come back from sleep from the same address with a new handshake (RFC 6347 §4.2.8).

use std::time::Duration;

use bugle_dtls::{CloseReason, Config, Event, HandshakeError};

use crate::desk::{Desk, valve, valve_identity, with_key};

#[test]
fn a_peer_that_has_forgotten_its_session_gets_another_from_the_same_address() {
    let mut desk = Desk::new(Config::default());
    desk.seat_connected(1, valve());
    desk.run(Duration::from_secs(3_600));
    desk.seat(1, valve());
    desk.connect(1);
    desk.settle();
    let replaced = Event::Closed { peer: 1, reason: CloseReason::Replaced };
    assert_eq!(desk.told, [replaced, Event::Established { peer: 1, identity: valve_identity() }]);
    desk.assert_they_talk(1);
    assert_eq!((desk.server.census().sessions, desk.server.census().handshakes), (1, 0));
}

#[test]
fn someone_at_the_address_of_a_peer_who_has_not_its_key_does_nothing_to_its_session() {
    let mut desk = Desk::new(Config::default());
    desk.seat_connected(1, valve());
    let peer = desk.clients.remove(&1).expect("it was seated");
    desk.seat(1, with_key("valve-7", 9));
    desk.connect(1);
    desk.settle();
    let claimed = Some(b"valve-7".to_vec());
    assert_eq!(desk.told, [Event::HandshakeFailed { peer: 1, claimed, error: HandshakeError::WrongKey }]);
    desk.clients.insert(1, peer);
    desk.assert_they_talk(1);
}

#[test]
fn while_a_new_handshake_is_under_way_both_ends_of_the_old_session_still_talk() {
    let mut desk = Desk::new(Config::default());
    desk.seat_connected(1, valve());
    // Another that was at the address came as far as the server's answer to its cookie.
    let peer = desk.clients.remove(&1).expect("it was seated");
    desk.seat(1, valve());
    desk.connect(1);
    let hello_with_cookie = desk.hello_with_cookie(1);
    desk.clients.insert(1, peer);
    desk.deliver(1, &hello_with_cookie);
    assert_eq!(desk.server.census().handshakes, 1);
    desk.assert_they_talk(1);
    assert_eq!(desk.server.census().handshakes, 1);
    // Nobody goes on with it, and it is forgotten; the session is not.
    desk.run(Duration::from_secs(120));
    assert_eq!(desk.told.len(), 2, "{:?}", desk.told);
    assert!(matches!(desk.told[1], Event::HandshakeFailed { error: HandshakeError::TimedOut, .. }));
    assert_eq!(desk.server.census().handshakes, 0);
    desk.assert_they_talk(1);
}

#[test]
fn a_hello_from_nowhere_does_nothing_to_a_session() {
    let mut desk = Desk::new(Config::default());
    desk.seat(2, valve());
    desk.connect(2);
    desk.settle();
    let hello = desk.to_server[0].1.clone();
    desk.seat_connected(1, valve());
    desk.deliver(1, &hello);
    assert_eq!((desk.server.census().handshakes, desk.told.len()), (0, 0));
    desk.assert_they_talk(1);
}

#[test]
fn the_hello_that_a_session_began_with_begins_nothing_when_it_comes_late() {
    let mut desk = Desk::new(Config::default());
    desk.seat_connected(1, valve());
    let hello_with_cookie = desk.to_server[1].1.clone();
    desk.deliver(1, &hello_with_cookie);
    assert_eq!(desk.server.census().handshakes, 0);
    assert_eq!(desk.server.counters().ignored, 1);
    desk.assert_they_talk(1);
}

#[test]
fn a_server_that_has_forgotten_a_peer_is_silent_until_that_says_hello() {
    let mut desk = Desk::new(Config::default());
    desk.seat_connected(1, valve());
    desk.server = bugle_dtls::Server::new(Config::default(), [9; 32]);
    desk.client(1).send(b"are you there").expect("it believes so");
    desk.settle();
    assert_eq!((desk.told.len(), desk.clients_told.len()), (0, 0));
    desk.connect(1);
    desk.settle();
    desk.assert_they_talk(1);
}
