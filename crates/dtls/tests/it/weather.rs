//! Links that lose, double and reorder.

use std::time::Duration;

use bugle_dtls::{CipherSuite, ClientConfig, ClientCredential, Config, Event};

use crate::desk::{Authority, Desk, Weather, valve, with_key};

const BAD: Weather = Weather { lost: 20, doubled: 20, delay_millis: 400 };

fn established(desk: &Desk, address: u16) -> usize {
    let is_it = |event: &&Event<u16>| matches!(event, Event::Established { peer, .. } if *peer == address);
    desk.told.iter().filter(is_it).count()
}

#[test]
fn over_a_bad_link_every_handshake_ends_well_with_every_suite() {
    let authority = Authority::new("authority");
    let certificates = Some(authority.certificates("gateway"));
    let own = authority.certificates("valve-7");
    let mut times = 0;
    for seed in 0..40 {
        println!("seed {seed}");
        // Small datagrams, so that certificates come in fragments.
        let config = Config { certificates: certificates.clone(), datagram_bytes_max: 300, ..Config::default() };
        let mut desk = Desk::with_seed(config, seed);
        desk.weather = BAD;
        for (address, suite) in (1..).zip(CipherSuite::ALL) {
            let credential = match suite.uses_certificates() {
                true => ClientCredential::Certificate(own.clone()),
                false => valve().credential,
            };
            let config = ClientConfig { suites: vec![suite], ..ClientConfig::new(credential) };
            desk.seat(address, ClientConfig { datagram_bytes_max: 300, ..config });
            desk.connect(address);
        }
        // A client that gave up begins again.
        for _ in 0..10 {
            desk.run(Duration::from_secs(60));
            for address in 1..=6 {
                if !desk.client(address).is_established() && desk.client(address).next_timeout().is_none() {
                    desk.connect(address);
                }
            }
        }
        for address in 1..=6 {
            assert!(desk.client(address).is_established(), "client {address}");
            times += established(&desk, address);
        }
        desk.weather = Weather::FAIR;
        for address in 1..=6 {
            desk.assert_they_talk(address);
        }
        assert_eq!(desk.server.census().handshakes, 0);
    }
    assert!((240..260).contains(&times), "{times} sessions of 240 clients");
}

#[test]
fn over_a_bad_link_what_is_said_arrives_at_most_once_and_mostly() {
    for seed in 0..20 {
        println!("seed {seed}");
        let mut desk = Desk::with_seed(Config::default(), seed);
        desk.seat_connected(1, valve());
        desk.weather = BAD;
        for number in 0..100_u8 {
            desk.client(1).send(&[number]).expect("there is a session");
            desk.server.send(1, &[number]).expect("there is a session");
            desk.run(Duration::from_millis(50));
        }
        desk.run(Duration::from_secs(2));
        for received in [desk.received().iter().map(|(_, text)| text[0]).collect(), first_bytes(&desk)] {
            let mut sorted: Vec<u8> = received;
            let all = sorted.len();
            sorted.sort_unstable();
            sorted.dedup();
            assert_eq!(sorted.len(), all, "none twice");
            assert!(all > 70, "{all} of 100");
        }
    }
}

fn first_bytes(desk: &Desk) -> Vec<u8> {
    desk.received_by(1).iter().map(|text| text[0]).collect()
}

#[test]
fn over_a_bad_link_a_wrong_key_never_ends_well() {
    for seed in 0..20 {
        println!("seed {seed}");
        let mut desk = Desk::with_seed(Config::default(), seed);
        desk.weather = BAD;
        desk.seat(1, with_key("valve-7", 9));
        desk.connect(1);
        desk.run(Duration::from_secs(300));
        assert!(!desk.client(1).is_established());
        assert_eq!(established(&desk, 1), 0);
        assert_eq!(desk.server.census(), bugle_dtls::Census::default());
    }
}

#[test]
fn a_server_that_is_not_there_is_asked_so_often_and_then_given_up() {
    let mut desk = Desk::new(Config::default());
    desk.weather = Weather { lost: 100, ..Weather::FAIR };
    desk.seat(1, valve());
    desk.connect(1);
    desk.run(Duration::from_secs(62));
    assert_eq!((desk.to_server.len(), desk.clients_told.len()), (6, 0));
    desk.run(Duration::from_secs(2));
    assert!(matches!(desk.clients_told[..], [(1, Event::HandshakeFailed { .. })]));
    assert_eq!(desk.client(1).next_timeout(), None);
}
