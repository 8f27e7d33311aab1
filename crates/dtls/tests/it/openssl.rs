//! Handshakes with other people's DTLS: OpenSSL's command, over loopback.
#![expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "the other side is a process, so here is what lies around the machine: a socket and a clock"
)]

use std::io::{Read, Write};
use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bugle_core::Time;
use bugle_dtls::{
    CipherSuite, Client, ClientConfig, ClientCredential, CloseReason, Config, Event, ExtendedMasterSecret, Identity,
    Output, Server,
};

use crate::desk::{Authority, NOW, key, valve, valve_identity};

/// The key of `valve-7`, as OpenSSL wants it.
const VALVE_KEY: &str = "07070707070707070707070707070707";

/// After this long, whatever is waited for does not come.
const PATIENCE: Duration = Duration::from_secs(20);

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

/// A process that does not outlive the test.
struct Process {
    child: Child,
    printed: Arc<Mutex<String>>,
}

impl Process {
    fn openssl(arguments: &[&str]) -> Self {
        let mut command = Command::new("openssl");
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().expect("openssl is installed");
        let printed = Arc::new(Mutex::new(String::new()));
        let mut stdout = child.stdout.take().expect("it is piped");
        let shared = Arc::clone(&printed);
        // It ends with the process.
        std::thread::spawn(move || {
            let mut buffer = [0; 4_096];
            while let Ok(length @ 1..) = stdout.read(&mut buffer) {
                let text = String::from_utf8_lossy(&buffer[..length]);
                shared.lock().expect("nobody panics with it").push_str(&text);
            }
        });
        Self { child, printed }
    }

    fn say(&mut self, line: &str) {
        let stdin = self.child.stdin.as_mut().expect("it is piped");
        stdin.write_all(format!("{line}\n").as_bytes()).expect("it listens");
    }

    fn close_stdin(&mut self) {
        self.child.stdin = None;
    }

    fn printed(&self) -> String {
        self.printed.lock().expect("nobody panics with it").clone()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A socket with a clock.
struct Shore {
    socket: UdpSocket,
    began: Instant,
}

impl Shore {
    fn new() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("loopback");
        socket.set_read_timeout(Some(Duration::from_millis(20))).expect("a valid time");
        Self { socket, began: Instant::now() }
    }

    fn port(&self) -> u16 {
        self.socket.local_addr().expect("it is bound").port()
    }

    fn now(&self) -> Time {
        NOW + self.began.elapsed()
    }

    fn receive(&self) -> Option<(SocketAddr, Vec<u8>)> {
        let mut buffer = [0; 2_048];
        let (length, from) = self.socket.recv_from(&mut buffer).ok()?;
        Some((from, buffer[..length].to_vec()))
    }

    fn is_patient(&self) -> bool {
        self.began.elapsed() < PATIENCE
    }
}

/// Runs a server for a moment, and gives what it told.
fn pump(shore: &Shore, server: &mut Server<SocketAddr>) -> Vec<Event<SocketAddr>> {
    if let Some((from, datagram)) = shore.receive() {
        let keys = |identity: &[u8]| (identity == b"valve-7").then(|| key(7));
        server.handle_datagram(shore.now(), from, &datagram, keys);
    }
    server.handle_timeout(shore.now());
    let mut told = Vec::new();
    while let Some(output) = server.poll_output() {
        match output {
            Output::Transmit { peer, datagram } => {
                let _ = shore.socket.send_to(&datagram, peer);
            }
            Output::Event(event) => told.push(event),
        }
    }
    told
}

/// Runs a server until it has told what is waited for.
fn serve(
    shore: &Shore,
    server: &mut Server<SocketAddr>,
    is_it: impl Fn(&Event<SocketAddr>) -> bool,
) -> Event<SocketAddr> {
    while shore.is_patient() {
        if let Some(event) = pump(shore, server).into_iter().find(&is_it) {
            return event;
        }
    }
    panic!("what was waited for did not come: {:?}", server.counters());
}

/// Files for OpenSSL, gone when the test is.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("bugle-dtls-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a folder for temporary files");
        Self(path)
    }

    fn write(&self, name: &str, content: &str) -> String {
        let path = self.0.join(name);
        std::fs::write(&path, content).expect("there is room");
        Path::to_str(&path).expect("a path in UTF-8").to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// OpenSSL connects, is known, and is answered; it closes, and the server notices.
fn talk_to_client(config: Config, arguments: &[&str]) -> (Identity, String) {
    let shore = Shore::new();
    let mut server = Server::new(config, [3; 32]);
    let address = format!("127.0.0.1:{}", shore.port());
    let common = ["s_client", "-dtls1_2", "-connect", &address];
    let mut client = Process::openssl(&[&common, arguments].concat());
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
        assert_eq!(shown.common_name.as_deref(), Some("valve-7"));
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
        let client = Process::openssl(&[
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
        ]);
        serve(&shore, &mut server, |event| matches!(event, Event::HandshakeFailed { .. }));
        assert_eq!(server.census().sessions, 0);
        drop(client);
    }
}

/// Our client connects to OpenSSL's server, which prints what it is told and passes on what is said to it.
fn talk_to_server(config: ClientConfig, arguments: &[&str]) {
    let shore = Shore::new();
    let accept = format!("127.0.0.1:{}", free_port());
    let common = ["s_server", "-dtls1_2", "-accept", &accept];
    let mut server = Process::openssl(&[&common, arguments].concat());
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

fn free_port() -> u16 {
    Shore::new().port()
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
