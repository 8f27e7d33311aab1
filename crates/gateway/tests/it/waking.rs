//! Sleepers with a waker of every kind, each observed from where it reaches.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::routing::any;
use bugle_coap::{Code, Endpoint, Event, Output, Response};
use bugle_core::{State, Time};
use bugle_load::mqtt::{Announcing, Behaviour, Sleeping};
use bugle_load::{Command, MqttVersion};
use tempfile::TempDir;
use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::mpsc;

use super::{PATIENCE, World};

/// What woke whom.
type Woken = (usize, String);

/// Takes magic packets, and tells the MAC address in each.
async fn magic_packets(woken: mpsc::UnboundedSender<Woken>) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
    let address = socket.local_addr().expect("it is bound");
    tokio::spawn(async move {
        let mut buffer = [0; 200];
        while let Ok(length) = socket.recv(&mut buffer).await {
            assert_eq!((length, &buffer[..6]), (102, &[0xFF; 6][..]));
            let _ = woken.send((0, format!("{:02x?}", &buffer[96..102])));
        }
    });
    address
}

/// Answers CoAP requests with success, and tells the path of each.
async fn wake_up_radio(woken: mpsc::UnboundedSender<Woken>) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
    let address = socket.local_addr().expect("it is bound");
    tokio::spawn(async move {
        let mut endpoint: Endpoint<SocketAddr> = Endpoint::new(bugle_coap::Config::default(), [7; 16]);
        let (mut buffer, now) = ([0; 1_500], Time::from_millis(1));
        while let Ok((length, peer)) = socket.recv_from(&mut buffer).await {
            endpoint.handle_datagram(now, peer, &buffer[..length]);
            while let Some(output) = endpoint.poll_output() {
                match output {
                    Output::Transmit { peer, datagram } => drop(socket.send_to(&datagram, peer).await),
                    Output::Event(Event::Request { handle, request, .. }) => {
                        let path: Vec<_> = request.path().map(|segment| segment.to_string()).collect();
                        let _ = woken.send((1, path.join("/")));
                        endpoint.respond(now, handle, Response::new(Code::CHANGED)).expect("it is answered");
                    }
                    Output::Event(_) => {}
                }
            }
        }
    });
    address
}

/// Answers HTTP calls with success, and tells method, path, header and body of each.
async fn sms_centre(woken: mpsc::UnboundedSender<Woken>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a socket");
    let address = listener.local_addr().expect("it is bound");
    let answer = any(async move |request: Request| {
        let (parts, body) = request.into_parts();
        let body = axum::body::to_bytes(body, 1_000).await.expect("a body");
        let key = parts.headers.get("x-key").and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
        let _ = woken.send((2, format!("{} {} {key} {}", parts.method, parts.uri, String::from_utf8_lossy(&body))));
    });
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await });
    address
}

/// A program that writes down what it was told, and with what environment.
fn program(folder: &Path) {
    let written = folder.join("written");
    let path = folder.join("page");
    let script = format!(
        "#!/bin/sh\necho \"$BUGLE_PERIPHERAL $BUGLE_GATEWAY $BUGLE_TRY $* ${{HOME:-bare}}\" >> {}\n",
        written.display()
    );
    fs::write(&path, script).expect("it is written");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).expect("it may be run");
}

