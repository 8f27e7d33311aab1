//! A DTLS server and a client that are sent anything, and each other's datagrams changed, lost and repeated.

#![no_main]

use std::collections::VecDeque;
use std::time::Duration;

use arbitrary::Arbitrary;
use bugle_core::Time;
use bugle_core::credential::PreSharedKey;
use bugle_dtls::{Census, Client, ClientConfig, ClientCredential, Config, Event, Limits, Output, Server, WhenFull};
use libfuzzer_sys::fuzz_target;

/// How many peers there are.
const PEERS: u8 = 3;

#[derive(Debug, Arbitrary)]
enum Step<'b> {
    /// Bytes from nowhere, to the server.
    ToServer {
        peer: u8,
        datagram: &'b [u8],
    },
    /// Bytes from nowhere, to a client.
    ToClient {
        peer: u8,
        datagram: &'b [u8],
    },
    /// The oldest that is under way arrives.
    Arrive,
    /// It arrives with a byte of it changed.
    ArriveChanged {
        place: u16,
        change: u8,
    },
    /// It is lost.
    Lose,
    /// All that is under way arrives, and what comes of it.
    Settle,
    /// One that arrived arrives again, from there.
    Again {
        which: u8,
        peer: u8,
    },
    Connect {
        peer: u8,
    },
    Say {
        peer: u8,
    },
    Answer {
        peer: u8,
    },
    CloseClient {
        peer: u8,
    },
    CloseServer {
        peer: u8,
    },
    Sleep {
        millis: u32,
    },
}

enum To {
    ServerFrom(u8),
    Client(u8),
}

struct World {
    now: Time,
    server: Server<u8>,
    clients: Vec<Client<()>>,
    under_way: VecDeque<(To, Vec<u8>)>,
    arrived: Vec<Vec<u8>>,
}

fn key(identity: &[u8]) -> Option<PreSharedKey> {
    (identity != b"2").then(|| PreSharedKey::new(&[7; 16]).expect("of a length that keys have"))
}

impl World {
    fn new() -> Self {
        let limits = Limits {
            sessions_max: 2,
            handshakes_max: 2,
            idle_after: Duration::from_secs(300),
            when_full: WhenFull::EndIdlest,
            ..Limits::default()
        };
        let clients = (0..PEERS).map(|number| {
            let key = PreSharedKey::new(&[7; 16]).expect("of a length that keys have");
            let identity = number.to_string().into_bytes();
            let credential = ClientCredential::PreSharedKey { identity, key };
            Client::new(ClientConfig::new(credential), (), [number; 32])
        });
        Self {
            now: Time::from_millis(1_790_000_000_000),
            server: Server::new(Config { limits, ..Config::default() }, [9; 32]),
            clients: clients.collect(),
            under_way: VecDeque::new(),
            arrived: Vec::new(),
        }
    }

    fn drain(&mut self) {
        while let Some(output) = self.server.poll_output() {
            match output {
                Output::Transmit { peer, datagram } => self.under_way.push_back((To::Client(peer), datagram)),
                // Only what was said is received: nothing that was made up authenticates.
                Output::Event(Event::Received { plaintext, .. }) => assert_eq!(plaintext, b"said"),
                Output::Event(_) => {}
            }
        }
        for (peer, client) in (0..).zip(&mut self.clients) {
            while let Some(output) = client.poll_output() {
                match output {
                    Output::Transmit { datagram, .. } => self.under_way.push_back((To::ServerFrom(peer), datagram)),
                    Output::Event(Event::Received { plaintext, .. }) => assert_eq!(plaintext, b"answered"),
                    Output::Event(_) => {}
                }
            }
        }
        self.under_way.truncate(64);
        self.arrived.truncate(64);
    }

    /// Whether there was anything under way.
    fn arrive(&mut self, place: u16, change: u8) -> bool {
        let Some((to, mut datagram)) = self.under_way.pop_front() else { return false };
        self.arrived.push(datagram.clone());
        let length = datagram.len().max(1);
        if let Some(byte) = datagram.get_mut(usize::from(place) % length) {
            *byte ^= change;
        }
        match to {
            To::Client(peer) => self.clients[usize::from(peer)].handle_datagram(self.now, &datagram),
            To::ServerFrom(peer) => self.server.handle_datagram(self.now, peer, &datagram, key),
        }
        self.drain();
        true
    }

    /// For so long at most: two sides that answer each other for ever would be a fault.
    fn settle(&mut self) {
        assert!((0..1_000).any(|_| !self.arrive(0, 0)), "they never stop");
    }

    fn client(&mut self, peer: u8) -> &mut Client<()> {
        &mut self.clients[usize::from(peer % PEERS)]
    }

    fn sleep(&mut self, millis: u32) {
        let until = self.now + Duration::from_millis(millis.into());
        while let Some(next) = self.server.next_timeout().filter(|next| *next <= until) {
            self.now = next.max(self.now);
            self.server.handle_timeout(self.now);
            self.drain();
        }
        self.now = until;
        for client in &mut self.clients {
            client.handle_timeout(until);
        }
    }

    fn step(&mut self, step: Step<'_>) {
        let now = self.now;
        match step {
            Step::ToServer { peer, datagram } => self.server.handle_datagram(now, peer % PEERS, datagram, key),
            Step::ToClient { peer, datagram } => self.client(peer).handle_datagram(now, datagram),
            Step::Arrive => drop(self.arrive(0, 0)),
            Step::ArriveChanged { place, change } => drop(self.arrive(place, change)),
            Step::Settle => self.settle(),
            Step::Lose => drop(self.under_way.pop_front()),
            Step::Again { which, peer } => {
                if let Some(datagram) = self.arrived.get(usize::from(which)) {
                    self.server.handle_datagram(now, peer % PEERS, datagram, key);
                }
            }
            Step::Connect { peer } => self.client(peer).connect(now),
            Step::Say { peer } => drop(self.client(peer).send(b"said")),
            Step::Answer { peer } => drop(self.server.send(peer % PEERS, b"answered")),
            Step::CloseClient { peer } => self.client(peer).close(),
            Step::CloseServer { peer } => self.server.close(peer % PEERS),
            Step::Sleep { millis } => self.sleep(millis % 400_000),
        }
    }
}

fuzz_target!(|steps: Vec<Step<'_>>| {
    let mut world = World::new();
    for step in steps {
        world.step(step);
        world.drain();
        let Census { sessions, handshakes } = world.server.census();
        assert!(sessions <= 2 && handshakes <= 2);
    }
    world.sleep(4_000_000);
    world.drain();
    assert_eq!(world.server.census(), Census::default());
    assert_eq!(world.server.next_timeout(), None);
});
