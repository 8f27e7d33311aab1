//! What does not come from a well-meaning peer.

use std::time::Duration;

use bugle_dtls::{
    Alert, Certificates, CipherSuite, ClientConfig, ClientCredential, Config, ConnectionIdUse, Event,
    ExtendedMasterSecret, HandshakeError,
};

use crate::desk::{Authority, Desk, NOW, named, valve, with_key};

/// Where the version of the record is in a datagram.
const RECORD_VERSION: std::ops::Range<usize> = 1..3;

fn hellos(config: ClientConfig) -> (Desk, Vec<Vec<u8>>) {
    let mut desk = Desk::new(Config::default());
    desk.seat(1, config);
    desk.connect(1);
    desk.settle();
    let datagrams = desk.to_server.iter().map(|(_, datagram)| datagram.clone()).collect();
    (desk, datagrams)
}

#[test]
fn clients_that_begin_with_odd_versions_in_their_records_are_let_in() {
    for version in [[0xfe, 0x00], [0xfe, 0xff], [0xfe, 0xfd]] {
        let mut desk = Desk::new(Config::default());
        desk.seat(1, valve());
        desk.connect(1);
        // What mbedTLS 2.28 sends: 0xFE00 on its hellos, and the right one later.
        desk.rewrite_to_server = Some(Box::new(move |datagram| {
            if datagram[0] == 22 && datagram[13] == 1 {
                datagram[RECORD_VERSION].copy_from_slice(&version);
            }
        }));
        desk.settle();
        assert!(desk.server.is_established(1), "{version:02x?}");
        desk.assert_they_talk(1);
    }
}

#[test]
fn an_unknown_identity_and_a_wrong_key_are_one_to_the_peer_and_two_to_us() {
    let outcome = |config: ClientConfig| {
        let mut desk = Desk::new(Config::default());
        desk.seat(1, config);
        desk.connect(1);
        desk.settle();
        let sizes: Vec<usize> = desk.to_clients.iter().map(|(_, datagram)| datagram.len()).collect();
        (desk.told.clone(), desk.clients_told.clone(), sizes, desk.server.counters())
    };
    let (wrong, wrong_client, wrong_sizes, wrong_counters) = outcome(with_key("valve-7", 9));
    let (unknown, unknown_client, unknown_sizes, unknown_counters) = outcome(with_key("valve-9", 9));
    let failed = |identity: &str, error| Event::HandshakeFailed { peer: 1, claimed: Some(identity.into()), error };
    assert_eq!(wrong, [failed("valve-7", HandshakeError::WrongKey)]);
    assert_eq!(unknown, [failed("valve-9", HandshakeError::UnknownIdentity)]);
    let error = HandshakeError::Alert(Alert::BAD_RECORD_MAC);
    assert_eq!(wrong_client, [(1, Event::HandshakeFailed { peer: (), claimed: None, error })]);
    assert_eq!((wrong_client, wrong_sizes), (unknown_client, unknown_sizes));
    assert_eq!((wrong_counters.unknown_identities, wrong_counters.failed), (0, 1));
    assert_eq!((unknown_counters.unknown_identities, unknown_counters.failed), (1, 0));
}

#[test]
fn hellos_without_a_cookie_leave_nothing_behind() {
    let (_, datagrams) = hellos(valve());
    let mut desk = Desk::new(Config::default());
    for number in 0..20_000_u32 {
        let mut hello = datagrams[0].clone();
        // Another random each time.
        hello[27..31].copy_from_slice(&number.to_be_bytes());
        desk.deliver((number % 60_000) as u16, &hello);
        let mut answers = 0;
        while let Some(output) = desk.server.poll_output() {
            match output {
                bugle_dtls::Output::Transmit { datagram, .. } => {
                    assert!(datagram.len() < hello.len(), "an answer is smaller than what it answers");
                    answers += 1;
                }
                bugle_dtls::Output::Event(event) => panic!("{event:?}"),
            }
        }
        assert_eq!(answers, 1);
    }
    assert_eq!(desk.server.counters().cookies, 20_000);
    assert_eq!(desk.server.census(), bugle_dtls::Census::default());
    assert_eq!(desk.server.next_timeout(), None);
}

#[test]
fn a_cookie_is_of_one_address_and_not_for_ever() {
    let (mut desk, datagrams) = hellos(valve());
    let cookies = desk.server.counters().cookies;
    desk.deliver(2, &datagrams[1]);
    assert_eq!(desk.server.counters().cookies, cookies + 1);
    desk.now = NOW + Duration::from_secs(121);
    desk.server.close(1);
    desk.deliver(1, &datagrams[1]);
    assert_eq!(desk.server.counters().cookies, cookies + 2);
    assert_eq!(desk.server.census().handshakes, 0);
}

#[test]
fn a_hello_with_a_number_that_no_client_comes_to_begins_nothing() {
    let (_, datagrams) = hellos(valve());
    for number in [17_u16, u16::MAX] {
        let mut desk = Desk::new(Config::default());
        let mut hello = datagrams[0].clone();
        hello[17..19].copy_from_slice(&number.to_be_bytes());
        desk.deliver(1, &hello);
        desk.settle();
        assert_eq!((desk.server.counters().malformed, desk.to_clients.len()), (1, 0));
    }
}

