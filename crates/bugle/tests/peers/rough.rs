//! Bad input and bad luck at the gateway: a clear error, and nothing else disturbed.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use bugle_load::mqtt::Behaviour;
use bugle_load::{MqttVersion, Options, Peripherals};
use serde_json::json;

use super::system::small_disk::SmallDisk;
use super::system::{SOON, System, allocations, fleet, ids, until};

const MEMBERS: usize = 5;

async fn system_with_members() -> (System, Peripherals) {
    let system = System::start(&[("north", allocations("meters", ids("m", MEMBERS)))]).await;
    let steady = Arc::new(Behaviour::steady(MqttVersion::Mqtt5));
    let peripherals = fleet(system.gateways["north"].mqtt, ids("m", MEMBERS), &steady);
    let peripherals = Peripherals::start(peripherals, Options::default()).expect("they start");
    system.members("meters", MEMBERS as u64).await;
    (system, peripherals)
}

/// All members execute a request.
async fn all_execute(system: &System) {
    let message = json!({
        "operation": {"do": "message", "content": {"text": "hello"}}, "receipt": "executed", "deadline_seconds": 60,
    });
    let sent = system.submit("meters", message).await;
    let ended = system.completed(sent).await;
    assert_eq!((ended.totals.members, ended.totals.executed), (MEMBERS as u64, MEMBERS as u64));
}

#[tokio::test(flavor = "multi_thread")]
async fn rubbish_on_the_mqtt_port_disturbs_nobody() {
    let (system, peripherals) = system_with_members().await;
    let address = ("127.0.0.1", system.gateways["north"].mqtt);
    let rubbish: [&[u8]; 5] = [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        // CONNECT of a remaining length that no length has.
        &[0x10, 0xff, 0xff, 0xff, 0xff, 0xff],
        // CONNECT larger than is taken.
        &[0x10, 0xff, 0xff, 0xff, 0x7f, 0, 4, b'M', b'Q', b'T', b'T'],
        // PUBLISH before CONNECT.
        &[0x30, 5, 0, 1, b'a', 1, 2],
        &[0; 4096],
    ];
    for bytes in rubbish {
        let mut stream = TcpStream::connect(address).expect("it listens");
        stream.set_read_timeout(Some(SOON)).expect("it has time");
        // It may be closed while it is still being written to.
        let _ = stream.write_all(bytes);
        let mut answer = Vec::new();
        let ended = stream.read_to_end(&mut answer);
        assert!(ended.is_ok() || ended.is_err_and(|error| error.kind() == std::io::ErrorKind::ConnectionReset));
    }
    all_execute(&system).await;
    let _ = peripherals.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_file_of_allocations_is_refused_whole_and_the_running_set_stays() {
    let (mut system, peripherals) = system_with_members().await;
    let file = system.gateways["north"].allocations.clone();
    let good = fs::read_to_string(&file).expect("it is there");
    fs::write(&file, format!("{good}\n[[peripheral]]\nid = \"a/b\"\n\n[[peripheral]]\nid = \"m-0\"\n"))
        .expect("written");
    let log = until("the complaint", async || {
        let log = system.gateway("north").part.log();
        log.contains("refused whole").then_some(log)
    })
    .await;
    let first = good.lines().count() + 2;
    for line in [first, first + 3] {
        assert!(log.contains(&format!("north-allocations.toml:{line}: ")), "line {line} in:\n{log}");
    }
    all_execute(&system).await;

    // Mended, it counts, and what it no longer holds is gone.
    let without_one = allocations("meters", ids("m", MEMBERS - 1).chain(std::iter::once("new".to_owned())));
    fs::write(&file, without_one).expect("written");
    system.members("meters", MEMBERS as u64 - 1).await;
    system.configured("meters", &format!("m-{}", MEMBERS - 1), None).await;
    let _ = peripherals.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_stops_a_gateway_cleanly_and_it_goes_on_where_it_was() {
    let (mut system, peripherals) = system_with_members().await;
    let part = &mut system.gateway("north").part;
    part.terminate();
    assert!(part.ended().await, "it ends well");
    until("the platform to notice", async || (!system.gateway_is_connected("north").await).then_some(())).await;
    system.gateway("north").part.start();
    system.linked().await;
    all_execute(&system).await;
    let _ = peripherals.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_cannot_share_a_data_folder() {
    let (system, peripherals) = system_with_members().await;
    let config = fs::read_to_string(system.folder.path().join("north.toml")).expect("it is there");
    let other = system.folder.path().join("other.toml");
    let no_ports = config
        .lines()
        .map(|line| {
            if line.contains("listen") {
                line.split(':').next().unwrap_or(line).to_owned() + ":0\""
            } else {
                line.to_owned()
            }
        })
        .collect::<Vec<_>>()
        .join("\n");
    fs::write(&other, no_ports).expect("written");
    let output =
        Command::new(env!("CARGO_BIN_EXE_bugle")).args(["gateway", "--config"]).arg(&other).output().expect("it runs");
    assert!(!output.status.success());
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(complaint.contains("in use"), "{complaint}");
    all_execute(&system).await;
    let _ = peripherals.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_stops_what_is_new_and_loses_nothing() {
    let mut system = System::start(&[]).await;
    let disk = SmallDisk::mount(system.folder.path().join("north-data"), 8);
    system.add_gateway("north", &allocations("meters", ids("m", MEMBERS))).await;
    system.linked().await;
    let steady = Arc::new(Behaviour::steady(MqttVersion::Mqtt5));
    let port = system.gateways["north"].mqtt;
    let first =
        Peripherals::start(fleet(port, ids("m", MEMBERS - 1), &steady), Options::default()).expect("they start");
    system.members("meters", MEMBERS as u64 - 1).await;

    disk.fill();
    let last = Peripherals::start(fleet(port, ids("m", MEMBERS).skip(MEMBERS - 1), &steady), Options::default());
    let last = last.expect("it starts");
    let readyz = format!("http://127.0.0.1:{}/readyz", system.gateways["north"].http);
    until("the gateway to say that its store takes nothing", async || {
        let answer = reqwest::get(&readyz).await.ok()?;
        let text = answer.text().await.ok()?;
        text.contains("full").then_some(())
    })
    .await;
    assert_eq!(system.group("meters").await.group.members, MEMBERS as u64 - 1);

    disk.clear();
    super::system::until_within(Duration::from_secs(60), "the last one to register", async || {
        (system.group("meters").await.group.members == MEMBERS as u64).then_some(())
    })
    .await;
    all_execute(&system).await;
    let _ = first.stop();
    let _ = last.stop();
}
