//! Simulated LwM2M devices before the gateway, over a link that may lose, repeat and reorder.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use bugle_core::credential::PreSharedKey;
use bugle_core::{PeripheralId, Time};
use bugle_dtls::{ClientConfig, ClientCredential};
use bugle_edge::carriage::{self, CoapDevice};
use bugle_edge::{DatagramSocket, Peer, Security};
use bugle_lwm2m::client::{Input, Output, Settings, Sleep};

use super::world::World;

const PLAIN: DatagramSocket = DatagramSocket { number: 0, security: Security::Plain };
const SECURED: DatagramSocket = DatagramSocket { number: 1, security: Security::Dtls };

/// One device before the gateway.
pub(crate) struct Client {
    pub(crate) device: CoapDevice<()>,
    /// Its end of DTLS, if it speaks that, and what waits for a session.
    pub(crate) dtls: Option<bugle_dtls::Client<()>>,
    unsent: Vec<Vec<u8>>,
    pub(crate) address: SocketAddr,
    /// So many requests it will reset, as if it were not ready for any, and with what.
    pub(crate) resets: u8,
    reset: Vec<Vec<u8>>,
    /// What it wrote and executed, in order.
    pub(crate) done: Vec<Output>,
}

/// How bad the link is: of a hundred datagrams so many are lost, and as many come twice or late.
#[derive(Clone, Copy)]
pub(crate) struct Link {
    pub(crate) percent: u64,
    pub(crate) seed: u64,
}

/// A gateway and its devices, with what is on the way between them.
pub(crate) struct Site {
    pub(crate) world: World,
    pub(crate) clients: Vec<Client>,
    link: Link,
    /// By arrival; to the device of this address, or from it.
    air: BTreeMap<(Time, u64), (SocketAddr, Direction, Vec<u8>)>,
    sent: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    Up,
    Down,
}

pub(crate) fn settings(id: &str) -> Settings {
    Settings::new(PeripheralId::new(id).expect("a peripheral id"))
}

pub(crate) fn sleeper(id: &str, every: Duration, wakes_with: bugle_lwm2m::client::WakesWith) -> Settings {
    let sleep = Sleep::QueueMode { awake: Duration::from_secs(93), every, wakes_with };
    Settings { sleep, ..settings(id) }
}

impl Client {
    fn new(settings: Settings, number: u16) -> Self {
        Self {
            device: CoapDevice::new(settings, [number as u8; 16]),
            dtls: None,
            unsent: Vec::new(),
            address: SocketAddr::from(([127, 0, 0, 1], 40_000 + number)),
            resets: 0,
            reset: Vec::new(),
            done: Vec::new(),
        }
    }

    pub(crate) fn is_registered(&self) -> bool {
        self.device.device().is_registered()
    }

    /// Carries out what the device has to do, and returns what is to be sent.
    fn run(&mut self, now: Time) -> Vec<Vec<u8>> {
        let mut datagrams = std::mem::take(&mut self.reset);
        loop {
            if let Some(output) = self.device.poll_output(now, ()) {
                match output {
                    carriage::Output::Transmit { datagram, .. } => match &mut self.dtls {
                        None => datagrams.push(datagram.to_vec()),
                        Some(dtls) => {
                            if dtls.send(&datagram).is_err() {
                                self.unsent.push(datagram.to_vec());
                            }
                        }
                    },
                    carriage::Output::Did(done @ (Output::Written { .. } | Output::Executed { .. })) => {
                        self.done.push(done);
                    }
                    // What slept has lost its session, and where nobody answers in one, the next word begins another.
                    carriage::Output::Did(Output::Awake) | carriage::Output::Unanswered => {
                        if let Some(dtls) = &mut self.dtls {
                            dtls.connect(now);
                        }
                    }
                    carriage::Output::Did(_) => {}
                }
            } else if let Some(output) = self.dtls.as_mut().and_then(bugle_dtls::Client::poll_output) {
                match output {
                    bugle_dtls::Output::Transmit { datagram, .. } => datagrams.push(datagram),
                    bugle_dtls::Output::Event(event) => self.on_dtls(now, event),
                }
            } else {
                return datagrams;
            }
        }
    }

    fn on_dtls(&mut self, now: Time, event: bugle_dtls::Event<()>) {
        match event {
            bugle_dtls::Event::Established { .. } => {
                let dtls = self.dtls.as_mut().expect("it said so");
                for datagram in std::mem::take(&mut self.unsent) {
                    dtls.send(&datagram).expect("there is a session");
                }
            }
            bugle_dtls::Event::Received { plaintext, .. } => self.device.handle_datagram(now, (), &plaintext),
            _ => {}
        }
    }

    /// A datagram of the gateway's has arrived.
    fn hear(&mut self, now: Time, datagram: &[u8]) {
        if self.resets > 0 && is_confirmable_request(datagram) {
            self.resets -= 1;
            return self.reset.push(vec![0x70, 0, datagram[2], datagram[3]]);
        }
        match &mut self.dtls {
            Some(dtls) => dtls.handle_datagram(now, datagram),
            None => self.device.handle_datagram(now, (), datagram),
        }
    }

