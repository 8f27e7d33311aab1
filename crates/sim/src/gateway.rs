//! A gateway: its process, which may die at any output, and its disk, which outlives it.
//!
//! What the service's reactor does, in virtual time: whatever comes is handed to the edge, what the
//! edge gives out is carried out, and what is to be persisted becomes one commit at a time.

mod link;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use bugle_core::gateway::{Batch, Change, Memory, Slot, WakeUp};
use bugle_core::{Allocation, DownEntry, GatewayId, Pacing, PeripheralId, State, Time};
use bugle_edge::{ConnectionId, DatagramSocket, Edge, Output as EdgeOutput, Peer, Security, Settings, Store, WakeCall};

use crate::clock::Clock;
use crate::disk::{Disk, Fate};
use crate::network::StreamId;
use crate::random::Random;
pub(crate) use link::Windows;
use link::{Link, LinkOutput, Logs};

/// How long after a failure the store is tried again.
const RETRY_INTERVAL: Duration = Duration::from_millis(500);

/// Where devices speak to a gateway.
const SOCKET: DatagramSocket = DatagramSocket { number: 0, security: Security::Plain };

/// What a gateway does to the world.
#[derive(Debug)]
pub(crate) enum Output {
    /// Opens a stream to the platform.
    Dial,
    /// To a peripheral.
    Send {
        stream: StreamId,
        bytes: Vec<u8>,
    },
    /// To a device.
    Datagram {
        address: SocketAddr,
        datagram: Vec<u8>,
    },
    /// To the platform.
    Tell {
        stream: StreamId,
        frame: Vec<u8>,
    },
    Close {
        stream: StreamId,
    },
    /// Sends a wake-up.
    Wake(Box<WakeCall>),
    /// Begins a commit that takes so long.
    Commit {
        takes: Duration,
    },
    /// An entry of the down log has come.
    Came {
        sequence: u64,
        entry: Box<DownEntry>,
    },
    /// A change is on disk.
    Kept(Box<Change>),
    /// Something worth a line.
    Note(String),
    /// A promise is broken.
    Broken(String),
    /// The process has died.
    Died,
}

pub(crate) struct Gateway {
    id: GatewayId,
    settings: Settings,
    windows: Windows,
    /// The allocations of its own file.
    pub(crate) file: Vec<Allocation>,
    pub(crate) wall: Clock,
    pub(crate) disk: Disk,
    kept: Memory,
    process: Option<Process>,
    starts: u32,
    random: Random,
}

struct Process {
    clock: Clock,
    edge: Edge,
    link: Link,
    streams: BTreeMap<ConnectionId, StreamId>,
    connections: BTreeMap<StreamId, ConnectionId>,
    in_commit: Option<Batch>,
    retry_at: Option<Time>,
    up_available: u64,
    down_acknowledged: u64,
    /// It dies after so many outputs.
    dies_after: Option<u32>,
}

impl Gateway {
    pub(crate) fn new(settings: Settings, windows: Windows, file: Vec<Allocation>, disk: Disk, random: Random) -> Self {
        let id = settings.gateway.gateway.clone();
        let (wall, kept) = (Clock::new(0), Memory::default());
        Self { id, settings, windows, file, wall, disk, kept, process: None, starts: 0, random }
    }

    pub(crate) const fn id(&self) -> &GatewayId {
        &self.id
    }

    /// What its process goes by, or would if it were started now.
    pub(crate) fn clock(&self) -> Clock {
        self.process.as_ref().map_or(self.wall, |process| process.clock)
    }

    pub(crate) const fn is_running(&self) -> bool {
        self.process.is_some()
    }

    /// Which of its processes runs or ran last.
    pub(crate) const fn starts(&self) -> u32 {
        self.starts
    }

    /// What is on its disk.
    pub(crate) const fn kept(&self) -> &Memory {
        &self.kept
    }

    /// How fast members are served and woken.
    pub(crate) const fn pacing(&self) -> Pacing {
        self.settings.gateway.pacing
    }

