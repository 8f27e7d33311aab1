//! One network connection of one peripheral.
//!
//! ```text
//!   peripheral                    connection                      its owner
//!  ── CONNECT ──────────────────▶ handle_bytes ── Connect ───────▶ finds the allocation, asks the
//!                                                                  application (registering, 2 to 6)
//!  ◀────────────────── CONNACK ──                ◀──────── accept ─ (registering, 7)
//!  ── SUBSCRIBE ────────────────▶                ── Subscribe ────▶ records it
//!  ◀──────────────────  SUBACK ──                ◀── acknowledge ──
//!  ◀───────────────── PUBLISH ───                ◀────── publish ── a request, its packet id on disk
//!  ── PUBACK ───────────────────▶                ── Delivered ────▶
//!  ── PUBLISH (QoS 1) ──────────▶                ── Publish ──────▶ records it
//!  ◀─────────────────  PUBACK ───                ◀── acknowledge ──
//!  ── PUBLISH (QoS 2) ──────────▶                ── Publish ──────▶ records it, and the packet id
//!  ◀─────────────────  PUBREC ───                ◀── acknowledge ──
//!  ── PUBREL ───────────────────▶                ── Released ─────▶ forgets the packet id
//!  ◀─────────────────  PUBCOMP ──                ◀── acknowledge ──
//!  ── DISCONNECT ───────────────▶                ── Closed ───────▶ standby, or deregistering
//! ```

mod inbound;
mod opening;
mod outbound;
mod session;
mod subscription;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crate::Version;
use bugle_core::{PeripheralId, Time};
use bytes::{Buf, BytesMut};

use self::inbound::Inbound;
use self::session::{Remains, Session};
use crate::wire::frame;
use crate::wire::outgoing::Packet;
use crate::{CloseReason, Closed, Config, Ending, Event, Fault, PacketId, limits};

pub use self::opening::{Accept, Resumption};
pub use self::outbound::{Publication, PublishError, Transmission};

/// The server's end of one network connection: bytes in, events and bytes out.
///
/// After each call take the events with [`poll_event`](Self::poll_event) and the bytes to send with
/// [`poll_transmit`](Self::poll_transmit), and set a timer for [`next_timeout`](Self::next_timeout).
#[derive(Debug)]
pub struct Connection {
    config: Arc<Config>,
    phase: Phase,
    /// When the last packet came, and before the first when the connection began.
    heard: Time,
    /// Part of a packet, and whole ones that have to wait.
    incoming: BytesMut,
    output: Output,
}

#[derive(Debug)]
enum Phase {
    AwaitingConnect,
    AwaitingDecision(Box<Session>),
    Open(Box<Session>),
    /// Over; the session that is left is the owner's, who may still want to know what it has.
    Closed(Inbound),
}

/// What waits to be taken.
#[derive(Debug, Default)]
struct Output {
    bytes: BytesMut,
    events: VecDeque<Event>,
}

impl Connection {
    /// A connection whose transport is up since `now`.
    #[must_use]
    pub fn new(now: Time, config: Arc<Config>) -> Self {
        Self { config, phase: Phase::AwaitingConnect, heard: now, incoming: BytesMut::new(), output: Output::default() }
    }

    /// Takes bytes as they came, however split or joined. After the end they are dropped.
    ///
    /// While [`is_paused`](Self::is_paused) no more should be read from the transport.
    pub fn handle_bytes(&mut self, now: Time, bytes: &[u8]) {
        if self.incoming.is_empty() {
            let handled = self.handle_packets(now, bytes);
            if !self.is_closed() {
                self.incoming.extend_from_slice(&bytes[handled..]);
            }
        } else {
            self.incoming.extend_from_slice(bytes);
            self.handle_incoming(now);
        }
        self.check_waiting_bytes();
    }

    /// Lets time pass. Needed when [`next_timeout`](Self::next_timeout) has come, harmless else.
    pub fn handle_timeout(&mut self, now: Time) {
        if self.next_timeout().is_none_or(|timeout| now < timeout) {
            return;
        }
        match self.phase {
            Phase::AwaitingConnect => self.close(Fault::ConnectTime.into()),
            // [MQTT-3.1.2-22]
            _ => self.close(CloseReason::KeepAlive),
        }
    }

