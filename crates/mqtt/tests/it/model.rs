//! A connection against a model of it: any order of what client, owner, network and time may do.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use bugle_mqtt::Version;
use bugle_mqtt::{CloseReason, Delivery, Ending, Event, Noise, Refusal, Resumption};
use proptest::prelude::*;
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest, prop_state_machine};
use rmqtt_codec::types::QoS;

use crate::client::{Client, REPORT, REQUESTS, Reply, config, id, publication};

/// What may happen.
#[derive(Debug, Clone)]
enum Step {
    Send(Packet),
    Accept { is_resumed: bool },
    Refuse,
    Acknowledge(u16),
    Publish(u16),
    End,
    Lose,
    Pass(u64),
}

/// What a client sends.
#[derive(Debug, Clone)]
enum Packet {
    Connect,
    Publish { number: u16, qos: QoS, is_own: bool },
    Release(u16),
    Acknowledge(u16),
    Subscribe(u16),
    Unsubscribe(u16),
    Ping,
    Disconnect,
}

/// What the owner hears.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Heard {
    Connect,
    Publish(u16),
    Subscribe(u16),
    Unsubscribe(u16),
    Released(u16),
    Delivered(u16),
    Ping,
    Noise(Noise),
    Closed(End),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Disconnected,
    Fault,
    KeepAlive,
    Lost,
    Refused,
    Ended,
}

/// What the client hears.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    ConnectAck,
    Publish(u16),
    PublishAck(u16),
    PublishReceived(u16),
    PublishComplete(u16),
    SubscribeAck(u16),
    UnsubscribeAck(u16),
    Ping,
    Disconnect,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    AwaitingConnect,
    AwaitingDecision,
    Open,
    Closed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flight {
    AtLeastOnce,
    Received,
    Recorded,
    Released,
    Subscribe,
    Unsubscribe,
}

#[derive(Debug, Clone)]
struct Model {
    version: Version,
    phase: Phase,
    now: u64,
    heard_at: u64,
    backlog: VecDeque<Packet>,
    flights: BTreeMap<u16, Flight>,
    is_subscribed: bool,
    outbound: BTreeSet<u16>,
    /// What the last step made heard and told.
    heard: Vec<Heard>,
    told: Vec<Told>,
}

const KEEP_ALIVE: u64 = 90;

impl Model {
    fn close(&mut self, end: End) {
        let is_told = match (self.phase, end) {
            (Phase::Closed, _) => return,
            (Phase::Open, End::Fault | End::KeepAlive | End::Ended) => self.version == Version::Mqtt5,
            _ => false,
        };
        if is_told {
            self.told.push(Told::Disconnect);
        }
        self.heard.push(Heard::Closed(end));
        self.phase = Phase::Closed;
        self.backlog.clear();
    }

    fn count(&self, flights: &[Flight]) -> usize {
        self.flights.values().filter(|flight| flights.contains(flight)).count()
    }

    fn is_full(&self) -> bool {
        self.version == Version::Mqtt311
            && self.flights.len() - self.count(&[Flight::Recorded]) >= config().receive_maximum.get().into()
    }

    fn run(&mut self) {
        while self.phase == Phase::AwaitingConnect || (self.phase == Phase::Open && !self.is_full()) {
            let Some(packet) = self.backlog.pop_front() else { break };
            if self.phase == Phase::AwaitingConnect {
                match packet {
                    Packet::Connect => {
                        self.phase = Phase::AwaitingDecision;
                        self.heard.push(Heard::Connect);
                    }
                    _ => self.close(End::Fault),
                }
            } else {
                self.heard_at = self.now;
                self.on_packet(packet);
            }
        }
    }

