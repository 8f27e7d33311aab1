//! A client of either version, with the connection that serves it.

use std::collections::VecDeque;
use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::Duration;

use bugle_core::{RequestId, Time};
use bugle_mqtt::Version;
use bugle_mqtt::{Accept, Closed, Config, Connection, Event, PacketId, Publication, Resumption, Transmission};
use bytes::{Bytes, BytesMut};
use rmqtt_codec::types::{Publish, QoS};
use rmqtt_codec::{types, v3, v5};
use tokio_util::codec::{Decoder, Encoder};

pub(crate) const VERSIONS: [Version; 2] = [Version::Mqtt311, Version::Mqtt5];
pub(crate) const CLIENT_ID: &str = "meter-1";
pub(crate) const REQUESTS: &str = "bugle/meter-1/requests";
pub(crate) const REPORT: &str = "bugle/meter-1/reports/power";

/// What the server sent, the same for both versions; no code is 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reply {
    ConnectAck { code: u8, session_present: bool },
    Publish(Publish),
    PublishAck { id: u16, code: u8 },
    PublishReceived { id: u16, code: u8 },
    PublishComplete { id: u16, code: u8 },
    SubscribeAck { id: u16, codes: Vec<u8> },
    UnsubscribeAck { id: u16 },
    Ping,
    Disconnect { code: u8 },
}

pub(crate) struct Client {
    pub(crate) version: Version,
    pub(crate) now: Time,
    pub(crate) connection: Connection,
    received: BytesMut,
    /// The last packets in full, where MQTT 5 says more than a [`Reply`].
    pub(crate) connect_ack: Option<v5::ConnectAck>,
    pub(crate) reason: Option<String>,
    pub(crate) unsubscribe_codes: Vec<u8>,
}

pub(crate) fn config() -> Config {
    Config {
        packet_bytes_max: 4096,
        connect_time: Duration::from_secs(10),
        keep_alive_max: Duration::from_secs(600),
        session_expiry_max: Duration::from_secs(86_400),
        receive_maximum: NonZeroU16::new(4).expect("not zero"),
        held_bytes_max: 256,
    }
}

pub(crate) fn id(number: u16) -> PacketId {
    PacketId::new(number).expect("not zero")
}

pub(crate) fn request() -> RequestId {
    RequestId::from_number(4711).expect("63 bits")
}

pub(crate) fn publication(number: u16, payload: &[u8]) -> Publication<'_> {
    Publication {
        packet_id: id(number),
        transmission: Transmission::First,
        request: request(),
        payload,
        content_type: "text/plain",
        message_expiry: Duration::from_millis(59_001),
    }
}

pub(crate) fn resumed() -> Resumption {
    Resumption::Resumed { is_subscribed: true, exactly_once: Vec::new() }
}

pub(crate) fn connect_5() -> v5::Connect {
    v5::Connect { clean_start: true, keep_alive: 60, client_id: CLIENT_ID.into(), ..v5::Connect::default() }
}

pub(crate) fn connect_311() -> v3::Connect {
    v3::Connect { clean_session: true, keep_alive: 60, client_id: CLIENT_ID.into(), ..v3::Connect::default() }
}

impl Client {
    /// A client whose transport is up.
    pub(crate) fn new(version: Version) -> Self {
        Self::with_config(version, config())
    }

    pub(crate) fn with_config(version: Version, config: Config) -> Self {
        let now = Time::from_millis(1_000_000);
        Self {
            version,
            now,
            connection: Connection::new(now, Arc::new(config)),
            received: BytesMut::new(),
            connect_ack: None,
            reason: None,
            unsubscribe_codes: Vec::new(),
        }
    }

    /// A client that was let in, with the CONNACK taken.
    pub(crate) fn accepted(version: Version) -> Self {
        let mut client = Self::new(version);
        client.connect();
        client.accept(Resumption::New);
        assert!(matches!(client.event(), Some(Event::Connect(_))));
        assert_eq!(client.replies(), [Reply::ConnectAck { code: 0, session_present: false }]);
        client
    }

    /// A client that was let in and gets its requests.
    pub(crate) fn subscribed(version: Version) -> Self {
        let mut client = Self::accepted(version);
        client.subscribe(1, &[(REQUESTS, QoS::AtLeastOnce)]);
        assert_eq!(client.events(), [Event::Subscribe { packet_id: id(1) }]);
        client.acknowledge(1);
        assert_eq!(client.replies(), [Reply::SubscribeAck { id: 1, codes: vec![1] }]);
        client
    }

