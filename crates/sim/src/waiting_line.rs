//! What CoAP has to wait for: with each peer one exchange is in progress at a time (RFC 7252 §4.7), and what
//! is to follow is held back until its message is acknowledged.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use bugle_core::Time;

use crate::fact::Carrier;

/// A gateway, and where a device speaks from.
type Pair = (usize, SocketAddr);

/// Types of messages (RFC 7252 §3).
const CONFIRMABLE: u8 = 0;
const ACKNOWLEDGEMENT: u8 = 2;
const RESET: u8 = 3;

/// The messages of gateways that devices have not acknowledged.
#[derive(Debug, Default)]
pub(crate) struct WaitingLine(BTreeMap<Pair, Outstanding>);

#[derive(Debug, Default)]
struct Outstanding {
    messages: BTreeSet<[u8; 2]>,
    /// When one of them was acknowledged last.
    acknowledged_at: Option<Time>,
}

impl WaitingLine {
    /// A datagram leaves a gateway; whether it may have been held back.
    pub(crate) fn handle_sent(&mut self, now: Time, gateway: usize, address: SocketAddr, datagram: &[u8]) -> Carrier {
        let Some((CONFIRMABLE, message)) = header(datagram) else { return Carrier::Datagram };
        let outstanding = self.0.entry((gateway, address)).or_default();
        let is_held_back = !outstanding.messages.is_empty() || outstanding.acknowledged_at == Some(now);
        outstanding.messages.insert(message);
        if is_held_back { Carrier::HeldBack } else { Carrier::Datagram }
    }

    /// A datagram of a device comes to a gateway.
    pub(crate) fn handle_received(&mut self, now: Time, gateway: usize, address: SocketAddr, datagram: &[u8]) {
        if let Some((ACKNOWLEDGEMENT | RESET, message)) = header(datagram)
            && let Some(outstanding) = self.0.get_mut(&(gateway, address))
            && outstanding.messages.remove(&message)
        {
            outstanding.acknowledged_at = Some(now);
        }
    }
}

/// The type and the id of a message.
fn header(datagram: &[u8]) -> Option<(u8, [u8; 2])> {
    let [first, _, high, low, ..] = datagram else { return None };
    Some(((first >> 4) & 0b11, [*high, *low]))
}
