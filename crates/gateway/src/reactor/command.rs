//! What other threads ask of the reactor.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use bugle_core::gateway::{
    Allocated, AllocationConflict, Census, Direction, DirectionRefusal, FileContents, Link, Slot, Ticket, WakeUp,
};
use bugle_core::{Allocation, DownEntry};
use bugle_edge::Counters;
use bugle_store::sqlite::StoreError;
use mio::{Poll, Waker};
use tokio::sync::oneshot;

use super::WAKER;

/// What became of a commit.
pub(crate) type Persisted = Result<Ticket, StoreError>;

/// What the file of allocations contains with a part of it, and what of the part could not be taken.
pub(crate) type PartTaken = (FileContents, Vec<AllocationConflict>);

#[derive(Debug)]
pub(crate) enum Command {
    /// A commit is done, or failed.
    Persisted(Persisted),
    /// The link to the platform came up or went down.
    Link(Link),
    /// An entry of the down log.
    Down { sequence: u64, entry: Box<DownEntry> },
    /// The platform has the up log up to here on disk.
    UpAcknowledged { through: u64 },
    /// These are allocations of the gateway's own file, which then contains them too. Answered when the disk is ready
    /// for more.
    Allocations { file: FileContents, allocations: Vec<Allocation>, taken: oneshot::Sender<PartTaken> },
    /// The gateway's own file contains no others.
    AllocationsEnd { file: FileContents, ended: oneshot::Sender<()> },
    /// An operator directs something; answered when it is on disk.
    Direct { direction: Direction, directed: oneshot::Sender<Result<(), DirectionRefusal>> },
    /// Which allocations are there: at most so many after a slot?
    Show { after: Option<Slot>, limit: usize, shown: oneshot::Sender<Vec<(Slot, Allocated)>> },
    /// A wake-up could not be sent.
    WakeFailed { slot: Slot, wake_up: WakeUp },
    /// How is it going?
    Status(oneshot::Sender<Status>),
    /// Tell the peripherals, finish what is being persisted, and stop.
    Stop,
}

/// How a gateway is doing.
#[derive(Debug, Clone)]
pub(crate) struct Status {
    pub(crate) counters: Counters,
    /// Datagrams that were dropped at the sockets.
    pub(crate) datagrams_dropped: u64,
    pub(crate) census: Census,
    /// Why the store takes nothing, if it does not.
    pub(crate) store_failure: Option<String>,
    /// Commits since the start.
    pub(crate) commits: u64,
}

/// Sends commands to the reactor, and wakes it.
///
/// The queue itself has no bound: what fills it is bounded at its source, the down log by the window
/// of the link and the commits by there being one at a time.
#[derive(Debug, Clone)]
pub(crate) struct Commands {
    sender: Sender<Command>,
    waker: Arc<Waker>,
}

impl Commands {
    pub(crate) fn new(poll: &Poll) -> std::io::Result<(Self, Receiver<Command>)> {
        let (sender, receiver) = channel();
        let waker = Arc::new(Waker::new(poll.registry(), WAKER)?);
        Ok((Self { sender, waker }, receiver))
    }

    /// Sends a command. After the reactor has stopped, nothing happens.
    pub(crate) fn send(&self, command: Command) {
        if self.sender.send(command).is_ok() {
            self.wake();
        }
    }

    pub(crate) fn wake(&self) {
        if let Err(error) = self.waker.wake() {
            tracing::error!(%error, "the gateway's thread could not be woken");
        }
    }
}
