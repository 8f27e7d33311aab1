//! A server and some clients on one desk, with a link between them that can be made worse.

use std::collections::BTreeMap;
use std::time::Duration;

use bugle_core::Time;
use bugle_core::certificate::TrustAnchors;
use bugle_core::credential::PreSharedKey;
use bugle_dtls::{
    Certificates, Client, ClientConfig, ClientCredential, Config, Event, Identity, KeepingKey, Kept, KeptSession,
    Output, OwnCertificate, Server,
};

pub(crate) const KEEPING_KEY: KeepingKey = KeepingKey::new([9; KeepingKey::BYTES]);
pub(crate) const NOW: Time = Time::from_millis(1_790_000_000_000);

/// What the link does to a datagram.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Weather {
    /// So many of a hundred are lost.
    pub(crate) lost: u64,
    /// So many of a hundred come twice.
    pub(crate) doubled: u64,
    /// Each takes up to so many milliseconds.
    pub(crate) delay_millis: u64,
}

impl Weather {
    pub(crate) const FAIR: Self = Self { lost: 0, doubled: 0, delay_millis: 0 };
}

/// Numbers that are the same with the same seed.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}

pub(crate) type Rewrite = Box<dyn FnMut(&mut [u8])>;

/// Where a client is.
pub(crate) type Address = u16;

#[derive(Debug, Clone)]
enum To {
    Server(Address),
    Client(Address),
}

/// A desk with a server, and clients at addresses.
pub(crate) struct Desk {
    pub(crate) now: Time,
    pub(crate) server: Server<Address>,
    pub(crate) clients: BTreeMap<Address, Client<()>>,
    pub(crate) keys: BTreeMap<Vec<u8>, PreSharedKey>,
    pub(crate) weather: Weather,
    /// What the server told, in order.
    pub(crate) told: Vec<Event<Address>>,
    /// What the clients told, in order.
    pub(crate) clients_told: Vec<(Address, Event<()>)>,
    /// Everything that was sent to the server.
    pub(crate) to_server: Vec<(Address, Vec<u8>)>,
    /// Everything that was sent to clients.
    pub(crate) to_clients: Vec<(Address, Vec<u8>)>,
    /// What becomes of datagrams to the server on their way.
    pub(crate) rewrite_to_server: Option<Rewrite>,
    under_way: BTreeMap<(Time, u64), (To, Vec<u8>)>,
    sent: u64,
    dice: Dice,
}

impl Desk {
    pub(crate) fn new(config: Config) -> Self {
        Self::with_seed(config, 1)
    }

    pub(crate) fn with_seed(config: Config, seed: u64) -> Self {
        Self {
            now: NOW,
            server: Server::new(config, [seed as u8; 32]),
            clients: BTreeMap::new(),
            keys: BTreeMap::from([(b"valve-7".to_vec(), key(7)), (b"lamp-8".to_vec(), key(8))]),
            weather: Weather::FAIR,
            told: Vec::new(),
            clients_told: Vec::new(),
            to_server: Vec::new(),
            to_clients: Vec::new(),
            rewrite_to_server: None,
            under_way: BTreeMap::new(),
            sent: 0,
            dice: Dice::new(seed),
        }
    }

    /// Puts a client on the desk, which has not begun.
    pub(crate) fn seat(&mut self, address: Address, config: ClientConfig) {
        let [a, b] = address.to_be_bytes();
        let mut seed = [self.sent as u8; 32];
        seed[..2].copy_from_slice(&[a, b]);
        self.clients.insert(address, Client::new(config, (), seed));
    }

    pub(crate) fn client(&mut self, address: Address) -> &mut Client<()> {
        self.clients.get_mut(&address).expect("it was seated")
    }

    pub(crate) fn connect(&mut self, address: Address) {
        let now = self.now;
        self.client(address).connect(now);
    }

    /// A client that is connected.
    pub(crate) fn seat_connected(&mut self, address: Address, config: ClientConfig) {
        self.seat(address, config);
        self.connect(address);
        self.settle();
        assert!(self.client(address).is_established() && self.server.is_established(address));
        self.told.clear();
        self.clients_told.clear();
    }

