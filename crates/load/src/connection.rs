//! One connection of a simulated peripheral: a socket, and the bytes on their way.

use std::io::{self, ErrorKind, Read, Write};
use std::mem;
use std::net::SocketAddr;

use bugle_core::Protocol;
use bytes::{Buf, BytesMut};
use mio::net::TcpStream;
use mio::{Interest, Registry, Token};

use crate::packet::{Codec, FromServer, PacketError, ToServer};

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

impl Connection {
    /// Begins a connection to `server`.
    pub(crate) fn open(registry: &Registry, token: Token, server: SocketAddr, protocol: Protocol) -> io::Result<Self> {
        let mut stream = TcpStream::connect(server)?;
        stream.set_nodelay(true)?;
        registry.register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)?;
        Ok(Self {
            stream,
            codec: Codec::new(protocol),
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