    /// Takes the news that the transport is gone.
    pub fn handle_lost(&mut self) {
        self.close(CloseReason::Lost);
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due. It moves with every packet, always to
    /// later; so a timer may be left to fire and then be set anew.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Time> {
        match &self.phase {
            Phase::AwaitingConnect => Some(self.heard + self.config.connect_time),
            Phase::Open(session) if !self.is_paused() => {
                // One and a half times the keep-alive [MQTT-3.1.2-22]; 0 turns it off.
                let keep_alive = Duration::from_millis(u64::from(session.keep_alive()) * 1500);
                (!keep_alive.is_zero()).then(|| self.heard + keep_alive)
            }
            Phase::Open(_) | Phase::AwaitingDecision(_) | Phase::Closed(_) => None,
        }
    }

    /// What came, oldest first.
    pub fn poll_event(&mut self) -> Option<Event> {
        let event = self.output.events.pop_front();
        if event.is_none() {
            // Tens of thousands of connections are idle; none keeps room for events.
            self.output.events = VecDeque::new();
        }
        event
    }

    /// All bytes that are to be sent now.
    pub fn poll_transmit(&mut self) -> Option<BytesMut> {
        if self.output.bytes.is_empty() { None } else { Some(std::mem::take(&mut self.output.bytes)) }
    }

    /// Ends the connection from our side. Before it was accepted that is a refusal.
    pub fn disconnect(&mut self, ending: Ending) {
        self.close(CloseReason::Ended(ending));
    }

    /// Gives the peripheral the acknowledgement that it waits for under `packet_id`: call it for
    /// each event that says so, once what the event says is durable. Late, after the end, it does
    /// nothing.
    pub fn acknowledge(&mut self, now: Time, packet_id: PacketId) {
        let was_paused = self.is_paused();
        let Phase::Open(session) = &mut self.phase else { return };
        if let Err(reason) = session.acknowledge(packet_id, &mut self.output) {
            return self.close(reason);
        }
        if was_paused {
            self.heard = now;
            self.handle_incoming(now);
        }
    }

    /// Publishes a request to the peripheral.
    ///
    /// # Errors
    /// If it cannot be published now, or not to this client.
    pub fn publish(&mut self, publication: &Publication<'_>) -> Result<(), PublishError> {
        match &mut self.phase {
            Phase::Open(session) => session.publish(publication, &mut self.output),
            _ => Err(PublishError::NotConnected),
        }
    }

