//! The thread that owns the gateway: its sockets, its machine, and what it has to persist.
//!
//! One thread serves all peripherals. A turn takes whatever is ready (bytes, commands, timers), hands
//! it to the [`Edge`], and carries out what the edge gives out. What is to be persisted during one
//! turn, or while the store is busy, becomes one commit; meanwhile the loop goes on, and what rests on
//! that commit leaves when it is done.

mod command;
mod datagrams;
mod directions;
mod keeper;
mod listeners;
mod socket;
mod sockets;

use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::Duration;

use bugle_core::Time;
use bugle_edge::{Edge, Output, Store, WakeCall};
use bugle_runtime::Clock;
use bugle_runtime::datagrams::Batches;
use bugle_store::gateway::GatewayStore;
use mio::{Events, Poll, Token};
use thiserror::Error;
use tokio::sync::{mpsc, oneshot, watch};

pub(crate) use command::{Command, Commands, Status};
pub(crate) use datagrams::Datagrams;
pub(crate) use listeners::Listeners;

use command::{PartTaken, Persisted};
use directions::Directions;
use keeper::Keeper;
use sockets::Sockets;

const WAKER: Token = Token(usize::MAX);
/// Events taken from the system at once.
const EVENTS_MAX: usize = 4_096;
/// Commands taken in one turn, so that peripherals are served between them.
const COMMANDS_MAX: usize = 8_192;
/// What is sent in one turn beyond what came in with it, so that the answers of the first members of a large group are
/// taken while the last are still to be asked, and nobody else waits for all of it.
const SENT_MAX: usize = 4_096;

