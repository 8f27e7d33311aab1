//! Who is at the other end of a datagram.

use std::fmt;
use std::net::{SocketAddr, SocketAddrV6};

/// Through which socket of the gateway datagrams come and go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DatagramSocket {
    /// Tells it from the gateway's others.
    pub number: u8,
    /// What is in its datagrams.
    pub security: Security,
}

/// What is in datagrams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Security {
    /// CoAP as it is.
    Plain,
    /// CoAP under DTLS.
    Dtls,
}

/// An address, behind the socket through which it speaks. There are many: in few bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Peer {
    family: Family,
    socket: DatagramSocket,
    port: u16,
    /// Of IPv4, the first four.
    octets: [u8; 16],
    scope_id: [u8; 4],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Family {
    V4,
    V6,
}

impl Peer {
    /// Whoever speaks from this address to this socket.
    #[must_use]
    pub fn new(socket: DatagramSocket, address: SocketAddr) -> Self {
        match address {
            SocketAddr::V4(address) => {
                let mut octets = [0; 16];
                octets[..4].copy_from_slice(&address.ip().octets());
                Self { family: Family::V4, socket, port: address.port(), octets, scope_id: [0; 4] }
            }
            SocketAddr::V6(address) => Self {
                family: Family::V6,
                socket,
                port: address.port(),
                octets: address.ip().octets(),
                scope_id: address.scope_id().to_be_bytes(),
            },
        }
    }

    /// Our side.
    #[must_use]
    pub const fn socket(&self) -> DatagramSocket {
        self.socket
    }

    /// Its side.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        match self.family {
            Family::V4 => {
                let [a, b, c, d, ..] = self.octets;
                SocketAddr::from(([a, b, c, d], self.port))
            }
            Family::V6 => SocketAddrV6::new(self.octets.into(), self.port, 0, u32::from_be_bytes(self.scope_id)).into(),
        }
    }
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {:?}", self.address(), self.socket)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_is_small_and_keeps_its_address() {
        let socket = DatagramSocket { number: 7, security: Security::Dtls };
        for text in ["192.0.2.1:5683", "[2001:db8::1]:1", "[::ffff:192.0.2.1]:5683", "[fe80::1%3]:5683"] {
            let address: SocketAddr = text.parse().expect("an address");
            let peer = Peer::new(socket, address);
            assert_eq!((peer.socket(), peer.address()), (socket, address));
        }
        assert_eq!(size_of::<Peer>(), 26);
    }
}
