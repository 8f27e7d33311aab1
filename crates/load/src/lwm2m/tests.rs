//! Peripherals and a server on one desk, in virtual time, with datagrams that may get lost.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bugle_coap::{Config, Delivery as CoapDelivery, Endpoint, Event, ExchangeId, Identity, MessageId, Token};
use bugle_core::{PeripheralId, RequestId, Time};
use bugle_edge::carriage;
use bugle_lwm2m::client::{Sleep, WakesWith};
use bugle_lwm2m::operation::DeviceOperation;
use bugle_lwm2m::{ClientRequest, Code, Method, Observe, Path, Request, Response, Value, Version};

use super::behaviour::{Behaviour, Peripheral, Reporting, Telling};
use super::occupant::TEMPERATURE;
use super::share::{Output, Share};
use crate::command::Command;
use crate::event::{Delivery, Ending, Happening, Session};
use crate::seed::Numbers;

const NOBODY: &str = "127.0.0.1:1";
const AWAKE: Duration = Duration::from_secs(5);
const ASLEEP: Duration = Duration::from_secs(100);

struct Desk {
    now: Time,
    share: Share,
    server: Endpoint<usize>,
    /// What the server says to whoever wants to register.
    verdict: Code,
    /// Whether it does nothing but acknowledge what is asked, as a server that has died since.
    answers_nothing: bool,
    /// Of so many datagrams, one is lost.
    lost_of: Option<u32>,
    datagrams: u32,
    /// Registrations that the server knows.
    registered: BTreeMap<usize, Version>,
    happened: Vec<(usize, Happening)>,
    /// What the server got back.
    answers: BTreeMap<ExchangeId, Result<Response, String>>,
    notifications: Vec<Response>,
    sent: u32,
    turns_over: usize,
    ended: usize,
}

impl Desk {
    fn new(count: usize, behaviour: Behaviour) -> Self {
        let behaviour = Arc::new(behaviour);
        let peripheral = |number| {
            let peripheral = Peripheral {
                credential: None,
                id: PeripheralId::new(format!("lamp-{number}")).expect("a peripheral id"),
                server: NOBODY.parse().expect("an address"),
                behaviour: Arc::clone(&behaviour),
            };
            (peripheral, Numbers::new(7, number))
        };
        Self {
            now: Time::from_millis(1_000),
            share: Share::new((0..count).map(peripheral).collect(), [1; 16]),
            server: Endpoint::new(Config::default(), [2; 16]),
            verdict: Code::CREATED,
            answers_nothing: false,
            lost_of: None,
            datagrams: 0,
            registered: BTreeMap::new(),
            happened: Vec::new(),
            answers: BTreeMap::new(),
            notifications: Vec::new(),
            sent: 0,
            turns_over: 0,
            ended: 0,
        }
    }

    /// One that is registered.
    fn with_one(behaviour: Behaviour) -> Self {
        let mut desk = Self::new(1, behaviour);
        desk.settle();
        assert_eq!(desk.take_happened(), [Happening::Connected { session: Session::New }]);
        desk
    }

    fn is_lost(&mut self) -> bool {
        self.datagrams += 1;
        self.lost_of.is_some_and(|of| self.datagrams.wrapping_mul(0x9E37_79B9).rotate_left(9).is_multiple_of(of))
    }

    /// Until both have nothing more to say at this moment.
    fn settle(&mut self) {
        loop {
            let mut is_quiet = true;
            while let Some(output) = self.share.poll_output() {
                is_quiet = false;
                self.on_output(output);
            }
            while let Some(output) = self.server.poll_output() {
                is_quiet = false;
                match output {
                    bugle_coap::Output::Transmit { peer, datagram } if !self.is_lost() => {
                        self.share.handle_datagram(self.now, peer, &datagram);
                    }
                    bugle_coap::Output::Transmit { .. } => {}
                    bugle_coap::Output::Event(event) => self.on_event(event),
                }
            }
            if is_quiet {
                return;
            }
        }
    }

    fn on_output(&mut self, output: Output) {
        match output {
            Output::WantsTurn { seat } => self.share.handle_turn(self.now, seat),
            Output::TurnOver { .. } => self.turns_over += 1,
            Output::Transmit { seat, datagram } if !self.is_lost() => {
                self.server.handle_datagram(self.now, seat, &datagram);
            }
            Output::Transmit { .. } | Output::Move { .. } => {}
            Output::Ended => self.ended += 1,
            Output::Happened { seat, what } => self.happened.push((seat, what)),
        }
    }

