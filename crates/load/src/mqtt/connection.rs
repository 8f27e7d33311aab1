//! One connection of a simulated peripheral: a socket, and the bytes on their way.

use std::io::{self, ErrorKind, Read, Write};
use std::mem;
use std::net::{Ipv4Addr, SocketAddr};

use bugle_mqtt::Version;
use bytes::{Buf, BytesMut};
use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use socket2::{Domain, Socket, Type};

use crate::mqtt::packet::{Codec, FromServer, PacketError, ToServer};

/// A socket and what belongs to it.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    codec: Codec,
    inbound: BytesMut,
    outbound: BytesMut,
    /// Acknowledgements in `outbound`.
    acknowledgements: usize,
    progress: Progress,
}

/// How far a connection has got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Progress {
    /// Being made.
    Opening,
    /// Made; the server has not accepted the peripheral yet.
    Open,
    /// Accepted.
    Accepted,
}

/// What reading has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Got {
    /// As much as fits; there may be more.
    Full,
    /// Less than fits. That has emptied the socket (epoll(7) on streams and edges), up to its end.
    Short,
    /// Nothing.
    Nothing,
    /// The server has closed.
    End,
}

/// Connections from one address: fewer than the ports that a system gives out by itself.
const CONNECTIONS_PER_SOURCE: usize = 20_000;

/// From where to connect, if the system is not to choose: over the loopback interface one address has
/// not enough ports for a large fleet, but there are many addresses.
fn source_of(index: usize, server: SocketAddr) -> Option<Ipv4Addr> {
    let SocketAddr::V4(server) = server else { return None };
    let source = u32::try_from(index / CONNECTIONS_PER_SOURCE).ok().filter(|source| *source > 0)?;
    server.ip().is_loopback().then(|| Ipv4Addr::from_bits(Ipv4Addr::LOCALHOST.to_bits() + source))
}

fn connect_from(source: Ipv4Addr, server: SocketAddr) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(socket2::Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    socket.bind(&SocketAddr::from((source, 0)).into())?;
    match socket.connect(&server.into()) {
        Ok(()) => {}
        Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => {}
        Err(error) => return Err(error),
    }
    Ok(TcpStream::from_std(socket.into()))
}

impl Connection {
    /// Begins the connection of the peripheral at place `index` to `server`.
    pub(crate) fn open(
        registry: &Registry,
        token: Token,
        index: usize,
        server: SocketAddr,
        version: Version,
    ) -> io::Result<Self> {
        let mut stream = match source_of(index, server) {
            None => TcpStream::connect(server)?,
            Some(source) => connect_from(source, server)?,
        };
        stream.set_nodelay(true)?;
        registry.register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)?;
        Ok(Self {
            stream,
            codec: Codec::new(version),
            inbound: BytesMut::new(),
            outbound: BytesMut::new(),
            acknowledgements: 0,
            progress: Progress::Opening,
        })
    }

    pub(crate) const fn progress(&self) -> Progress {
        self.progress
    }

    pub(crate) const fn set_accepted(&mut self) {
        self.progress = Progress::Accepted;
    }

    /// Whether the connection has just been made.
    pub(crate) fn check_opened(&mut self) -> io::Result<bool> {
        if self.progress != Progress::Opening {
            return Ok(false);
        }
        if let Some(error) = self.stream.take_error()? {
            return Err(error);
        }
        match self.stream.peer_addr() {
            Ok(_) => {
                self.progress = Progress::Open;
                Ok(true)
            }
            Err(error) if error.kind() == ErrorKind::NotConnected => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Takes in what the server has sent, through `scratch`, so that an idle connection holds no buffer.
    pub(crate) fn read(&mut self, scratch: &mut [u8]) -> io::Result<Got> {
        loop {
            match self.stream.read(scratch) {
                Ok(0) => return Ok(Got::End),
                Ok(length) => {
                    self.inbound.extend_from_slice(&scratch[..length]);
                    return Ok(if length < scratch.len() { Got::Short } else { Got::Full });
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Got::Nothing),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// The next whole packet of what was taken in.
    pub(crate) fn next_packet(&mut self) -> Result<Option<FromServer>, PacketError> {
        let packet = self.codec.read(&mut self.inbound)?;
        if self.inbound.is_empty() {
            self.inbound = BytesMut::new();
        }
        Ok(packet)
    }

    /// Puts `packet` where it goes out with the next flush.
    pub(crate) fn send(&mut self, packet: ToServer) -> Result<(), PacketError> {
        self.codec.write(packet, &mut self.outbound)
    }

    /// What was put there last is an acknowledgement.
    pub(crate) const fn acknowledged_with_next_flush(&mut self) {
        self.acknowledgements += 1;
    }

    /// Sends as much as the socket takes, and says how many acknowledgements have gone out if that was everything.
    pub(crate) fn flush(&mut self) -> io::Result<usize> {
        self.write()?;
        if self.outbound.is_empty() { Ok(mem::take(&mut self.acknowledgements)) } else { Ok(0) }
    }

    fn write(&mut self) -> io::Result<()> {
        if self.progress == Progress::Opening {
            return Ok(());
        }
        while !self.outbound.is_empty() {
            match self.stream.write(&self.outbound) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(length) => self.outbound.advance(length),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.outbound = BytesMut::new();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn only_a_large_fleet_on_the_loopback_interface_needs_more_source_addresses() {
        assert_eq!(source_of(19_999, address("127.0.0.1:1883")), None);
        assert_eq!(source_of(20_000, address("127.0.0.1:1883")), Some(Ipv4Addr::new(127, 0, 0, 2)));
        assert_eq!(source_of(60_000, address("127.0.0.1:1883")), Some(Ipv4Addr::new(127, 0, 0, 4)));
        assert_eq!(source_of(60_000, address("192.0.2.1:1883")), None);
        assert_eq!(source_of(60_000, address("[::1]:1883")), None);
    }

    #[test]
    fn a_connection_comes_from_where_it_should() {
        let server = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let source = Ipv4Addr::new(127, 0, 0, 9);
        let _client = connect_from(source, server.local_addr().expect("it is bound")).expect("a connection");
        let (_, peer) = server.accept().expect("a connection");
        assert_eq!(peer.ip(), source);
    }
}