/// Tells each line that the program writes.
fn watch_program(folder: &Path, woken: mpsc::UnboundedSender<Woken>) {
    let written = folder.join("written");
    tokio::spawn(async move {
        let mut seen = 0;
        while !woken.is_closed() {
            let lines = fs::read_to_string(&written).unwrap_or_default();
            for line in lines.lines().skip(seen) {
                let _ = woken.send((3, line.to_owned()));
                seen += 1;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
}

/// Connects, sleeps soon, and does not wake by itself while a test lasts.
fn sleeper() -> Behaviour {
    let sleeping = Sleeping {
        awake: Duration::from_millis(300),
        asleep: Duration::from_secs(3_600),
        jitter: Duration::ZERO,
        announcing: Announcing::NextWake,
    };
    Behaviour { sleeping: Some(sleeping), ..Behaviour::steady(MqttVersion::Mqtt5) }
}

impl World {
    /// Waits until so many members are in this state.
    async fn until(&self, state: State, count: usize) {
        let query = bugle_api::PeripheralQuery { state: Some(state), ..Default::default() };
        let reached = async {
            while self.client.peripherals(&query).await.expect("they are listed").items.len() != count {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, reached).await.unwrap_or_else(|_| panic!("{count} in {state}"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sleeper_with_a_waker_of_every_kind_is_woken_once_and_serves_the_request() {
    let folder = TempDir::new().expect("a folder");
    let (sender, mut woken) = mpsc::unbounded_channel();
    program(folder.path());
    let (lan, radio) = (magic_packets(sender.clone()).await, wake_up_radio(sender.clone()).await);
    let sms = sms_centre(sender.clone()).await;
    let peripherals = format!(
        r#"
        [[peripheral]]
        id = "m-0"
        waker = "wake-on-lan 02:00:5e:10:00:01 {lan}"
        [[peripheral]]
        id = "m-1"
        waker = "coap://{radio}/wake/{{peripheral}}"
        [[peripheral]]
        id = "m-2"
        waker.http = {{ url = "http://{sms}/{{peripheral}}", headers = {{ x-key = "k" }}, body = "wake {{peripheral}}" }}
        [[peripheral]]
        id = "m-3"
        waker = "exec page {{peripheral}} --loud"
        "#
    );
    let world = World::start_with(&peripherals, &format!("[wake]\nprograms = {:?}\n", folder.path())).await;
    watch_program(folder.path(), sender);
    let fleet = world.fleet_of(4, sleeper());
    world.say_yes(4).await;
    world.until(State::Standby, 4).await;
    let (ended, seen) = tokio::join!(world.send(), async {
        let mut seen = Vec::new();
        while seen.len() < 4 {
            let one: Woken = tokio::time::timeout(PATIENCE, woken.recv()).await.expect("all are woken").expect("open");
            fleet.command(one.0, Command::Connect);
            seen.push(one);
        }
        seen
    });
    assert_eq!((ended.totals.members, ended.totals.executed), (4, 4));
    let mut seen = seen;
    seen.sort();
    assert_eq!(
        seen,
        [
            (0, "[02, 00, 5e, 10, 00, 01]".to_owned()),
            (1, "wake/m-1".to_owned()),
            (2, "POST /m-2 k wake m-2".to_owned()),
            (3, "m-3 north 1 m-3 --loud bare".to_owned()),
        ]
    );
    // Asked for, the whole group is woken again; each once.
    world.until(State::Standby, 4).await;
    world.client.activate_group(&super::application(), &super::group()).await.expect("it is taken");
    for _ in 0..4 {
        let (place, _) = tokio::time::timeout(PATIENCE, woken.recv()).await.expect("all are woken").expect("open");
        fleet.command(place, Command::Connect);
    }
    world.until(State::Activating, 0).await;
    assert!(woken.try_recv().is_err(), "nobody is woken twice");
    let _ = fleet.stop();
    world.shutdown.request();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wake_up_that_cannot_be_sent_is_tried_again_and_given_up_with_the_queue_kept() {
    let peripherals = r#"
        [[peripheral]]
        id = "m-0"
        waker.http = { url = "http://127.0.0.1:9/", effort = { tries = 2, back_off = 1 } }
        "#;
    let world = World::start_with(peripherals, "").await;
    let fleet = world.fleet_of(1, sleeper());
    world.say_yes(1).await;
    world.until(State::Standby, 1).await;
    let (ended, ()) = tokio::join!(world.send(), async {
        world.until(State::Activating, 1).await;
        world.until(State::Standby, 1).await;
        fleet.command(0, Command::Connect);
    });
    assert_eq!(ended.totals.executed, 1);
    let _ = fleet.stop();
    world.shutdown.request();
}