    pub(crate) fn accept(&mut self, session: Resumption) {
        let accept = Accept { session, session_expiry_max: Duration::from_secs(86_400) };
        self.connection.accept(self.now, accept);
    }

    pub(crate) fn acknowledge(&mut self, number: u16) {
        self.connection.acknowledge(self.now, id(number));
    }

    /// Sends a CONNECT with nothing special in it.
    pub(crate) fn connect(&mut self) {
        match self.version {
            Version::Mqtt311 => self.send_311(connect_311().into()),
            Version::Mqtt5 => self.send_5(connect_5().into()),
        }
    }

    /// Sends a CONNECT that goes on with a session.
    pub(crate) fn reconnect(&mut self) {
        match self.version {
            Version::Mqtt311 => self.send_311(v3::Connect { clean_session: false, ..connect_311() }.into()),
            Version::Mqtt5 => {
                let connect = v5::Connect { clean_start: false, session_expiry_interval_secs: 3600, ..connect_5() };
                self.send_5(connect.into());
            }
        }
    }

    pub(crate) fn publish(&mut self, number: u16, qos: QoS, topic: &str) {
        self.send_publish(Publish {
            dup: false,
            retain: false,
            qos,
            topic: topic.into(),
            packet_id: NonZeroU16::new(number).filter(|_| qos != QoS::AtMostOnce),
            payload: Bytes::from_static(b"42"),
            properties: None,
        });
    }

    pub(crate) fn send_publish(&mut self, publish: Publish) {
        match self.version {
            Version::Mqtt311 => self.send_311(publish.into()),
            Version::Mqtt5 => self.send_5(publish.into()),
        }
    }

    pub(crate) fn publish_ack(&mut self, number: u16) {
        self.send_bytes(&[0x40, 2, (number >> 8) as u8, number as u8]);
    }

    pub(crate) fn publish_release(&mut self, number: u16) {
        self.send_bytes(&[0x62, 2, (number >> 8) as u8, number as u8]);
    }

    pub(crate) fn subscribe(&mut self, number: u16, filters: &[(&str, QoS)]) {
        let packet_id = NonZeroU16::new(number).expect("not zero");
        match self.version {
            Version::Mqtt311 => {
                let topic_filters = filters.iter().map(|(filter, qos)| ((*filter).into(), *qos)).collect();
                self.send_311(v3::Packet::Subscribe { packet_id, topic_filters });
            }
            Version::Mqtt5 => {
                let options = |qos| v5::SubscriptionOptions { qos, ..v5::SubscriptionOptions::default() };
                let topic_filters = filters.iter().map(|(filter, qos)| ((*filter).into(), options(*qos))).collect();
                let user_properties = Vec::new();
                self.send_5(v5::Packet::Subscribe(v5::Subscribe {
                    packet_id,
                    id: None,
                    user_properties,
                    topic_filters,
                }));
            }
        }
    }

    pub(crate) fn unsubscribe(&mut self, number: u16, filter: &str) {
        let packet_id = NonZeroU16::new(number).expect("not zero");
        let topic_filters = vec![filter.into()];
        match self.version {
            Version::Mqtt311 => self.send_311(v3::Packet::Unsubscribe { packet_id, topic_filters }),
            Version::Mqtt5 => {
                let user_properties = Vec::new();
                self.send_5(v5::Packet::Unsubscribe(v5::Unsubscribe { packet_id, user_properties, topic_filters }));
            }
        }
    }

    pub(crate) fn ping(&mut self) {
        self.send_bytes(&[0xC0, 0]);
    }

    pub(crate) fn disconnect(&mut self) {
        self.send_bytes(&[0xE0, 0]);
    }

    pub(crate) fn send_5(&mut self, packet: v5::Packet) {
        let mut bytes = BytesMut::new();
        v5::Codec::default().encode(packet, &mut bytes).expect("a packet");
        self.send_bytes(&bytes);
    }

    pub(crate) fn send_311(&mut self, packet: v3::Packet) {
        let mut bytes = BytesMut::new();
        v3::Codec::default().encode(packet, &mut bytes).expect("a packet");
        self.send_bytes(&bytes);
    }

    pub(crate) fn send_bytes(&mut self, bytes: &[u8]) {
        self.connection.handle_bytes(self.now, bytes);
    }

    /// Lets `duration` pass, the timeouts in it included.
    pub(crate) fn pass(&mut self, duration: Duration) {
        let end = self.now + duration;
        while let Some(timeout) = self.connection.next_timeout().filter(|timeout| *timeout <= end) {
            self.now = timeout;
            self.connection.handle_timeout(timeout);
        }
        self.now = end;
    }

    pub(crate) fn event(&mut self) -> Option<Event> {
        self.connection.poll_event()
    }

