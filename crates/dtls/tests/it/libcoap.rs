//! Handshakes with libcoap's client, built with OpenSSL and with GnuTLS, over loopback.

use std::net::SocketAddr;

use bugle_core::credential::PreSharedKey;
use bugle_dtls::{Config, Event, Identity, Server};

use crate::shore::{LAMP_KEY, Process, Shore, serve};

/// The acknowledgement of a confirmable request, with content in it (RFC 7252 §3).
fn answer(request: &[u8], content: &[u8]) -> Vec<u8> {
    let token_bytes = usize::from(request[0] & 0x0f);
    let head = [0x60 | request[0] & 0x0f, 0x45, request[2], request[3]];
    [&head, &request[4..4 + token_bytes], &[0xff], content].concat()
}

#[test]
fn libcoap_reads_over_dtls_whichever_library_it_is_built_with() {
    for program in ["coap-client-openssl", "coap-client-gnutls"] {
        println!("{program}");
        let shore = Shore::new();
        let mut server = Server::new(Config::default(), [3; 32]);
        let address = format!("coaps://127.0.0.1:{}/3/0/0", shore.port());
        let client = Process::start(program, &["-u", "lamp-8", "-k", LAMP_KEY, "-m", "get", &address]);
        let established = serve(&shore, &mut server, |event| matches!(event, Event::Established { .. }));
        let Event::Established { peer, identity } = established else { unreachable!("it was waited for") };
        let key = PreSharedKey::new(LAMP_KEY.as_bytes()).expect("a key");
        assert_eq!(identity, Identity::PreSharedKey { identity: b"lamp-8".to_vec(), key });
        let received = serve(&shore, &mut server, |event| matches!(event, Event::Received { .. }));
        let Event::Received { plaintext, .. } = received else { unreachable!("it was waited for") };
        server.send(peer, &answer(&plaintext, b"lamp works")).expect("there is a session");
        let is_closed = |event: &Event<SocketAddr>| matches!(event, Event::Closed { .. });
        serve(&shore, &mut server, is_closed);
        let printed = client.wait_for("lamp works");
        assert!(printed.contains("lamp works"), "{printed}");
    }
}
