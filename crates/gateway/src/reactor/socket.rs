//! One peripheral's transport: TCP, with TLS or without.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::sync::Arc;

use bugle_core::certificate::CertificateChain;
use bytes::{Buf, BytesMut};
use mio::net::TcpStream;
use mio::{Interest, Registry, Token};

/// Bytes that wait for a peripheral that does not read; with more it is cut off.
pub(super) const BACKLOG_BYTES_MAX: usize = 512 * 1024;

pub(super) struct Socket {
    stream: TcpStream,
    tls: Option<Box<rustls::ServerConnection>>,
    /// Whether the peripheral's certificates were asked for when the handshake was done.
    is_shown: bool,
    /// What the system did not take yet.
    backlog: BytesMut,
}

/// What reading came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Received {
    /// So many bytes, and there may be more.
    Bytes(usize),
    /// So many bytes, and there are no more now.
    Last(usize),
    /// Nothing now.
    Nothing,
    /// Nothing any more.
    End,
}

impl Socket {
    pub(super) fn new(stream: TcpStream, tls: Option<&Arc<rustls::ServerConfig>>) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        let tls = match tls {
            Some(config) => {
                let connection = rustls::ServerConnection::new(Arc::clone(config)).map_err(io::Error::other)?;
                Some(Box::new(connection))
            }
            None => None,
        };
        Ok(Self { stream, tls, is_shown: false, backlog: BytesMut::new() })
    }

    pub(super) fn register(&mut self, token: Token, registry: &Registry) -> io::Result<()> {
        registry.register(&mut self.stream, token, Interest::READABLE | Interest::WRITABLE)
    }

    /// Reads what is there into `buffer`.
    pub(super) fn receive(&mut self, buffer: &mut [u8]) -> Received {
        let received = match &mut self.tls {
            None => read(&mut self.stream, buffer),
            Some(tls) => receive_tls(tls, &mut self.stream, buffer),
        };
        if self.tls.is_some() {
            // A handshake, or the alert that says what was wrong with it, wants an answer.
            self.flush();
        }
        received
    }

    /// The certificates that the peripheral has shown to have the key of: once, as soon as it has sent something.
    pub(super) fn take_certificates(&mut self) -> Option<CertificateChain> {
        let tls = self.tls.as_ref().filter(|_| !self.is_shown)?;
        self.is_shown = true;
        let shown = tls.peer_certificates()?;
        // One that is longer than any may be counts for nothing.
        CertificateChain::new(shown.iter().map(|certificate| certificate.to_vec())).ok()
    }

    /// Sends bytes, or keeps them until the system takes them. False if it must be cut off.
    pub(super) fn transmit(&mut self, mut bytes: BytesMut) -> bool {
        if let Some(tls) = &mut self.tls {
            let is_taken = tls.writer().write_all(&bytes).is_ok();
            return is_taken && self.flush();
        }
        if self.backlog.is_empty() {
            match write(&mut self.stream, &bytes) {
                Ok(written) if written == bytes.len() => return true,
                Ok(written) => bytes.advance(written),
                Err(_) => return false,
            }
        }
        self.backlog.extend_from_slice(&bytes);
        self.backlog.len() <= BACKLOG_BYTES_MAX
    }

    /// Sends what was kept. False if it must be cut off.
    pub(super) fn flush(&mut self) -> bool {
        if let Some(tls) = &mut self.tls {
            while tls.wants_write() {
                match tls.write_tls(&mut self.stream) {
                    Ok(_) => {}
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => return true,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(_) => return false,
                }
            }
            return true;
        }
        if !self.backlog.is_empty() {
            match write(&mut self.stream, &self.backlog) {
                Ok(written) => self.backlog.advance(written),
                Err(_) => return false,
            }
            if self.backlog.is_empty() {
                self.backlog = BytesMut::new();
            }
        }
        true
    }

    /// Says that nothing more will be sent, once all is sent. Whether it is.
    pub(super) fn finish(&mut self) -> bool {
        if let Some(tls) = &mut self.tls {
            tls.send_close_notify();
        }
        let is_alive = self.flush();
        let is_sent = self.backlog.is_empty() && !self.tls.as_ref().is_some_and(|tls| tls.wants_write());
        if is_sent || !is_alive {
            // The other side may have closed already, which is as good.
            let _ = self.stream.shutdown(Shutdown::Write);
        }
        is_sent || !is_alive
    }
}

fn receive_tls(tls: &mut rustls::ServerConnection, stream: &mut TcpStream, buffer: &mut [u8]) -> Received {
    loop {
        match tls.reader().read(buffer) {
            Ok(0) => return Received::End,
            Ok(length) => return Received::Bytes(length),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => return Received::End,
        }
        match tls.read_tls(stream) {
            Ok(0) => return Received::End,
            Ok(_) => {
                if tls.process_new_packets().is_err() {
                    return Received::End;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Received::Nothing,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return Received::End,
        }
    }
}

fn read(stream: &mut TcpStream, buffer: &mut [u8]) -> Received {
    loop {
        match stream.read(buffer) {
            Ok(0) => return Received::End,
            // With less than was asked for a stream is empty, and the system will tell of what comes next.
            Ok(length) if length < buffer.len() => return Received::Last(length),
            Ok(length) => return Received::Bytes(length),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Received::Nothing,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return Received::End,
        }
    }
}

/// Writes as much as the system takes now.
fn write(stream: &mut TcpStream, bytes: &[u8]) -> io::Result<usize> {
    let mut written = 0;
    while written < bytes.len() {
        match stream.write(&bytes[written..]) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(length) => written += length,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(written)
}
