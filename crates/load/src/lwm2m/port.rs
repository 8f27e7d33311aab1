//! A simulated peripheral's way to its server where it is on another machine: a UDP port of its own.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use mio::net::UdpSocket;
use mio::{Interest, Registry, Token};
use socket2::{Domain, Socket, Type};

/// A socket that hears its server only.
#[derive(Debug)]
pub(super) struct Port(UdpSocket);

impl Port {
    /// A free port.
    pub(super) fn open(registry: &Registry, token: Token, server: SocketAddr) -> io::Result<Self> {
        let any: IpAddr = match server {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let socket = Socket::new(Domain::for_address(server), Type::DGRAM, Some(socket2::Protocol::UDP))?;
        socket.set_nonblocking(true)?;
        socket.bind(&SocketAddr::from((any, 0)).into())?;
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
pub(super) fn is_noise(error: &io::Error) -> bool {
    let kinds = [ErrorKind::WouldBlock, ErrorKind::Interrupted, ErrorKind::ConnectionRefused];
    kinds.contains(&error.kind()) || error.raw_os_error() == Some(libc::ENOBUFS)
}

#[cfg(test)]
mod tests {
    use std::net;

    use super::*;

    #[test]
    fn nobody_listening_is_no_error() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let poll = mio::Poll::new().expect("a poll");
            let nobody = net::UdpSocket::bind(address).and_then(|socket| socket.local_addr()).expect("a port");
            let port = Port::open(poll.registry(), Token(0), nobody).expect("a port");
            for _ in 0..3 {
                port.send(b"x").expect("it is sent");
                assert_eq!(port.receive(&mut [0; 8]).expect("nothing is wrong"), None);
            }
        }
    }
}