    fn on_event(&mut self, event: Event<usize>) {
        match event {
            Event::Request { .. } if self.answers_nothing => {}
            Event::Request { handle, peer, request, .. } => {
                let request = carriage::from_coap_request(&request).expect("a method of LwM2M");
                let response = self.serve(peer, &request);
                let response = carriage::to_coap_response(&response);
                self.server.respond(self.now, handle, response).expect("it is there");
            }
            Event::Response { exchange, response, .. } => {
                self.answers.insert(exchange, Ok(carriage::from_coap_response(&response)));
            }
            Event::Failed { exchange, failure, .. } => {
                self.answers.insert(exchange, Err(failure.to_string()));
            }
            Event::Notification { response, .. } => self.notifications.push(carriage::from_coap_response(&response)),
            _ => {}
        }
    }

    fn serve(&mut self, peer: usize, request: &Request) -> Response {
        match ClientRequest::from_request(request, Version::V1_2).expect("an honest peripheral") {
            ClientRequest::Register(register) if self.verdict == Code::CREATED => {
                self.registered.insert(peer, register.registration.version());
                Response::created(vec!["rd".into(), peer.to_string()])
            }
            ClientRequest::Register(_) => Response::new(self.verdict),
            _ if !self.registered.contains_key(&peer) => Response::new(Code::NOT_FOUND),
            ClientRequest::Update { .. } => Response::new(Code::CHANGED),
            ClientRequest::Deregister { .. } => {
                self.registered.remove(&peer);
                Response::new(Code::DELETED)
            }
            ClientRequest::Send { .. } => {
                self.sent += 1;
                Response::new(Code::CHANGED)
            }
        }
    }

    /// Until `duration` has passed.
    fn pass(&mut self, duration: Duration) {
        let until = self.now + duration;
        self.settle();
        loop {
            let next = [self.share.next_timeout(), self.server.next_timeout()].into_iter().flatten().min();
            let Some(next) = next.filter(|next| *next <= until) else { break };
            self.now = self.now.max(next);
            self.share.handle_timeout(self.now);
            self.server.handle_timeout(self.now);
            self.settle();
        }
        self.now = until;
    }

    fn command(&mut self, seat: usize, command: Command) {
        self.share.handle_command(self.now, seat, command);
        self.settle();
    }

    fn ask(&mut self, seat: usize, request: Request) -> ExchangeId {
        let request = carriage::to_coap_request(&request);
        let exchange = self.server.request(self.now, seat, request, CoapDelivery::default()).expect("there is room");
        self.settle();
        exchange
    }

    fn take_happened(&mut self) -> Vec<Happening> {
        std::mem::take(&mut self.happened).into_iter().map(|(_, what)| what).collect()
    }
}

fn read(path: &str) -> Request {
    let path: Path = path.parse().expect("a path");
    Request::new(Method::Get, path.parts().iter().map(u16::to_string).collect())
}

fn connected(session: Session) -> Happening {
    Happening::Connected { session }
}

fn sleeper(wakes_with: WakesWith) -> Behaviour {
    let sleep = Sleep::QueueMode { awake: AWAKE, every: ASLEEP, wakes_with };
    Behaviour { sleep, lifetime: Duration::from_secs(86_400), ..Behaviour::steady() }
}

#[test]
fn it_registers_updates_in_time_and_leaves_when_told() {
    let mut desk = Desk::with_one(Behaviour { lifetime: Duration::from_secs(100), ..Behaviour::steady() });
    assert_eq!((desk.turns_over, desk.ended), (1, 0));
    desk.pass(Duration::from_secs(80));
    assert_eq!(desk.take_happened(), [Happening::Updated]);
    desk.command(0, Command::Deregister);
    assert_eq!(desk.take_happened(), [Happening::Disconnected(Ending::Left)]);
    assert!(desk.registered.is_empty());
    desk.pass(Duration::from_secs(1_000));
    assert_eq!((desk.take_happened(), desk.ended), (vec![], 1));
}

#[test]
fn it_does_and_answers_what_it_is_asked() {
    let mut desk = Desk::with_one(Behaviour::steady());
    let exchange = desk.ask(0, read("/3/0/0"));
    let answer = desk.answers[&exchange].as_ref().expect("an answer");
    assert_eq!(answer.code, Code::CONTENT);
    let missing = desk.ask(0, read("/9/9"));
    assert_eq!(desk.answers[&missing].as_ref().map(|answer| answer.code), Ok(Code::NOT_FOUND));
    let told = desk.take_happened();
    assert!(matches!(told[..], [Happening::Received { .. }, Happening::Acknowledged, Happening::Received { .. }, _]));
}

