//! Handshakes with a client on mbedTLS 2.28, which begins its records with version 0xFE00, over loopback.

use std::net::SocketAddr;
use std::process::Command;

use bugle_dtls::{Config, Event, Server};

use crate::shore::{Folder, Process, Shore, serve};

/// Builds the client. How it is made says what it needs: Debian's libmbedtls-dev.
fn build(folder: &Folder) -> String {
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/mbedtls_client.c");
    let client = folder.path("mbedtls_client");
    let libraries = ["-lmbedtls", "-lmbedx509", "-lmbedcrypto"];
    let built = Command::new("cc").args([source, "-o", &client]).args(libraries).status();
    assert!(built.expect("a C compiler").success(), "libmbedtls-dev is installed");
    client
}

#[test]
fn a_client_on_mbedtls_that_begins_with_version_0xfe00_is_let_in() {
    let folder = Folder::new("mbedtls");
    let client = build(&folder);
    for suite in ["C0A8", "C0A4", "00A8"] {
        let shore = Shore::new();
        let mut server = Server::new(Config::default(), [3; 32]);
        let client = Process::start(&client, &[&shore.port().to_string(), suite]);
        let (from, hello) = shore.receive_patiently();
        assert_eq!(hello[..3], [22, 0xfe, 0x00], "a handshake record");
        server.handle_datagram(shore.now(), from, &hello, |_| None);
        let established = serve(&shore, &mut server, |event| matches!(event, Event::Established { .. }));
        let Event::Established { peer, .. } = established else { unreachable!("it was waited for") };
        let received = serve(&shore, &mut server, |event| matches!(event, Event::Received { .. }));
        assert_eq!(received, Event::Received { peer, plaintext: b"is the lamp on".to_vec() });
        server.send(peer, b"the lamp is on").expect("there is a session");
        let is_closed = |event: &Event<SocketAddr>| matches!(event, Event::Closed { .. });
        serve(&shore, &mut server, is_closed);
        let printed = client.wait_for("the lamp is on");
        assert!(printed.contains("PSK-WITH-AES-128"), "{printed}");
    }
}
