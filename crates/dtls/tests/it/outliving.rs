//! Sessions that outlive the server's process.

use std::collections::BTreeSet;

use bugle_dtls::{CipherSuite, ClientConfig, Config, ConnectionIdUse, Event, ExtendedMasterSecret, SendError};

use crate::desk::{Address, Desk, KEEPING_KEY, valve, with_key};

/// Records that a session may send before it has to be kept anew, and a few more.
const MANY: usize = 5_000;

/// Has a session send on after it was resumed, as whoever keeps it does.
fn keep_on(desk: &mut Desk, address: Address) {
    let (_, mark) = desk.keep(address);
    desk.server.confirm_kept(address, mark);
}

/// The numbers of the protected records that went to clients: no two may be the same.
fn assert_no_number_twice(desk: &Desk) {
    let mut seen = BTreeSet::new();
    for (address, datagram) in &desk.to_clients {
        // Type, version, epoch and number; the connection ids of these clients are empty.
        let numbers = &datagram[3..11];
        if numbers[..2] == [0, 1] {
            assert!(seen.insert((address, numbers)), "{numbers:?} twice, to {address}");
        }
    }
    assert!(!seen.is_empty());
}

#[test]
fn a_session_goes_on_with_another_server() {
    for suite in [CipherSuite::PskAes128Ccm8, CipherSuite::PskAes128Ccm, CipherSuite::PskAes128Gcm] {
        for connection_ids in [ConnectionIdUse::Used, ConnectionIdUse::NotUsed] {
            let mut desk = Desk::new(Config::default());
            desk.seat_connected(1, ClientConfig { suites: vec![suite], connection_ids, ..valve() });
            desk.seat_connected(2, ClientConfig { connection_ids, ..with_key("lamp-8", 8) });
            let sessions = [1, 2].map(|address| (address, desk.keep(address).0));
            for _ in 0..100 {
                desk.assert_they_talk(1);
            }
            desk.replace_server(Config::default(), sessions.to_vec());
            assert_eq!(desk.server.census().sessions, 2);
            for address in [1, 2] {
                assert!(desk.server.is_kept(address));
                keep_on(&mut desk, address);
                desk.assert_they_talk(address);
            }
            assert_no_number_twice(&desk);
        }
    }
}

#[test]
fn who_moved_meanwhile_is_recognised_by_the_connection_id() {
    let mut desk = Desk::new(Config::default());
    // Places that the next server has to find again.
    desk.seat_connected(1, with_key("lamp-8", 8));
    desk.seat_connected(2, valve());
    let (session, _) = desk.keep(2);
    desk.replace_server(Config::default(), vec![(2, session)]);
    let client = desk.clients.remove(&2).expect("it was seated");
    desk.clients.insert(3, client);
    desk.client(3).send(b"I moved").expect("there is a session");
    desk.settle();
    assert_eq!(desk.told, [Event::Moved { from: 2, to: 3 }, Event::Received { peer: 3, plaintext: b"I moved".into() }]);
    keep_on(&mut desk, 3);
    desk.assert_they_talk(3);
    // The places between are free for others.
    desk.seat_connected(4, with_key("lamp-8", 8));
    desk.seat_connected(5, with_key("lamp-8", 8));
    desk.assert_they_talk(3);
}

#[test]
fn no_number_is_used_twice_however_often_servers_die() {
    let mut desk = Desk::new(Config::default());
    desk.seat_connected(1, valve());
    let (mut durable, _) = desk.keep(1);
    for round in 0..20 {
        desk.replace_server(Config::default(), vec![(1, durable.clone())]);
        assert_eq!(desk.server.send(1, b"down"), Err(SendError::MustBeKept), "another may have sent before");
        let (next, mark) = desk.keep(1);
        assert_eq!(desk.server.send(1, b"down"), Err(SendError::MustBeKept), "it is not durable");
        if round % 2 == 0 {
            desk.server.confirm_kept(1, mark);
            desk.assert_they_talk(1);
            durable = next;
        }
    }
    assert_no_number_twice(&desk);
    // What tells the peer of the end of a session would need a number too.
    desk.replace_server(Config::default(), vec![(1, durable)]);
    let sent = desk.to_clients.len();
    desk.server.close(1);
    desk.settle();
    assert_eq!((desk.to_clients.len(), desk.server.census().sessions), (sent, 0));
}

