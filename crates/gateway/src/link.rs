//! The link to the platform, from the gateway's end.
//!
//! 1. Enrol, once (`enrolment.rs`).
//! 2. Dial, and say hello with how far both logs are on disk here (`session.rs`).
//! 3. The platform says how far the up log is on disk there; from then on entries flow both ways, each
//!    kept by its sender until the other has acknowledged it.
//! 4. When the stream ends, wait a little, longer from time to time, and go on at 2. The link is never
//!    given up, because the platform may come back at any time.
//!
//! The link keeps nothing of its own: what is sent is read from the store as it stands there, and what
//! comes is acknowledged only when the machine says that it is durable.

mod failure;
mod session;
mod state;

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bugle_core::gateway::Link;
use bugle_core::{DownEntry, GatewayId};
use bugle_runtime::link::{KeepAlive, LinkIdentity};
use bugle_runtime::{Backoff, Clock, DataFolder, Shutdown};
use bugle_store::gateway::GatewayStore;
use bugle_store::sqlite::StoreError;
use tokio::sync::watch;

use crate::Config;
use crate::enrolment::{self, Enrolment};
use crate::reactor::{Command, Commands};
use failure::LinkFailure;
pub use state::LinkState;

/// The first wait before trying again, and the longest.
const WAIT_FIRST: Duration = Duration::from_millis(200);
const WAIT_LONGEST: Duration = Duration::from_secs(30);
/// A link that was up for so long was a good one: the next wait is a first one again.
const GOOD_AFTER: Duration = Duration::from_secs(30);

/// What the link is between, and whom it tells.
pub(crate) struct LinkTo {
    pub(crate) config: Config,
    pub(crate) folder: DataFolder,
    pub(crate) store: Arc<GatewayStore>,
    pub(crate) commands: Commands,
    pub(crate) clock: Clock,
    /// Drawn at random when the gateway started.
    pub(crate) boot: u64,
    pub(crate) up_available: watch::Receiver<u64>,
    pub(crate) down_acknowledged: watch::Receiver<u64>,
    pub(crate) state: watch::Sender<LinkState>,
    pub(crate) shutdown: Shutdown,
}

/// Enrols, and keeps the link up until shutdown is requested.
pub(crate) async fn run(link: LinkTo) {
    let LinkTo { config, folder, store, commands, clock, boot, up_available, down_acknowledged, state, shutdown } =
        link;
    let keep_up = async {
        let mut retry = Retry { backoff: Backoff::new(WAIT_FIRST, WAIT_LONGEST, boot), clock, state: &state };
        let Enrolment { identity, link_address } = loop {
            match enrolment::ensure(&config, &folder).await {
                Ok(enrolment) => break enrolment,
                Err(error) => retry.after(&error, error.needs_a_person()).await,
            }
        };
        let session = Session {
            gateway: config.id,
            address: link_address,
            identity,
            boot,
            clock,
            read_up: Box::new(move |after, limit| Box::pin(store.up_after(after, limit).recv())),
            up_available,
            down_acknowledged,
            on_event: Box::new(move |event| commands.send(event.into())),
        };
        session.hold_forever(retry).await
    };
    tokio::select! {
        never = keep_up => match never {},
        () = shutdown.requested() => {}
    }
}

/// Entries of the up log as they stand in the store: at most so many after a number, each with its own.
type ReadUp = Box<dyn Fn(u64, usize) -> ReadingUp + Send + Sync>;
type ReadingUp = Pin<Box<dyn Future<Output = Result<Vec<(u64, Vec<u8>)>, StoreError>> + Send>>;

/// What the link tells the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
enum LinkEvent {
    Up,
    Down,
    /// Each once and in order while the link is up; after that from the one on that follows the last
    /// acknowledged.
    Entry {
        sequence: u64,
        entry: Box<DownEntry>,
    },
    /// The platform has the up log on disk up to here.
    UpAcknowledged {
        through: u64,
    },
}

impl From<LinkEvent> for Command {
    fn from(event: LinkEvent) -> Self {
        match event {
            LinkEvent::Up => Self::Link(Link::Up),
            LinkEvent::Down => Self::Link(Link::Down),
            LinkEvent::Entry { sequence, entry } => Self::Down { sequence, entry },
            LinkEvent::UpAcknowledged { through } => Self::UpAcknowledged { through },
        }
    }
}

/// All that one stream after the other needs.
struct Session {
    gateway: GatewayId,
    address: String,
    identity: LinkIdentity,
    boot: u64,
    /// What remains until a deadline counts from the moment of receipt.
    clock: Clock,
    read_up: ReadUp,
    /// The last entry of the up log that is on disk.
    up_available: watch::Receiver<u64>,
    /// The last entry of the down log that is applied, on disk.
    down_acknowledged: watch::Receiver<u64>,
    /// Never waits.
    on_event: Box<dyn Fn(LinkEvent) + Send + Sync>,
}

impl Session {
    async fn hold_forever(&self, mut retry: Retry<'_>) -> std::convert::Infallible {
        loop {
            let failure = self.hold(KeepAlive::default(), retry.state).await;
            let was_up = retry.state.borrow().up_for(self.clock.now());
            if was_up.is_some() {
                (self.on_event)(LinkEvent::Down);
            }
            if was_up.is_some_and(|time| time >= GOOD_AFTER) {
                retry.backoff.reset();
            }
            retry.after(&failure, failure.needs_a_person()).await;
        }
    }

    fn go_up(&self, state: &watch::Sender<LinkState>, up_applied: u64) {
        tracing::info!(gateway = %self.gateway, platform = self.address, up_applied, "linked to the platform");
        state.send_replace(LinkState::Up { since: self.clock.now() });
        (self.on_event)(LinkEvent::UpAcknowledged { through: up_applied });
        (self.on_event)(LinkEvent::Up);
    }
}

/// How the link is tried again.
struct Retry<'a> {
    backoff: Backoff,
    clock: Clock,
    state: &'a watch::Sender<LinkState>,
}

impl Retry<'_> {
    /// Tells why there is no link, and waits.
    async fn after(&mut self, failure: &(dyn std::error::Error + Sync), needs_a_person: bool) {
        if needs_a_person {
            self.backoff.skip_to_longest();
        }
        let wait = self.backoff.next_wait();
        if needs_a_person {
            tracing::error!(error = %failure, again_in = ?wait, "there is no link to the platform; peripherals are served all the same");
        } else {
            tracing::warn!(error = %failure, again_in = ?wait, "the platform is out of reach; peripherals are served all the same");
        }
        let now = self.clock.now();
        self.state.send_modify(|state| state.go_down(now, failure.to_string()));
        tokio::time::sleep(wait).await;
    }
}

#[cfg(test)]
mod tests;
