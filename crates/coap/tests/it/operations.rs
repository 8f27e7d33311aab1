//! Any list of operations: every exchange that is not cancelled ends exactly once, and nothing stays behind.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bugle_coap::{
    BlockSize, Census, Code, Config, ContentFormat, Delivery, Endpoint, Event, ExchangeId, Limits, Method, Observe,
    ObserverId, OptionNumber, Output, Reliability, Request, RequestHandle, Response,
};
use bugle_core::Time;
use proptest::prelude::*;

use crate::wire::{GET, PUT, Wire};

type Peer = u8;

#[derive(Debug, Clone)]
enum Operation {
    Ask {
        peer: Peer,
        bytes: usize,
        observe: bool,
        is_confirmable: bool,
    },
    Ping {
        peer: Peer,
    },
    Cancel {
        which: usize,
    },
    /// The peer answers a message that was sent to it, or resets it.
    Answer {
        which: usize,
        answer: Answer,
    },
    /// A peer asks.
    Asked {
        peer: Peer,
        message_id: u16,
        block: Option<(u32, bool)>,
        observe: Option<u32>,
        is_confirmable: bool,
    },
    Respond {
        which: usize,
        bytes: usize,
        code: Code,
    },
    Acknowledge {
        which: usize,
    },
    Notify {
        which: usize,
        bytes: usize,
        code: Code,
        is_confirmable: bool,
    },
    Forget {
        peer: Peer,
    },
    Move {
        old: Peer,
        new: Peer,
    },
    Sleep {
        millis: u64,
    },
}

#[derive(Debug, Clone, Copy)]
enum Answer {
    Piggybacked { block: Option<(u32, bool)>, observe: Option<u32> },
    Separate { message_id: u16, observe: Option<u32> },
    Empty,
    Reset,
}

fn block() -> impl Strategy<Value = Option<(u32, bool)>> {
    prop::option::of((0..4_u32, any::<bool>()))
}

fn code() -> impl Strategy<Value = Code> {
    prop_oneof![4 => Just(Code::CONTENT), 1 => Just(Code::NOT_FOUND), 1 => Just(Code::CONTINUE)]
}

fn answer() -> impl Strategy<Value = Answer> {
    let observe = || prop::option::of(0..20_u32);
    prop_oneof![
        4 => (block(), observe()).prop_map(|(block, observe)| Answer::Piggybacked { block, observe }),
        2 => (0..40_u16, observe()).prop_map(|(message_id, observe)| Answer::Separate { message_id, observe }),
        2 => Just(Answer::Empty),
        1 => Just(Answer::Reset),
    ]
}

fn operation() -> impl Strategy<Value = Operation> {
    let peer = || 0..3_u8;
    let which = || 0..16_usize;
    prop_oneof![
        4 => (peer(), 0..100_usize, any::<bool>(), any::<bool>())
            .prop_map(|(peer, bytes, observe, is_confirmable)| Operation::Ask { peer, bytes, observe, is_confirmable }),
        1 => peer().prop_map(|peer| Operation::Ping { peer }),
        1 => which().prop_map(|which| Operation::Cancel { which }),
        8 => (which(), answer()).prop_map(|(which, answer)| Operation::Answer { which, answer }),
        6 => (peer(), 0..40_u16, block(), prop::option::of(0..2_u32), any::<bool>()).prop_map(
            |(peer, message_id, block, observe, is_confirmable)| {
                Operation::Asked { peer, message_id, block, observe, is_confirmable }
            }
        ),
        4 => (which(), 0..200_usize, code()).prop_map(|(which, bytes, code)| Operation::Respond { which, bytes, code }),
        1 => which().prop_map(|which| Operation::Acknowledge { which }),
        4 => (which(), 0..100_usize, code(), any::<bool>())
            .prop_map(|(which, bytes, code, is_confirmable)| Operation::Notify { which, bytes, code, is_confirmable }),
        1 => peer().prop_map(|peer| Operation::Forget { peer }),
        1 => (peer(), peer()).prop_map(|(old, new)| Operation::Move { old, new }),
        4 => (0..60_000_u64).prop_map(|millis| Operation::Sleep { millis }),
    ]
}