    fn on_packet(&mut self, packet: Packet) {
        match packet {
            Packet::Connect => self.close(End::Fault),
            Packet::Ping => {
                self.told.push(Told::Ping);
                self.heard.push(Heard::Ping);
            }
            Packet::Disconnect => self.close(End::Disconnected),
            Packet::Acknowledge(number) => self.heard.push(match self.outbound.remove(&number) {
                true => Heard::Delivered(number),
                false => Heard::Noise(Noise::UnknownPacketId),
            }),
            Packet::Subscribe(number) => self.on_subscription(number, Flight::Subscribe, Heard::Subscribe(number)),
            Packet::Unsubscribe(number) => {
                if self.is_subscribed || self.count(&[Flight::Subscribe]) > 0 {
                    self.is_subscribed = false;
                    self.on_subscription(number, Flight::Unsubscribe, Heard::Unsubscribe(number));
                } else {
                    self.heard.push(Heard::Noise(Noise::ForeignFilter));
                    self.told.push(Told::UnsubscribeAck(number));
                }
            }
            Packet::Release(number) => match self.flights.get(&number) {
                Some(Flight::Recorded) => {
                    self.flights.insert(number, Flight::Released);
                    self.heard.push(Heard::Released(number));
                }
                Some(Flight::Released) => self.heard.push(Heard::Noise(Noise::Duplicate)),
                Some(_) => self.close(End::Fault),
                None => {
                    self.heard.push(Heard::Noise(Noise::UnknownPacketId));
                    self.told.push(Told::PublishComplete(number));
                }
            },
            Packet::Publish { number, qos, is_own } => self.on_publish(number, qos, is_own),
        }
    }

    fn on_subscription(&mut self, number: u16, flight: Flight, heard: Heard) {
        if self.count(&[Flight::Subscribe, Flight::Unsubscribe]) >= 8 || self.flights.contains_key(&number) {
            return self.close(End::Fault);
        }
        self.flights.insert(number, flight);
        self.heard.push(heard);
    }

    fn on_publish(&mut self, number: u16, qos: QoS, is_own: bool) {
        let max = usize::from(config().receive_maximum.get());
        match (qos, self.flights.get(&number)) {
            (QoS::AtMostOnce, _) => {
                self.heard.push(if is_own { Heard::Publish(0) } else { Heard::Noise(Noise::ForeignTopic) });
            }
            (QoS::ExactlyOnce, Some(Flight::Received)) => self.heard.push(Heard::Noise(Noise::Duplicate)),
            (QoS::ExactlyOnce, Some(Flight::Recorded)) => {
                self.heard.push(Heard::Noise(Noise::Duplicate));
                self.told.push(Told::PublishReceived(number));
            }
            (_, Some(_)) => self.close(End::Fault),
            (_, None)
                if self.count(&[Flight::AtLeastOnce, Flight::Received, Flight::Released]) >= max
                    || self.count(&[Flight::Recorded]) >= 2 * max =>
            {
                self.close(End::Fault);
            }
            (qos, None) if is_own => {
                let flight = if qos == QoS::AtLeastOnce { Flight::AtLeastOnce } else { Flight::Received };
                self.flights.insert(number, flight);
                self.heard.push(Heard::Publish(number));
            }
            (qos, None) => {
                self.heard.push(Heard::Noise(Noise::ForeignTopic));
                match (self.version, qos) {
                    (Version::Mqtt311, _) => self.close(End::Fault),
                    (Version::Mqtt5, QoS::AtLeastOnce) => self.told.push(Told::PublishAck(number)),
                    (Version::Mqtt5, _) => self.told.push(Told::PublishReceived(number)),
                }
            }
        }
    }

    fn acknowledge(&mut self, number: u16) {
        let told = match self.flights.get(&number) {
            Some(Flight::AtLeastOnce) => Told::PublishAck(number),
            Some(Flight::Received) => Told::PublishReceived(number),
            Some(Flight::Released) => Told::PublishComplete(number),
            Some(Flight::Subscribe) => Told::SubscribeAck(number),
            Some(Flight::Unsubscribe) => Told::UnsubscribeAck(number),
            Some(Flight::Recorded) | None => return,
        };
        let was_full = self.is_full();
        self.told.push(told);
        match self.flights.remove(&number) {
            Some(Flight::Received) => drop(self.flights.insert(number, Flight::Recorded)),
            Some(Flight::Subscribe) => self.is_subscribed = true,
            Some(Flight::Unsubscribe) => self.is_subscribed = false,
            _ => {}
        }
        if was_full {
            self.heard_at = self.now;
            self.run();
        }
    }

    fn pass(&mut self, seconds: u64) {
        let end = self.now + seconds;
        match self.phase {
            Phase::AwaitingConnect if end >= self.heard_at + config().connect_time.as_secs() => self.close(End::Fault),
            Phase::Open if !self.is_full() && end >= self.heard_at + KEEP_ALIVE => self.close(End::KeepAlive),
            _ => {}
        }
        self.now = end;
    }
}

impl ReferenceStateMachine for Model {
    type State = Self;
    type Transition = Step;

