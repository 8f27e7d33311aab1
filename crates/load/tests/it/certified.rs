//! A peripheral with a certificate, against a DTLS server that the test plays.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bugle_core::PeripheralId;
use bugle_core::certificate::TrustAnchors;
use bugle_dtls::{Certificates, ClientCredential, Config, Event, Output, OwnCertificate, Server};
use bugle_load::lwm2m::{Behaviour, Peripheral};
use bugle_load::{Options, Peripherals};
use bugle_runtime::Clock;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

use crate::PATIENCE;

/// How long the server listens before it looks at its clock.
const LOOK_INTERVAL: Duration = Duration::from_millis(10);

/// Certificates of these names, each with the authority that both have theirs from.
fn certificates<const N: usize>(names: [&str; N]) -> [Certificates; N] {
    let authority_key = KeyPair::generate().expect("a key");
    let mut params = named("authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = params.self_signed(&authority_key).expect("a certificate");
    let issuer = Issuer::new(params, authority_key);
    names.map(|name| {
        let key = KeyPair::generate().expect("a key");
        let certificate = named(name).signed_by(&key, &issuer).expect("a certificate");
        let own = OwnCertificate::new(vec![certificate.der().to_vec()], key.serialized_der());
        Certificates {
            own: own.expect("they belong together"),
            trusted: TrustAnchors::new([authority.der().as_ref()]).expect("an authority"),
        }
    })
}

fn named(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new([name.to_owned()]).expect("a name");
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

#[test]
fn a_peripheral_with_a_certificate_comes_to_a_session() {
    let [server, peripheral] = certificates(["server", "lamp"]);
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    socket.set_read_timeout(Some(LOOK_INTERVAL)).expect("not zero");
    let lamp = Peripheral {
        id: PeripheralId::new("lamp").expect("a peripheral id"),
        server: socket.local_addr().expect("it is bound"),
        credential: Some(ClientCredential::Certificate(peripheral)),
        behaviour: Arc::new(Behaviour::steady()),
    };
    let _peripherals = Peripherals::start([lamp], Options::default()).expect("it starts");
    let config = Config { certificates: Some(server), ..Config::default() };
    let mut server: Server<SocketAddr> = Server::new(config, [5; 32]);
    let (clock, began, mut buffer) = (Clock::start(), Instant::now(), [0; 2_048]);
    loop {
        assert!(began.elapsed() < PATIENCE, "no session, {:?}", server.counters());
        if let Ok((length, peer)) = socket.recv_from(&mut buffer) {
            server.handle_datagram(clock.now(), peer, &buffer[..length], |_| None);
        }
        server.handle_timeout(clock.now());
        while let Some(output) = server.poll_output() {
            match output {
                Output::Transmit { peer, datagram } => drop(socket.send_to(&datagram, peer).expect("it is sent")),
                Output::Event(Event::Established { .. }) => return,
                Output::Event(other) => panic!("{other:?}"),
            }
        }
    }
}
