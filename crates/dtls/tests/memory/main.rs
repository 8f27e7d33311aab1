//! What a peer costs. It has a program to itself, because it counts every allocation in it.

use bugle_core::Time;
use bugle_core::credential::PreSharedKey;
use bugle_dtls::{Census, Client, ClientConfig, ClientCredential, Config, ConnectionIdUse, Event, Output, Server};

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

/// Just below a power of two, as tables like it, would be flattering; this is in between.
const PEERS: u32 = 700;
const NOW: Time = Time::from_millis(1_790_000_000_000);

fn live_bytes() -> usize {
    dhat::HeapStats::get().curr_bytes
}

fn key() -> PreSharedKey {
    PreSharedKey::new(&[7; 16]).expect("of a length that keys have")
}

fn client(number: u32, connection_ids: ConnectionIdUse) -> Client<()> {
    let identity = format!("peripheral-{number}").into_bytes();
    let config = ClientConfig::new(ClientCredential::PreSharedKey { identity, key: key() });
    let mut seed = [5; 32];
    seed[..4].copy_from_slice(&number.to_be_bytes());
    Client::new(ClientConfig { connection_ids, ..config }, (), seed)
}

/// Lets a client and the server say all that they have to say. How many sessions began.
fn run(server: &mut Server<u32>, peer: u32, client: &mut Client<()>) -> usize {
    let mut established = 0;
    loop {
        if let Some(output) = client.poll_output() {
            if let Output::Transmit { datagram, .. } = output {
                server.handle_datagram(NOW, peer, &datagram, |_| Some(key()));
            }
        } else if let Some(output) = server.poll_output() {
            match output {
                Output::Transmit { datagram, .. } => client.handle_datagram(NOW, &datagram),
                Output::Event(Event::Established { .. }) => established += 1,
                Output::Event(_) => {}
            }
        } else {
            return established;
        }
    }
}

fn bytes_per_session(connection_ids: ConnectionIdUse) -> usize {
    let before = live_bytes();
    let mut server = Server::new(Config::default(), [3; 32]);
    for number in 0..PEERS {
        let mut client = client(number, connection_ids);
        client.connect(NOW);
        assert_eq!(run(&mut server, number, &mut client), 1);
        client.send(b"a word from the peripheral").expect("there is a session");
        run(&mut server, number, &mut client);
    }
    assert_eq!(server.census(), Census { sessions: PEERS as usize, handshakes: 0 });
    (live_bytes() - before) / PEERS as usize
}

/// Hellos with a cookie, of clients that then say nothing more.
fn bytes_per_handshake() -> usize {
    let mut server = Server::new(Config::default(), [3; 32]);
    let before = live_bytes();
    let count = PEERS;
    for number in 0..count {
        let mut client = client(number, ConnectionIdUse::Used);
        client.connect(NOW);
        for _ in 0..2 {
            let Some(Output::Transmit { datagram, .. }) = client.poll_output() else { panic!("a hello") };
            server.handle_datagram(NOW, number, &datagram, |_| Some(key()));
            while let Some(output) = server.poll_output() {
                if let Output::Transmit { datagram, .. } = output {
                    client.handle_datagram(NOW, &datagram);
                }
            }
        }
    }
    assert_eq!(server.census().handshakes, count as usize);
    (live_bytes() - before) / count as usize
}

#[test]
fn a_live_session_costs_less_than_512_bytes_and_a_handshake_less_than_2_kilobytes() {
    let _profiler = dhat::Profiler::builder().testing().build();
    let plain = bytes_per_session(ConnectionIdUse::NotUsed);
    let identified = bytes_per_session(ConnectionIdUse::Used);
    let handshake = bytes_per_handshake();
    println!("{plain} bytes per session, {identified} with connection ids, {handshake} per handshake under way");
    assert!(plain < 512, "{plain} bytes per session");
    assert!(identified < 512, "{identified} bytes per session with connection ids");
    assert!(handshake < 2_048, "{handshake} bytes per handshake");
}
