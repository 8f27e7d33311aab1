//! LwM2M peripherals against a server that the test plays, over real UDP sockets.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bugle_coap::{Config, Delivery, Endpoint, Event, ExchangeId};
use bugle_core::{PeripheralId, Time};
use bugle_edge::carriage;
use bugle_load::lwm2m::{Behaviour, Peripheral, Port};
use bugle_load::{Command, Ending, Happening, Options, Peripherals, Session};
use bugle_lwm2m::client::{Sleep, WakesWith};
use bugle_lwm2m::registration::Register;
use bugle_lwm2m::{ClientRequest, Code, Method, Request, Response, Version};

use crate::{PATIENCE, wait_for};

/// How long the server listens before it looks at its clock.
const LOOK_INTERVAL: Duration = Duration::from_millis(10);

struct PlayedServer {
    socket: UdpSocket,
    began: Instant,
    endpoint: Endpoint<SocketAddr>,
    /// Whether it takes whoever registers.
    verdict: Code,
    registered: BTreeMap<PeripheralId, (SocketAddr, Register)>,
    answers: BTreeMap<ExchangeId, Option<Response>>,
}

impl PlayedServer {
    fn new() -> Self {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        socket.set_read_timeout(Some(LOOK_INTERVAL)).expect("not zero");
        Self {
            socket,
            began: Instant::now(),
            endpoint: Endpoint::new(Config::default(), [3; 16]),
            verdict: Code::CREATED,
            registered: BTreeMap::new(),
            answers: BTreeMap::new(),
        }
    }

    fn address(&self) -> SocketAddr {
        self.socket.local_addr().expect("it is bound")
    }

    fn now(&self) -> Time {
        Time::from_millis(self.began.elapsed().as_millis() as u64)
    }

    /// Serves until `is_done`.
    fn serve_until(&mut self, is_done: impl Fn(&Self) -> bool) {
        let mut buffer = [0; 2048];
        while !is_done(self) {
            assert!(self.began.elapsed() < PATIENCE, "{} registered", self.registered.len());
            if let Ok((length, peer)) = self.socket.recv_from(&mut buffer) {
                self.endpoint.handle_datagram(self.now(), peer, &buffer[..length]);
            }
            self.endpoint.handle_timeout(self.now());
            self.drain();
        }
    }

    fn drain(&mut self) {
        while let Some(output) = self.endpoint.poll_output() {
            match output {
                bugle_coap::Output::Transmit { peer, datagram } => {
                    self.socket.send_to(&datagram, peer).expect("it is sent");
                }
                bugle_coap::Output::Event(Event::Request { handle, peer, request, .. }) => {
                    let request = carriage::from_coap_request(&request).expect("a method of LwM2M");
                    let response = carriage::to_coap_response(&self.answer(peer, &request));
                    self.endpoint.respond(self.now(), handle, response).expect("it is there");
                }
                bugle_coap::Output::Event(Event::Response { exchange, response, .. }) => {
                    self.answers.insert(exchange, Some(carriage::from_coap_response(&response)));
                }
                bugle_coap::Output::Event(Event::Failed { exchange, .. }) => {
                    self.answers.insert(exchange, None);
                }
                bugle_coap::Output::Event(_) => {}
            }
        }
    }

    fn answer(&mut self, peer: SocketAddr, request: &Request) -> Response {
        match ClientRequest::from_request(request, Version::V1_2).expect("an honest peripheral") {
            ClientRequest::Register(register) if self.verdict == Code::CREATED => {
                let id = register.endpoint.clone().expect("it says its name");
                let location = vec!["rd".into(), id.to_string()];
                self.registered.insert(id, (peer, *register));
                Response::created(location)
            }
            ClientRequest::Register(_) => Response::new(self.verdict),
            ClientRequest::Update { registration, .. } => {
                let known = self.registered.get_mut(&id(&registration));
                known.map_or_else(
                    || Response::new(Code::NOT_FOUND),
                    |known| {
                        known.0 = peer;
                        Response::new(Code::CHANGED)
                    },
                )
            }
            ClientRequest::Deregister { registration } => {
                self.registered.remove(&id(&registration));
                Response::new(Code::DELETED)
            }
            ClientRequest::Send { .. } => Response::new(Code::CHANGED),
        }
    }

    fn ask_all(&mut self, request: &Request) {
        let peers: Vec<SocketAddr> = self.registered.values().map(|(peer, _)| *peer).collect();
        for peer in peers {
            let request = carriage::to_coap_request(request);
            self.endpoint.request(self.now(), peer, request, Delivery::default()).expect("there is room");
        }
        self.drain();
    }
}

