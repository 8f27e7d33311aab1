//! A simulated peripheral's way to its server: a UDP port of its own.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use mio::net::UdpSocket;
use mio::{Interest, Registry, Token};
use socket2::{Domain, Socket, Type};

/// Ports taken from one address: fewer than a system gives out by itself.
const PORTS_PER_ADDRESS: usize = 20_000;

/// A socket that hears its server only.
#[derive(Debug)]
pub(super) struct Way(UdpSocket);

/// From where the peripheral at place `index` speaks: over the loopback interface one address has not
/// enough ports for a large fleet, but there are many addresses.
fn source_of(index: usize, server: IpAddr) -> IpAddr {
    match server {
        IpAddr::V4(server) if server.is_loopback() => {
            let step = u32::try_from(index / PORTS_PER_ADDRESS).unwrap_or_default();
            Ipv4Addr::from_bits(Ipv4Addr::LOCALHOST.to_bits() + step).into()
        }
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    }
}

impl Way {
    /// A way for the peripheral at place `index`, from a free port.
    pub(super) fn open(registry: &Registry, token: Token, index: usize, server: SocketAddr) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(server), Type::DGRAM, Some(socket2::Protocol::UDP))?;
        socket.set_nonblocking(true)?;
        socket.bind(&SocketAddr::from((source_of(index, server.ip()), 0)).into())?;
        socket.connect(&server.into())?;
        let mut socket = UdpSocket::from_std(socket.into());
        registry.register(&mut socket, token, Interest::READABLE)?;
        Ok(Self(socket))
    }

    /// Sends one datagram. One that the system does not take now is lost, as any may be.
    pub(super) fn send(&self, datagram: &[u8]) -> io::Result<()> {
        match self.0.send(datagram) {
            Err(error) if !is_noise(&error) => Err(error),
            _ => Ok(()),
        }
    }

    /// The next datagram that has come, if any has: its length.
    pub(super) fn receive(&self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        loop {
            match self.0.recv(buffer) {
                Ok(length) => return Ok(Some(length)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
                Err(error) if is_noise(&error) => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// What happens with datagrams: nobody listens at the other end just now, or there is no room.
fn is_noise(error: &io::Error) -> bool {
    let kinds = [ErrorKind::WouldBlock, ErrorKind::Interrupted, ErrorKind::ConnectionRefused];
    kinds.contains(&error.kind()) || error.raw_os_error() == Some(libc::ENOBUFS)
}

#[cfg(test)]
mod tests {
    use std::net;

    use super::*;

    #[test]
    fn a_large_fleet_on_the_loopback_interface_speaks_from_many_addresses() {
        let source = |index, server: &str| source_of(index, server.parse().expect("an address")).to_string();
        assert_eq!(source(19_999, "127.0.0.1"), "127.0.0.1");
        assert_eq!(source(20_000, "127.0.0.1"), "127.0.0.2");
        assert_eq!(source(60_000, "127.0.0.1"), "127.0.0.4");
        assert_eq!(source(60_000, "192.0.2.1"), "0.0.0.0");
        assert_eq!(source(60_000, "::1"), "::");
    }

    #[test]
    fn nobody_listening_is_no_error() {
        let poll = mio::Poll::new().expect("a poll");
        let nobody = net::UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port");
        let way = Way::open(poll.registry(), Token(0), 0, nobody).expect("a way");
        for _ in 0..3 {
            way.send(b"x").expect("it is sent");
            assert_eq!(way.receive(&mut [0; 8]).expect("nothing is wrong"), None);
        }
    }
}