    /// The state of a peripheral, if the gateway runs and it is allocated here.
    pub(crate) fn state(&self, peripheral: &PeripheralId) -> Option<State> {
        self.process.as_ref()?.edge.state(peripheral)
    }

    /// What is not done yet, if it runs.
    pub(crate) fn unfinished(&self) -> Option<String> {
        let Some(process) = &self.process else { return Some("it is down".into()) };
        let census = process.edge.census();
        let is_kept = process.in_commit.is_none();
        if census.up_log > 0 {
            Some(format!("{} entries of the up log are not acknowledged", census.up_log))
        } else if census.registering > 0 {
            Some(format!("{} registrations are not decided", census.registering))
        } else if census.requests > 0 {
            Some(format!("{} requests have not ended", census.requests))
        } else {
            (!is_kept).then(|| "something is not on disk yet".into())
        }
    }

    /// The process does not die after all.
    pub(crate) const fn spare(&mut self) {
        if let Some(process) = &mut self.process {
            process.dies_after = None;
        }
    }

    /// The process dies after so many more outputs.
    pub(crate) fn doom(&mut self, outputs: u32) {
        if let Some(process) = &mut self.process {
            process.dies_after = Some(outputs);
        }
    }

    /// A process starts, and goes on from the disk.
    pub(crate) fn start(&mut self, now: Time, out: &mut Vec<Output>) {
        if self.process.is_some() {
            return;
        }
        self.starts += 1;
        let clock = self.wall;
        let shown = clock.show(now);
        let (seed, boot) = (self.random.next(), self.random.next());
        let restored = self.kept.restored();
        let (up_available, down_acknowledged) = (restored.up_last, restored.down_applied);
        let edge = match self.starts {
            1 => Edge::new(self.settings.clone(), seed),
            _ => Edge::restore(shown, self.settings.clone(), seed, restored),
        };
        self.process = Some(Process {
            clock,
            edge,
            link: Link::new(self.id.clone(), self.windows, boot, shown),
            streams: BTreeMap::new(),
            connections: BTreeMap::new(),
            in_commit: None,
            retry_at: None,
            up_available,
            down_acknowledged,
            dies_after: None,
        });
        self.reload(now, out);
    }

    /// Its file is read.
    pub(crate) fn reload(&mut self, now: Time, out: &mut Vec<Output>) {
        let Some(process) = &mut self.process else { return };
        let shown = process.clock.show(now);
        for conflict in process.edge.handle_allocations(shown, self.file.clone()) {
            out.push(Output::Note(conflict.to_string()));
        }
        self.turn(now, out);
    }

    /// The process dies. Its streams are returned: they are nobody's now.
    pub(crate) fn die(&mut self, out: &mut Vec<Output>) -> Vec<StreamId> {
        let Some(process) = self.process.take() else { return Vec::new() };
        let survivors = self.disk.survivors(usize::from(process.in_commit.is_some()));
        if let Some(batch) = process.in_commit.filter(|_| survivors > 0) {
            keep(&mut self.kept, batch, out);
        }
        process.streams.into_values().chain(process.link.stream()).collect()
    }

    /// A peripheral has opened a stream.
    pub(crate) fn handle_opened(&mut self, now: Time, stream: StreamId, address: &str) {
        let Some(process) = &mut self.process else { return };
        let connection = process.edge.handle_accepted(process.clock.show(now), address.into());
        process.streams.insert(connection, stream);
        process.connections.insert(stream, connection);
    }

    /// Its stream to the platform, if it has one.
    pub(crate) fn link_stream(&self) -> Option<StreamId> {
        self.process.as_ref()?.link.stream()
    }

    /// The streams of its peripherals.
    pub(crate) fn peripheral_streams(&self) -> Vec<StreamId> {
        self.process.iter().flat_map(|process| process.streams.values().copied()).collect()
    }

    /// Whether the process knows this stream.
    pub(crate) fn knows(&self, stream: StreamId) -> bool {
        self.process
            .as_ref()
            .is_some_and(|process| process.connections.contains_key(&stream) || process.link.stream() == Some(stream))
    }