/// Why the gateway cannot go on. The fault is of the system.
#[derive(Debug, Error)]
pub enum ReactorError {
    /// The system gives no more notice of what is ready.
    #[error("waiting for sockets failed: {0}")]
    Poll(#[source] std::io::Error),
    /// The store cannot keep what must be kept, and will not.
    #[error("the gateway's store has failed: {0}")]
    Store(#[source] bugle_store::sqlite::StoreError),
}

/// How far the logs are, on disk: told to the link.
#[derive(Debug)]
pub(crate) struct Progress {
    /// The up log holds entries up to this number.
    pub(crate) up_available: watch::Sender<u64>,
    /// The down log is applied up to this number.
    pub(crate) down_acknowledged: watch::Sender<u64>,
}

pub(crate) struct Reactor {
    poll: Poll,
    listeners: Listeners,
    datagrams: Datagrams,
    sockets: Sockets,
    commands: Receiver<Command>,
    edge: Edge,
    keeper: Keeper,
    directions: Directions,
    /// Of the file of allocations, the part that was taken last and is not on disk yet, for whoever hands it over.
    part: Option<(oneshot::Sender<PartTaken>, PartTaken)>,
    clock: Clock,
    progress: Progress,
    wake_calls: mpsc::UnboundedSender<WakeCall>,
}

impl Reactor {
    pub(crate) fn new(
        poll: Poll,
        (listeners, datagrams): (Listeners, Datagrams),
        (commands, receiver): (Commands, Receiver<Command>),
        edge: Edge,
        store: Arc<GatewayStore>,
        clock: Clock,
        (progress, wake_calls): (Progress, mpsc::UnboundedSender<WakeCall>),
    ) -> Self {
        let keeper = Keeper::new(store, commands);
        let (sockets, directions) = (Sockets::default(), Directions::default());
        Self {
            poll,
            listeners,
            datagrams,
            sockets,
            commands: receiver,
            edge,
            keeper,
            directions,
            part: None,
            clock,
            progress,
            wake_calls,
        }
    }

    /// Serves until it is told to stop.
    ///
    /// # Errors
    /// If it cannot go on.
    pub(crate) fn run(mut self) -> Result<(), ReactorError> {
        let mut events = Events::with_capacity(EVENTS_MAX);
        let mut batches = self.datagrams.batches();
        let mut is_stopping = false;
        let mut has_more = false;
        loop {
            let timeout = if has_more { Some(Duration::ZERO) } else { self.timeout(self.clock.now()) };
            if let Err(error) = self.poll.poll(&mut events, timeout)
                && error.kind() != std::io::ErrorKind::Interrupted
            {
                return Err(ReactorError::Poll(error));
            }
            let now = self.clock.now();
            for event in &events {
                let token = event.token();
                if token != WAKER && !self.listeners.on_ready(now, token) && !self.datagrams.on_ready(event) {
                    self.sockets.on_ready(event);
                }
            }
            self.listeners.serve(now, &mut self.edge, &mut self.sockets, self.poll.registry());
            self.sockets.serve(now, &mut self.edge);
            let received = self.datagrams.serve(now, &mut self.edge, &mut batches);
            is_stopping |= self.take_commands(now)?;
            self.edge.handle_timeout(now);
            // Most of what comes has one answer: however much it is, what waits for its turn does not become more.
            has_more = self.carry_out(now, received + SENT_MAX, &mut batches);
            if self.keeper.is_idle() {
                self.confirm_part();
            }
            self.datagrams.flush(&mut batches);
            if is_stopping && !has_more && self.keeper.is_idle() {
                self.sockets.flush_all();
                return Ok(());
            }
        }
    }

    fn timeout(&self, now: Time) -> Option<Duration> {
        if self.sockets.has_work(&self.edge) || self.datagrams.has_work() {
            return Some(Duration::ZERO);
        }
        let next = [
            self.edge.next_timeout(),
            self.listeners.next_timeout(),
            self.sockets.next_timeout(),
            self.keeper.next_retry(),
        ];
        next.into_iter().flatten().min().map(|at| at - now)
    }

    /// Takes the commands that wait. Whether one of them is to stop.
    fn take_commands(&mut self, now: Time) -> Result<bool, ReactorError> {
        for _ in 0..COMMANDS_MAX {
            match self.commands.try_recv() {
                Ok(Command::Persisted(persisted)) => self.on_persisted(now, persisted)?,
                Ok(Command::Link(link)) => self.edge.handle_link(link),
                Ok(Command::Down { sequence, entry }) => self.edge.handle_down(now, sequence, *entry),
                Ok(Command::UpAcknowledged { through }) => self.edge.handle_up_acknowledged(through),
                Ok(Command::Allocations { mut file, allocations, taken }) => {
                    let conflicts = self.edge.handle_allocations_part(now, &mut file, allocations);
                    self.part = Some((taken, (file, conflicts)));
                }
                Ok(Command::AllocationsEnd { file, ended }) => {
                    self.edge.handle_allocations_end(now, &file);
                    let _ = ended.send(());
                }
                Ok(Command::Direct { direction, directed }) => {
                    self.directions.take(now, &mut self.edge, direction, directed);
                }
                Ok(Command::Show { after, limit, shown }) => {
                    let _ = shown.send(self.edge.allocations(after, limit));
                }
                Ok(Command::WakeFailed { slot, wake_up }) => self.edge.handle_wake_failed(now, slot, wake_up),
                Ok(Command::Status(status)) => {
                    let _ = status.send(self.status());
                }
                Ok(Command::Stop) | Err(TryRecvError::Disconnected) => {
                    self.edge.handle_shutdown(now);
                    // Whoever is sent away comes back at once, and would keep it from ending.
                    self.listeners.close();
                    return Ok(true);
                }
                Err(TryRecvError::Empty) => return Ok(false),
            }
        }
        self.keeper.wake();
        Ok(false)
    }

    /// The next part of the file of allocations may come: what those before changed does not pile up.
    fn confirm_part(&mut self) {
        if let Some((taken, what)) = self.part.take() {
            // Whoever asked may be gone.
            let _ = taken.send(what);
        }
    }

    fn on_persisted(&mut self, now: Time, persisted: Persisted) -> Result<(), ReactorError> {
        self.confirm_part();
        match self.keeper.on_persisted(now, persisted) {
            Ok(Some(ticket)) => {
                self.edge.handle_store(Store::Working);
                self.edge.handle_persisted(ticket);
                Ok(())
            }
            Ok(None) => {
                self.edge.handle_store(Store::Failing);
                Ok(())
            }
            Err(error) => Err(ReactorError::Store(error)),
        }
    }

    /// Does what the edge wants done, and says whether it may want more.
    fn carry_out(&mut self, now: Time, sent_max: usize, batches: &mut [Batches]) -> bool {
        self.keeper.retry_if_due(now);
        let (mut up_available, mut down_acknowledged) = (None, None);
        let mut sent = 0;
        while sent < sent_max
            && let Some(output) = self.edge.poll_output(now)
        {
            match output {
                Output::Transmit { connection, bytes } => {
                    sent += 1;
                    self.sockets.transmit(connection, bytes);
                }
                Output::Datagram { peer, datagram } => {
                    sent += 1;
                    self.datagrams.transmit(peer, datagram, batches);
                }
                Output::Close { connection } => {
                    self.edge.handle_closed(now, connection);
                    self.sockets.close(now, connection);
                }
                Output::Persist(batch) => self.keeper.persist(batch),
                Output::Directed { token } => self.directions.done(token),
                Output::Wake(call) => {
                    // Whoever sends them is gone only when the gateway stops.
                    let _ = self.wake_calls.send(call);
                }
                Output::UpAvailable { through } => up_available = Some(through),
                Output::DownAcknowledged { through } => down_acknowledged = Some(through),
            }
        }
        if let Some(through) = up_available {
            self.progress.up_available.send_replace(through);
        }
        if let Some(through) = down_acknowledged {
            self.progress.down_acknowledged.send_replace(through);
        }
        self.sockets.expire(now);
        sent == sent_max
    }

    fn status(&self) -> Status {
        Status {
            counters: self.edge.counters(),
            datagrams_dropped: self.datagrams.dropped(),
            census: self.edge.census(),
            store_failure: self.keeper.failure().map(ToString::to_string),
            commits: self.keeper.commits(),
        }
    }
}