struct Model {
    endpoint: Endpoint<Peer>,
    now: Time,
    sent: Vec<(Peer, Wire)>,
    requests: Vec<RequestHandle>,
    observers: Vec<ObserverId>,
    begun: Vec<ExchangeId>,
    cancelled: BTreeSet<ExchangeId>,
    ends: BTreeMap<ExchangeId, usize>,
    gone: BTreeMap<ObserverId, usize>,
}

fn pick<T: Copy>(from: &[T], which: usize) -> Option<T> {
    // The latest are the likeliest to be still of interest.
    from.iter().rev().nth(which).copied()
}

fn reliability(is_confirmable: bool) -> Reliability {
    if is_confirmable { Reliability::Confirmable } else { Reliability::NonConfirmable }
}

fn body(code: Code, bytes: usize) -> Response {
    Response::new(code).with_payload(ContentFormat::OCTET_STREAM, vec![7; bytes])
}

impl Model {
    fn new() -> Self {
        let limits = Limits {
            remembered_per_peer_max: 6,
            unanswered_per_peer_max: 3,
            exchanges_per_peer_max: 4,
            uploads_per_peer_max: 1,
            bodies_per_peer_max: 1,
            observers_per_peer_max: 2,
            observations_per_peer_max: 2,
            ..Limits::default()
        };
        let config = Config { limits, block_size: BlockSize::at_most(32), ..Config::default() };
        Self {
            endpoint: Endpoint::new(config, [5; 16]),
            now: Time::from_millis(1_000_000),
            sent: Vec::new(),
            requests: Vec::new(),
            observers: Vec::new(),
            begun: Vec::new(),
            cancelled: BTreeSet::new(),
            ends: BTreeMap::new(),
            gone: BTreeMap::new(),
        }
    }

    fn drain(&mut self) {
        while let Some(output) = self.endpoint.poll_output() {
            match output {
                Output::Transmit { peer, datagram } => self.sent.push((peer, Wire::read(&datagram))),
                Output::Event(event) => self.on_event(event),
            }
        }
    }

    fn on_event(&mut self, event: Event<Peer>) {
        match event {
            Event::Request { handle, .. } => self.requests.push(handle),
            Event::Response { exchange, .. } | Event::Pong { exchange, .. } | Event::Failed { exchange, .. } => {
                *self.ends.entry(exchange).or_default() += 1;
            }
            Event::ObserverGone { observer, .. } => *self.gone.entry(observer).or_default() += 1,
            _ => {}
        }
    }

    fn apply(&mut self, operation: Operation) {
        match operation {
            Operation::Ask { peer, bytes, observe, is_confirmable } => self.ask(peer, bytes, observe, is_confirmable),
            Operation::Ping { peer } => self.begun.extend(self.endpoint.ping(self.now, peer)),
            Operation::Cancel { which } => {
                if let Some(exchange) = pick(&self.begun, which) {
                    self.cancelled.insert(exchange);
                    self.endpoint.cancel(self.now, exchange);
                }
            }
            Operation::Answer { which, answer } => self.answer(which, answer),
            Operation::Asked { peer, message_id, block, observe, is_confirmable } => {
                let code = if observe.is_some() { GET } else { PUT };
                let wire = if is_confirmable { Wire::con(code, message_id) } else { Wire::non(code, message_id) };
                let wire = wire.token([message_id as u8 % 4]).path("p");
                let wire = with_block(wire, OptionNumber::BLOCK1, block.filter(|_| code == PUT));
                let wire = observe.map_or(wire.clone(), |observe| wire.uint(OptionNumber::OBSERVE, observe));
                self.endpoint.handle_datagram(self.now, peer, &wire.bytes());
            }
            Operation::Respond { which, bytes, code } => {
                if let Some(handle) = pick(&self.requests, which) {
                    // One that is answered already is refused, and that is all.
                    let observer = self.endpoint.accept_observer(self.now, handle, body(code, bytes));
                    self.observers.extend(observer.ok().flatten());
                }
            }
            Operation::Acknowledge { which } => {
                let _ = pick(&self.requests, which).map(|handle| self.endpoint.acknowledge(handle));
            }
            Operation::Notify { which, bytes, code, is_confirmable } => {
                if let Some(observer) = pick(&self.observers, which) {
                    let reliability = reliability(is_confirmable);
                    let notified = self.endpoint.notify(self.now, observer, body(code, bytes), reliability);
                    assert_eq!(notified.is_err(), self.gone.contains_key(&observer), "an observer is there or gone");
                }
            }
            Operation::Forget { peer } => self.endpoint.forget(self.now, peer),
            Operation::Move { old, new } => self.endpoint.peer_moved(self.now, old, new),
            Operation::Sleep { millis } => self.sleep(Duration::from_millis(millis)),
        }
        self.drain();
    }

