//! Who is at the other end of a datagram.

use std::net::SocketAddr;

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

/// An address, behind the socket through which it speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Peer {
    /// Our side.
    pub socket: DatagramSocket,
    /// Its side.
    pub address: SocketAddr,
}