fn id(text: &str) -> PeripheralId {
    PeripheralId::new(text).expect("a peripheral id")
}

fn start(count: usize, server: SocketAddr, behaviour: Behaviour, options: Options) -> Peripherals {
    let behaviour = Arc::new(behaviour);
    let peripheral = |number| Peripheral {
        id: id(&format!("l{number}")),
        server,
        credential: None,
        behaviour: Arc::clone(&behaviour),
    };
    Peripherals::start((0..count).map(peripheral), Options { events_max: 10_000, ..options }).expect("they start")
}

#[test]
fn every_peripheral_registers_from_a_port_of_its_own_and_answers_what_it_is_asked() {
    let mut server = PlayedServer::new();
    let options = Options { workers: NonZeroUsize::new(3).expect("not zero"), ..Options::default() };
    let peripherals = start(500, server.address(), Behaviour::steady(), options);
    server.serve_until(|server| server.registered.len() == 500);
    let ports: BTreeSet<SocketAddr> = server.registered.values().map(|(peer, _)| *peer).collect();
    assert_eq!(ports.len(), 500);
    wait_for(&peripherals, 500, |what| *what == Happening::Connected { session: Session::New });
    server.ask_all(&Request::new(Method::Get, vec!["3".into(), "0".into(), "2".into()]));
    server.serve_until(|server| server.answers.len() == 500);
    assert!(server.answers.values().flatten().all(|answer| answer.code == Code::CONTENT));
    let acknowledged = wait_for(&peripherals, 500, |what| *what == Happening::Acknowledged);
    assert_eq!(acknowledged.iter().map(|event| event.peripheral).collect::<BTreeSet<_>>().len(), 500);
    peripherals.command_all(&Command::Deregister);
    server.serve_until(|server| server.registered.is_empty());
    wait_for(&peripherals, 500, |what| *what == Happening::Disconnected(Ending::Left));
    let counts = peripherals.stop();
    assert_eq!((counts.connected, counts.received, counts.broken, counts.events_lost), (500, 500, 0, 0));
    assert_eq!(counts.connected_now(), 0);
}

#[test]
fn a_sleeper_comes_back_from_another_port() {
    let mut server = PlayedServer::new();
    let sleep = Sleep::QueueMode {
        awake: Duration::from_millis(50),
        every: Duration::from_millis(50),
        wakes_with: WakesWith::Update,
    };
    let behaviour = Behaviour { sleep, port: Port::Another, ..Behaviour::steady() };
    let peripherals = start(1, server.address(), behaviour, Options::default());
    server.serve_until(|server| server.registered.len() == 1);
    let (first, register) = server.registered[&id("l0")].clone();
    assert!(register.registration.binding().is_queue_mode());
    server.serve_until(|server| server.registered[&id("l0")].0 != first);
    wait_for(&peripherals, 1, |what| *what == Happening::Disconnected(Ending::Slept));
    server.serve_until(|_| peripherals.counts().connected == 2);
}

#[test]
fn a_peripheral_that_is_refused_gives_up_after_its_last_try() {
    let mut server = PlayedServer::new();
    server.verdict = Code::FORBIDDEN;
    let behaviour = Behaviour { tries: Some(1), ..Behaviour::steady() };
    let peripherals = start(1, server.address(), behaviour, Options::default());
    server.serve_until(|_| peripherals.counts().gave_up == 1);
    let refused = wait_for(&peripherals, 1, |what| matches!(what, Happening::Refused { .. }));
    assert_eq!(
        refused[0].what,
        Happening::Refused { code: 0x83, reason: Some("4.03 forbidden: not allowed for this peer".to_owned()) }
    );
}

#[test]
fn no_more_registrations_are_under_way_at_once_than_may_be() {
    let server = PlayedServer::new();
    let options = Options { connecting_max: NonZeroUsize::new(2).expect("not zero"), ..Options::default() };
    let _peripherals = start(5, server.address(), Behaviour::steady(), options);
    let mut buffer = [0; 2048];
    let mut peers = BTreeSet::new();
    server.socket.set_read_timeout(Some(Duration::from_millis(300))).expect("not zero");
    while let Ok((_, peer)) = server.socket.recv_from(&mut buffer) {
        peers.insert(peer);
    }
    assert_eq!(peers.len(), 2);
}
