//! What handshakes and records cost: both sides, in memory.

use bugle_core::Time;
use bugle_core::certificate::TrustAnchors;
use bugle_core::credential::PreSharedKey;
use bugle_dtls::{
    Certificates, CipherSuite, Client, ClientConfig, ClientCredential, Config, Event, Output, OwnCertificate, Server,
};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};

const NOW: Time = Time::from_millis(1_790_000_000_000);

fn key() -> PreSharedKey {
    PreSharedKey::new(&[7; 16]).expect("of a length that keys have")
}

fn certificates() -> Certificates {
    let mut params = rcgen::CertificateParams::new(Vec::new()).expect("a name");
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority_key = rcgen::KeyPair::generate().expect("a key pair");
    let authority = params.self_signed(&authority_key).expect("a certificate");
    let issuer = rcgen::Issuer::new(params, authority_key);
    let own_key = rcgen::KeyPair::generate().expect("a key pair");
    let own = rcgen::CertificateParams::new(vec!["valve".to_owned()]).expect("a name");
    let own = own.signed_by(&own_key, &issuer).expect("a certificate");
    let own = OwnCertificate::new(vec![own.der().to_vec()], own_key.serialized_der());
    Certificates {
        own: own.expect("they belong together"),
        trusted: TrustAnchors::new([&authority.der()[..]]).expect("an authority"),
    }
}

struct Pair {
    server: Server<u32>,
    client: Client<()>,
    certificates: Certificates,
}

impl Pair {
    fn new(suite: CipherSuite) -> Self {
        let certificates = certificates();
        let config = Config { certificates: Some(certificates.clone()), ..Config::default() };
        let client = Self::client(suite, &certificates, 0);
        Self { server: Server::new(config, [1; 32]), client, certificates }
    }

    fn client(suite: CipherSuite, certificates: &Certificates, number: u32) -> Client<()> {
        let credential = if suite.uses_certificates() {
            ClientCredential::Certificate(certificates.clone())
        } else {
            ClientCredential::PreSharedKey { identity: b"valve".to_vec(), key: key() }
        };
        let mut seed = [2; 32];
        seed[..4].copy_from_slice(&number.to_be_bytes());
        Client::new(ClientConfig { suites: vec![suite], ..ClientConfig::new(credential) }, (), seed)
    }

    /// Both say all that they have to say. How much of it was data for the server.
    fn run(&mut self) -> usize {
        let mut received = 0;
        loop {
            if let Some(output) = self.client.poll_output() {
                if let Output::Transmit { datagram, .. } = output {
                    self.server.handle_datagram(NOW, 1, &datagram, |_| Some(key()));
                }
            } else if let Some(output) = self.server.poll_output() {
                match output {
                    Output::Transmit { datagram, .. } => self.client.handle_datagram(NOW, &datagram),
                    Output::Event(Event::Received { .. }) => received += 1,
                    Output::Event(_) => {}
                }
            } else {
                return received;
            }
        }
    }

    fn shake_hands(&mut self) {
        self.client.connect(NOW);
        self.run();
        assert!(self.client.is_established());
    }
}

const SUITES: [CipherSuite; 4] = [
    CipherSuite::PskAes128Ccm8,
    CipherSuite::PskAes128Gcm,
    CipherSuite::EcdheEcdsaAes128Ccm8,
    CipherSuite::EcdheEcdsaAes128Gcm,
];

fn handshakes(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("handshake, both sides");
    group.throughput(Throughput::Elements(1));
    for suite in SUITES {
        let mut pair = Pair::new(suite);
        let certificates = pair.certificates.clone();
        let mut number = 0;
        group.bench_function(format!("{suite:?}"), |bencher| {
            bencher.iter_batched(
                || {
                    number += 1;
                    Pair::client(suite, &certificates, number)
                },
                |client| {
                    pair.client = client;
                    pair.shake_hands();
                },
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

fn cookies(criterion: &mut Criterion) {
    let mut pair = Pair::new(CipherSuite::PskAes128Ccm8);
    pair.client.connect(NOW);
    let Some(Output::Transmit { datagram, .. }) = pair.client.poll_output() else { panic!("a hello") };
    let mut group = criterion.benchmark_group("hello without a cookie, server");
    group.throughput(Throughput::Elements(1));
    group.bench_function("answered", |bencher| {
        bencher.iter(|| {
            pair.server.handle_datagram(NOW, 1, &datagram, |_| None);
            pair.server.poll_output()
        });
    });
    group.finish();
}

fn records(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("record of 64 bytes, sealed and opened");
    group.throughput(Throughput::Elements(1));
    for suite in SUITES.into_iter().take(2) {
        let mut pair = Pair::new(suite);
        pair.shake_hands();
        group.bench_function(format!("{suite:?}"), |bencher| {
            bencher.iter(|| {
                pair.client.send(&[3; 64]).expect("there is a session");
                assert_eq!(pair.run(), 1);
            });
        });
    }
    group.finish();
}

criterion_group!(benches, handshakes, cookies, records);
criterion_main!(benches);
