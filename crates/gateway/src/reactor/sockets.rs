//! The peripherals' transports.

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use bugle_core::{NumberMap, NumberSet, Time};
use bugle_edge::{ConnectionId, Edge};
use bytes::BytesMut;
use mio::event::Event;
use mio::{Registry, Token};

use super::socket::{Received, Socket};

/// Listeners have the tokens below.
const FIRST_TOKEN: usize = 1 << 10;
/// Read from one peripheral before the next has its turn.
const READS_PER_TURN_MAX: usize = 4;
const BUFFER_BYTES: usize = 16 * 1024;
/// How long a connection that we end may take to see it before it is cut off.
const LINGER: Duration = Duration::from_secs(2);

pub(super) struct Sockets {
    all: NumberMap<Token, Entry>,
    readable: VecDeque<Token>,
    /// Those whose peripherals have to wait until something is durable.
    paused: NumberSet<Token>,
    lingering: VecDeque<(Time, Token)>,
    buffer: Box<[u8]>,
}

struct Entry {
    socket: Socket,
    /// None once the edge is through with it.
    connection: Option<ConnectionId>,
    is_readable: bool,
    /// The peripheral sends no more; it is told only once, so that all must be read up to the end.
    is_read_closed: bool,
    /// It failed while it was written to; the edge is told in the next turn.
    is_broken: bool,
}

impl Default for Sockets {
    fn default() -> Self {
        Self {
            all: NumberMap::default(),
            readable: VecDeque::new(),
            paused: NumberSet::default(),
            lingering: VecDeque::new(),
            buffer: vec![0; BUFFER_BYTES].into(),
        }
    }
}

impl Sockets {
    pub(super) fn add(&mut self, connection: ConnectionId, mut socket: Socket, registry: &Registry) -> io::Result<()> {
        let token = token(connection);
        socket.register(token, registry)?;
        let entry =
            Entry { socket, connection: Some(connection), is_readable: false, is_read_closed: false, is_broken: false };
        self.all.insert(token, entry);
        Ok(())
    }

    /// Takes note of what a socket is ready for.
    pub(super) fn on_ready(&mut self, event: &Event) {
        let Some(entry) = self.all.get_mut(&event.token()) else { return };
        if event.is_writable() && !entry.socket.flush() {
            entry.is_broken = true;
        }
        entry.is_read_closed |= event.is_read_closed();
        if (event.is_readable() || event.is_read_closed() || entry.is_broken) && !entry.is_readable {
            entry.is_readable = true;
            self.readable.push_back(event.token());
        }
    }

    /// Hands what peripherals sent to the edge.
    pub(super) fn serve(&mut self, now: Time, edge: &mut Edge) {
        let resumed: Vec<Token> = self.paused.iter().copied().filter(|token| !self.is_paused(*token, edge)).collect();
        for token in resumed {
            self.paused.remove(&token);
            self.readable.push_back(token);
        }
        for _ in 0..self.readable.len() {
            let token = self.readable.pop_front().expect("it was counted");
            self.serve_one(now, token, edge);
        }
    }

    fn serve_one(&mut self, now: Time, token: Token, edge: &mut Edge) {
        let Some(entry) = self.all.get_mut(&token) else { return };
        for _ in 0..READS_PER_TURN_MAX {
            if let Some(connection) = entry.connection
                && edge.is_paused(connection)
            {
                self.paused.insert(token);
                return;
            }
            let received = if entry.is_broken { Received::End } else { entry.socket.receive(&mut self.buffer) };
            match received {
                Received::Bytes(length) | Received::Last(length) => {
                    if let Some(connection) = entry.connection {
                        if let Some(certificates) = entry.socket.take_certificates() {
                            edge.handle_certificates(connection, certificates);
                        }
                        edge.handle_bytes(now, connection, &self.buffer[..length]);
                    }
                    if matches!(received, Received::Last(_)) && !entry.is_read_closed {
                        entry.is_readable = false;
                        return;
                    }
                }
                Received::Nothing => {
                    entry.is_readable = false;
                    return;
                }
                Received::End => {
                    if let Some(connection) = entry.connection {
                        edge.handle_closed(now, connection);
                    }
                    self.all.remove(&token);
                    return;
                }
            }
        }
        self.readable.push_back(token);
    }

    pub(super) fn transmit(&mut self, connection: ConnectionId, bytes: BytesMut) {
        let token = token(connection);
        let Some(entry) = self.all.get_mut(&token) else { return };
        if !entry.socket.transmit(bytes) {
            entry.is_broken = true;
            if !entry.is_readable {
                entry.is_readable = true;
                self.readable.push_back(token);
            }
        }
    }

    /// The edge is through with a connection: it ends when the peripheral has seen so, or soon.
    pub(super) fn close(&mut self, now: Time, connection: ConnectionId) {
        let token = token(connection);
        let Some(entry) = self.all.get_mut(&token) else { return };
        entry.connection = None;
        entry.socket.finish();
        self.paused.remove(&token);
        self.lingering.push_back((now + LINGER, token));
        if !entry.is_readable {
            entry.is_readable = true;
            self.readable.push_back(token);
        }
    }

    /// Cuts off what had its time.
    pub(super) fn expire(&mut self, now: Time) {
        while let Some((at, token)) = self.lingering.front()
            && *at <= now
        {
            self.all.remove(token);
            self.lingering.pop_front();
        }
    }

    /// Sends what can be sent before the process ends.
    pub(super) fn flush_all(&mut self) {
        self.all.values_mut().for_each(|entry| {
            entry.socket.finish();
        });
    }

    pub(super) fn has_work(&self, edge: &Edge) -> bool {
        !self.readable.is_empty() || self.paused.iter().any(|token| !self.is_paused(*token, edge))
    }

    fn is_paused(&self, token: Token, edge: &Edge) -> bool {
        let connection = self.all.get(&token).and_then(|entry| entry.connection);
        connection.is_some_and(|connection| edge.is_paused(connection))
    }

    pub(super) fn next_timeout(&self) -> Option<Time> {
        self.lingering.front().map(|(at, _)| *at)
    }
}

fn token(connection: ConnectionId) -> Token {
    let number = usize::try_from(connection.number()).expect("connections are numbered with 48 bits");
    Token(FIRST_TOKEN + number)
}