    fn dispatch(&mut self, to: To, datagram: Vec<u8>) {
        let copies = if self.dice.below(100) < self.weather.doubled { 2 } else { 1 };
        for _ in 0..copies {
            if self.dice.below(100) < self.weather.lost {
                continue;
            }
            let delay = self.dice.below(self.weather.delay_millis + 1);
            self.sent += 1;
            let at = self.now + Duration::from_millis(delay);
            self.under_way.insert((at, self.sent), (to.clone(), datagram.clone()));
        }
    }

    fn drain(&mut self) {
        while let Some(output) = self.server.poll_output() {
            match output {
                Output::Transmit { peer, datagram } => {
                    self.to_clients.push((peer, datagram.clone()));
                    self.dispatch(To::Client(peer), datagram);
                }
                Output::Event(event) => self.told.push(event),
            }
        }
        let addresses: Vec<Address> = self.clients.keys().copied().collect();
        for address in addresses {
            while let Some(output) = self.client(address).poll_output() {
                match output {
                    Output::Transmit { mut datagram, .. } => {
                        if let Some(rewrite) = &mut self.rewrite_to_server {
                            rewrite(&mut datagram);
                        }
                        self.to_server.push((address, datagram.clone()));
                        self.dispatch(To::Server(address), datagram);
                    }
                    Output::Event(event) => self.clients_told.push((address, event)),
                }
            }
        }
    }

    /// What is kept of a session, and its mark.
    pub(crate) fn keep(&mut self, address: Address) -> (KeptSession, u64) {
        let Kept { sealed, mark } = self.server.keep(address, &KEEPING_KEY).expect("there is a session");
        (KeptSession::open(&KEEPING_KEY, &sealed).expect("it is of this key"), mark)
    }

    /// The server is gone with all that it held, and another goes on with what was kept.
    pub(crate) fn replace_server(&mut self, config: Config, kept: Vec<(Address, KeptSession)>) {
        self.sent += 1;
        self.server = Server::new(config, [self.sent as u8; 32]);
        self.server.resume(self.now, kept);
    }

    /// A datagram arrives at the server, from wherever it came.
    pub(crate) fn deliver(&mut self, from: Address, datagram: &[u8]) {
        let Self { now, server, keys, .. } = self;
        server.handle_datagram(*now, from, datagram, |identity| keys.get(identity).cloned());
    }

    /// What the client says when it has its cookie; the server has not heard it.
    pub(crate) fn hello_with_cookie(&mut self, address: Address) -> Vec<u8> {
        let hello = self.pop_datagram(address);
        self.deliver(address, &hello);
        let Some(Output::Transmit { datagram, .. }) = self.server.poll_output() else { panic!("no cookie") };
        let now = self.now;
        self.client(address).handle_datagram(now, &datagram);
        self.pop_datagram(address)
    }

    fn pop_datagram(&mut self, address: Address) -> Vec<u8> {
        match self.client(address).poll_output() {
            Some(Output::Transmit { datagram, .. }) => datagram,
            other => panic!("{other:?}"),
        }
    }

    fn next(&self) -> Option<Time> {
        let arrival = self.under_way.first_key_value().map(|((at, _), _)| *at);
        let timers = self.clients.values().map(Client::next_timeout).chain([self.server.next_timeout()]);
        arrival.into_iter().chain(timers.flatten()).min()
    }

    pub(crate) fn run(&mut self, duration: Duration) {
        let until = self.now + duration;
        self.drain();
        while let Some(next) = self.next().filter(|next| *next <= until) {
            self.now = self.now.max(next);
            while let Some(entry) = self.under_way.first_entry().filter(|entry| entry.key().0 <= self.now) {
                let (to, datagram) = entry.remove();
                match to {
                    To::Server(from) => self.deliver(from, &datagram),
                    To::Client(address) => {
                        let now = self.now;
                        if let Some(client) = self.clients.get_mut(&address) {
                            client.handle_datagram(now, &datagram);
                        }
                    }
                }
                self.drain();
            }
            self.server.handle_timeout(self.now);
            let now = self.now;
            self.clients.values_mut().for_each(|client| client.handle_timeout(now));
            self.drain();
        }
        self.now = until;
    }

