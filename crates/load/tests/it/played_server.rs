//! Against a server that the test plays byte by byte: what real servers do only when they are ill.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use bugle_core::RequestId;
use bugle_load::mqtt::{Answering, Behaviour, Reconnecting};
use bugle_load::{Delivery, Ending, Happening, Options, Peripherals, Session};
use bugle_mqtt::Version;

use crate::{PATIENCE, alike, wait_for};

const CONNACK: &[u8] = &[0x20, 0x03, 0x00, 0x00, 0x00];
const CONNACK_SESSION_PRESENT: &[u8] = &[0x20, 0x03, 0x01, 0x00, 0x00];
/// With reason code 0x97, Quota exceeded.
const CONNACK_QUOTA_EXCEEDED: &[u8] = &[0x20, 0x03, 0x00, 0x97, 0x00];

struct PlayedServer(TcpListener);

/// One connection, at its server's end.
struct Accepted(TcpStream);

impl PlayedServer {
    fn new() -> Self {
        Self(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port"))
    }

    fn address(&self) -> SocketAddr {
        self.0.local_addr().expect("it is bound")
    }

    fn accept(&self) -> Accepted {
        let (stream, _) = self.0.accept().expect("a connection");
        stream.set_read_timeout(Some(PATIENCE)).expect("not zero");
        Accepted(stream)
    }
}

impl Accepted {
    /// The next packet: its first byte, and what follows its length.
    fn packet(&mut self) -> (u8, Vec<u8>) {
        let mut byte = [0];
        self.0.read_exact(&mut byte).expect("a packet");
        let first = byte[0];
        let (mut length, mut shift) = (0, 0);
        loop {
            self.0.read_exact(&mut byte).expect("its length");
            length |= usize::from(byte[0] & 0x7f) << shift;
            shift += 7;
            if byte[0] & 0x80 == 0 {
                break;
            }
        }
        let mut rest = vec![0; length];
        self.0.read_exact(&mut rest).expect("all of it");
        (first, rest)
    }

    /// The next packet, which is of this type.
    fn expect(&mut self, first: u8) -> Vec<u8> {
        let (got, rest) = self.packet();
        assert_eq!(got & 0xf0, first, "{got:#04x} {rest:?}");
        rest
    }

    fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).expect("it takes it");
    }

    /// Takes the peripheral to where it has subscribed.
    fn subscribe(&mut self, connack: &[u8]) {
        self.expect(0x10);
        self.send(connack);
        let subscribe = self.expect(0x80);
        self.send(&[0x90, 0x04, subscribe[0], subscribe[1], 0x00, 0x01]);
    }

    fn publish(&mut self, payload: &[u8]) {
        let topic = b"bugle/m0/requests";
        let mut packet = vec![0x32, 0, 0, topic.len() as u8];
        packet.extend_from_slice(topic);
        packet.extend_from_slice(&[0, 1, 0]);
        packet.extend_from_slice(payload);
        packet[1] = u8::try_from(packet.len() - 2).expect("a short packet");
        self.send(&packet);
    }
}

fn quick(version: Version) -> Behaviour {
    let reconnecting = Reconnecting { first: Duration::from_millis(1), most: Duration::from_millis(10), tries: None };
    Behaviour { reconnecting, ..Behaviour::steady(version) }
}

fn start(count: usize, server: SocketAddr, behaviour: Behaviour) -> Peripherals {
    let options = Options { events_max: 1_000, ..Options::default() };
    Peripherals::start(alike(count, server, behaviour), options).expect("they start")
}

#[test]
fn a_connection_that_breaks_in_the_middle_of_a_packet_is_made_again() {
    let server = PlayedServer::new();
    let peripherals = start(1, server.address(), quick(Version::Mqtt5));
    let mut first = server.accept();
    first.subscribe(CONNACK);
    first.send(&[0x32, 0x30, 0x00]);
    drop(first);
    wait_for(&peripherals, 1, |what| matches!(what, Happening::Disconnected(_)));
    let mut second = server.accept();
    second.expect(0x10);
    second.send(CONNACK_SESSION_PRESENT);
    wait_for(&peripherals, 1, |what| *what == Happening::Connected { session: Session::Resumed });
    assert_eq!(peripherals.counts().connected_now(), 1);
}

#[test]
fn a_refusal_is_told_with_its_code_and_tried_again() {
    let server = PlayedServer::new();
    let peripherals = start(1, server.address(), quick(Version::Mqtt5));
    for _ in 0..3 {
        let mut accepted = server.accept();
        accepted.expect(0x10);
        accepted.send(CONNACK_QUOTA_EXCEEDED);
        wait_for(&peripherals, 1, |what| *what == Happening::Refused { code: 0x97, reason: None });
    }
    server.accept().subscribe(CONNACK);
    wait_for(&peripherals, 1, |what| *what == Happening::Subscribed);
    assert_eq!(peripherals.counts().refused, 3);
}

