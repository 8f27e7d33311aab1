//! Handshakes with OpenSSL's command, over loopback.

use std::net::SocketAddr;

use bugle_dtls::{
    Alert, CipherSuite, Client, ClientConfig, ClientCredential, CloseReason, Config, Event, ExtendedMasterSecret,
    Identity, Output, Server,
};

use crate::desk::{Authority, valve, valve_identity};
use crate::shore::{Folder, Process, Shore, pump, serve};

/// The key of `valve-7`, as OpenSSL wants it.
const VALVE_KEY: &str = "07070707070707070707070707070707";

/// OpenSSL's names of the suites.
fn name(suite: CipherSuite) -> &'static str {
    match suite {
        CipherSuite::PskAes128Ccm8 => "PSK-AES128-CCM8",
        CipherSuite::PskAes128Ccm => "PSK-AES128-CCM",
        CipherSuite::PskAes128Gcm => "PSK-AES128-GCM-SHA256",
        CipherSuite::EcdheEcdsaAes128Ccm8 => "ECDHE-ECDSA-AES128-CCM8",
        CipherSuite::EcdheEcdsaAes128Ccm => "ECDHE-ECDSA-AES128-CCM",
        CipherSuite::EcdheEcdsaAes128Gcm => "ECDHE-ECDSA-AES128-GCM-SHA256",
    }
}

/// OpenSSL connects, is known, and is answered; it closes, and the server notices.
fn talk_to_client(config: Config, arguments: &[&str]) -> (Identity, String) {
    let shore = Shore::new();
    let mut server = Server::new(config, [3; 32]);
    let address = format!("127.0.0.1:{}", shore.port());
    let common = ["s_client", "-dtls1_2", "-connect", &address];
    let mut client = Process::start("openssl", &[&common, arguments].concat());
    let established = serve(&shore, &mut server, |event| matches!(event, Event::Established { .. }));
    let Event::Established { peer, identity } = established else { unreachable!("it was waited for") };
    client.say("is the valve open");
    let received = serve(&shore, &mut server, |event| matches!(event, Event::Received { .. }));
    assert_eq!(received, Event::Received { peer, plaintext: b"is the valve open\n".to_vec() });
    server.send(peer, b"the valve is open\n").expect("there is a session");
    while !client.printed().contains("the valve is open") && shore.is_patient() {
        pump(&shore, &mut server);
    }
    client.close_stdin();
    let is_closed = |event: &Event<SocketAddr>| matches!(event, Event::Closed { .. });
    let closed = serve(&shore, &mut server, is_closed);
    assert_eq!(closed, Event::Closed { peer, reason: CloseReason::ByPeer });
    (identity, client.printed())
}

#[test]
fn openssl_connects_with_a_pre_shared_key() {
    for suite in [CipherSuite::PskAes128Ccm8, CipherSuite::PskAes128Ccm, CipherSuite::PskAes128Gcm] {
        let cipher = format!("{}:@SECLEVEL=0", name(suite));
        let arguments = ["-psk_identity", "valve-7", "-psk", VALVE_KEY, "-cipher", &cipher];
        let (identity, printed) = talk_to_client(Config::default(), &arguments);
        assert_eq!(identity, valve_identity());
        assert!(printed.contains("the valve is open"), "{printed}");
        assert!(printed.contains(&format!("Cipher is {}", name(suite))), "{printed}");
        assert!(printed.contains("Extended master secret: yes"), "{printed}");
    }
}

#[test]
fn openssl_connects_without_extended_master_secret() {
    let cipher = format!("{}:@SECLEVEL=0", name(CipherSuite::PskAes128Ccm8));
    let arguments = ["-psk_identity", "valve-7", "-psk", VALVE_KEY, "-cipher", &cipher];
    let config = Config { extended_master_secret: ExtendedMasterSecret::NotUsed, ..Config::default() };
    let (_, printed) = talk_to_client(config, &arguments);
    assert!(printed.contains("the valve is open"), "{printed}");
    assert!(printed.contains("Extended master secret: no"), "{printed}");
}

#[test]
fn openssl_connects_with_a_certificate() {
    let authority = Authority::new("authority");
    let valve = authority.issue("valve-7");
    let folder = Folder::new("client");
    let (trusted, certificate, key) = (
        folder.write("authority.pem", &authority.pem),
        folder.write("valve.pem", &valve.pem),
        folder.write("valve.key", &valve.key_pem),
    );
    for suite in CipherSuite::ALL.into_iter().filter(|suite| suite.uses_certificates()) {
        let cipher = format!("{}:@SECLEVEL=0", name(suite));
        let shown = ["-CAfile", &trusted, "-cert", &certificate, "-key", &key, "-verify_return_error"];
        let arguments = [&shown[..], &["-cipher", &cipher]].concat();
        // A small datagram, so that the certificates come in fragments.
        let certificates = Some(authority.certificates("gateway"));
        let config = Config { certificates, datagram_bytes_max: 300, ..Config::default() };
        let (identity, printed) = talk_to_client(config, &arguments);
        let Identity::Certificate(shown) = identity else { panic!("{identity:?}") };
        assert_eq!(shown.common_name().as_deref(), Some("valve-7"));
        assert!(printed.contains("the valve is open"), "{printed}");
        assert!(printed.contains("Verify return code: 0 (ok)"), "{printed}");
    }
}

#[test]
fn openssl_with_another_key_is_told_so() {
    for (identity, key) in [("valve-7", "0808"), ("nobody", VALVE_KEY)] {
        let shore = Shore::new();
        let mut server = Server::new(Config::default(), [3; 32]);
        let address = format!("127.0.0.1:{}", shore.port());
        let client = Process::start(
            "openssl",
            &[
                "s_client",
                "-dtls1_2",
                "-connect",
                &address,
                "-psk_identity",
                identity,
                "-psk",
                key,
                "-cipher",
                "PSK-AES128-CCM8:@SECLEVEL=0",
            ],
        );
        serve(&shore, &mut server, |event| matches!(event, Event::HandshakeFailed { .. }));
        assert_eq!(server.census().sessions, 0);
        drop(client);
    }
}

