//! A server at a socket, for other people's programs to talk to.
#![expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "the other side is a process, so here is what lies around the machine: a socket and a clock"
)]

use std::io::{Read, Write};
use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bugle_core::Time;
use bugle_core::credential::PreSharedKey;
use bugle_dtls::{Event, Output, Server};

use crate::desk::{NOW, key};

/// The key of `lamp-8`, for programs that take it as text.
pub(crate) const LAMP_KEY: &str = "sixteen letters!";

/// After this long, whatever is waited for does not come.
const PATIENCE: Duration = Duration::from_secs(20);

/// A process that does not outlive the test.
pub(crate) struct Process {
    child: Child,
    printed: Arc<Mutex<String>>,
}

impl Process {
    pub(crate) fn start(program: &str, arguments: &[&str]) -> Self {
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{program} is not installed: {error}"));
        let printed = Arc::new(Mutex::new(String::new()));
        let mut stdout = child.stdout.take().expect("it is piped");
        let shared = Arc::clone(&printed);
        // It ends with the process.
        std::thread::spawn(move || {
            let mut buffer = [0; 4_096];
            while let Ok(length @ 1..) = stdout.read(&mut buffer) {
                let text = String::from_utf8_lossy(&buffer[..length]);
                shared.lock().expect("nobody panics with it").push_str(&text);
            }
        });
        Self { child, printed }
    }

    pub(crate) fn say(&mut self, line: &str) {
        let stdin = self.child.stdin.as_mut().expect("it is piped");
        stdin.write_all(format!("{line}\n").as_bytes()).expect("it listens");
    }

    pub(crate) fn close_stdin(&mut self) {
        self.child.stdin = None;
    }

    /// What it printed, when this is in it, or when it is too late for that.
    pub(crate) fn wait_for(&self, text: &str) -> String {
        let until = Instant::now() + PATIENCE;
        while !self.printed().contains(text) && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(5));
        }
        self.printed()
    }

    pub(crate) fn printed(&self) -> String {
        self.printed.lock().expect("nobody panics with it").clone()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A socket with a clock.
pub(crate) struct Shore {
    pub(crate) socket: UdpSocket,
    began: Instant,
}

impl Shore {
    pub(crate) fn new() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("loopback");
        socket.set_read_timeout(Some(Duration::from_millis(20))).expect("a valid time");
        Self { socket, began: Instant::now() }
    }

    pub(crate) fn port(&self) -> u16 {
        self.socket.local_addr().expect("it is bound").port()
    }

    pub(crate) fn now(&self) -> Time {
        NOW + self.began.elapsed()
    }

    pub(crate) fn receive(&self) -> Option<(SocketAddr, Vec<u8>)> {
        let mut buffer = [0; 2_048];
        let (length, from) = self.socket.recv_from(&mut buffer).ok()?;
        Some((from, buffer[..length].to_vec()))
    }

    pub(crate) fn receive_patiently(&self) -> (SocketAddr, Vec<u8>) {
        while self.is_patient() {
            if let Some(received) = self.receive() {
                return received;
            }
        }
        panic!("nothing came");
    }

    pub(crate) fn is_patient(&self) -> bool {
        self.began.elapsed() < PATIENCE
    }
}

/// Runs a server for a moment, and gives what it told.
pub(crate) fn pump(shore: &Shore, server: &mut Server<SocketAddr>) -> Vec<Event<SocketAddr>> {
    if let Some((from, datagram)) = shore.receive() {
        let keys = |identity: &[u8]| match identity {
            b"valve-7" => Some(key(7)),
            b"lamp-8" => PreSharedKey::new(LAMP_KEY.as_bytes()).ok(),
            _ => None,
        };
        server.handle_datagram(shore.now(), from, &datagram, keys);
    }
    server.handle_timeout(shore.now());
    let mut told = Vec::new();
    while let Some(output) = server.poll_output() {
        match output {
            Output::Transmit { peer, datagram } => {
                let _ = shore.socket.send_to(&datagram, peer);
            }
            Output::Event(event) => told.push(event),
        }
    }
    told
}

/// Runs a server until it has told what is waited for.
pub(crate) fn serve(
    shore: &Shore,
    server: &mut Server<SocketAddr>,
    is_it: impl Fn(&Event<SocketAddr>) -> bool,
) -> Event<SocketAddr> {
    while shore.is_patient() {
        if let Some(event) = pump(shore, server).into_iter().find(&is_it) {
            return event;
        }
    }
    panic!("what was waited for did not come: {:?}", server.counters());
}

/// Files for other programs, gone when the test is.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("bugle-dtls-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a folder for temporary files");
        Self(path)
    }

    /// Where a file of this name is, or will be.
    pub(crate) fn path(&self, name: &str) -> String {
        Path::to_str(&self.0.join(name)).expect("a path in UTF-8").to_owned()
    }

    pub(crate) fn write(&self, name: &str, content: &str) -> String {
        let path = self.path(name);
        std::fs::write(&path, content).expect("there is room");
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