#[test]
fn a_server_that_talks_nonsense_is_left() {
    let server = PlayedServer::new();
    let peripherals = start(1, server.address(), quick(Version::Mqtt5));
    let mut accepted = server.accept();
    accepted.expect(0x10);
    accepted.send(&[0x20, 0xff, 0xff, 0xff, 0xff, 0xff]);
    let broken = wait_for(&peripherals, 1, |what| matches!(what, Happening::Disconnected(Ending::Broken { .. })));
    let Happening::Disconnected(Ending::Broken { reason }) = &broken[0].what else { panic!("{broken:?}") };
    assert!(reason.contains("malformed"), "{reason}");
}

#[test]
fn nobody_listening_is_told_and_given_up_after_the_last_try() {
    let address = PlayedServer::new().address();
    let behaviour = quick(Version::Mqtt311);
    let reconnecting = Reconnecting { tries: Some(3), ..behaviour.reconnecting };
    let peripherals = start(1, address, Behaviour { reconnecting, ..behaviour });
    wait_for(&peripherals, 1, |what| *what == Happening::GaveUp);
    assert_eq!((peripherals.counts().broken, peripherals.counts().gave_up), (3, 1));
}

#[test]
fn a_request_repeated_on_a_new_connection_is_known_and_answered_again() {
    let server = PlayedServer::new();
    let answering = Answering::Honestly { after: Duration::ZERO, jitter: Duration::ZERO };
    let peripherals = start(1, server.address(), Behaviour { answering, ..quick(Version::Mqtt5) });
    let request: RequestId = "01M8QZ4T7B0XK".parse().expect("a request id");
    let payload = format!(r#"{{"request":"{request}","do":"read","path":"/3/0/2"}}"#);
    for delivery in [Delivery::First, Delivery::AskedAgain] {
        let mut accepted = server.accept();
        accepted.subscribe(CONNACK);
        accepted.publish(payload.as_bytes());
        wait_for(&peripherals, 1, |what| *what == Happening::Received { request: Some(request), delivery });
        accepted.expect(0x40);
        let answer = accepted.expect(0x30);
        let topic = format!("bugle/m0/responses/{request}");
        assert_eq!(&answer[2..2 + topic.len()], topic.as_bytes());
        assert!(answer.ends_with(b"m0"));
        // The packet id follows the topic.
        accepted.send(&[0x40, 0x02, answer[2 + topic.len()], answer[3 + topic.len()]]);
        wait_for(&peripherals, 1, |what| *what == Happening::Answered { request });
    }
}

#[test]
fn no_more_connections_are_being_made_at_once_than_may_be() {
    let server = PlayedServer::new();
    let options =
        Options { connecting_max: NonZeroUsize::new(2).expect("not zero"), events_max: 1_000, ..Options::default() };
    let peripherals = alike(3, server.address(), quick(Version::Mqtt5));
    let peripherals = Peripherals::start(peripherals, options).expect("they start");
    let (mut first, mut second) = (server.accept(), server.accept());
    // Whoever has sent CONNECT is past the place where a third connection would have been begun.
    first.expect(0x10);
    second.expect(0x10);
    server.0.set_nonblocking(true).expect("it can be");
    assert!(server.0.accept().is_err(), "a third connection while two are being made");
    server.0.set_nonblocking(false).expect("it can be");
    first.send(CONNACK);
    server.accept().expect(0x10);
    assert_eq!(peripherals.stop().connected, 1);
}

#[test]
fn connections_are_begun_at_the_pace_that_is_asked_for() {
    let server = PlayedServer::new();
    let options = Options { connects_per_second: NonZeroUsize::new(50), ..Options::default() };
    let began = Instant::now();
    let peripherals = alike(11, server.address(), quick(Version::Mqtt5));
    let _peripherals = Peripherals::start(peripherals, options).expect("they start");
    let accepted: Vec<Accepted> = (0..11).map(|_| server.accept()).collect();
    assert_eq!(accepted.len(), 11);
    assert!(began.elapsed() >= Duration::from_millis(200), "{:?}", began.elapsed());
}

#[test]
fn events_that_nobody_fetches_are_counted_as_lost_and_hold_nothing_up() {
    let server = PlayedServer::new();
    let options = Options { events_max: 1, ..Options::default() };
    let peripherals = alike(1, server.address(), quick(Version::Mqtt5));
    let peripherals = Peripherals::start(peripherals, options).expect("they start");
    let mut accepted = server.accept();
    accepted.subscribe(CONNACK);
    accepted.publish(b"x");
    accepted.expect(0x40);
    drop(accepted);
    drop(server.accept());
    let counts = peripherals.stop();
    assert_eq!((counts.connected, counts.subscribed, counts.received), (1, 1, 1));
    assert!(counts.events_lost >= 2, "{counts:?}");
}