#[test]
fn openssl_that_was_killed_comes_back_from_the_same_port() {
    let shore = Shore::new();
    let mut server = Server::new(Config::default(), [3; 32]);
    let address = format!("127.0.0.1:{}", shore.port());
    let from = format!("127.0.0.1:{}", Shore::new().port());
    let cipher = "PSK-AES128-CCM8:@SECLEVEL=0";
    let shared = ["-psk_identity", "valve-7", "-psk", VALVE_KEY, "-cipher", cipher];
    let arguments = [&["s_client", "-dtls1_2", "-connect", &address, "-bind", &from], &shared[..]].concat();
    let is_established = |event: &Event<SocketAddr>| matches!(event, Event::Established { .. });
    let first = Process::start("openssl", &arguments);
    serve(&shore, &mut server, is_established);
    drop(first);
    let mut second = Process::start("openssl", &arguments);
    let replaced = serve(&shore, &mut server, |event| matches!(event, Event::Closed { .. }));
    assert!(matches!(replaced, Event::Closed { reason: CloseReason::Replaced, .. }), "{replaced:?}");
    second.say("here I am again");
    let received = serve(&shore, &mut server, |event| matches!(event, Event::Received { .. }));
    assert!(matches!(received, Event::Received { peer, .. } if peer.to_string() == from), "{received:?}");
    assert_eq!(server.census().sessions, 1);
}

#[test]
fn openssl_that_wants_to_negotiate_again_is_told_that_there_is_no_such_thing() {
    let shore = Shore::new();
    let mut server = Server::new(Config::default(), [3; 32]);
    let address = format!("127.0.0.1:{}", shore.port());
    let cipher = "PSK-AES128-CCM8:@SECLEVEL=0";
    let shared = ["-psk_identity", "valve-7", "-psk", VALVE_KEY, "-cipher", cipher];
    let mut client =
        Process::start("openssl", &[&["s_client", "-dtls1_2", "-connect", &address], &shared[..]].concat());
    serve(&shore, &mut server, |event| matches!(event, Event::Established { .. }));
    // On a line of its own, that is what it means to OpenSSL, which gives up when it is refused.
    client.say("R");
    let closed = serve(&shore, &mut server, |event| !matches!(event, Event::Received { .. }));
    let gave_up = CloseReason::Alert(Alert::HANDSHAKE_FAILURE);
    assert!(matches!(closed, Event::Closed { reason, .. } if reason == gave_up), "{closed:?}");
}

/// Our client connects to OpenSSL's server, which prints what it is told and passes on what is said to it.
fn talk_to_server(config: ClientConfig, arguments: &[&str]) {
    let shore = Shore::new();
    let accept = format!("127.0.0.1:{}", Shore::new().port());
    let common = ["s_server", "-dtls1_2", "-accept", &accept];
    let mut server = Process::start("openssl", &[&common, arguments].concat());
    let mut client: Client<()> = Client::new(config, (), [4; 32]);
    let mut received = None;
    client.connect(shore.now());
    while (received.is_none() || !server.printed().contains("the valve is open")) && shore.is_patient() {
        if let Some((_, datagram)) = shore.receive() {
            client.handle_datagram(shore.now(), &datagram);
        }
        client.handle_timeout(shore.now());
        while let Some(output) = client.poll_output() {
            match output {
                // Until the process listens, nothing is heard there, and said again.
                Output::Transmit { datagram, .. } => {
                    let _ = shore.socket.send_to(&datagram, &accept);
                }
                Output::Event(Event::Established { .. }) => {
                    client.send(b"the valve is open\n").expect("there is a session");
                    server.say("then close it");
                }
                Output::Event(Event::Received { plaintext, .. }) => received = Some(plaintext),
                Output::Event(other) => panic!("{other:?}"),
            }
        }
    }
    assert_eq!(received.as_deref(), Some(&b"then close it\n"[..]), "{}", server.printed());
    assert!(server.printed().contains("the valve is open"), "{}", server.printed());
}

#[test]
fn our_client_connects_to_openssl_with_a_pre_shared_key() {
    for suite in [CipherSuite::PskAes128Ccm8, CipherSuite::PskAes128Gcm] {
        let cipher = format!("{}:@SECLEVEL=0", name(suite));
        let shared = ["-nocert", "-psk_identity", "valve-7", "-psk", VALVE_KEY];
        let hint = ["-psk_hint", "which", "-cipher", &cipher];
        talk_to_server(ClientConfig { suites: vec![suite], ..valve() }, &[&shared[..], &hint].concat());
    }
}

#[test]
fn our_client_connects_to_openssl_with_a_certificate() {
    let authority = Authority::new("authority");
    let gateway = authority.issue("gateway");
    let folder = Folder::new("server");
    let (trusted, certificate, key) = (
        folder.write("authority.pem", &authority.pem),
        folder.write("gateway.pem", &gateway.pem),
        folder.write("gateway.key", &gateway.key_pem),
    );
    let shown = ["-CAfile", &trusted, "-cert", &certificate, "-key", &key, "-Verify", "1", "-verify_return_error"];
    let cipher = ["-cipher", "ECDHE-ECDSA-AES128-CCM8:@SECLEVEL=0"];
    let config = ClientConfig::new(ClientCredential::Certificate(authority.certificates("valve-7")));
    talk_to_server(config, &[&shown[..], &cipher].concat());
}
