//! The gateway, its peripherals' connections and its store.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::num::NonZeroU16;
use std::time::Duration;

use bugle_core::gateway::{Batch, Config, Link, Memory};
use bugle_core::{
    Activation, Allocation, ApplicationId, Content, DownEntry, GatewayId, GroupId, GroupRequest, InitialState,
    Operation, Outcome, Pacing, PeripheralId, Priority, Receipt, RegistrationId, RequestId, Sleepers, State, Time,
    UpEntry, Verdict, Waker,
};
use bugle_dtls::KeepingKey;
use bugle_edge::{ConnectionId, Dtls, Edge, Output, Peer, Settings, WakeCall};
use bytes::{Bytes, BytesMut};
use rmqtt_codec::types::{Publish, QoS};
use rmqtt_codec::v5;
use tokio_util::codec::{Decoder, Encoder};

pub(crate) struct World {
    pub(crate) now: Time,
    pub(crate) edge: Edge,
    pub(crate) disk: Memory,
    received: HashMap<ConnectionId, BytesMut>,
    closed: BTreeSet<ConnectionId>,
    datagrams: Vec<(Peer, Vec<u8>)>,
    /// While set, what is to be persisted waits.
    pub(crate) is_disk_slow: bool,
    unpersisted: Vec<Batch>,
    down: u64,
    up_seen: u64,
    /// Wake-ups that were to be sent.
    pub(crate) wake_calls: Vec<WakeCall>,
}

pub(crate) fn peripheral(text: &str) -> PeripheralId {
    PeripheralId::new(text).expect("a peripheral id")
}

pub(crate) fn group() -> GroupId {
    GroupId::new("g").expect("a group id")
}

fn application() -> ApplicationId {
    ApplicationId::new("metering").expect("an application id")
}

pub(crate) fn settings() -> Settings {
    let keeping_key = KeepingKey::new([5; KeepingKey::BYTES]);
    let dtls = Some(Dtls { config: bugle_dtls::Config::default(), seed: [3; 32], keeping_key });
    Settings { dtls, ..Settings::new(Config::new(GatewayId::new("gw").expect("a gateway id"))) }
}

pub(crate) fn allocation(id: &str) -> Allocation {
    Allocation {
        peripheral: peripheral(id),
        application: application(),
        groups: BTreeSet::from([group()]),
        initial_state: InitialState::Allocated,
        credential: None,
        waker: Waker::Window,
        labels: BTreeMap::new(),
        lifetime: None,
        idle: None,
    }
}

pub(crate) fn connect(id: &str) -> v5::Connect {
    v5::Connect {
        client_id: id.to_owned().into(),
        clean_start: false,
        keep_alive: 60,
        session_expiry_interval_secs: 3600,
        ..v5::Connect::default()
    }
}

impl World {
    pub(crate) fn new(ids: &[&str]) -> Self {
        Self::of(ids.iter().map(|id| allocation(id)).collect())
    }

    pub(crate) fn of(allocations: Vec<Allocation>) -> Self {
        let mut world = Self {
            now: Time::from_millis(1_000_000),
            edge: Edge::new(settings(), 1),
            disk: Memory::default(),
            received: HashMap::new(),
            closed: BTreeSet::new(),
            datagrams: Vec::new(),
            is_disk_slow: false,
            unpersisted: Vec::new(),
            down: 0,
            up_seen: 0,
            wake_calls: Vec::new(),
        };
        world.edge.handle_link(Link::Up);
        assert!(world.edge.handle_allocations(world.now, allocations).is_empty());
        world.run();
        world
    }

    /// Carries out what the gateway gives out, until it has no more.
    pub(crate) fn run(&mut self) {
        loop {
            while let Some(output) = self.edge.poll_output(self.now) {
                match output {
                    Output::Transmit { connection, bytes } => {
                        self.received.entry(connection).or_default().extend_from_slice(&bytes);
                    }
                    Output::Close { connection } => {
                        self.closed.insert(connection);
                        self.edge.handle_closed(self.now, connection);
                    }
                    Output::Datagram { peer, datagram } => self.datagrams.push((peer, datagram.to_vec())),
                    Output::Persist(batch) => self.unpersisted.push(batch),
                    Output::Wake(call) => self.wake_calls.push(call),
                    Output::Directed { .. } | Output::UpAvailable { .. } | Output::DownAcknowledged { .. } => {}
                }
            }
            if self.is_disk_slow || self.unpersisted.is_empty() {
                return;
            }
            self.persist();
        }
    }

