//! Strangers and rubbish from many addresses, over every way into a gateway.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use bugle_core::credential::PreSharedKey;
use bugle_dtls::ClientCredential;
use bugle_load::measure::resident_bytes;
use bugle_load::mqtt::Behaviour;
use bugle_load::{MqttVersion, Options, Peripheral, Peripherals, lwm2m};

use super::registering::of_group;
use super::served;
use super::system::{System, allocations, fleet, ids};

/// Members that speak MQTT, CoAP and CoAP under DTLS: so many of each.
const OF_EACH: usize = 2;
const KEY: [u8; 16] = [7; 16];
/// Where the flood comes from, and how much of each kind from each address.
const ADDRESSES: u32 = 150;
const DATAGRAMS: u32 = 30;
const CONNECTIONS: u32 = 2;
/// What a second flood may cost that is as large as the first: nothing, but for the allocator's whims.
const GROWTH_MAX: u64 = 16 << 20;

/// The address that has this number.
fn source(number: u32) -> SocketAddr {
    // 127.1.0.0 and on: nobody else speaks from there.
    let address = Ipv4Addr::from_bits(Ipv4Addr::new(127, 1, 0, 1).to_bits() + number);
    SocketAddr::from((IpAddr::from(address), 0))
}

fn rubbish(random: &mut fastrand::Rng) -> Vec<u8> {
    (0..random.usize(1..200)).map(|_| random.u8(..)).collect()
}

/// A Register of somebody whom nobody knows (RFC 7252 §3: a confirmable POST with two options of path and query).
fn stranger_registers(random: &mut fastrand::Rng) -> Vec<u8> {
    let query = format!("ep=s{:08x}", random.u32(..));
    let mut datagram = vec![0x40, 0x02, random.u8(..), random.u8(..), 0xb2];
    datagram.extend(b"rd");
    datagram.push(0x40 | u8::try_from(query.len()).expect("it is short"));
    datagram.extend(query.as_bytes());
    datagram
}

/// The header of a handshake record of DTLS 1.2 with rubbish in it, in the form of a ClientHello or of anything.
fn handshake(random: &mut fastrand::Rng) -> Vec<u8> {
    let body = rubbish(random);
    let length = u16::try_from(body.len()).expect("it is short").to_be_bytes();
    let mut record = vec![0x16, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, random.u8(..4)];
    record.extend(length);
    record.extend(&body);
    record
}

/// A CONNECT of somebody whom nobody knows.
fn stranger_connects(random: &mut fastrand::Rng) -> Vec<u8> {
    let id = format!("s{:08x}", random.u32(..));
    let mut packet = vec![0x10, 12 + id.len() as u8, 0, 4];
    packet.extend(b"MQTT");
    packet.extend([4, 2, 0, 30, 0, id.len() as u8]);
    packet.extend(id.as_bytes());
    packet
}

/// Everything once; how much of it went out.
fn flood(seed: u64, [mqtt, coap, coaps]: [u16; 3]) -> u64 {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut sent = 0;
    let to = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut open = Vec::new();
    for number in 0..ADDRESSES {
        let socket = UdpSocket::bind(source(number)).expect("every address of 127/8 is ours");
        for _ in 0..DATAGRAMS {
            for (port, datagram) in [
                (coap, rubbish(&mut random)),
                (coap, stranger_registers(&mut random)),
                (coaps, rubbish(&mut random)),
                (coaps, handshake(&mut random)),
            ] {
                // One that finds no room is lost, as any may be.
                sent += u64::from(socket.send_to(&datagram, to(port)).is_ok());
            }
        }
        for _ in 0..CONNECTIONS {
            for bytes in [rubbish(&mut random), stranger_connects(&mut random), Vec::new()] {
                open.extend(connect(number, to(mqtt), &bytes));
                sent += 1;
            }
        }
    }
    for mut stream in open {
        // Strangers and rubbish are sent away; who says nothing is waited for, and goes by itself.
        let _ = stream.set_read_timeout(Some(Duration::from_millis(1)));
        let _ = stream.read(&mut [0; 64]);
    }
    sent
}

fn connect(number: u32, to: SocketAddr, bytes: &[u8]) -> Option<TcpStream> {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
    socket.bind(&source(number).into()).expect("every address of 127/8 is ours");
    socket.connect(&to.into()).ok()?;
    let mut stream = TcpStream::from(socket);
    // It may be closed while it is still being written to.
    let _ = stream.write_all(bytes);
    Some(stream)
}

fn members(system: &System) -> Vec<Peripheral> {
    let gateway = &system.gateways["north"];
    let steady = Arc::new(Behaviour::steady(MqttVersion::Mqtt5));
    let device = Arc::new(lwm2m::Behaviour::steady());
    let mut members: Vec<Peripheral> =
        fleet(gateway.mqtt, ids("m", OF_EACH), &steady).into_iter().map(Peripheral::from).collect();
    let key = PreSharedKey::new(&KEY).expect("a key");
    for (prefix, port) in [("c", gateway.coap), ("k", gateway.coaps)] {
        members.extend(ids(prefix, OF_EACH).map(|id| {
            let credential = (prefix == "k")
                .then(|| ClientCredential::PreSharedKey { identity: id.as_bytes().to_vec(), key: key.clone() });
            let id = id.parse().expect("a peripheral id");
            let server = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
            lwm2m::Peripheral { id, server, credential, behaviour: Arc::clone(&device) }.into()
        }));
    }
    members
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_strangers_and_rubbish_costs_bounded_memory_and_leaves_members_served() {
    let mut file = allocations("all", ids("m", OF_EACH).chain(ids("c", OF_EACH)));
    let digits: String = KEY.iter().map(|byte| format!("{byte:02x}")).collect();
    for one in ids("k", OF_EACH) {
        file += &of_group("all", std::iter::once(one));
        file += &format!("pre_shared_key = \"{digits}\"\n");
    }
    let system = System::start(&[("north", file)]).await;
    let peripherals = Peripherals::start(members(&system), Options::default()).expect("they start");
    let count = 3 * OF_EACH as u64;
    system.members("all", count).await;
    let gateway = &system.gateways["north"];
    let ports = [gateway.mqtt, gateway.coap, gateway.coaps];
    let memory = || resident_bytes(gateway.part.process_id()).expect("the gateway runs");

    let mut sizes = vec![memory()];
    let mut slowest = Duration::ZERO;
    let mut sent = 0;
    for seed in 0..3 {
        let mut flooding = tokio::task::spawn_blocking(move || flood(seed, ports));
        // Members are served during the flood, and after it.
        let mut is_over = false;
        while !is_over {
            is_over = flooding.is_finished();
            slowest = slowest.max(served(&system, "all", count).await);
        }
        sent += (&mut flooding).await.expect("it does not panic");
        sizes.push(memory());
    }
    let kib: Vec<u64> = sizes.iter().map(|bytes| bytes >> 10).collect();
    println!(
        "{sent} datagrams and connections from {ADDRESSES} addresses, in three floods: the gateway had {kib:?} KiB before, \
         between and after; a message to {count} members took {slowest:.0?} at most meanwhile"
    );
    assert!(sizes[3] < sizes[2] + GROWTH_MAX, "{kib:?} KiB");
    let strangers = system.strangers().await;
    assert!(!strangers.is_empty(), "strangers are reported");
    let _ = peripherals.stop();
}
