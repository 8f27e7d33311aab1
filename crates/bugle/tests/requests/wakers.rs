//! What wakes sleepers, each observed from where it reaches.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::routing::any;
use bugle_coap::{Code, Endpoint, Event, Output, Response};
use bugle_core::Time;
use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::cast::{CAST, Means, place_of};

/// A wake-up that has reached where it was sent to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Ring {
    pub(crate) means: Means,
    /// Whom it is for.
    pub(crate) who: String,
}

type Rings = UnboundedSender<Ring>;

/// Where wake-ups of each kind reach.
pub(crate) struct Wakers {
    lan: SocketAddr,
    radio: SocketAddr,
    sms: SocketAddr,
    /// The folder with the program that wakes.
    pub(crate) programs: PathBuf,
}

impl Wakers {
    /// Keeps its files in this folder.
    pub(crate) async fn start(folder: &Path) -> (Self, UnboundedReceiver<Ring>) {
        let (rings, heard) = unbounded_channel();
        let programs = folder.join("programs");
        watch_program(program(&programs), rings.clone());
        let (lan, radio) = (magic_packets(rings.clone()).await, wake_up_radio(rings.clone()).await);
        (Self { lan, radio, sms: sms_centre(rings).await, programs }, heard)
    }

    /// The lines about the waker of a peripheral in a file of allocations.
    pub(crate) fn of(&self, id: &str, means: Means, is_hard_to_wake: bool) -> String {
        let Self { lan, radio, sms, .. } = self;
        let effort = if is_hard_to_wake { ", effort = { tries = 3, time_limit = 1, back_off = 1 }" } else { "" };
        match means {
            Means::Window => String::new(),
            Means::WakeOnLan => format!("waker = \"wake-on-lan 02:00:5e:10:00:{:02x} {lan}\"\n", place_of(id)),
            Means::Coap => format!("waker = \"coap://{radio}/wake/{{peripheral}}\"\n"),
            Means::Http => format!("waker.http = {{ url = \"http://{sms}/wake/{{peripheral}}\"{effort} }}\n"),
            Means::Exec => "waker = \"exec page {peripheral}\"\n".to_owned(),
        }
    }
}

/// Takes magic packets: six bytes of ones, and sixteen times the address of who is to wake.
async fn magic_packets(rings: Rings) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
    let address = socket.local_addr().expect("it is bound");
    tokio::spawn(async move {
        let mut buffer = [0; 200];
        while let Ok(length) = socket.recv(&mut buffer).await {
            let (sync, addresses) = buffer[..length].split_at(6);
            let mac = &addresses[..6];
            assert!(sync == [0xFF; 6] && addresses == mac.repeat(16) && mac[..5] == [2, 0, 0x5E, 0x10, 0]);
            let who = CAST[usize::from(mac[5])].id.to_owned();
            let _ = rings.send(Ring { means: Means::WakeOnLan, who });
        }
    });
    address
}

/// Answers CoAP requests with success.
async fn wake_up_radio(rings: Rings) -> SocketAddr {
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
                        let path: Vec<&str> = request.path().collect();
                        let [wake, who] = path[..] else { panic!("{path:?} was called") };
                        assert_eq!(wake, "wake");
                        let _ = rings.send(Ring { means: Means::Coap, who: who.to_owned() });
                        endpoint.respond(now, handle, Response::new(Code::CHANGED)).expect("it is answered");
                    }
                    Output::Event(_) => {}
                }
            }
        }
    });
    address
}

/// Answers HTTP calls with success.
async fn sms_centre(rings: Rings) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a socket");
    let address = listener.local_addr().expect("it is bound");
    let answer = any(async move |request: Request| {
        let who = request.uri().path().strip_prefix("/wake/").expect("nothing else is called").to_owned();
        let _ = rings.send(Ring { means: Means::Http, who });
    });
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await });
    address
}

/// Puts the program that wakes into a folder; where it writes down whom.
fn program(folder: &Path) -> PathBuf {
    fs::create_dir_all(folder).expect("the folder is made");
    let (path, written) = (folder.join("page"), folder.join("written"));
    let script = format!("#!/bin/sh\n[ \"$1\" = \"$BUGLE_PERIPHERAL\" ] && echo \"$1\" >> '{}'\n", written.display());
    fs::write(&path, script).expect("it is written");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).expect("it may be run");
    written
}

fn watch_program(written: PathBuf, rings: Rings) {
    tokio::spawn(async move {
        let mut seen = 0;
        while !rings.is_closed() {
            let lines = fs::read_to_string(&written).unwrap_or_default();
            for who in lines.lines().skip(seen) {
                let _ = rings.send(Ring { means: Means::Exec, who: who.to_owned() });
                seen += 1;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
}
