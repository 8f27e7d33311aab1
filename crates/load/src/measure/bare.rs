//! A server that does as good as nothing: what this machine's connections can do at all.
//!
//! It takes every peripheral in, and sends what it is told to all of them, the same bytes to each. It keeps
//! nothing, looks at nothing, and knows of MQTT only what it takes to be taken for a server: that a CONNECT
//! wants a CONNACK, and a SUBSCRIBE a SUBACK.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, JoinHandle};

use bugle_mqtt::Version;
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token, Waker};
use slab::Slab;
use socket2::{Domain, Socket, Type};

const LISTENER: Token = Token(usize::MAX);
const WAKE: Token = Token(usize::MAX - 1);
const EVENTS_AT_ONCE: usize = 1_024;
/// Connections that wait to be taken.
const WAITING_MAX: i32 = 4_096;
const SCRATCH_BYTES: usize = 16 * 1024;
/// First bytes of packets (MQTT 5 §2.1.1).
const CONNACK: u8 = 0x20;
const PUBLISH_AT_LEAST_ONCE: u8 = 0x32;
const SUBSCRIBE: u8 = 0x82;
const SUBACK: u8 = 0x90;

/// A running one. Dropping it ends it.
#[derive(Debug)]
pub struct Bare {
    address: SocketAddr,
    version: Version,
    packets: Option<Sender<Vec<u8>>>,
    waker: Arc<Waker>,
    thread: Option<JoinHandle<()>>,
}

impl Bare {
    /// Starts one on a free loopback port, for peripherals that speak `version`.
    ///
    /// # Errors
    /// If the system refuses the socket or the thread.
    pub fn start(version: Version) -> io::Result<Self> {
        let poll = Poll::new()?;
        let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(socket2::Protocol::TCP))?;
        socket.set_nonblocking(true)?;
        socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
        socket.listen(WAITING_MAX)?;
        let mut listener = TcpListener::from_std(socket.into());
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
        let (address, waker) = (listener.local_addr()?, Arc::new(Waker::new(poll.registry(), WAKE)?));
        let (packets, received) = mpsc::channel();
        let served = Served { poll, listener, version, connections: Slab::new(), packets: received };
        let run = move || {
            if let Err(error) = served.run() {
                tracing::error!(%error, "the bare server cannot go on");
            }
        };
        let thread = Some(thread::Builder::new().name("bare server".into()).spawn(run)?);
        Ok(Self { address, version, packets: Some(packets), waker, thread })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Sends one message to all who are connected.
    ///
    /// # Errors
    /// If it has ended.
    pub(super) fn publish(&self, topic: &str, payload: &[u8]) -> io::Result<()> {
        let mut content = u16::try_from(topic.len()).map_err(io::Error::other)?.to_be_bytes().to_vec();
        content.extend_from_slice(topic.as_bytes());
        content.extend_from_slice(&1_u16.to_be_bytes());
        if self.version == Version::Mqtt5 {
            content.push(0); // no properties
        }
        content.extend_from_slice(payload);
        let mut packet = vec![PUBLISH_AT_LEAST_ONCE];
        put_length(&mut packet, content.len());
        packet.extend_from_slice(&content);
        let sent = self.packets.as_ref().is_some_and(|packets| packets.send(packet).is_ok());
        if sent { self.waker.wake() } else { Err(ErrorKind::BrokenPipe.into()) }
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        self.packets = None;
        // A thread that cannot be woken has ended.
        let _ = self.waker.wake();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A variable byte integer (MQTT 5 §1.5.5).
fn put_length(packet: &mut Vec<u8>, mut length: usize) {
    loop {
        let more = if length > 0x7F { 0x80 } else { 0 };
        packet.push((length & 0x7F) as u8 | more);
        length >>= 7;
        if length == 0 {
            return;
        }
    }
}

/// What its thread has.
struct Served {
    poll: Poll,
    listener: TcpListener,
    version: Version,
    connections: Slab<Connection>,
    packets: Receiver<Vec<u8>>,
}

struct Connection {
    stream: TcpStream,
    is_connected: bool,
}

impl Served {
    fn run(mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(EVENTS_AT_ONCE);
        let mut scratch = vec![0; SCRATCH_BYTES];
        loop {
            match self.poll.poll(&mut events, None) {
                Err(error) if error.kind() != ErrorKind::Interrupted => return Err(error),
                _ => {}
            }
            for event in &events {
                match event.token() {
                    LISTENER => self.accept()?,
                    WAKE => loop {
                        match self.packets.try_recv() {
                            Ok(packet) => self.send_to_all(&packet),
                            Err(mpsc::TryRecvError::Empty) => break,
                            Err(mpsc::TryRecvError::Disconnected) => return Ok(()),
                        }
                    },
                    Token(place) => self.serve(place, &mut scratch),
                }
            }
        }
    }

    fn accept(&mut self) -> io::Result<()> {
        loop {
            match self.listener.accept() {
                Ok((mut stream, _)) => {
                    stream.set_nodelay(true)?;
                    let vacant = self.connections.vacant_entry();
                    self.poll.registry().register(&mut stream, Token(vacant.key()), Interest::READABLE)?;
                    vacant.insert(Connection { stream, is_connected: false });
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }

    fn serve(&mut self, place: usize, scratch: &mut [u8]) {
        let Some(connection) = self.connections.get_mut(place) else { return };
        let answer = match connection.stream.read(scratch) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => return,
            Ok(length) if length > 0 => connection.answer(self.version, &scratch[..length]),
            _ => {
                self.connections.remove(place);
                return;
            }
        };
        if !answer.is_empty() && connection.stream.write(&answer).is_err() {
            self.connections.remove(place);
        }
    }

    /// Whoever does not take it at once is cut off: messages are short, and come one at a time.
    fn send_to_all(&mut self, packet: &[u8]) {
        self.connections.retain(|_, connection| connection.stream.write(packet).is_ok());
    }
}

impl Connection {
    /// What the bytes that have come want for an answer.
    fn answer(&mut self, version: Version, bytes: &[u8]) -> Vec<u8> {
        let is_mqtt5 = version == Version::Mqtt5;
        if !self.is_connected {
            self.is_connected = true;
            return if is_mqtt5 { vec![CONNACK, 3, 0, 0, 0] } else { vec![CONNACK, 2, 0, 0] };
        }
        match *bytes {
            // Short enough for a length of one byte; its packet id comes back, with QoS 1 granted.
            [SUBSCRIBE, _, high, low, ..] if is_mqtt5 => vec![SUBACK, 4, high, low, 0, 1],
            [SUBSCRIBE, _, high, low, ..] => vec![SUBACK, 3, high, low, 1],
            _ => Vec::new(),
        }
    }
}