    /// Bytes came on a stream.
    pub(crate) fn handle_bytes(&mut self, now: Time, stream: StreamId, bytes: &[u8], out: &mut Vec<Output>) {
        let Some(process) = &mut self.process else { return };
        let shown = process.clock.show(now);
        if let Some(connection) = process.connections.get(&stream) {
            process.edge.handle_bytes(shown, *connection, bytes);
        } else if process.link.stream() == Some(stream) {
            self.with_link(now, out, |link, shown, logs, done| link.handle_frame(shown, bytes, logs, done));
        }
        self.turn(now, out);
    }

    /// A datagram has come.
    pub(crate) fn handle_datagram(&mut self, now: Time, address: SocketAddr, datagram: &[u8], out: &mut Vec<Output>) {
        let Some(process) = &mut self.process else { return };
        process.edge.handle_datagram(process.clock.show(now), Peer::new(SOCKET, address), datagram);
        self.turn(now, out);
    }

    /// A wake-up could not be sent.
    pub(crate) fn handle_wake_failed(&mut self, now: Time, slot: Slot, wake_up: WakeUp, out: &mut Vec<Output>) {
        let Some(process) = &mut self.process else { return };
        process.edge.handle_wake_failed(process.clock.show(now), slot, wake_up);
        self.turn(now, out);
    }

    /// A stream has ended.
    pub(crate) fn handle_closed(&mut self, now: Time, stream: StreamId, out: &mut Vec<Output>) {
        let Some(process) = &mut self.process else { return };
        let shown = process.clock.show(now);
        if let Some(connection) = process.connections.remove(&stream) {
            process.streams.remove(&connection);
            process.edge.handle_closed(shown, connection);
        } else if process.link.stream() == Some(stream) {
            self.with_link(now, out, |link, shown, _, done| link.handle_closed(shown, done));
        }
        self.turn(now, out);
    }

    /// The stream to the platform that it dialled.
    pub(crate) fn handle_dialled(&mut self, now: Time, stream: StreamId, out: &mut Vec<Output>) {
        self.with_link(now, out, |link, shown, logs, done| link.handle_dialled(shown, stream, logs, done));
    }

    /// The time of a commit is over.
    pub(crate) fn handle_committed(&mut self, now: Time, out: &mut Vec<Output>) {
        let Some(process) = &mut self.process else { return };
        let shown = process.clock.show(now);
        match self.disk.fate() {
            Fate::Done => {
                process.edge.handle_store(Store::Working);
                if let Some(batch) = process.in_commit.take() {
                    process.edge.handle_persisted(batch.ticket);
                    keep(&mut self.kept, batch, out);
                }
            }
            Fate::Failed => {
                out.push(Output::Note("a commit failed".into()));
                process.edge.handle_store(Store::Failing);
                process.retry_at = Some(shown + RETRY_INTERVAL);
            }
        }
        self.turn(now, out);
    }

    /// When [`turn`](Self::turn) has something to do next.
    pub(crate) fn next_timeout(&self, now: Time) -> Time {
        let Some(process) = &self.process else { return Time::MAX };
        let edge = process.edge.next_timeout().unwrap_or(Time::MAX);
        let next = edge.min(process.link.next_timeout()).min(process.retry_at.unwrap_or(Time::MAX));
        process.clock.when(now, next)
    }

    /// Does what is due, and all that the edge and the link give out.
    pub(crate) fn turn(&mut self, now: Time, out: &mut Vec<Output>) {
        let Some(process) = &mut self.process else { return };
        let shown = process.clock.show(now);
        process.edge.handle_timeout(shown);
        loop {
            if self.carry_out(now, out) == Progress::Died {
                return out.push(Output::Died);
            }
            // What the link hands over may make the edge give out more.
            if !self.with_link(now, out, |link, shown, logs, done| link.work(shown, logs, done)) {
                break;
            }
        }
        self.retry_if_due(now, out);
    }

