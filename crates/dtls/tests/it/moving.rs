//! Peers whose address changes (RFC 9146).

use bugle_dtls::{ClientConfig, CloseReason, Config, ConnectionIdUse, Event};

use crate::desk::{Desk, valve, with_key};

/// The client that was at one address is at another.
fn move_client(desk: &mut Desk, from: u16, to: u16) {
    let client = desk.clients.remove(&from).expect("it was seated");
    desk.clients.insert(to, client);
}

#[test]
fn a_peer_with_a_connection_id_is_recognised_at_another_address() {
    let mut desk = Desk::new(Config::default());
    desk.seat_connected(1, valve());
    move_client(&mut desk, 1, 2);
    desk.client(2).send(b"I moved").expect("there is a session");
    desk.settle();
    let received = Event::Received { peer: 2, plaintext: b"I moved".to_vec() };
    assert_eq!(desk.told, [Event::Moved { from: 1, to: 2 }, received]);
    assert!(!desk.server.is_established(1));
    desk.assert_they_talk(2);
    assert_eq!((desk.server.census().sessions, desk.server.counters().moved), (1, 1));
}

#[test]
fn a_peer_without_one_is_not_and_says_hello_again() {
    for (server, client) in
        [(ConnectionIdUse::NotUsed, ConnectionIdUse::Used), (ConnectionIdUse::Used, ConnectionIdUse::NotUsed)]
    {
        let mut desk = Desk::new(Config { connection_ids: server, ..Config::default() });
        desk.seat_connected(1, ClientConfig { connection_ids: client, ..valve() });
        move_client(&mut desk, 1, 2);
        desk.client(2).send(b"I moved").expect("there is a session");
        desk.settle();
        assert_eq!(desk.told, []);
        assert_eq!(desk.server.counters().ignored, 1);
        desk.connect(2);
        desk.settle();
        desk.assert_they_talk(2);
        assert_eq!(desk.server.census().sessions, 2, "the old one is there until it was silent for too long");
    }
}

#[test]
fn a_record_that_was_overtaken_moves_nobody_back() {
    let mut desk = Desk::new(Config::default());
    desk.seat_connected(1, valve());
    desk.client(1).send(b"from here").expect("there is a session");
    desk.run(std::time::Duration::ZERO);
    desk.told.clear();
    desk.client(1).send(b"late").expect("there is a session");
    let bugle_dtls::Output::Transmit { datagram: late, .. } = desk.client(1).poll_output().expect("it was sent") else {
        panic!("it was not");
    };
    move_client(&mut desk, 1, 2);
    desk.client(2).send(b"from there").expect("there is a session");
    desk.settle();
    desk.deliver(1, &late);
    desk.settle();
    let received = [(2, &b"from there"[..]), (2, &b"late"[..])];
    assert_eq!(desk.received(), received);
    // And one that came before moves nobody either.
    let replay = desk.to_server.last().expect("it was sent").1.clone();
    desk.deliver(3, &replay);
    assert_eq!((desk.server.counters().replayed, desk.server.counters().moved), (1, 1));
    desk.assert_they_talk(2);
}

#[test]
fn a_peer_that_moves_to_where_another_was_ends_the_session_of_the_other() {
    let mut desk = Desk::new(Config::default());
    desk.seat_connected(1, valve());
    desk.seat_connected(2, with_key("lamp-8", 8));
    move_client(&mut desk, 1, 2);
    desk.client(2).send(b"I moved").expect("there is a session");
    desk.settle();
    assert_eq!(desk.told[0], Event::Closed { peer: 2, reason: CloseReason::Displaced });
    assert_eq!(desk.told[1], Event::Moved { from: 1, to: 2 });
    desk.assert_they_talk(2);
    assert_eq!(desk.server.census().sessions, 1);
}

#[test]
fn who_says_hello_at_the_old_address_of_one_who_moved_is_another() {
    let mut desk = Desk::new(Config::default());
    desk.seat_connected(1, valve());
    move_client(&mut desk, 1, 2);
    desk.client(2).send(b"I moved").expect("there is a session");
    desk.settle();
    desk.seat_connected(1, with_key("lamp-8", 8));
    desk.assert_they_talk(1);
    desk.assert_they_talk(2);
    assert_eq!(desk.server.census().sessions, 2);
}

#[test]
fn a_session_that_replaces_another_has_another_connection_id() {
    let mut desk = Desk::new(Config::default());
    desk.seat_connected(1, valve());
    let mut old = desk.clients.remove(&1).expect("it was seated");
    desk.seat_connected(1, valve());
    old.send(b"I am no more").expect("it believes so");
    let Some(bugle_dtls::Output::Transmit { datagram, .. }) = old.poll_output() else { panic!("it was not sent") };
    desk.deliver(3, &datagram);
    desk.settle();
    assert_eq!((desk.told.len(), desk.server.counters().ignored), (0, 1));
}
