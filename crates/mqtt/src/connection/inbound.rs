//! What the peripheral publishes, and how it is acknowledged (MQTT 5 §4.3).
//!
//! Nothing is acknowledged before the owner says so, because an acknowledgement is a promise. A
//! publication of quality of service 2 passes three stages, its id held throughout:
//!
//! 1. *received*: told to the owner, who makes it and the id durable;
//! 2. *recorded*: PUBREC has left; whatever comes again under that id is the same publication;
//! 3. *released*: PUBREL has come, and the owner forgets the id; then PUBCOMP leaves, and the id is
//!    free. In that order: an id remembered after its PUBCOMP would swallow the next publication.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use crate::Version;
use rmqtt_codec::types::{self, QoS};

use super::session::Session;
use super::subscription::reason_for;
use super::{Output, PacketId};
use crate::wire::outgoing::Packet;
use crate::{CloseReason, Config, Delivery, Event, Fault, Noise, Publish, REFUSED, Topic, TopicError, limits};

/// What the client has sent and waits to have acknowledged.
#[derive(Debug, Default)]
pub(super) struct Inbound(BTreeMap<PacketId, Flight>);

#[derive(Debug)]
pub(super) enum Flight {
    AtLeastOnce,
    Received,
    Recorded,
    Released,
    Subscribe(Box<[u8]>),
    Unsubscribe(Box<[u8]>),
}

impl Inbound {
    pub(super) fn restored(exactly_once: Vec<PacketId>) -> Self {
        Self(exactly_once.into_iter().map(|packet_id| (packet_id, Flight::Recorded)).collect())
    }

    pub(super) fn exactly_once(&self) -> impl Iterator<Item = PacketId> + '_ {
        let is_held = |flight: &Flight| matches!(flight, Flight::Received | Flight::Recorded);
        self.0.iter().filter(move |(_, flight)| is_held(flight)).map(|(packet_id, _)| *packet_id)
    }

    /// Whether as much waits for the owner as a client may have in flight.
    pub(super) fn is_full(&self, config: &Config) -> bool {
        self.count(|flight| !matches!(flight, Flight::Recorded)) >= config.receive_maximum.get().into()
    }

    /// Whether a publication may come in: it is not more than was announced [MQTT-3.3.4-7].
    ///
    /// Recorded ones are bounded apart, at twice as many: those of an earlier connection do not
    /// count against this one's (MQTT 5 §4.9).
    fn check_room(&self, config: &Config) -> Result<(), Fault> {
        let max = usize::from(config.receive_maximum.get());
        let waiting = self.count(|flight| matches!(flight, Flight::AtLeastOnce | Flight::Received | Flight::Released));
        let recorded = self.count(|flight| matches!(flight, Flight::Recorded));
        if waiting >= max || recorded >= 2 * max { Err(Fault::ReceiveMaximum) } else { Ok(()) }
    }

    /// Takes a SUBSCRIBE or UNSUBSCRIBE in.
    pub(super) fn insert_subscription(&mut self, packet_id: PacketId, flight: Flight) -> Result<(), Fault> {
        let waiting = self.count(|flight| matches!(flight, Flight::Subscribe(_) | Flight::Unsubscribe(_)));
        if waiting >= limits::SUBSCRIPTIONS_IN_FLIGHT_MAX {
            return Err(Fault::Quota("too many SUBSCRIBE and UNSUBSCRIBE in flight"));
        }
        // What is held under an id outlives the fault of using the id again.
        match self.0.entry(packet_id) {
            Entry::Occupied(_) => Err(PACKET_ID_IN_USE),
            Entry::Vacant(entry) => {
                entry.insert(flight);
                Ok(())
            }
        }
    }

    /// Lets go of the room too with the last: an emptied map would keep some, in each of tens of
    /// thousands of idle connections.
    fn remove(&mut self, packet_id: PacketId) -> Option<Flight> {
        let flight = self.0.remove(&packet_id);
        if self.0.is_empty() {
            self.0 = BTreeMap::new();
        }
        flight
    }

    pub(super) fn is_subscribing(&self) -> bool {
        self.0.values().any(|flight| matches!(flight, Flight::Subscribe(_)))
    }

    fn count(&self, is_counted: impl Fn(&Flight) -> bool) -> usize {
        self.0.values().filter(|flight| is_counted(flight)).count()
    }
}

