//! Whatever happens to a peripheral, in whatever order: what holds all the same.

use bugle_core::{Content, PeripheralId, RequestId};
use proptest::prelude::*;

use super::*;
use crate::mqtt::behaviour::Reporting;

/// Something that happens to it.
#[derive(Debug, Clone)]
enum Operation {
    Opened,
    Closed(Option<String>),
    Packet(FromServer),
    /// SUBACK for the SUBSCRIBE that went out last, or PUBACK for the oldest message under way.
    Answer,
    Pass(Duration),
    Command(Command),
}

fn operations() -> impl Strategy<Value = Vec<Operation>> {
    let id = (1_u16..20).prop_filter_map("not zero", NonZeroU16::new);
    let session = prop_oneof![Just(Session::New), Just(Session::Resumed)];
    let message = (prop::option::of(id.clone()), 0_u64..3, prop_oneof![Just("read"), Just("message"), Just("dance")]);
    let packet = prop_oneof![
        4 => (session, 1_u16..4).prop_map(|(session, receive_max)| {
            FromServer::Connected { session, keep_alive: None, receive_max }
        }),
        1 => any::<u8>().prop_map(|code| FromServer::Refused { code, reason: None }),
        1 => id.clone().prop_map(|id| FromServer::Subscribed { id }),
        1 => (id.clone(), any::<u8>()).prop_map(|(id, code)| FromServer::SubscriptionRefused { id, code }),
        1 => (id, any::<u8>()).prop_map(|(id, code)| FromServer::Acknowledged { id, code }),
        4 => message.prop_map(|(id, number, operation)| FromServer::Message(request(id, number, operation))),
        1 => Just(FromServer::Pong),
        1 => Just(FromServer::Disconnect { code: Some(0x8b) }),
        1 => Just(FromServer::Other),
    ];
    let command = prop_oneof![
        Just(Command::Deregister),
        (0_u64..100).prop_map(|seconds| Command::Sleep(Duration::from_secs(seconds))),
        Just(Command::Connect),
        Just(Command::Vanish),
        Just(Command::Publish { topic: "t".into(), payload: Bytes::new() }),
    ];
    let operation = prop_oneof![
        4 => Just(Operation::Opened),
        1 => prop::option::of("[a-z]{3}").prop_map(Operation::Closed),
        8 => packet.prop_map(Operation::Packet),
        6 => Just(Operation::Answer),
        3 => (0_u64..60_000).prop_map(|millis| Operation::Pass(Duration::from_millis(millis))),
        2 => command.prop_map(Operation::Command),
    ];
    prop::collection::vec(operation, 0..120)
}

