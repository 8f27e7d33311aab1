//! CONNECT and CONNACK: steps 2 and 7 of registering.
//!
//! 1. The client sends CONNECT. One that no decision could help is refused at once.
//! 2. The owner hears of the others and decides, in its own time. What the client sends meanwhile
//!    waits [MQTT-3.1.4-6].
//! 3. The CONNACK leaves, then what waited is handled; or the CONNACK leaves and the connection ends.

use std::time::Duration;

use crate::Version;
use bugle_core::Time;

use super::session::Session;
use super::{Connection, Output, Phase};
use crate::wire::connect::{self, Connecting, Rejection};
use crate::wire::outgoing::{Accepted, Manner, Packet};
use crate::{CloseReason, Config, Connect, Event, PacketId, Password, Refusal, Start, limits};

/// How a peripheral is let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accept {
    /// Which session it has.
    pub session: Resumption,
    /// The longest that its session may outlive the connection; what was configured counts if it
    /// is shorter.
    pub session_expiry_max: Duration,
}

/// Whether a peripheral goes on where it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resumption {
    /// It begins anew.
    New,
    /// It goes on, as it asked. A client that asked for a clean start begins anew all the same
    /// [MQTT-3.2.2-2].
    Resumed {
        /// Whether it has subscribed to its requests.
        is_subscribed: bool,
        /// The ids that it has not released, from [`Connection::exactly_once`].
        exactly_once: Vec<PacketId>,
    },
}

impl Connection {
    /// Lets the peripheral in, and handles what it has sent meanwhile. Does nothing but where a
    /// peripheral waits to be let in.
    pub fn accept(&mut self, now: Time, accept: Accept) {
        match std::mem::replace(&mut self.phase, Phase::AwaitingConnect) {
            Phase::AwaitingDecision(mut session) => {
                session.accept(accept, &self.config, &mut self.output);
                self.phase = Phase::Open(session);
                self.heard = now;
                self.handle_incoming(now);
            }
            other => self.phase = other,
        }
    }

    /// Does not let the peripheral in, and says why as its version allows; `reason` in words is
    /// for MQTT 5, and may be empty. Does nothing but where a peripheral waits to be let in.
    pub fn refuse(&mut self, refusal: Refusal, reason: &str) {
        if let Phase::AwaitingDecision(session) = &self.phase {
            session.refuse(refusal, reason, &mut self.output);
            self.close(CloseReason::Refused(refusal));
        }
    }

    /// Step 1.
    pub(super) fn on_connect(&mut self, packet: &[u8]) {
        match connect::decode(packet) {
            Ok(connecting) => {
                if connecting.packet_bytes_max < limits::CLIENT_PACKET_BYTES_MIN {
                    return self.reject(connecting.version, connecting.packet_bytes_max, Refusal::PacketSize);
                }
                let (session, connect) = begin(connecting, &self.config);
                self.output.events.push_back(Event::Connect(Box::new(connect)));
                self.phase = Phase::AwaitingDecision(Box::new(session));
            }
            Err(Rejection::Fault(fault)) => self.close(fault.into()),
            Err(Rejection::Refusal(version, refusal)) => self.reject(version, u32::MAX, refusal),
        }
    }

    /// Refuses a client before there is anything to decide.
    fn reject(&mut self, version: Version, packet_bytes_max: u32, refusal: Refusal) {
        let manner = Manner { version, packet_bytes_max, wants_reasons: true };
        put_refusal(manner, refusal, "", &mut self.output);
        self.close(CloseReason::Refused(refusal));
    }
}

fn begin(connecting: Connecting, config: &Config) -> (Session, Connect) {
    let session = Session::new(&connecting, config);
    let connect = Connect {
        version: connecting.version,
        start: connecting.start,
        keep_alive: match session.keep_alive() {
            0 => None,
            seconds => Some(Duration::from_secs(seconds.into())),
        },
        session_expiry: session.session_expiry(),
        username: connecting.username,
        // A copy, so that nothing else of the packet is kept with it.
        password: connecting.password.map(|password| Password::from(&*password)),
        has_will: connecting.will.is_some(),
        peripheral: connecting.peripheral,
    };
    (session.with_will(connecting.will), connect)
}

impl Session {
    /// Sends the CONNACK and takes up the session.
    fn accept(&mut self, accept: Accept, config: &Config, output: &mut Output) {
        let session_present = match accept.session {
            Resumption::Resumed { is_subscribed, exactly_once } if self.start() == Start::Resume => {
                self.resume(is_subscribed, exactly_once);
                true
            }
            _ => false,
        };
        let accepted = Accepted {
            session_present,
            session_expiry: self.limit_session_expiry(accept.session_expiry_max),
            server_keep_alive: self.imposed_keep_alive(),
            receive_maximum: config.receive_maximum.get(),
            packet_bytes_max: config.packet_bytes_max,
        };
        Packet::ConnectAccepted(accepted)
            .encode(self.manner(), &mut output.bytes)
            .expect("a client that takes less than a CONNACK is refused");
    }

    pub(super) fn refuse(&self, refusal: Refusal, reason: &str, output: &mut Output) {
        put_refusal(self.manner(), refusal, reason, output);
    }
}

/// The CONNACK is sent where the version has a code for it and the client takes one.
fn put_refusal(manner: Manner, refusal: Refusal, reason: &str, output: &mut Output) {
    let Some(code) = refusal.code(manner.version) else { return };
    let in_words = refusal.to_string();
    let reason = if reason.is_empty() { &in_words } else { reason };
    // A client that takes no packet of that size is told nothing [MQTT-3.1.2-24].
    let _ = Packet::ConnectRefused { code, reason }.encode(manner, &mut output.bytes);
}