#[test]
fn what_a_gateway_asks_for_is_told_by_the_id_in_its_token() {
    let mut desk = Desk::with_one(Behaviour::steady());
    let id = RequestId::from_number(7).expect("a request id");
    let token = Token::new(&id.number().to_be_bytes()).expect("it has eight bytes");
    let identity = Some(Identity { message_id: MessageId::supplied(7), token });
    let request = bugle_coap::Request::new(bugle_coap::Method::Get).with_path("/3/0/0").expect("a path");
    desk.server
        .request(desk.now, 0, request, CoapDelivery { identity, ..CoapDelivery::default() })
        .expect("there is room");
    desk.settle();
    let received = Happening::Received { request: Some(id), delivery: Delivery::First };
    assert_eq!(desk.take_happened().first(), Some(&received));
}

#[test]
fn a_method_that_lwm2m_has_no_use_for_is_refused() {
    let mut desk = Desk::with_one(Behaviour::steady());
    let request = bugle_coap::Request::new(bugle_coap::Method::Patch);
    let exchange = desk.server.request(desk.now, 0, request, CoapDelivery::default()).expect("there is room");
    desk.settle();
    assert_eq!(desk.answers[&exchange].as_ref().map(|answer| answer.code), Ok(Code::METHOD_NOT_ALLOWED));
}

#[test]
fn one_that_sleeps_hears_nothing_and_says_so_when_it_wakes() {
    for (wakes_with, session) in [(WakesWith::Update, Session::Resumed), (WakesWith::Register, Session::New)] {
        let mut desk = Desk::with_one(sleeper(wakes_with));
        desk.pass(AWAKE);
        assert_eq!(desk.take_happened(), [Happening::Disconnected(Ending::Slept)]);
        let exchange = desk.ask(0, read("/3/0/0"));
        desk.pass(ASLEEP - Duration::from_secs(1));
        assert_eq!(desk.take_happened(), []);
        assert!(desk.answers[&exchange].is_err(), "it was asleep all the time");
        desk.pass(Duration::from_secs(1));
        assert_eq!(desk.take_happened(), [connected(session)]);
        let exchange = desk.ask(0, read("/3/0/0"));
        assert!(desk.answers[&exchange].is_ok());
        assert_eq!(desk.ended, 1);
    }
}

#[test]
fn it_wakes_when_it_is_told_to() {
    let mut desk = Desk::with_one(sleeper(WakesWith::Update));
    desk.pass(AWAKE);
    desk.command(0, Command::Connect);
    assert_eq!(desk.take_happened().last(), Some(&connected(Session::Resumed)));
}

#[test]
fn it_tells_whoever_observes_it_and_sends_by_itself() {
    let reporting = Some(Reporting { every: Duration::from_secs(10), telling: Telling::Server });
    let mut desk = Desk::with_one(Behaviour { reporting, ..Behaviour::steady() });
    let exchange = desk.ask(0, Request { observe: Some(Observe::Register), ..read("/3303/0/5700") });
    assert!(desk.answers[&exchange].as_ref().is_ok_and(|answer| answer.observe.is_some()));
    desk.take_happened();
    desk.pass(Duration::from_secs(31));
    let reports = desk.sent as usize;
    assert!((3..=4).contains(&reports), "{reports}");
    assert_eq!(desk.notifications.len(), reports);
    assert_eq!(desk.take_happened().iter().filter(|what| **what == Happening::Published).count(), reports);
    desk.command(0, Command::Set { path: TEMPERATURE, value: Value::Float(-3.0) });
    assert_eq!(desk.notifications.len(), reports + 1);
    desk.command(0, Command::Send { paths: vec![TEMPERATURE] });
    assert_eq!(desk.sent as usize, reports + 1);
}

#[test]
fn what_was_observed_is_over_with_the_next_registration() {
    let mut desk = Desk::with_one(Behaviour::steady());
    desk.ask(0, Request { observe: Some(Observe::Register), ..read("/3303/0/5700") });
    desk.command(0, Command::Connect);
    assert_eq!(desk.take_happened().last(), Some(&connected(Session::New)));
    desk.command(0, Command::Set { path: TEMPERATURE, value: Value::Float(-3.0) });
    assert!(desk.notifications.is_empty());
}

#[test]
fn a_registration_that_is_refused_is_tried_again_or_given_up() {
    let mut desk = Desk::new(1, Behaviour { retry: Duration::from_secs(10), ..Behaviour::steady() });
    desk.verdict = Code::FORBIDDEN;
    desk.settle();
    let refused = |what: &Happening| matches!(what, Happening::Refused { code: 0x83, .. });
    assert!(desk.take_happened().iter().all(refused));
    assert_eq!(desk.turns_over, 1);
    desk.verdict = Code::CREATED;
    desk.pass(Duration::from_secs(10));
    assert_eq!(desk.take_happened(), [connected(Session::New)]);

    let mut desk = Desk::new(1, Behaviour { tries: Some(2), ..Behaviour::steady() });
    desk.verdict = Code::FORBIDDEN;
    desk.pass(Duration::from_secs(3_600));
    let told = desk.take_happened();
    assert!(refused(&told[0]) && refused(&told[1]) && told[2..] == [Happening::GaveUp], "{told:?}");
}