#[test]
fn a_session_that_is_kept_has_to_be_kept_anew_at_times() {
    let mut desk = Desk::new(Config::default());
    desk.seat_connected(1, valve());
    let (_, first) = desk.keep(1);
    let sent = (0..MANY).take_while(|_| desk.server.send(1, b"down").is_ok()).count();
    assert!((1_000..MANY).contains(&sent), "{sent}");
    assert_eq!(desk.server.send(1, b"down"), Err(SendError::MustBeKept));
    let (_, second) = desk.keep(1);
    desk.server.confirm_kept(1, first);
    assert_eq!(desk.server.send(1, b"down"), Err(SendError::MustBeKept), "the other was made durable");
    desk.server.confirm_kept(1, second);
    assert_eq!(desk.server.send(1, b"down"), Ok(()));
    desk.settle();
    assert_no_number_twice(&desk);
}

#[test]
fn a_session_that_nobody_keeps_needs_no_keeping() {
    let mut desk = Desk::new(Config::default());
    desk.seat_connected(1, valve());
    assert!(!desk.server.is_kept(1));
    assert!((0..MANY).all(|_| desk.server.send(1, b"down").is_ok()));
    assert_eq!(desk.server.keep(2, &KEEPING_KEY), None);
}

#[test]
fn what_was_taken_before_it_was_kept_is_not_taken_again() {
    let mut desk = Desk::new(Config::default());
    desk.seat_connected(1, valve());
    desk.assert_they_talk(1);
    let recorded = desk.to_server.last().expect("it was sent").1.clone();
    let (session, _) = desk.keep(1);
    desk.replace_server(Config::default(), vec![(1, session)]);
    desk.told.clear();
    desk.deliver(1, &recorded);
    desk.settle();
    assert_eq!((desk.told.len(), desk.server.counters().replayed), (0, 1));
}

#[test]
fn a_peer_shakes_hands_where_there_was_a_session_that_was_resumed() {
    let mut desk = Desk::new(Config::default());
    desk.seat_connected(1, valve());
    let (session, _) = desk.keep(1);
    desk.replace_server(Config::default(), vec![(1, session)]);
    desk.seat_connected(1, valve());
    desk.assert_they_talk(1);
    assert_eq!((desk.server.census().sessions, desk.server.is_kept(1)), (1, false));
}

#[test]
fn what_the_configuration_has_no_room_for_any_more_is_left_out() {
    let mut desk = Desk::new(Config::default());
    for address in 1..=3 {
        desk.seat_connected(address, valve());
    }
    let sessions: Vec<_> = (1..=3).map(|address| (address, desk.keep(address).0)).collect();
    let mut less = Config::default();
    less.limits.sessions_max = 2;
    let others = [
        (less, 2),
        (Config { suites: vec![CipherSuite::PskAes128Gcm], ..Config::default() }, 3),
        (Config { suites: vec![CipherSuite::PskAes128Ccm], ..Config::default() }, 0),
        (Config { connection_ids: ConnectionIdUse::NotUsed, ..Config::default() }, 0),
        (Config { extended_master_secret: ExtendedMasterSecret::Required, ..Config::default() }, 3),
    ];
    for (config, remaining) in others {
        desk.replace_server(config, sessions.clone());
        assert_eq!(desk.server.census().sessions, remaining);
    }
    let same_address = sessions.into_iter().map(|(_, session)| (1, session)).collect();
    desk.replace_server(Config::default(), same_address);
    assert_eq!(desk.server.census().sessions, 1, "of those at one address");
}

#[test]
fn of_one_session_that_was_kept_twice_the_first_given_goes_on() {
    let mut desk = Desk::new(Config::default());
    desk.seat_connected(1, valve());
    let (earlier, _) = desk.keep(1);
    desk.assert_they_talk(1);
    let (later, _) = desk.keep(1);
    assert!(later.mark() > earlier.mark());
    // The client was somewhere else meanwhile, as far as one of the two knows.
    for former in [1, 2] {
        desk.replace_server(Config::default(), vec![(1, later.clone()), (former, earlier.clone())]);
        assert_eq!(desk.server.census().sessions, 1);
        assert!(desk.server.is_established(1));
        assert_eq!(desk.keep(1).1, later.mark() + 4_096, "it goes on after the later");
    }
}

#[test]
fn a_session_of_which_nothing_is_kept_any_more_sends_on() {
    let mut desk = Desk::new(Config::default());
    desk.seat_connected(1, valve());
    let (session, _) = desk.keep(1);
    desk.replace_server(Config::default(), vec![(1, session)]);
    assert_eq!(desk.server.send(1, b"down"), Err(SendError::MustBeKept));
    desk.server.release(1);
    assert!(!desk.server.is_kept(1));
    for _ in 0..10 {
        desk.assert_they_talk(1);
    }
    // Kept again it goes on after what it has sent.
    let (again, _) = desk.keep(1);
    desk.replace_server(Config::default(), vec![(1, again)]);
    keep_on(&mut desk, 1);
    desk.assert_they_talk(1);
    assert_no_number_twice(&desk);
}