    fn init_state() -> BoxedStrategy<Self> {
        let version = prop_oneof![Just(Version::Mqtt311), Just(Version::Mqtt5)];
        let model = version.prop_map(|version| Self {
            version,
            phase: Phase::AwaitingConnect,
            now: 0,
            heard_at: 0,
            backlog: VecDeque::new(),
            flights: BTreeMap::new(),
            is_subscribed: false,
            outbound: BTreeSet::new(),
            heard: Vec::new(),
            told: Vec::new(),
        });
        model.boxed()
    }

    fn transitions(model: &Self) -> BoxedStrategy<Step> {
        let number = || 1..12_u16;
        let qos = prop_oneof![Just(QoS::AtMostOnce), Just(QoS::AtLeastOnce), Just(QoS::ExactlyOnce)];
        let publish = (number(), qos, prop::bool::weighted(0.9)).prop_map(|(number, qos, is_own)| Packet::Publish {
            number,
            qos,
            is_own,
        });
        let at_first = |early: u32, later: u32| if model.phase == Phase::AwaitingConnect { early } else { later };
        // The owner acknowledges what there is more often than what there is not.
        let flights: Vec<u16> = model.flights.keys().copied().chain([1]).collect();
        prop_oneof![
            at_first(300, 1) => Just(Step::Send(Packet::Connect)),
            at_first(1, 30) => publish.prop_map(Step::Send),
            at_first(1, 8) => number().prop_map(|number| Step::Send(Packet::Release(number))),
            at_first(1, 5) => number().prop_map(|number| Step::Send(Packet::Acknowledge(number))),
            at_first(1, 6) => number().prop_map(|number| Step::Send(Packet::Subscribe(number))),
            at_first(1, 3) => number().prop_map(|number| Step::Send(Packet::Unsubscribe(number))),
            at_first(1, 6) => Just(Step::Send(Packet::Ping)),
            1 => Just(Step::Send(Packet::Disconnect)),
            15 => any::<bool>().prop_map(|is_resumed| Step::Accept { is_resumed }),
            1 => Just(Step::Refuse),
            25 => prop::sample::select(flights).prop_map(Step::Acknowledge),
            8 => number().prop_map(Step::Publish),
            1 => Just(Step::End),
            1 => Just(Step::Lose),
            5 => (0..50_u64).prop_map(Step::Pass),
        ]
        .boxed()
    }

    fn apply(mut model: Self, step: &Step) -> Self {
        model.heard.clear();
        model.told.clear();
        match step {
            Step::Send(packet) if model.phase != Phase::Closed => {
                model.backlog.push_back(packet.clone());
                model.run();
            }
            Step::Accept { is_resumed } if model.phase == Phase::AwaitingDecision => {
                model.phase = Phase::Open;
                model.heard_at = model.now;
                model.told.push(Told::ConnectAck);
                if *is_resumed {
                    model.is_subscribed = true;
                    model.flights.insert(1, Flight::Recorded);
                }
                model.run();
            }
            Step::Refuse if model.phase == Phase::AwaitingDecision => {
                model.told.push(Told::ConnectAck);
                model.close(End::Refused);
            }
            Step::Acknowledge(number) if model.phase == Phase::Open => model.acknowledge(*number),
            Step::Publish(number) => {
                let is_taken = model.phase == Phase::Open
                    && model.is_subscribed
                    && model.outbound.len() < 16
                    && model.outbound.insert(*number);
                if is_taken {
                    model.told.push(Told::Publish(*number));
                }
            }
            Step::End => {
                if model.phase == Phase::AwaitingDecision {
                    model.told.push(Told::ConnectAck);
                }
                model.close(End::Ended);
            }
            Step::Lose => model.close(End::Lost),
            Step::Pass(seconds) => model.pass(*seconds),
            Step::Send(_) | Step::Accept { .. } | Step::Refuse | Step::Acknowledge(_) => {}
        }
        model
    }
}

struct Against;

impl StateMachineTest for Against {
    type SystemUnderTest = Client;
    type Reference = Model;

    fn init_test(model: &Model) -> Client {
        let config = bugle_mqtt::Config { held_bytes_max: 1 << 20, ..config() };
        Client::with_config(model.version, config)
    }