    /// Whether no more bytes should be read from the transport: the CONNACK or, with a 3.1.1 client,
    /// acknowledgements have to leave first.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        match &self.phase {
            Phase::AwaitingDecision(_) => !self.incoming.is_empty(),
            Phase::Open(session) => session.is_full(&self.config),
            Phase::AwaitingConnect | Phase::Closed(_) => false,
        }
    }

    /// Whether requests may be published: the peripheral was let in and has subscribed.
    #[must_use]
    pub fn is_subscribed(&self) -> bool {
        matches!(&self.phase, Phase::Open(session) if session.is_subscribed())
    }

    /// Whether it is over. [`Event::Closed`] says why.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        matches!(self.phase, Phase::Closed(_))
    }

    /// Who is connected, from the CONNECT to the end.
    #[must_use]
    pub fn peripheral(&self) -> Option<&PeripheralId> {
        match &self.phase {
            Phase::AwaitingDecision(session) | Phase::Open(session) => Some(session.peripheral()),
            Phase::AwaitingConnect | Phase::Closed(_) => None,
        }
    }

    /// The ids of publications of quality of service 2 that the peripheral has sent and not
    /// released: part of its session, to be kept and given back in [`Resumption::Resumed`]. They
    /// are as of all events, taken or not, and hold after the end.
    pub fn exactly_once(&self) -> impl Iterator<Item = PacketId> + '_ {
        let inbound = match &self.phase {
            Phase::AwaitingDecision(session) | Phase::Open(session) => Some(&session.inbound),
            Phase::Closed(inbound) => Some(inbound),
            Phase::AwaitingConnect => None,
        };
        inbound.into_iter().flat_map(Inbound::exactly_once)
    }

    /// Handles what was kept.
    fn handle_incoming(&mut self, now: Time) {
        let mut incoming = std::mem::take(&mut self.incoming);
        let handled = self.handle_packets(now, &incoming);
        if handled < incoming.len() && !self.is_closed() {
            incoming.advance(handled);
            self.incoming = incoming;
        }
    }

    /// Handles the whole packets that `bytes` begin with, as far as they may be handled now. Returns
    /// how many bytes they have.
    fn handle_packets(&mut self, now: Time, bytes: &[u8]) -> usize {
        let mut handled = 0;
        while self.takes_packets() {
            let rest = &bytes[handled..];
            if matches!(self.phase, Phase::AwaitingConnect) && rest.first().is_some_and(|byte| *byte != frame::CONNECT)
            {
                // [MQTT-3.1.0-1], told by the first byte, lest whatever speaks another protocol be
                // waited for.
                self.close(Fault::Protocol("the first packet is not CONNECT").into());
                break;
            }
            match frame::packet_bytes(rest, self.config.packet_bytes_max) {
                Ok(Some(packet_bytes)) => {
                    handled += packet_bytes;
                    self.handle_packet(now, &rest[..packet_bytes]);
                }
                Ok(None) => break,
                Err(fault) => {
                    self.close(fault.into());
                    break;
                }
            }
        }
        handled
    }

    fn handle_packet(&mut self, now: Time, packet: &[u8]) {
        match &mut self.phase {
            Phase::AwaitingConnect => self.on_connect(packet),
            Phase::Open(session) => {
                self.heard = now;
                if let Err(reason) = session.handle_packet(packet, &self.config, &mut self.output) {
                    self.close(reason);
                }
            }
            Phase::AwaitingDecision(_) | Phase::Closed(_) => {}
        }
    }

    fn takes_packets(&self) -> bool {
        match self.phase {
            Phase::AwaitingConnect => true,
            Phase::Open(_) => !self.is_paused(),
            Phase::AwaitingDecision(_) | Phase::Closed(_) => false,
        }
    }

    /// What waits is bounded, whatever whoever feeds it reads.
    fn check_waiting_bytes(&mut self) {
        match self.phase {
            Phase::AwaitingDecision(_) if self.incoming.len() > self.config.held_bytes_max => {
                self.refuse(crate::Refusal::HeldBytes, "");
            }
            Phase::Open(_) if self.is_paused() && self.incoming.len() > limits::PAUSED_BYTES_MAX => {
                self.close(Fault::Quota("too much was sent ahead of acknowledgements").into());
            }
            _ => {}
        }
    }

    /// Ends the connection, once: tells the client as its version allows, and the owner.
    fn close(&mut self, reason: CloseReason) {
        let remains = match std::mem::replace(&mut self.phase, Phase::Closed(Inbound::default())) {
            closed @ Phase::Closed(_) => {
                self.phase = closed;
                return;
            }
            // A will is stored once the connection is accepted [MQTT-3.1.2-7], and no DISCONNECT is
            // sent before [MQTT-3.14.0-1].
            Phase::AwaitingConnect => Remains::default(),
            Phase::AwaitingDecision(session) => {
                if let CloseReason::Ended(ending) = &reason {
                    session.refuse(crate::Refusal::Unavailable, &ending.to_string(), &mut self.output);
                }
                Remains::default()
            }
            Phase::Open(session) => {
                if let (Some(code), Version::Mqtt5) = (reason.disconnect_code(), session.manner().version) {
                    let disconnect = Packet::Disconnect { code, reason: &reason.to_string() };
                    // [MQTT-3.14.4-1]; a client that takes no packet of that size is told nothing.
                    let _ = disconnect.encode(session.manner(), &mut self.output.bytes);
                }
                session.into_remains(&reason)
            }
        };
        let Remains { session_expiry, will, inbound } = remains;
        self.phase = Phase::Closed(inbound);
        self.incoming = BytesMut::new();
        self.output.events.push_back(Event::Closed(Closed { reason, session_expiry, will }));
    }
}