#[test]
fn a_hello_in_fragments_is_counted_and_not_kept() {
    let (_, datagrams) = hellos(valve());
    let mut desk = Desk::new(Config::default());
    let hello = &datagrams[0];
    let body = &hello[25..];
    let (first, _) = body.split_at(body.len() / 2);
    let mut fragment = hello[..25].to_vec();
    let count = (first.len() as u32).to_be_bytes();
    fragment[22..25].copy_from_slice(&count[1..]);
    fragment[11..13].copy_from_slice(&(12 + first.len() as u16).to_be_bytes());
    fragment.extend_from_slice(first);
    desk.deliver(1, &fragment);
    desk.settle();
    assert_eq!(desk.server.counters().fragmented_hellos, 1);
    assert_eq!((desk.to_clients.len(), desk.server.census().handshakes), (0, 0));
}

#[test]
fn a_record_that_comes_again_or_is_forged_is_counted_and_the_session_goes_on() {
    for connection_ids in [ConnectionIdUse::Used, ConnectionIdUse::NotUsed] {
        let mut desk = Desk::new(Config::default());
        desk.seat_connected(1, ClientConfig { connection_ids, ..valve() });
        desk.client(1).send(b"open").expect("there is a session");
        desk.settle();
        let datagram = desk.to_server.last().expect("it was sent").1.clone();
        desk.deliver(1, &datagram);
        assert_eq!(desk.server.counters().replayed, 1);
        let mut forged = datagram;
        *forged.last_mut().expect("it is not empty") ^= 1;
        // A number that did not come yet.
        forged[10] += 5;
        desk.deliver(1, &forged);
        assert_eq!(desk.server.counters().forged, 1);
        desk.settle();
        assert_eq!(desk.received(), [(1, &b"open"[..])]);
        desk.assert_they_talk(1);
    }
}

#[test]
fn alerts_that_nothing_protects_do_nothing_to_a_session() {
    let mut desk = Desk::new(Config::default());
    desk.seat_connected(1, valve());
    for alert in [[1, 0], [2, 40], [2, 20]] {
        let head = [21, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 90, 0, 2];
        desk.deliver(1, &[&head[..], &alert].concat());
    }
    desk.settle();
    assert_eq!(desk.told, []);
    assert_eq!(desk.server.counters().ignored, 3);
    desk.assert_they_talk(1);
}

#[test]
fn a_client_and_a_server_with_nothing_in_common_part_and_say_why() {
    let suites = vec![CipherSuite::PskAes128Gcm];
    let only_gcm = Config { suites, ..Config::default() };
    let bound = Config { extended_master_secret: ExtendedMasterSecret::Required, ..Config::default() };
    let unbound = ClientConfig { extended_master_secret: ExtendedMasterSecret::NotUsed, ..valve() };
    let ccm = ClientConfig { suites: vec![CipherSuite::PskAes128Ccm8], ..valve() };
    for (server, client, error) in
        [(only_gcm, ccm, HandshakeError::NoCommonSuite), (bound, unbound, HandshakeError::NoExtendedMasterSecret)]
    {
        let mut desk = Desk::new(server);
        desk.seat(1, client);
        desk.connect(1);
        desk.settle();
        assert_eq!(desk.told, [Event::HandshakeFailed { peer: 1, claimed: None, error }]);
        let error = HandshakeError::Alert(Alert::HANDSHAKE_FAILURE);
        assert_eq!(desk.clients_told, [(1, Event::HandshakeFailed { peer: (), claimed: None, error })]);
        assert_eq!(desk.server.census(), bugle_dtls::Census::default());
    }
}

#[test]
fn a_certificate_of_another_authority_or_of_another_time_is_not_accepted() {
    let authority = Authority::new("authority");
    let other = Authority::new("other");
    let mut expired = named("valve-7");
    expired.not_after = rcgen::date_time_ymd(2026, 1, 1);
    let stranger = Certificates { own: other.issue("valve-7").own, trusted: authority.trusted() };
    let late = Certificates { own: authority.issue_with(expired).own, trusted: authority.trusted() };
    for certificates in [stranger, late] {
        let mut desk = Desk::new(Config { certificates: Some(authority.certificates("gateway")), ..Config::default() });
        desk.seat(1, ClientConfig::new(ClientCredential::Certificate(certificates)));
        desk.connect(1);
        desk.settle();
        let error = HandshakeError::Certificate;
        assert_eq!(desk.told, [Event::HandshakeFailed { peer: 1, claimed: None, error }]);
        let error = HandshakeError::Alert(Alert::BAD_CERTIFICATE);
        assert_eq!(desk.clients_told, [(1, Event::HandshakeFailed { peer: (), claimed: None, error })]);
    }
}

#[test]
fn a_client_does_not_go_on_with_a_server_of_another_authority() {
    let authority = Authority::new("authority");
    let other = Authority::new("other");
    let mut desk = Desk::new(Config { certificates: Some(other.certificates("gateway")), ..Config::default() });
    desk.seat(1, ClientConfig::new(ClientCredential::Certificate(authority.certificates("valve-7"))));
    desk.connect(1);
    desk.settle();
    let error = HandshakeError::Certificate;
    assert_eq!(desk.clients_told, [(1, Event::HandshakeFailed { peer: (), claimed: None, error })]);
    let error = HandshakeError::Alert(Alert::BAD_CERTIFICATE);
    assert_eq!(desk.told, [Event::HandshakeFailed { peer: 1, claimed: None, error }]);
}

#[test]
fn without_certificates_of_its_own_a_server_speaks_no_suite_that_needs_them() {
    let authority = Authority::new("authority");
    let mut desk = Desk::new(Config::default());
    desk.seat(1, ClientConfig::new(ClientCredential::Certificate(authority.certificates("valve-7"))));
    desk.connect(1);
    desk.settle();
    let error = HandshakeError::NoCommonSuite;
    assert_eq!(desk.told, [Event::HandshakeFailed { peer: 1, claimed: None, error }]);
}