    /// Carries out what the edge gives out.
    fn carry_out(&mut self, now: Time, out: &mut Vec<Output>) -> Progress {
        let Some(process) = &mut self.process else { return Progress::Died };
        let shown = process.clock.show(now);
        while let Some(output) = process.edge.poll_output(shown) {
            if let Some(left) = &mut process.dies_after {
                if *left == 0 {
                    return Progress::Died;
                }
                *left -= 1;
            }
            match output {
                EdgeOutput::Transmit { connection, bytes } => {
                    if let Some(stream) = process.streams.get(&connection) {
                        out.push(Output::Send { stream: *stream, bytes: bytes.to_vec() });
                    }
                }
                EdgeOutput::Close { connection } => {
                    process.edge.handle_closed(shown, connection);
                    if let Some(stream) = process.streams.remove(&connection) {
                        process.connections.remove(&stream);
                        out.push(Output::Close { stream });
                    }
                }
                EdgeOutput::Datagram { peer, datagram } => {
                    out.push(Output::Datagram { address: peer.address(), datagram: datagram.to_vec() });
                }
                EdgeOutput::Wake(call) => out.push(Output::Wake(Box::new(call))),
                // Nobody directs anything at the gateway itself in this world.
                EdgeOutput::Directed { .. } => {}
                EdgeOutput::Persist(batch) => {
                    process.in_commit = Some(batch);
                    out.push(Output::Commit { takes: self.disk.commit_time() });
                }
                EdgeOutput::UpAvailable { through } => process.up_available = through,
                EdgeOutput::DownAcknowledged { through } => process.down_acknowledged = through,
            }
        }
        Progress::Done
    }

    /// Has the link do something, and hands what it gives to the edge. Whether the edge got anything.
    fn with_link(
        &mut self,
        now: Time,
        out: &mut Vec<Output>,
        work: impl FnOnce(&mut Link, Time, &Logs<'_>, &mut Vec<LinkOutput>),
    ) -> bool {
        let Some(process) = &mut self.process else { return false };
        let shown = process.clock.show(now);
        let logs =
            Logs { kept: &self.kept, up_available: process.up_available, down_acknowledged: process.down_acknowledged };
        let mut done = Vec::new();
        work(&mut process.link, shown, &logs, &mut done);
        let mut is_news = false;
        for output in done {
            is_news |= matches!(
                output,
                LinkOutput::Up | LinkOutput::Down | LinkOutput::Entry { .. } | LinkOutput::UpAcknowledged { .. }
            );
            match output {
                LinkOutput::Dial => out.push(Output::Dial),
                LinkOutput::Tell { stream, frame } => out.push(Output::Tell { stream, frame }),
                LinkOutput::Close { stream } => out.push(Output::Close { stream }),
                LinkOutput::Up => {
                    out.push(Output::Note("the link is up".into()));
                    process.edge.handle_link(bugle_core::gateway::Link::Up);
                }
                LinkOutput::Down => {
                    out.push(Output::Note("the link is down".into()));
                    process.edge.handle_link(bugle_core::gateway::Link::Down);
                }
                LinkOutput::Entry { sequence, entry } => {
                    process.edge.handle_down(shown, sequence, DownEntry::clone(&entry));
                    out.push(Output::Came { sequence, entry });
                }
                LinkOutput::UpAcknowledged { through } => process.edge.handle_up_acknowledged(through),
                LinkOutput::Broken(what) => out.push(Output::Broken(what)),
            }
        }
        is_news
    }

    fn retry_if_due(&mut self, now: Time, out: &mut Vec<Output>) {
        let Some(process) = &mut self.process else { return };
        let shown = process.clock.show(now);
        if process.retry_at.is_some_and(|at| at <= shown) {
            process.retry_at = None;
            out.push(Output::Commit { takes: self.disk.commit_time() });
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    Done,
    Died,
}

fn keep(kept: &mut Memory, batch: Batch, out: &mut Vec<Output>) {
    for change in batch.changes {
        out.push(Output::Kept(Box::new(change.clone())));
        kept.apply(change);
    }
}