#[test]
fn a_server_that_is_silent_is_told_and_tried_again() {
    let mut desk = Desk::new(1, Behaviour::steady());
    desk.lost_of = Some(1);
    desk.pass(Duration::from_secs(94));
    assert!(matches!(desk.take_happened()[..], [Happening::Disconnected(Ending::Broken { .. })]));
    assert_eq!(desk.turns_over, 1);
    desk.lost_of = None;
    desk.pass(Duration::from_secs(10));
    assert_eq!(desk.take_happened(), [connected(Session::New)]);
}

#[test]
fn a_server_that_has_died_since_it_acknowledged_is_asked_again_no_later_than_one_that_is_silent() {
    let mut desk = Desk::new(1, Behaviour::steady());
    desk.answers_nothing = true;
    desk.pass(Duration::from_secs(5));
    assert_eq!(desk.take_happened(), []);
    desk.answers_nothing = false;
    desk.pass(Duration::from_secs(95));
    let [Happening::Disconnected(Ending::Broken { .. }), Happening::Connected { .. }] = &desk.take_happened()[..]
    else {
        panic!("it still waits");
    };
}

#[test]
fn one_that_the_server_has_forgotten_registers_anew() {
    let mut desk = Desk::with_one(Behaviour { lifetime: Duration::from_secs(100), ..Behaviour::steady() });
    desk.registered.clear();
    desk.pass(Duration::from_secs(80));
    assert_eq!(desk.take_happened(), [connected(Session::New)]);
    assert_eq!(desk.ended, 1);
}

#[test]
fn an_older_version_is_offered_when_the_newest_is_not_taken() {
    for version in [Version::V1_0, Version::V1_1, Version::V1_2] {
        let mut desk = Desk::new(1, Behaviour { version, ..Behaviour::steady() });
        desk.settle();
        assert_eq!(desk.registered.get(&0), Some(&version));
    }
    let mut desk = Desk::new(1, Behaviour { version: Version::V1_2, ..Behaviour::steady() });
    desk.verdict = Code::PRECONDITION_FAILED;
    desk.settle();
    assert!(matches!(desk.take_happened()[..], [Happening::Refused { code: 0x8c, .. }]));
}

#[test]
fn one_that_has_lost_its_power_answers_nothing_until_it_is_told_to_come_back() {
    let mut desk = Desk::with_one(Behaviour::steady());
    desk.command(0, Command::Vanish);
    assert_eq!(desk.take_happened(), [Happening::Disconnected(Ending::Vanished)]);
    let exchange = desk.ask(0, read("/3/0/0"));
    desk.pass(Duration::from_secs(1_000));
    assert!(desk.answers[&exchange].is_err());
    desk.command(0, Command::Connect);
    assert_eq!(desk.take_happened(), [connected(Session::New)]);
    assert_eq!((desk.ended, desk.turns_over), (1, 2));
}

#[test]
fn every_registration_and_every_request_ends_whatever_gets_lost() {
    let mut desk = Desk::new(50, Behaviour { retry: Duration::from_secs(1), ..Behaviour::steady() });
    desk.lost_of = Some(5);
    desk.pass(Duration::from_secs(300));
    assert_eq!(desk.registered.len(), 50);
    desk.take_happened();
    let records = vec![bugle_lwm2m::codec::Record::new("/3311/0/5850".parse().expect("a path"), Value::Boolean(true))];
    let write = DeviceOperation::Write {
        path: "/3311/0/5850".parse().expect("a path"),
        mode: bugle_lwm2m::operation::WriteMode::Replace,
        records,
    };
    let registration = bugle_lwm2m::registration::Registration::new(
        Version::V1_1,
        Duration::from_secs(300),
        bugle_lwm2m::registration::Binding::UDP,
        bugle_lwm2m::ContentFormats::NONE,
        [],
    );
    let request = write.to_request(&registration).expect("a request");
    let exchanges: Vec<ExchangeId> = (0..50).map(|seat| desk.ask(seat, request.clone())).collect();
    desk.pass(Duration::from_secs(100));
    let done = |exchange| desk.answers.get(exchange).is_some_and(|answer: &Result<Response, String>| answer.is_ok());
    let served = exchanges.iter().filter(|exchange| done(exchange)).count();
    let received = desk.take_happened().iter().filter(|what| matches!(what, Happening::Received { .. })).count();
    assert!(served >= 45 && received >= served && received <= 50, "{served} {received}");
    assert!(desk.share.take_repeated() > 0);
}