    pub(crate) fn events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.connection.poll_event()).collect()
    }

    /// The end, which must be the last and only event left.
    pub(crate) fn closed(&mut self) -> Closed {
        assert!(self.connection.is_closed());
        match self.events().as_slice() {
            [Event::Closed(closed)] => closed.clone(),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn replies(&mut self) -> Vec<Reply> {
        while let Some(bytes) = self.connection.poll_transmit() {
            self.received.extend_from_slice(&bytes);
        }
        let mut replies = VecDeque::new();
        while !self.received.is_empty() {
            let reply = match self.version {
                Version::Mqtt311 => self.reply_311(),
                Version::Mqtt5 => self.reply_5(),
            };
            replies.push_back(reply);
        }
        replies.into()
    }

    fn reply_311(&mut self) -> Reply {
        let (packet, _) = v3::Codec::default().decode(&mut self.received).expect("MQTT").expect("a whole packet");
        match packet {
            v3::Packet::ConnectAck(ack) => {
                Reply::ConnectAck { code: ack.return_code.into(), session_present: ack.session_present }
            }
            v3::Packet::Publish(publish) => Reply::Publish(*publish),
            v3::Packet::PublishAck { packet_id } => Reply::PublishAck { id: packet_id.get(), code: 0 },
            v3::Packet::PublishReceived { packet_id } => Reply::PublishReceived { id: packet_id.get(), code: 0 },
            v3::Packet::PublishComplete { packet_id } => Reply::PublishComplete { id: packet_id.get(), code: 0 },
            v3::Packet::SubscribeAck { packet_id, status } => {
                let code = |status: &v3::SubscribeReturnCode| match status {
                    v3::SubscribeReturnCode::Success(qos) => u8::from(*qos),
                    v3::SubscribeReturnCode::Failure => 0x80,
                };
                Reply::SubscribeAck { id: packet_id.get(), codes: status.iter().map(code).collect() }
            }
            v3::Packet::UnsubscribeAck { packet_id } => Reply::UnsubscribeAck { id: packet_id.get() },
            v3::Packet::PingResponse => Reply::Ping,
            other => panic!("a server does not send {other:?}"),
        }
    }

    fn reply_5(&mut self) -> Reply {
        let (packet, _) = v5::Codec::default().decode(&mut self.received).expect("MQTT").expect("a whole packet");
        let text = |reason: &Option<_>| reason.as_ref().map(ToString::to_string);
        match packet {
            v5::Packet::ConnectAck(ack) => {
                let reply = Reply::ConnectAck { code: ack.reason_code.into(), session_present: ack.session_present };
                self.reason = text(&ack.reason_string);
                self.connect_ack = Some(*ack);
                reply
            }
            v5::Packet::Publish(publish) => Reply::Publish(*publish),
            v5::Packet::PublishAck(ack) => {
                self.reason = text(&ack.reason_string);
                Reply::PublishAck { id: ack.packet_id.get(), code: ack.reason_code.into() }
            }
            v5::Packet::PublishReceived(ack) => {
                self.reason = text(&ack.reason_string);
                Reply::PublishReceived { id: ack.packet_id.get(), code: ack.reason_code.into() }
            }
            v5::Packet::PublishComplete(ack) => {
                Reply::PublishComplete { id: ack.packet_id.get(), code: ack.reason_code.into() }
            }
            v5::Packet::SubscribeAck(ack) => {
                self.reason = text(&ack.reason_string);
                let codes = ack.status.into_iter().map(u8::from).collect();
                Reply::SubscribeAck { id: ack.packet_id.get(), codes }
            }
            v5::Packet::UnsubscribeAck(ack) => {
                self.unsubscribe_codes = ack.status.into_iter().map(u8::from).collect();
                Reply::UnsubscribeAck { id: ack.packet_id.get() }
            }
            v5::Packet::PingResponse => Reply::Ping,
            v5::Packet::Disconnect(disconnect) => {
                self.reason = text(&disconnect.reason_string);
                Reply::Disconnect { code: disconnect.reason_code.into() }
            }
            other => panic!("a server does not send {other:?}"),
        }
    }
}

/// A publication as a client sends it, to be made special.
pub(crate) fn publish_5(number: u16, qos: QoS, properties: v5::PublishProperties) -> Publish {
    types::Publish {
        dup: false,
        retain: false,
        qos,
        topic: REPORT.into(),
        packet_id: NonZeroU16::new(number).filter(|_| qos != QoS::AtMostOnce),
        payload: Bytes::from_static(b"42"),
        properties: Some(properties),
    }
}