    fn socket(&self) -> DatagramSocket {
        if self.dtls.is_some() { SECURED } else { PLAIN }
    }

    fn next_timeout(&self) -> Option<Time> {
        let dtls = self.dtls.as_ref().and_then(bugle_dtls::Client::next_timeout);
        [self.device.next_timeout(), dtls].into_iter().flatten().min()
    }
}

/// RFC 7252 §3: version 1, type CON, and a code of class 0 that is not empty.
fn is_confirmable_request(datagram: &[u8]) -> bool {
    datagram.len() >= 4 && datagram[0] & 0xf0 == 0x40 && (1..0x20).contains(&datagram[1])
}

impl Site {
    pub(crate) fn new(devices: Vec<Settings>, link: Link) -> Self {
        let ids: Vec<String> = devices.iter().map(|settings| settings.endpoint.to_string()).collect();
        let world = World::new(&ids.iter().map(String::as_str).collect::<Vec<_>>());
        let clients = devices.into_iter().zip(1..).map(|(settings, number)| Client::new(settings, number)).collect();
        Self { world, clients, link, air: BTreeMap::new(), sent: 0 }
    }

    /// Has a device speak DTLS, with the key of this identity.
    pub(crate) fn secure(&mut self, device: usize, identity: &str, key: &PreSharedKey) {
        let credential = ClientCredential::PreSharedKey { identity: identity.as_bytes().to_vec(), key: key.clone() };
        let mut dtls = bugle_dtls::Client::new(ClientConfig::new(credential), (), [device as u8; 32]);
        dtls.connect(self.world.now);
        self.clients[device].dtls = Some(dtls);
    }

    pub(crate) fn good(devices: Vec<Settings>) -> Self {
        Self::new(devices, Link { percent: 0, seed: 0 })
    }

    /// Something happens to a device.
    pub(crate) fn tell(&mut self, device: usize, input: Input) {
        let now = self.world.now;
        self.clients[device].device.handle_input(now, input);
        self.run();
    }

    /// Switches all devices on and has the application say yes to each.
    pub(crate) fn start(&mut self) {
        for device in 0..self.clients.len() {
            self.tell(device, Input::Start);
        }
        self.run();
    }

    /// Lets time pass; whoever asks to register meanwhile is authorized.
    pub(crate) fn pass(&mut self, time: Duration) {
        let end = self.world.now + time;
        loop {
            self.run();
            let clients = self.clients.iter().filter_map(Client::next_timeout).min();
            let air = self.air.first_key_value().map(|((at, _), _)| *at);
            let next = [self.world.edge.next_timeout(), clients, air].into_iter().flatten().min();
            match next.filter(|at| *at <= end) {
                Some(at) => self.world.now = self.world.now.max(at),
                None => break,
            }
            let now = self.world.now;
            self.world.edge.handle_timeout(now);
            for client in &mut self.clients {
                client.device.handle_timeout(now);
                if let Some(dtls) = &mut client.dtls {
                    dtls.handle_timeout(now);
                }
            }
        }
        self.world.now = end;
        self.run();
    }

    fn run(&mut self) {
        loop {
            self.world.run();
            self.world.decide_all();
            for (peer, datagram) in self.world.take_datagrams() {
                self.send(peer.address(), Direction::Down, datagram);
            }
            let now = self.world.now;
            for number in 0..self.clients.len() {
                let address = self.clients[number].address;
                for datagram in self.clients[number].run(now) {
                    self.send(address, Direction::Up, datagram);
                }
            }
            if !self.arrive() {
                return;
            }
        }
    }

    /// Puts a datagram on its way: it may be lost, come twice, or be overtaken.
    fn send(&mut self, address: SocketAddr, direction: Direction, datagram: Vec<u8>) {
        let mut arrivals = vec![0];
        if self.draw() < self.link.percent {
            match self.draw() % 3 {
                0 => arrivals.clear(),
                1 => arrivals.push(self.draw() * 10),
                _ => arrivals[0] = self.draw() * 10,
            }
        }
        for delay in arrivals {
            self.sent += 1;
            let at = self.world.now + Duration::from_millis(delay);
            self.air.insert((at, self.sent), (address, direction, datagram.clone()));
        }
    }

    fn arrive(&mut self) -> bool {
        let now = self.world.now;
        let mut has_arrived = false;
        while let Some(entry) = self.air.first_entry().filter(|entry| entry.key().0 <= now) {
            has_arrived = true;
            let (address, direction, datagram) = entry.remove();
            match direction {
                Direction::Up => {
                    let client = self.clients.iter().find(|client| client.address == address);
                    if let Some(socket) = client.map(Client::socket) {
                        self.world.edge.handle_datagram(now, Peer::new(socket, address), &datagram);
                    }
                }
                Direction::Down => {
                    let client = self.clients.iter_mut().find(|client| client.address == address);
                    if let Some(client) = client.filter(|client| !client.device.device().is_asleep()) {
                        client.hear(now, &datagram);
                    }
                }
            }
        }
        has_arrived
    }

    /// A number below 100.
    fn draw(&mut self) -> u64 {
        self.link.seed = self.link.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.link.seed >> 33) % 100
    }
}
