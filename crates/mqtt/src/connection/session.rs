//! What is known of a client from its CONNECT on, and what it sends.

use std::time::Duration;

use crate::Version;
use bugle_core::PeripheralId;

use super::inbound::Inbound;
use super::{Output, PacketId};
use crate::wire::connect::Connecting;
use crate::wire::incoming::{self, Packet};
use crate::wire::outgoing::{self, Manner};
use crate::{CloseReason, Config, Event, Fault, Start, Will};

/// A client that asked to connect.
#[derive(Debug)]
pub(super) struct Session {
    manner: Manner,
    pub(super) peripheral: PeripheralId,
    start: Start,
    /// In seconds; 0 for none. As the client asked.
    keep_alive_asked: u16,
    keep_alive: u16,
    /// In seconds, as the client asked.
    session_expiry_asked: u32,
    session_expiry: u32,
    /// The client's Receive Maximum.
    pub(super) receive_maximum: u16,
    pub(super) is_subscribed: bool,
    will: Option<Box<Will>>,
    pub(super) inbound: Inbound,
    /// What was published and not acknowledged.
    pub(super) outbound: Vec<PacketId>,
}

/// What a connection leaves behind.
#[derive(Debug, Default)]
pub(super) struct Remains {
    pub(super) session_expiry: Duration,
    pub(super) will: Option<Box<Will>>,
    pub(super) inbound: Inbound,
}

impl Session {
    pub(super) fn new(connecting: &Connecting, config: &Config) -> Self {
        let keep_alive_max = config.keep_alive_seconds_max();
        let keep_alive = match (connecting.version, connecting.keep_alive) {
            (Version::Mqtt311, asked) => asked,
            // [MQTT-3.1.2-21]
            (Version::Mqtt5, 0) => keep_alive_max,
            (Version::Mqtt5, asked) => asked.min(keep_alive_max),
        };
        Self {
            manner: Manner {
                version: connecting.version,
                packet_bytes_max: connecting.packet_bytes_max,
                wants_reasons: connecting.wants_reasons,
            },
            peripheral: connecting.peripheral.clone(),
            start: connecting.start,
            keep_alive_asked: connecting.keep_alive,
            keep_alive,
            session_expiry_asked: connecting.session_expiry,
            session_expiry: connecting.session_expiry.min(seconds(config.session_expiry_max)),
            receive_maximum: connecting.receive_maximum,
            is_subscribed: false,
            will: None,
            inbound: Inbound::default(),
            outbound: Vec::new(),
        }
    }

    pub(super) fn with_will(self, will: Option<Box<Will>>) -> Self {
        Self { will, ..self }
    }

    pub(super) fn resume(&mut self, is_subscribed: bool, exactly_once: Vec<PacketId>) {
        self.is_subscribed = is_subscribed;
        self.inbound = Inbound::restored(exactly_once);
    }

    /// Returns what the client is to be told of it: nothing if it gets what it asked for (MQTT 5
    /// §3.2.2.3.2).
    pub(super) fn limit_session_expiry(&mut self, max: Duration) -> Option<u32> {
        self.session_expiry = self.session_expiry.min(seconds(max));
        (self.session_expiry != self.session_expiry_asked).then_some(self.session_expiry)
    }

    /// What the client is told of its keep-alive: nothing if it is what it asked for (MQTT 5
    /// §3.2.2.3.14).
    pub(super) fn imposed_keep_alive(&self) -> Option<u16> {
        (self.keep_alive != self.keep_alive_asked).then_some(self.keep_alive)
    }

    pub(super) const fn manner(&self) -> Manner {
        self.manner
    }

    pub(super) const fn peripheral(&self) -> &PeripheralId {
        &self.peripheral
    }

    pub(super) const fn start(&self) -> Start {
        self.start
    }

    pub(super) const fn keep_alive(&self) -> u16 {
        self.keep_alive
    }

    pub(super) const fn session_expiry(&self) -> Duration {
        Duration::from_secs(self.session_expiry as u64)
    }

    pub(super) const fn is_subscribed(&self) -> bool {
        self.is_subscribed
    }

    /// Whether nothing more is taken from the client for now. Only a 3.1.1 client comes to that:
    /// it has not been told how much is taken.
    pub(super) fn is_full(&self, config: &Config) -> bool {
        self.manner.version == Version::Mqtt311 && self.inbound.is_full(config)
    }

    /// What is left when the connection ends so.
    pub(super) fn into_remains(self, reason: &CloseReason) -> Remains {
        Remains {
            session_expiry: self.session_expiry(),
            will: self.will.filter(|_| reason.publishes_the_will()),
            inbound: self.inbound,
        }
    }

    /// Handles a whole packet.
    ///
    /// # Errors
    /// If the connection is over with it.
    pub(super) fn handle_packet(
        &mut self,
        packet: &[u8],
        config: &Config,
        output: &mut Output,
    ) -> Result<(), CloseReason> {
        match incoming::decode(self.manner.version, packet)? {
            Packet::Publish(publish) => self.on_publish(*publish, config, output)?,
            Packet::PublishAck { packet_id, code, reason } => self.on_publish_ack(packet_id, code, reason, output),
            Packet::PublishRelease { packet_id } => self.on_publish_release(packet_id, output)?,
            Packet::Subscribe { packet_id, filters } => self.on_subscribe(packet_id, &filters, output)?,
            Packet::Unsubscribe { packet_id, filters } => self.on_unsubscribe(packet_id, &filters, output)?,
            Packet::Ping => {
                // [MQTT-3.12.4-1]
                self.put(outgoing::Packet::PingResponse, output)?;
                output.events.push_back(Event::Ping);
            }
            Packet::Disconnect { code, session_expiry } => {
                self.on_disconnect(session_expiry, config)?;
                return Err(CloseReason::Disconnected { code });
            }
        }
        Ok(())
    }

    /// A client may change its mind about how long its session lives on, but not bring one to life
    /// that was to end with the connection (MQTT 5 §3.14.2.2.2).
    fn on_disconnect(&mut self, session_expiry: Option<u32>, config: &Config) -> Result<(), Fault> {
        match session_expiry {
            Some(asked) if asked != 0 && self.session_expiry_asked == 0 => {
                Err(Fault::Protocol("a session expiry in DISCONNECT after none in CONNECT"))
            }
            Some(asked) => {
                self.session_expiry = asked.min(seconds(config.session_expiry_max));
                Ok(())
            }
            None => Ok(()),
        }
    }

    pub(super) fn put(&self, packet: outgoing::Packet<'_>, output: &mut Output) -> Result<(), Fault> {
        packet.encode(self.manner, &mut output.bytes).map_err(|_| Fault::AnswerTooLarge)
    }
}

/// Whole seconds, at most what MQTT can say.
fn seconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_secs()).unwrap_or(u32::MAX)
}