    fn ask(&mut self, peer: Peer, bytes: usize, observe: bool, is_confirmable: bool) {
        let mut request = Request::new(if observe { Method::Get } else { Method::Put });
        if observe {
            request = request.with_observe(Observe::Register);
        } else {
            request = request.with_payload(ContentFormat::OCTET_STREAM, vec![1; bytes]);
        }
        let delivery = Delivery { reliability: reliability(is_confirmable), ..Delivery::default() };
        self.begun.extend(self.endpoint.request(self.now, peer, request, delivery));
    }

    fn answer(&mut self, which: usize, answer: Answer) {
        let Some((peer, to)) = self.sent.iter().rev().nth(which).cloned() else { return };
        let wire = match answer {
            Answer::Empty => Wire::ack(Code::EMPTY, to.message_id),
            Answer::Reset => Wire::rst(to.message_id),
            Answer::Piggybacked { block, observe } => {
                let wire = Wire::ack(Code::CONTENT, to.message_id).token(&to.token);
                let wire = with_block(wire, OptionNumber::BLOCK2, block);
                observe.map_or(wire.clone(), |observe| wire.uint(OptionNumber::OBSERVE, observe))
            }
            Answer::Separate { message_id, observe } => {
                let wire = Wire::con(Code::CONTENT, message_id).token(&to.token);
                observe.map_or(wire.clone(), |observe| wire.uint(OptionNumber::OBSERVE, observe))
            }
        };
        self.endpoint.handle_datagram(self.now, peer, &wire.bytes());
    }

    fn sleep(&mut self, duration: Duration) {
        let until = self.now + duration;
        while let Some(next) = self.endpoint.next_timeout().filter(|next| *next <= until) {
            self.now = self.now.max(next);
            self.endpoint.handle_timeout(self.now);
            self.drain();
        }
        self.now = until;
    }
}

fn with_block(wire: Wire, option: OptionNumber, block: Option<(u32, bool)>) -> Wire {
    block.map_or(wire.clone(), |(number, has_more)| wire.block(option, number, has_more, 32).payload([9; 32]))
}

proptest! {
    #[test]
    fn every_exchange_ends_once_and_nothing_stays_behind(
        operations in prop::collection::vec(operation(), 1..120)
    ) {
        let mut model = Model::new();
        for operation in operations {
            model.apply(operation);
        }
        model.sleep(Duration::from_secs(1_000));
        for exchange in &model.begun {
            let ends = model.ends.get(exchange).copied().unwrap_or(0);
            if model.cancelled.contains(exchange) {
                // What was cancelled while it was in progress does not end again; an observation was begun, and is ended.
                prop_assert!(ends <= 2, "{exchange:?} ends {ends} times");
            } else {
                prop_assert!(ends >= 1, "{exchange:?} does not end");
            }
        }
        prop_assert!(model.gone.values().all(|times| *times == 1));
        for peer in 0..3 {
            model.endpoint.forget(model.now, peer);
        }
        model.drain();
        prop_assert_eq!(model.endpoint.census(), Census::default());
        prop_assert_eq!(model.observers.iter().filter(|observer| !model.gone.contains_key(observer)).count(), 0);
        model.sleep(Duration::from_secs(100));
        prop_assert_eq!(model.endpoint.next_timeout(), None);
    }
}