    /// A slow disk is done with what it had.
    pub(crate) fn persist(&mut self) {
        for batch in std::mem::take(&mut self.unpersisted) {
            batch.changes.into_iter().for_each(|change| self.disk.apply(change));
            self.edge.handle_persisted(batch.ticket);
        }
    }

    /// The process dies, and another goes on from what was persisted.
    pub(crate) fn crash(&mut self) {
        self.crash_to(settings());
    }

    /// The same, with another configuration.
    pub(crate) fn crash_to(&mut self, settings: Settings) {
        self.unpersisted.clear();
        self.received.clear();
        self.edge = Edge::restore(self.now, settings, 2, self.disk.restored());
        self.edge.handle_link(Link::Up);
        self.run();
    }

    pub(crate) fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(at) = self.edge.next_timeout().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.edge.handle_timeout(self.now);
            self.run();
        }
        self.now = end;
    }

    pub(crate) fn state(&self, id: &str) -> Option<State> {
        self.edge.state(&peripheral(id))
    }

    pub(crate) fn open(&mut self) -> ConnectionId {
        self.edge.handle_accepted(self.now, "127.0.0.1:40000".into())
    }

    pub(crate) fn send(&mut self, connection: ConnectionId, packet: impl Into<v5::Packet>) {
        let mut bytes = BytesMut::new();
        v5::Codec::default().encode(packet.into(), &mut bytes).expect("a packet");
        self.edge.handle_bytes(self.now, connection, &bytes);
        self.run();
    }

    /// What the gateway sent on a connection since last time.
    pub(crate) fn replies(&mut self, connection: ConnectionId) -> Vec<v5::Packet> {
        let mut packets = Vec::new();
        let Some(bytes) = self.received.get_mut(&connection) else { return packets };
        while let Some((packet, _)) = v5::Codec::default().decode(bytes).expect("MQTT") {
            packets.push(packet);
        }
        packets
    }

    pub(crate) fn is_closed(&self, connection: ConnectionId) -> bool {
        self.closed.contains(&connection)
    }

    /// Connects, has the application say yes if it is asked, and returns the CONNACK too.
    pub(crate) fn connect_with(&mut self, connect: v5::Connect) -> (ConnectionId, v5::ConnectAck) {
        let connection = self.open();
        let id = connect.client_id.to_string();
        self.send(connection, connect);
        if self.state(&id) == Some(State::Registering) {
            assert!(self.replies(connection).is_empty(), "the CONNACK waits for the application");
            self.decide(&id);
        }
        match self.replies(connection).as_slice() {
            [v5::Packet::ConnectAck(ack), ..] => (connection, (**ack).clone()),
            other => panic!("{other:?}"),
        }
    }

    /// Connects and subscribes.
    pub(crate) fn join(&mut self, id: &str) -> ConnectionId {
        let (connection, ack) = self.connect_with(connect(id));
        assert_eq!(u8::from(ack.reason_code), 0);
        self.subscribe(connection, id);
        connection
    }

    pub(crate) fn subscribe(&mut self, connection: ConnectionId, id: &str) {
        let options = v5::SubscriptionOptions { qos: QoS::AtLeastOnce, ..v5::SubscriptionOptions::default() };
        self.send(
            connection,
            v5::Packet::Subscribe(v5::Subscribe {
                packet_id: NonZeroU16::MIN,
                id: None,
                user_properties: Vec::new(),
                topic_filters: vec![(format!("bugle/{id}/requests").into(), options)],
            }),
        );
    }

    pub(crate) fn decide(&mut self, id: &str) {
        let asked = self.up().into_iter().rev().find_map(|entry| match entry {
            UpEntry::RegistrationAsked { asked, .. } if asked.peripheral == peripheral(id) => Some(asked.registration),
            _ => None,
        });
        self.authorize(peripheral(id), asked.expect("it asked"));
    }

    fn authorize(&mut self, peripheral: PeripheralId, registration: RegistrationId) {
        let verdict = Verdict::Authorized { groups: BTreeSet::from([group()]), lease: Duration::from_secs(3600) };
        self.down(DownEntry::Decision { peripheral, registration, verdict });
    }

    /// Says yes to whoever has asked since last time and still waits.
    pub(crate) fn decide_all(&mut self) {
        let mut asking = Vec::new();
        for (sequence, entry) in self.disk.up_after(self.up_seen) {
            self.up_seen = self.up_seen.max(sequence);
            if let UpEntry::RegistrationAsked { asked, .. } = entry {
                asking.push((asked.peripheral.clone(), asked.registration));
            }
        }
        for (peripheral, registration) in asking {
            self.authorize(peripheral, registration);
        }
    }

    /// The datagrams that the gateway sent since last time.
    pub(crate) fn take_datagrams(&mut self) -> Vec<(Peer, Vec<u8>)> {
        std::mem::take(&mut self.datagrams)
    }

    pub(crate) fn down(&mut self, entry: DownEntry) {
        self.down += 1;
        self.edge.handle_down(self.now, self.down, entry);
        self.run();
    }

    pub(crate) fn request(&mut self, number: u64, receipt: Receipt) -> RequestId {
        let operation = Operation::Message { content: Content::text("hello") };
        self.operation(number, operation, receipt)
    }

    pub(crate) fn operation(&mut self, number: u64, operation: Operation, receipt: Receipt) -> RequestId {
        let id = RequestId::from_number(number).expect("a request id");
        self.down(DownEntry::Request(GroupRequest {
            id,
            application: application(),
            group: group(),
            contained: std::collections::BTreeSet::new(),
            operation,
            activation: Activation::All,
            sleepers: Sleepers::Queue,
            late_joiners: bugle_core::LateJoiners::Exclude,
            receipt,
            deadline: self.now + Duration::from_secs(5 * 3600),
            priority: Priority::Normal,
            pacing: Pacing::default(),
            abort: None,
            collapse_key: None,
        }));
        id
    }

    pub(crate) fn publish(&mut self, connection: ConnectionId, qos: QoS, topic: String, payload: &'static str) {
        self.publish_as(77, connection, qos, topic, payload);
    }

    /// Publishes under a packet id.
    pub(crate) fn publish_as(
        &mut self,
        packet_id: u16,
        connection: ConnectionId,
        qos: QoS,
        topic: String,
        payload: &'static str,
    ) {
        self.send(
            connection,
            v5::Packet::from(Publish {
                dup: false,
                retain: false,
                qos,
                topic: topic.into(),
                packet_id: NonZeroU16::new(packet_id).filter(|_| qos != QoS::AtMostOnce),
                payload: Bytes::from_static(payload.as_bytes()),
                properties: None,
            }),
        );
    }

    pub(crate) fn acknowledge(&mut self, connection: ConnectionId, publish: &Publish) {
        let packet_id = publish.packet_id.expect("quality of service 1");
        self.send(connection, v5::Packet::PublishAck(v5::PublishAck { packet_id, ..v5::PublishAck::default() }));
    }

    /// The requests that came on a connection since last time.
    pub(crate) fn requests(&mut self, connection: ConnectionId) -> Vec<Publish> {
        let publish = |packet| match packet {
            v5::Packet::Publish(publish) => Some(*publish),
            _ => None,
        };
        self.replies(connection).into_iter().filter_map(publish).collect()
    }

    pub(crate) fn up(&self) -> Vec<UpEntry> {
        self.disk.up_after(0).map(|(_, entry)| entry.clone()).collect()
    }

    pub(crate) fn outcomes(&self, request: RequestId) -> Vec<(PeripheralId, Outcome)> {
        let receipts = |entry| match entry {
            UpEntry::Receipts { request: of, receipts } if of == request => receipts,
            _ => Vec::new(),
        };
        self.up().into_iter().flat_map(receipts).map(|receipt| (receipt.peripheral, receipt.outcome)).collect()
    }

    pub(crate) fn only_outcome(&self, request: RequestId) -> Outcome {
        match self.outcomes(request).as_slice() {
            [(_, outcome)] => outcome.clone(),
            others => panic!("{others:?}"),
        }
    }

    pub(crate) fn reports(&self) -> Vec<(String, Content)> {
        let report = |entry| match entry {
            UpEntry::Report { report, .. } => Some((report.name, report.content)),
            _ => None,
        };
        self.up().into_iter().filter_map(report).collect()
    }
}