    fn apply(mut client: Client, model: &Model, step: Step) -> Client {
        match step {
            Step::Send(packet) => send(&mut client, &packet),
            Step::Accept { is_resumed: true } => {
                client.accept(Resumption::Resumed { is_subscribed: true, exactly_once: vec![id(1)] });
            }
            Step::Accept { is_resumed: false } => client.accept(Resumption::New),
            Step::Refuse => client.connection.refuse(Refusal::Busy, ""),
            Step::Acknowledge(number) => client.acknowledge(number),
            Step::Publish(number) => {
                let is_published = client.connection.publish(&publication(number, b"on")).is_ok();
                assert_eq!(is_published, !model.told.is_empty());
            }
            Step::End => client.connection.disconnect(Ending::Busy),
            Step::Lose => client.connection.handle_lost(),
            Step::Pass(seconds) => client.pass(Duration::from_secs(seconds)),
        }
        let heard: Vec<Heard> = client.events().into_iter().map(heard).collect();
        assert_eq!(heard, model.heard);
        let told: Vec<Told> = client.replies().into_iter().map(told).collect();
        assert_eq!(told, model.told);
        client
    }

    fn check_invariants(client: &Client, model: &Model) {
        let connection = &client.connection;
        assert_eq!(connection.is_closed(), model.phase == Phase::Closed);
        assert_eq!(connection.is_subscribed(), model.phase == Phase::Open && model.is_subscribed);
        assert!(!connection.is_closed() || connection.next_timeout().is_none());
        let is_held = |flight: &Flight| matches!(flight, Flight::Received | Flight::Recorded);
        let held: Vec<u16> = model.flights.iter().filter(|(_, flight)| is_held(flight)).map(|(id, _)| *id).collect();
        assert_eq!(connection.exactly_once().map(bugle_mqtt::PacketId::number).collect::<Vec<_>>(), held);
    }
}

fn send(client: &mut Client, packet: &Packet) {
    match packet {
        Packet::Connect => client.reconnect(),
        Packet::Publish { number, qos, is_own } => {
            client.publish(*number, *qos, if *is_own { REPORT } else { "bugle/meter-2/standby" });
        }
        Packet::Release(number) => client.publish_release(*number),
        Packet::Acknowledge(number) => client.publish_ack(*number),
        Packet::Subscribe(number) => client.subscribe(*number, &[(REQUESTS, QoS::AtLeastOnce)]),
        Packet::Unsubscribe(number) => client.unsubscribe(*number, REQUESTS),
        Packet::Ping => client.ping(),
        Packet::Disconnect => client.disconnect(),
    }
}

fn heard(event: Event) -> Heard {
    match event {
        Event::Connect(_) => Heard::Connect,
        Event::Subscribe { packet_id } => Heard::Subscribe(packet_id.number()),
        Event::Unsubscribe { packet_id } => Heard::Unsubscribe(packet_id.number()),
        Event::Publish(publish) => match publish.delivery {
            Delivery::AtMostOnce => Heard::Publish(0),
            Delivery::AtLeastOnce(id) | Delivery::ExactlyOnce(id) => Heard::Publish(id.number()),
        },
        Event::Released { packet_id } => Heard::Released(packet_id.number()),
        Event::Delivered { packet_id } => Heard::Delivered(packet_id.number()),
        Event::Refused { .. } => panic!("nothing is refused here"),
        Event::Ping => Heard::Ping,
        Event::Noise(noise) => Heard::Noise(noise),
        Event::Closed(closed) => Heard::Closed(match closed.reason {
            CloseReason::Disconnected { .. } => End::Disconnected,
            CloseReason::Fault(_) => End::Fault,
            CloseReason::KeepAlive => End::KeepAlive,
            CloseReason::Lost => End::Lost,
            CloseReason::Refused(_) => End::Refused,
            CloseReason::Ended(_) => End::Ended,
        }),
    }
}

fn told(reply: Reply) -> Told {
    match reply {
        Reply::ConnectAck { .. } => Told::ConnectAck,
        Reply::Publish(publish) => Told::Publish(publish.packet_id.expect("quality of service 1").get()),
        Reply::PublishAck { id, .. } => Told::PublishAck(id),
        Reply::PublishReceived { id, .. } => Told::PublishReceived(id),
        Reply::PublishComplete { id, .. } => Told::PublishComplete(id),
        Reply::SubscribeAck { id, .. } => Told::SubscribeAck(id),
        Reply::UnsubscribeAck { id } => Told::UnsubscribeAck(id),
        Reply::Ping => Told::Ping,
        Reply::Disconnect { .. } => Told::Disconnect,
    }
}

prop_state_machine! {
    #[test]
    fn a_connection_does_what_its_model_does(sequential 1..60 => Against);
}
