//! The sockets through which datagrams come and go.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;

use bugle_coap::Datagram;
use bugle_core::Time;
use bugle_edge::{DatagramSocket, Edge, Peer, Security};
use bugle_runtime::datagrams::{BATCH_MAX, Batches, widen_queues};
use mio::event::Event;
use mio::net::UdpSocket;
use mio::{Interest, Registry, Token};

/// Listeners have the tokens below, and connections those from 1024 on.
const FIRST_TOKEN: usize = 512;
/// Batches read from one socket before the next has its turn.
const BATCHES_PER_TURN_MAX: usize = 16;
/// Datagrams that wait for one socket to take them; more are dropped, and CoAP sends them again.
const WAITING_MAX: usize = 65_536;

/// The gateway's UDP sockets.
#[derive(Default)]
pub(crate) struct Datagrams(Vec<Socket>);

struct Socket {
    socket: UdpSocket,
    name: DatagramSocket,
    waiting: VecDeque<(SocketAddr, Datagram)>,
    is_readable: bool,
    is_writable: bool,
    /// Dropped, because the system took none for too long or would not have them at all.
    dropped: u64,
    oversized: u64,
}

impl Datagrams {
    /// Opens a socket, and says at which address.
    pub(crate) fn add(&mut self, address: SocketAddr, security: Security) -> io::Result<SocketAddr> {
        let socket = UdpSocket::bind(address)?;
        widen_queues(&socket);
        let address = socket.local_addr()?;
        let number = u8::try_from(self.0.len()).map_err(io::Error::other)?;
        self.0.push(Socket {
            socket,
            name: DatagramSocket { number, security },
            waiting: VecDeque::new(),
            is_readable: false,
            is_writable: true,
            dropped: 0,
            oversized: 0,
        });
        Ok(address)
    }

    pub(crate) fn register(&mut self, registry: &Registry) -> io::Result<()> {
        for (number, known) in self.0.iter_mut().enumerate() {
            let token = Token(FIRST_TOKEN + number);
            registry.register(&mut known.socket, token, Interest::READABLE | Interest::WRITABLE)?;
        }
        Ok(())
    }

    /// Takes note of what a socket is ready for. Whether it is one of these.
    pub(super) fn on_ready(&mut self, event: &Event) -> bool {
        let number = event.token().0.checked_sub(FIRST_TOKEN);
        let Some(known) = number.and_then(|number| self.0.get_mut(number)) else { return false };
        known.is_readable |= event.is_readable();
        known.is_writable |= event.is_writable();
        true
    }

    /// What the other calls need for each socket; it stays in the thread that it is made in.
    pub(super) fn batches(&self) -> Vec<Batches> {
        self.0.iter().map(|_| Batches::default()).collect()
    }

    /// Hands what came to the edge, and says how many datagrams that were.
    pub(super) fn serve(&mut self, now: Time, edge: &mut Edge, batches: &mut [Batches]) -> usize {
        let readable = self.0.iter_mut().zip(batches).filter(|(known, _)| known.is_readable);
        readable.map(|(known, batches)| known.receive(now, edge, batches)).sum()
    }

    /// Has a datagram sent with the next [`flush`](Self::flush), or as soon as a batch is full: so the first members
    /// of a large group answer while the last are still to be asked.
    pub(super) fn transmit(&mut self, peer: Peer, datagram: Datagram, batches: &mut [Batches]) {
        // A peer of a socket that the configuration no longer has is heard of when it speaks elsewhere.
        let number = usize::from(peer.socket().number);
        let (Some(known), Some(batches)) = (self.0.get_mut(number), batches.get_mut(number)) else { return };
        if known.waiting.len() < WAITING_MAX && known.name == peer.socket() {
            known.waiting.push_back((peer.address(), datagram));
        } else {
            known.dropped += 1;
        }
        if known.waiting.len() >= BATCH_MAX {
            known.flush(batches);
        }
    }

    /// Sends what waits, as far as the system takes it.
    pub(super) fn flush(&mut self, batches: &mut [Batches]) {
        for (known, batches) in self.0.iter_mut().zip(batches) {
            known.flush(batches);
        }
    }

    pub(super) fn has_work(&self) -> bool {
        self.0.iter().any(|known| known.is_readable || (known.is_writable && !known.waiting.is_empty()))
    }

    /// Datagrams that were dropped here, in either direction.
    pub(super) fn dropped(&self) -> u64 {
        self.0.iter().map(|known| known.dropped + known.oversized).sum()
    }
}

impl Socket {
    fn receive(&mut self, now: Time, edge: &mut Edge, batches: &mut Batches) -> usize {
        let mut datagrams = 0;
        for _ in 0..BATCHES_PER_TURN_MAX {
            let socket = self.name;
            let received = batches.receive(&self.socket, |address, datagram| {
                edge.handle_datagram(now, Peer::new(socket, address), datagram);
            });
            match received {
                Ok(received) => {
                    datagrams += received.datagrams;
                    self.oversized += received.oversized as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    // An error that a datagram of ours met elsewhere is not one of this socket.
                    self.is_readable = error.kind() != io::ErrorKind::WouldBlock;
                    break;
                }
            }
        }
        datagrams
    }

    fn flush(&mut self, batches: &mut Batches) {
        while self.is_writable && !self.waiting.is_empty() {
            let datagrams = self.waiting.iter().map(|(address, datagram)| (*address, &datagram[..]));
            match batches.send(&self.socket, datagrams) {
                Ok(sent) => {
                    self.waiting.drain(..sent);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.is_writable = false,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    tracing::debug!(%error, "a datagram cannot be sent");
                    self.waiting.pop_front();
                    self.dropped += 1;
                }
            }
        }
    }
}