/// [MQTT-2.2.1-3]
const PACKET_ID_IN_USE: Fault = Fault::Protocol("the packet identifier is in use");

impl Session {
    pub(super) fn on_publish(
        &mut self,
        publish: types::Publish,
        config: &Config,
        output: &mut Output,
    ) -> Result<(), Fault> {
        self.check_publish(&publish)?;
        let delivery = delivery(&publish)?;
        if !self.is_new(delivery, publish.dup, output)? {
            output.events.push_back(Event::Noise(Noise::Duplicate));
            return Ok(());
        }
        if !matches!(delivery, Delivery::AtMostOnce) {
            self.inbound.check_room(config)?;
        }
        let topic = match Topic::parse(&publish.topic, &self.peripheral) {
            Ok(topic) => topic,
            Err(error) => {
                output.events.push_back(Event::Noise(Noise::ForeignTopic));
                let code = if error == TopicError::Foreign { NOT_AUTHORIZED } else { TOPIC_NAME_INVALID };
                return self.reject(delivery, code, &error.to_string(), output);
            }
        };
        let properties = publish.properties.unwrap_or_default();
        if properties.is_utf8_payload && std::str::from_utf8(&publish.payload).is_err() {
            output.events.push_back(Event::Noise(Noise::PayloadFormat));
            return self.reject(delivery, PAYLOAD_FORMAT_INVALID, "the payload is not UTF-8", output);
        }
        let flight = match delivery {
            Delivery::AtMostOnce => None,
            Delivery::AtLeastOnce(packet_id) => Some((packet_id, Flight::AtLeastOnce)),
            Delivery::ExactlyOnce(packet_id) => Some((packet_id, Flight::Received)),
        };
        self.inbound.0.extend(flight);
        let content_type = properties.content_type.as_deref().unwrap_or_default().into();
        let refusal = properties.user_properties.iter().find(|(name, _)| &**name == REFUSED);
        let refusal = refusal.map(|(_, reason)| (&**reason).into());
        let payload = publish.payload;
        output.events.push_back(Event::Publish(Publish { delivery, topic, payload, content_type, refusal }));
        Ok(())
    }

    /// Rules that hold whatever is published.
    fn check_publish(&self, publish: &types::Publish) -> Result<(), Fault> {
        if publish.dup && publish.qos == QoS::AtMostOnce {
            // [MQTT-3.3.1-2]
            return Err(Fault::Malformed("DUP with quality of service 0"));
        }
        if self.manner().version == Version::Mqtt311 {
            // Nothing in 3.1.1 tells the client that nothing is retained: the flag is ignored.
            return Ok(());
        }
        if publish.retain {
            // [MQTT-3.2.2-14]
            return Err(Fault::Retain);
        }
        let properties = publish.properties.as_ref();
        if properties.is_some_and(|properties| properties.topic_alias.is_some()) {
            // [MQTT-3.2.2-17]
            return Err(Fault::TopicAlias);
        }
        if properties.is_some_and(|properties| !properties.subscription_ids.is_empty()) {
            // [MQTT-3.3.4-6]
            return Err(Fault::Protocol("a subscription identifier in a client's PUBLISH"));
        }
        if publish.topic.is_empty() {
            // MQTT 5 §3.3.2.1, as there is no alias
            return Err(Fault::Protocol("an empty topic name"));
        }
        Ok(())
    }

    /// Whether the publication has not come before. One that was recorded is acknowledged again.
    fn is_new(&self, delivery: Delivery, dup: bool, output: &mut Output) -> Result<bool, Fault> {
        let (Delivery::AtLeastOnce(packet_id) | Delivery::ExactlyOnce(packet_id)) = delivery else { return Ok(true) };
        match (self.inbound.0.get(&packet_id), delivery) {
            (None, _) => Ok(true),
            // Its acknowledgement leaves when the owner says so.
            (Some(Flight::AtLeastOnce), Delivery::AtLeastOnce(_)) if dup => Ok(false),
            (Some(Flight::Received), Delivery::ExactlyOnce(_)) => Ok(false),
            (Some(Flight::Recorded), Delivery::ExactlyOnce(_)) => {
                // [MQTT-4.3.3-10]
                self.put(Packet::PublishReceived { packet_id, code: 0, reason: "" }, output)?;
                Ok(false)
            }
            (Some(_), _) => Err(PACKET_ID_IN_USE),
        }
    }