fn request(id: Option<NonZeroU16>, number: u64, operation: &str) -> Message {
    let request = RequestId::from_number(number).expect("a small number");
    let payload = format!(r#"{{"request":"{request}","do":"{operation}","path":"/3/0/0","content":{{}}}}"#);
    Message { id, dup: Dup::First, payload: payload.into(), response_topic: None, correlation: None }
}

/// The peripheral, and what its server and its socket have seen.
struct World {
    machine: SimulatedPeripheral,
    now: Time,
    wanted: bool,
    open: bool,
    subscribing: Option<NonZeroU16>,
    under_way: VecDeque<NonZeroU16>,
    receive_max: usize,
}

impl World {
    fn new(behaviour: Behaviour) -> Self {
        let peripheral = Peripheral {
            id: PeripheralId::new("m1").expect("a peripheral id"),
            server: ([127, 0, 0, 1], 1883).into(),
            credentials: None,
            behaviour: Arc::new(behaviour),
        };
        let machine = SimulatedPeripheral::new(Time::ZERO, peripheral, Numbers::new(3, 0));
        let (now, under_way) = (Time::ZERO, VecDeque::new());
        Self { machine, now, wanted: false, open: false, subscribing: None, under_way, receive_max: 0 }
    }

    fn apply(&mut self, operation: Operation) {
        match operation {
            Operation::Opened if self.wanted => {
                (self.wanted, self.open) = (false, true);
                self.machine.handle_opened(self.now);
            }
            Operation::Closed(reason) if self.open || self.wanted => {
                (self.wanted, self.open) = (false, false);
                self.machine.handle_closed(self.now, reason);
            }
            Operation::Packet(packet) if self.open => self.handle_packet(packet),
            Operation::Answer if self.open => self.answer(),
            Operation::Pass(duration) => self.pass(duration),
            Operation::Command(command) => self.machine.handle_command(self.now, command),
            Operation::Opened | Operation::Closed(_) | Operation::Packet(_) | Operation::Answer => {}
        }
        self.drain();
    }

    fn handle_packet(&mut self, packet: FromServer) {
        match packet {
            // Anything but the first CONNACK of a connection is noise.
            FromServer::Connected { receive_max, .. } if self.machine.phase == Phase::Connecting => {
                self.receive_max = receive_max.into();
            }
            FromServer::Acknowledged { id, .. } => self.under_way.retain(|under_way| *under_way != id),
            _ => {}
        }
        self.machine.handle_packet(self.now, packet);
    }

    fn answer(&mut self) {
        if let Some(id) = self.subscribing.take() {
            self.machine.handle_packet(self.now, FromServer::Subscribed { id });
        } else if let Some(id) = self.under_way.pop_front() {
            self.machine.handle_packet(self.now, FromServer::Acknowledged { id, code: 0 });
        }
    }

    fn pass(&mut self, duration: Duration) {
        let until = self.now + duration;
        let mut timeouts = 0;
        while let Some(at) = self.machine.next_timeout().filter(|at| *at <= until) {
            self.now = at.max(self.now);
            self.machine.handle_timeout(self.now);
            self.drain();
            assert!(self.machine.next_timeout().is_none_or(|next| next > self.now), "a timer that does not go off");
            timeouts += 1;
            assert!(timeouts < 10_000, "timers without end");
        }
        self.now = until;
    }

    fn drain(&mut self) {
        while let Some(output) = self.machine.poll_output() {
            match output {
                Output::Open => {
                    assert!(!self.open && !self.wanted, "a second connection");
                    self.wanted = true;
                }
                Output::Close => {
                    (self.wanted, self.open) = (false, false);
                    self.subscribing = None;
                    self.under_way.clear();
                }
                Output::Send(packet) => self.see(packet),
                Output::Happened(_) => {}
            }
        }
    }

    fn see(&mut self, packet: ToServer) {
        assert!(self.open, "{packet:?} without a connection");
        match packet {
            ToServer::Subscribe { id, .. } => {
                assert!(!self.under_way.contains(&id), "a packet id twice");
                self.subscribing = Some(id);
            }
            ToServer::Publish(publish) => {
                assert!(!self.under_way.contains(&publish.id), "a packet id twice");
                self.under_way.push_back(publish.id);
                assert!(self.under_way.len() <= self.receive_max, "more under way than may be");
            }
            _ => {}
        }
    }
}

fn behaviours() -> impl Strategy<Value = Behaviour> {
    let version = prop_oneof![Just(Version::Mqtt5), Just(Version::Mqtt311)];
    (version, any::<bool>(), any::<bool>(), prop::option::of(1_u64..100)).prop_map(
        |(version, sleepy, reports, leaves)| {
            let behaviour = match sleepy {
                true => Behaviour::sleepy(version, Duration::from_secs(20)),
                false => Behaviour::steady(version),
            };
            let reporting = reports.then(|| Reporting {
                name: "level".into(),
                every: Duration::from_secs(3),
                content: Content::text("7"),
            });
            Behaviour { reporting, leaves_after: leaves.map(Duration::from_secs), ..behaviour }
        },
    )
}

proptest! {
    #[test]
    fn there_is_one_connection_no_word_without_it_and_no_packet_id_twice(
        behaviour in behaviours(),
        operations in operations(),
    ) {
        let mut world = World::new(behaviour);
        world.pass(Duration::ZERO);
        for operation in operations {
            world.apply(operation);
        }
    }

    #[test]
    fn however_ill_it_went_a_peripheral_that_is_told_to_connect_becomes_active(operations in operations()) {
        let mut world = World::new(Behaviour::steady(Version::Mqtt5));
        world.pass(Duration::ZERO);
        for operation in operations {
            world.apply(operation);
        }
        // A server that is well, for a while.
        for _ in 0..200 {
            if world.machine.phase == Phase::Active && world.machine.departure.is_none() {
                return Ok(());
            }
            world.apply(Operation::Command(Command::Connect));
            world.apply(Operation::Pass(Duration::from_millis(1)));
            world.apply(Operation::Opened);
            if world.machine.phase == Phase::Connecting {
                let session = Session::New;
                let packet = FromServer::Connected { session, keep_alive: None, receive_max: 20 };
                world.apply(Operation::Packet(packet));
            }
            world.apply(Operation::Answer);
        }
        prop_assert!(false, "it stays {:?} {:?}", world.machine.phase, world.machine.departure);
    }
}
