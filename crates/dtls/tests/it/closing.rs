//! How sessions end, on both sides.

use bugle_dtls::{CloseReason, Config, Event, SendError};

use crate::desk::{Desk, valve};

#[test]
fn a_client_that_closes_is_gone_at_the_server() {
    let mut desk = Desk::new(Config::default());
    desk.seat_connected(1, valve());
    desk.client(1).close();
    desk.settle();
    assert_eq!(desk.clients_told, [(1, Event::Closed { peer: (), reason: CloseReason::ByCaller })]);
    assert_eq!(desk.told, [Event::Closed { peer: 1, reason: CloseReason::ByPeer }]);
    assert_eq!(desk.server.send(1, b"are you there"), Err(SendError::NoSession));
    assert_eq!(desk.client(1).send(b"are you there"), Err(SendError::NoSession));
    assert_eq!(desk.server.next_timeout(), None);
    desk.connect(1);
    desk.settle();
    desk.assert_they_talk(1);
}

#[test]
fn a_server_that_closes_is_gone_at_the_client() {
    let mut desk = Desk::new(Config::default());
    desk.seat_connected(1, valve());
    desk.server.close(1);
    desk.settle();
    assert_eq!(desk.told, [Event::Closed { peer: 1, reason: CloseReason::ByCaller }]);
    assert_eq!(desk.clients_told, [(1, Event::Closed { peer: (), reason: CloseReason::ByPeer })]);
    assert_eq!(desk.server.census(), bugle_dtls::Census::default());
    desk.server.close(1);
    assert_eq!(desk.server.poll_output(), None, "there is nothing more to close");
}

#[test]
fn a_server_that_stops_tells_everybody_whose_session_is_not_kept() {
    let mut desk = Desk::new(Config::default());
    desk.seat_connected(1, valve());
    desk.seat_connected(2, valve());
    desk.seat(3, valve());
    desk.connect(3);
    let hello = desk.hello_with_cookie(3);
    desk.deliver(3, &hello);
    desk.server.close_unkept();
    desk.settle();
    assert!(!desk.client(1).is_established() && !desk.client(2).is_established());
    assert_eq!(desk.server.census(), bugle_dtls::Census::default());
    assert_eq!(desk.server.next_timeout(), None);
    assert_eq!(desk.told.len(), 2, "{:?}", desk.told);
}

#[test]
fn a_server_that_stops_leaves_kept_sessions_to_the_next() {
    let mut desk = Desk::new(Config::default());
    desk.seat_connected(1, valve());
    desk.seat_connected(2, valve());
    let (kept, _) = desk.keep(1);
    desk.server.close_unkept();
    desk.settle();
    assert!(desk.client(1).is_established() && !desk.client(2).is_established());
    desk.replace_server(Config::default(), vec![(1, kept)]);
    desk.client(1).send(b"up").expect("there is a session");
    desk.settle();
    assert!(desk.received().contains(&(1, b"up")));
}

#[test]
fn a_handshake_can_be_closed_too() {
    let mut desk = Desk::new(Config::default());
    desk.seat(1, valve());
    desk.connect(1);
    let hello = desk.hello_with_cookie(1);
    desk.deliver(1, &hello);
    assert_eq!(desk.server.census().handshakes, 1);
    desk.server.close(1);
    assert_eq!(desk.server.census(), bugle_dtls::Census::default());
    assert_eq!(desk.server.next_timeout(), None);
    desk.client(1).close();
    assert_eq!(desk.client(1).next_timeout(), None);
}
