//! The open connections, and when each wants to be looked after.

use std::collections::BTreeSet;
use std::time::Duration;

use bugle_core::certificate::CertificateChain;
use bugle_core::gateway::Slot;
use bugle_core::{NumberMap, PeripheralId, Time};
use bugle_mqtt::{PacketId, Start};

/// Which connection; none is numbered twice while the process runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(u64);

impl ConnectionId {
    /// Its number, below 2⁴⁸.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0
    }

    pub(crate) const fn from_number(number: u64) -> Self {
        Self(number)
    }

    /// What the gateway's machine hands back when an event of this connection is durable.
    pub(crate) const fn token(self, packet_id: Option<PacketId>) -> u64 {
        let packet_id = match packet_id {
            Some(packet_id) => packet_id.number(),
            None => 0,
        };
        self.0 << 16 | packet_id as u64
    }

    pub(crate) const fn of_token(token: u64) -> (Self, Option<PacketId>) {
        (Self(token >> 16), PacketId::new(token as u16))
    }
}

#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) mqtt: bugle_mqtt::Connection,
    pub(crate) address: Box<str>,
    pub(crate) phase: Phase,
    /// When the timer of this connection is set.
    armed: Option<Time>,
}

/// How far a connection has come.
#[derive(Debug)]
pub(crate) enum Phase {
    /// It has not asked yet.
    Opening {
        /// The certificates that TLS has seen the key of, if any.
        certificates: Option<CertificateChain>,
    },
    /// It has asked, and is not answered.
    Asking(Box<Asking>),
    /// It holds a registration.
    Holding {
        slot: Slot,
        /// How often the peripheral lets hear from it at least.
        keep_alive: Option<Duration>,
        /// Whether it goes on with the session of an earlier connection.
        is_resumed: bool,
    },
    /// Its peripheral has left with this packet, and is not told yet that it is known.
    Leaving { packet_id: PacketId, last_word: LastWord },
    /// It holds no registration any more.
    Idle,
}

/// Whether a peripheral has said more after it left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LastWord {
    /// It has left, and that is all.
    Leaving,
    /// Something that it waits to see acknowledged, and that nobody takes.
    Unanswered,
}

#[derive(Debug)]
pub(crate) struct Asking {
    pub(crate) peripheral: PeripheralId,
    pub(crate) start: Start,
    pub(crate) keep_alive: Option<Duration>,
    pub(crate) session_expiry: Duration,
}

#[derive(Debug, Default)]
pub(crate) struct Connections {
    open: NumberMap<ConnectionId, Connection>,
    /// Connections that went while the answer was on its way to them.
    pub(crate) answered_late: NumberMap<ConnectionId, Asking>,
    timers: BTreeSet<(Time, ConnectionId)>,
    last: u64,
}

impl Connections {
    pub(crate) fn open(&mut self, mqtt: bugle_mqtt::Connection, address: Box<str>) -> ConnectionId {
        self.last += 1;
        let id = ConnectionId(self.last);
        self.open.insert(id, Connection { mqtt, address, phase: Phase::Opening { certificates: None }, armed: None });
        self.arm(id);
        id
    }

    pub(crate) fn get(&self, id: ConnectionId) -> Option<&Connection> {
        self.open.get(&id)
    }

    pub(crate) fn get_mut(&mut self, id: ConnectionId) -> Option<&mut Connection> {
        self.open.get_mut(&id)
    }

    pub(crate) fn remove(&mut self, id: ConnectionId) -> Option<Connection> {
        let connection = self.open.remove(&id)?;
        if let Some(at) = connection.armed {
            self.timers.remove(&(at, id));
        }
        Some(connection)
    }

    pub(crate) fn ids(&self) -> BTreeSet<ConnectionId> {
        self.open.keys().copied().collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.open.len()
    }

    /// Sets the timer of a connection, unless it is set to earlier than is needed: time-outs move to
    /// later with every packet, and it is cheaper to wake in vain than to follow them.
    pub(crate) fn arm(&mut self, id: ConnectionId) {
        let Some(connection) = self.open.get_mut(&id) else { return };
        let Some(timeout) = connection.mqtt.next_timeout() else { return };
        match connection.armed {
            Some(armed) if armed <= timeout => return,
            Some(armed) => {
                self.timers.remove(&(armed, id));
            }
            None => {}
        }
        connection.armed = Some(timeout);
        self.timers.insert((timeout, id));
    }

    pub(crate) fn pop_due(&mut self, now: Time) -> Option<ConnectionId> {
        let (at, id) = *self.timers.first()?;
        if at > now {
            return None;
        }
        self.timers.pop_first();
        if let Some(connection) = self.open.get_mut(&id) {
            connection.armed = None;
        }
        Some(id)
    }

    pub(crate) fn next_timeout(&self) -> Option<Time> {
        self.timers.first().map(|(at, _)| *at)
    }
}