    /// Lets everything that is under way arrive, in fair weather.
    pub(crate) fn settle(&mut self) {
        self.run(Duration::from_millis(10));
    }

    /// What the server received, and from whom.
    pub(crate) fn received(&self) -> Vec<(Address, &[u8])> {
        let received = self.told.iter().filter_map(|event| match event {
            Event::Received { peer, plaintext } => Some((*peer, plaintext.as_slice())),
            _ => None,
        });
        received.collect()
    }

    /// What a client received.
    pub(crate) fn received_by(&self, address: Address) -> Vec<&[u8]> {
        let received = self.clients_told.iter().filter_map(|(at, event)| match event {
            Event::Received { plaintext, .. } if *at == address => Some(plaintext.as_slice()),
            _ => None,
        });
        received.collect()
    }

    /// Each says something to the other, and it arrives.
    pub(crate) fn assert_they_talk(&mut self, address: Address) {
        self.told.clear();
        self.clients_told.clear();
        self.client(address).send(b"up").expect("there is a session");
        self.server.send(address, b"down").expect("there is a session");
        self.settle();
        assert_eq!(self.received(), [(address, &b"up"[..])]);
        assert_eq!(self.received_by(address), [b"down"]);
    }
}

pub(crate) fn key(byte: u8) -> PreSharedKey {
    PreSharedKey::new(&[byte; 16]).expect("of a length that keys have")
}

/// A client with a pre-shared key.
pub(crate) fn with_key(identity: &str, byte: u8) -> ClientConfig {
    ClientConfig::new(ClientCredential::PreSharedKey { identity: identity.into(), key: key(byte) })
}

pub(crate) fn valve() -> ClientConfig {
    with_key("valve-7", 7)
}

pub(crate) fn valve_identity() -> Identity {
    Identity::PreSharedKey { identity: b"valve-7".to_vec(), key: key(7) }
}

/// An authority, with which certificates are made.
pub(crate) struct Authority {
    issuer: rcgen::Issuer<'static, rcgen::KeyPair>,
    pub(crate) der: Vec<u8>,
    pub(crate) pem: String,
}

/// A certificate in all the forms that are wanted.
pub(crate) struct Issued {
    pub(crate) own: OwnCertificate,
    pub(crate) pem: String,
    pub(crate) key_pem: String,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = named(name);
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign];
        let key = rcgen::KeyPair::generate().expect("a key pair");
        let certificate = params.self_signed(&key).expect("a certificate");
        let (der, pem) = (certificate.der().to_vec(), certificate.pem());
        Self { issuer: rcgen::Issuer::new(params, key), der, pem }
    }

    pub(crate) fn issue(&self, name: &str) -> Issued {
        self.issue_with(named(name))
    }

    pub(crate) fn issue_with(&self, params: rcgen::CertificateParams) -> Issued {
        let key = rcgen::KeyPair::generate().expect("a key pair");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        let own = OwnCertificate::new(vec![certificate.der().to_vec()], key.serialized_der());
        Issued {
            own: own.expect("key and certificate belong together"),
            pem: certificate.pem(),
            key_pem: key.serialize_pem(),
        }
    }

    /// What someone needs who has a certificate of this authority and trusts it.
    pub(crate) fn certificates(&self, name: &str) -> Certificates {
        Certificates { own: self.issue(name).own, trusted: self.trusted() }
    }

    pub(crate) fn trusted(&self) -> TrustAnchors {
        TrustAnchors::new([self.der.as_slice()]).expect("a certificate of an authority")
    }
}

pub(crate) fn named(name: &str) -> rcgen::CertificateParams {
    let mut params = rcgen::CertificateParams::new(vec![name.to_owned()]).expect("a name");
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    params
}
