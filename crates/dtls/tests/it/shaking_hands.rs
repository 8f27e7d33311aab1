//! Handshakes between a client and a server that know each other.

use bugle_dtls::{CipherSuite, ClientConfig, ClientCredential, Config, Event, ExtendedMasterSecret, Identity};

use crate::desk::{Authority, Desk, valve, valve_identity};

#[test]
fn a_client_with_the_key_is_known_by_its_identity_and_they_talk() {
    let mut desk = Desk::new(Config::default());
    desk.seat(1, valve());
    desk.connect(1);
    desk.settle();
    assert_eq!(desk.told, [Event::Established { peer: 1, identity: valve_identity() }]);
    assert_eq!(desk.clients_told, [(1, Event::Established { peer: (), identity: valve_identity() })]);
    desk.assert_they_talk(1);
}

#[test]
fn every_suite_is_spoken_with_and_without_extended_master_secret() {
    let authority = Authority::new("authority");
    let certificates = Some(authority.certificates("gateway"));
    for suite in CipherSuite::ALL {
        for binding in [ExtendedMasterSecret::Used, ExtendedMasterSecret::NotUsed] {
            println!("{suite:?}, extended master secret {binding:?}");
            let mut desk = Desk::new(Config { certificates: certificates.clone(), ..Config::default() });
            let credential = if suite.uses_certificates() {
                ClientCredential::Certificate(authority.certificates("valve-7"))
            } else {
                valve().credential
            };
            let config = ClientConfig { extended_master_secret: binding, ..ClientConfig::new(credential) };
            desk.seat_connected(1, ClientConfig { suites: vec![suite], ..config });
            desk.assert_they_talk(1);
        }
    }
}

#[test]
fn a_client_with_a_certificate_is_known_by_its_chain_and_common_name() {
    let authority = Authority::new("authority");
    let certificates = Some(authority.certificates("gateway"));
    let mut desk = Desk::new(Config { certificates, ..Config::default() });
    desk.seat(1, ClientConfig::new(ClientCredential::Certificate(authority.certificates("valve-7"))));
    desk.connect(1);
    desk.settle();
    let Some(Event::Established { peer: 1, identity: Identity::Certificate(certificate) }) = desk.told.first() else {
        panic!("{:?}", desk.told);
    };
    assert_eq!(certificate.common_name().as_deref(), Some("valve-7"));
    assert_eq!(certificate.iter().len(), 1);
}
