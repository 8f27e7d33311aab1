//! What a connection costs in memory. A binary of its own, because it counts all allocations.

use std::sync::Arc;
use std::time::Duration;

use bugle_core::Time;
use bugle_mqtt::{Accept, Config, Connection, Event, Resumption};

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

const CONNECTIONS: usize = 1_000;
const NOW: Time = Time::from_millis(1_000);
/// CONNECT of `meter-000017` with MQTT 5, and its SUBSCRIBE.
const CONNECT: &[u8] = b"\x10\x19\0\x04MQTT\x05\x02\0\x3c\0\0\x0cmeter-000017";
const SUBSCRIBE: &[u8] = b"\x82\x21\0\x01\0\0\x1bbugle/meter-000017/requests\x01";

fn drain(connection: &mut Connection) {
    while let Some(event) = connection.poll_event() {
        match event {
            Event::Connect(_) => {
                let session_expiry_max = Duration::from_secs(60);
                connection.accept(NOW, Accept { session: Resumption::New, session_expiry_max });
            }
            Event::Subscribe { packet_id } => connection.acknowledge(NOW, packet_id),
            _ => {}
        }
    }
    while connection.poll_transmit().is_some() {}
}

#[test]
fn tens_of_thousands_of_idle_connections_fit_in_a_few_megabytes() {
    let config = Arc::new(Config::default());
    let _profiler = dhat::Profiler::builder().testing().build();
    let before = dhat::HeapStats::get().curr_bytes;
    let mut connections: Vec<Connection> = Vec::with_capacity(CONNECTIONS);
    for _ in 0..CONNECTIONS {
        let mut connection = Connection::new(NOW, config.clone());
        for bytes in [CONNECT, SUBSCRIBE] {
            connection.handle_bytes(NOW, bytes);
            drain(&mut connection);
        }
        assert!(connection.is_subscribed());
        connections.push(connection);
    }
    let bytes = (dhat::HeapStats::get().curr_bytes - before) / CONNECTIONS;
    println!("{bytes} bytes a connection, {} of them in place", size_of::<Connection>());
    assert!(bytes <= 512, "an idle connection has {bytes} bytes");

    let blocks = dhat::HeapStats::get().total_blocks;
    for connection in &mut connections {
        connection.handle_bytes(NOW, &[0xC0, 0]);
        drain(connection);
    }
    let blocks = (dhat::HeapStats::get().total_blocks - blocks) / CONNECTIONS as u64;
    println!("{blocks} allocations for a ping: its event and its answer");
    assert_eq!(blocks, 2);
    let bytes = (dhat::HeapStats::get().curr_bytes - before) / CONNECTIONS;
    assert!(bytes <= 512, "after a ping it has {bytes} bytes");
}
