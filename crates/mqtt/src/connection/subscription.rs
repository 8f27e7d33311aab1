//! SUBSCRIBE and UNSUBSCRIBE. There is one topic to subscribe to: the peripheral's own requests.
//!
//! A subscription is part of the session, so its SUBACK leaves once the owner has recorded it. Any
//! other filter is refused at once.

use rmqtt_codec::types::QoS;

use super::inbound::Flight;
use super::session::Session;
use super::{Output, PacketId};
use crate::topic::Requests;
use crate::wire::outgoing::Packet;
use crate::{Event, Fault, Noise};

const GRANTED_QOS_1: u8 = 0x01;
const NO_SUBSCRIPTION_EXISTED: u8 = 0x11;
const IMPLEMENTATION_SPECIFIC: u8 = 0x83;
const NOT_AUTHORIZED: u8 = 0x87;
const SHARED_NOT_SUPPORTED: u8 = 0x9E;
const WILDCARD_NOT_SUPPORTED: u8 = 0xA2;

impl Session {
    pub(super) fn on_subscribe(
        &mut self,
        packet_id: PacketId,
        filters: &[(Box<str>, QoS)],
        output: &mut Output,
    ) -> Result<(), Fault> {
        // One code for each filter, in their order [MQTT-3.8.4-6].
        let codes: Box<[u8]> = filters.iter().map(|(filter, qos)| self.subscribe_code(filter, *qos)).collect();
        if codes.iter().any(|code| *code != GRANTED_QOS_1) {
            output.events.push_back(Event::Noise(Noise::ForeignFilter));
        }
        if codes.contains(&GRANTED_QOS_1) {
            self.inbound.insert_subscription(packet_id, Flight::Subscribe(codes))?;
            output.events.push_back(Event::Subscribe { packet_id });
            return Ok(());
        }
        self.put(Packet::SubscribeAck { packet_id, codes: &codes, reason: reason_for(&codes) }, output)
    }

    pub(super) fn on_unsubscribe(
        &mut self,
        packet_id: PacketId,
        filters: &[Box<str>],
        output: &mut Output,
    ) -> Result<(), Fault> {
        let requests = Requests(&self.peripheral);
        let is_known = self.is_subscribed || self.inbound.is_subscribing();
        let code = |filter| if is_known && requests.is_named_by(filter) { 0 } else { NO_SUBSCRIPTION_EXISTED };
        // [MQTT-3.11.3-1]
        let codes: Box<[u8]> = filters.iter().map(|filter| code(filter)).collect();
        if codes.contains(&0) {
            // No more requests from here on [MQTT-3.10.4-2].
            self.is_subscribed = false;
            self.inbound.insert_subscription(packet_id, Flight::Unsubscribe(codes))?;
            output.events.push_back(Event::Unsubscribe { packet_id });
            return Ok(());
        }
        output.events.push_back(Event::Noise(Noise::ForeignFilter));
        // [MQTT-3.10.4-5]
        self.put(Packet::UnsubscribeAck { packet_id, codes: &codes }, output)
    }

    fn subscribe_code(&self, filter: &str, qos: QoS) -> u8 {
        if Requests(&self.peripheral).is_named_by(filter) {
            return match qos {
                QoS::AtMostOnce => IMPLEMENTATION_SPECIFIC,
                // A server may grant less than was asked for [MQTT-3.8.4-7].
                QoS::AtLeastOnce | QoS::ExactlyOnce => GRANTED_QOS_1,
            };
        }
        if filter.starts_with("$share/") {
            SHARED_NOT_SUPPORTED
        } else if filter.contains(['+', '#']) {
            WILDCARD_NOT_SUPPORTED
        } else {
            NOT_AUTHORIZED
        }
    }
}

/// The first refusal among the codes of a SUBACK, in words.
pub(super) fn reason_for(codes: &[u8]) -> &'static str {
    match codes.iter().find(|code| **code >= 0x80) {
        None => "",
        Some(&IMPLEMENTATION_SPECIFIC) => "subscribe with QoS 1: receipts need acknowledgements",
        Some(_) => "subscribe to bugle/<client id>/requests only",
    }
}