    /// Takes nothing of it, and says so where the version can; a 3.1.1 server can only acknowledge
    /// or close [MQTT-3.3.5-2].
    fn reject(&self, delivery: Delivery, code: u8, reason: &str, output: &mut Output) -> Result<(), Fault> {
        match (delivery, self.manner().version) {
            (Delivery::AtMostOnce, _) => Ok(()),
            (_, Version::Mqtt311) => Err(Fault::Topic),
            (Delivery::AtLeastOnce(packet_id), Version::Mqtt5) => {
                self.put(Packet::PublishAck { packet_id, code, reason }, output)
            }
            (Delivery::ExactlyOnce(packet_id), Version::Mqtt5) => {
                self.put(Packet::PublishReceived { packet_id, code, reason }, output)
            }
        }
    }

    pub(super) fn on_publish_release(&mut self, packet_id: PacketId, output: &mut Output) -> Result<(), Fault> {
        match self.inbound.0.get_mut(&packet_id) {
            Some(flight @ Flight::Recorded) => {
                *flight = Flight::Released;
                output.events.push_back(Event::Released { packet_id });
                Ok(())
            }
            Some(Flight::Released) => {
                output.events.push_back(Event::Noise(Noise::Duplicate));
                Ok(())
            }
            Some(_) => Err(Fault::Protocol("PUBREL ahead of PUBREC")),
            None => {
                output.events.push_back(Event::Noise(Noise::UnknownPacketId));
                // [MQTT-4.3.3-11]
                self.put(Packet::PublishComplete { packet_id, code: PACKET_ID_NOT_FOUND }, output)
            }
        }
    }

    /// Sends the acknowledgement that is due under that id, if one is.
    pub(super) fn acknowledge(&mut self, packet_id: PacketId, output: &mut Output) -> Result<(), CloseReason> {
        let flight = self.inbound.remove(packet_id);
        let answer = match &flight {
            Some(Flight::AtLeastOnce) => Packet::PublishAck { packet_id, code: 0, reason: "" },
            Some(Flight::Received) => Packet::PublishReceived { packet_id, code: 0, reason: "" },
            Some(Flight::Released) => Packet::PublishComplete { packet_id, code: 0 },
            Some(Flight::Subscribe(codes)) => Packet::SubscribeAck { packet_id, codes, reason: reason_for(codes) },
            Some(Flight::Unsubscribe(codes)) => Packet::UnsubscribeAck { packet_id, codes },
            Some(Flight::Recorded) | None => {
                self.inbound.0.extend(flight.map(|flight| (packet_id, flight)));
                return Ok(());
            }
        };
        self.put(answer, output)?;
        match flight {
            Some(Flight::Received) => self.inbound.0.extend([(packet_id, Flight::Recorded)]),
            Some(Flight::Subscribe(_)) => self.is_subscribed = true,
            Some(Flight::Unsubscribe(_)) => self.is_subscribed = false,
            _ => {}
        }
        Ok(())
    }
}

const NOT_AUTHORIZED: u8 = 0x87;
const TOPIC_NAME_INVALID: u8 = 0x90;
const PACKET_ID_NOT_FOUND: u8 = 0x92;
const PAYLOAD_FORMAT_INVALID: u8 = 0x99;

fn delivery(publish: &types::Publish) -> Result<Delivery, Fault> {
    match (publish.qos, publish.packet_id) {
        (QoS::AtMostOnce, _) => Ok(Delivery::AtMostOnce),
        (QoS::AtLeastOnce, Some(packet_id)) => Ok(Delivery::AtLeastOnce(packet_id.into())),
        (QoS::ExactlyOnce, Some(packet_id)) => Ok(Delivery::ExactlyOnce(packet_id.into())),
        // [MQTT-2.2.1-2]
        (_, None) => Err(Fault::Malformed("the packet identifier is missing")),
    }
}
