//! Readers of the event log that are slow, or dead.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use bugle_core::Event;
use bugle_load::measure::resident_bytes;
use bugle_load::mqtt::Behaviour;
use bugle_load::{Command, MqttVersion, Options, Peripherals};

use super::served;
use super::system::{SOON, System, allocations, app, fleet, ids};

const MEMBERS: usize = 5;
const DEAD: usize = 100;
/// Reports of each member, and how large each is: more in all than the sockets of the dead have room for.
const REPORTS: usize = 200;
const REPORT_BYTES: usize = 4 * 1024;
/// The reports once, for whoever reads them, and what a process needs besides. A copy for each reader is more by far.
const GROWTH_MAX: u64 = 64 << 20;

/// Asks for the event log as a stream, and reads none of it.
fn dead_reader(system: &System, token: &str) -> TcpStream {
    let host = system.url.trim_start_matches("http://");
    let mut stream = TcpStream::connect(host).expect("the platform listens");
    let path = format!("/v1/applications/{}/events?after=0", app());
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\nAccept: text/event-stream\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).expect("it is asked for");
    stream
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_that_read_nothing_cost_little_and_harm_no_other() {
    let system = System::start(&[("north", allocations("meters", ids("m", MEMBERS)))]).await;
    let steady = Arc::new(Behaviour::steady(MqttVersion::Mqtt5));
    let peripherals = fleet(system.gateways["north"].mqtt, ids("m", MEMBERS), &steady);
    let peripherals = Peripherals::start(peripherals, Options::default()).expect("they start");
    system.members("meters", MEMBERS as u64).await;
    let token = fs::read_to_string(system.folder.path().join("platform/operator.token")).expect("there is a token");
    let dead: Vec<TcpStream> = (0..DEAD).map(|_| dead_reader(&system, token.trim())).collect();
    let memory = || resident_bytes(system.platform.process_id()).expect("the platform runs");
    let before = memory();

    let mut attentive = system.client.follow(&app(), None);
    for number in 0..REPORTS {
        for place in 0..MEMBERS {
            let payload = format!("{number:0REPORT_BYTES$}").into();
            let topic = format!("bugle/m-{place}/reports/{number}");
            peripherals.command(place, Command::Publish { topic, payload });
        }
        // As many as one peripheral may have under way.
        while peripherals.counts().published + 20 * (MEMBERS as u64) < ((number + 1) * MEMBERS) as u64 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    let mut seen = BTreeSet::new();
    while seen.len() < REPORTS * MEMBERS {
        let news = tokio::time::timeout(SOON, attentive.next()).await.expect("whoever reads is told");
        for event in news.expect("the platform is there") {
            if let Event::Report { report, .. } = event.event {
                assert!(seen.insert((report.peripheral, report.name)), "told once");
            }
        }
    }
    let took = served(&system, "meters", MEMBERS as u64).await;
    let growth = memory().saturating_sub(before);
    println!(
        "{DEAD} dead readers and {} reports of {REPORT_BYTES} bytes: the platform has grown by {} KiB, and a message to \
         {MEMBERS} members took {took:.0?}",
        REPORTS * MEMBERS,
        growth >> 10,
    );
    assert!(growth < GROWTH_MAX, "{growth} bytes");
    drop(dead);
    let _ = peripherals.stop();
}
