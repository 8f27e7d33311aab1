//! The link to the platform, from the gateway's end.
//!
//! 1. Enrol, once (`enrolment.rs`).
//! 2. Dial, and say hello with how far both logs are on disk here.
//! 3. The platform says how far the up log is on disk there; from then on entries flow both ways, each
//!    kept by its sender until the other has acknowledged it.
//! 4. When the stream ends, wait a little longer each time, and go on at 2.

use std::sync::Arc;
use std::time::Duration;

use bugle_core::gateway::Link;
use bugle_runtime::link::{DialError, Ended, KeepAlive, ReceiveError, Sender, dial};
use bugle_runtime::{Backoff, Clock, DataFolder, Shutdown};
use bugle_store::gateway::GatewayStore;
use bugle_store::sqlite::StoreError;
use bugle_wire::{
    Entries, FromGateway, FromPlatform, Hello, Incoming, LogConflict, Outgoing, ReplayError, VERSION, WireError,
    decode_down,
};
use thiserror::Error;
use tokio::sync::watch;

use crate::Config;
use crate::enrolment::{self, Enrolment};
use crate::reactor::{Command, Commands};

/// Up entries sent ahead of their acknowledgement.
const WINDOW: u64 = 8_192;
/// Up entries in one message.
const ENTRIES_PER_MESSAGE_MAX: u64 = 512;
/// Between the first tries to reach the platform; doubled each time,
const FIRST_WAIT: Duration = Duration::from_millis(200);
/// up to this.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

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
    pub(crate) up_acknowledged: u64,
    pub(crate) down_acknowledged: watch::Receiver<u64>,
    pub(crate) is_linked: watch::Sender<bool>,
    pub(crate) shutdown: Shutdown,
}

/// Why a stream ended.
#[derive(Debug, Error)]
enum StreamError {
    #[error(transparent)]
    Dial(#[from] DialError),
    #[error("the platform ended the stream")]
    Ended,
    #[error("the platform ended the stream: {0}")]
    Closed(String),
    #[error(transparent)]
    Receive(#[from] ReceiveError),
    #[error("the platform did not begin with a welcome")]
    NoWelcome,
    #[error("the platform's log of this gateway and the gateway's own do not fit together: {0}")]
    Conflict(#[from] LogConflict),
    #[error("the platform misbehaves: {0}")]
    Replay(#[from] ReplayError),
    #[error("the platform sent an entry that is not understood: {0}")]
    Entry(#[from] WireError),
    #[error("the up log cannot be read: {0}")]
    Store(#[from] StoreError),
}

impl From<Ended> for StreamError {
    fn from(_: Ended) -> Self {
        Self::Ended
    }
}

/// Keeps the link up until shutdown is requested.
pub(crate) async fn run(mut link: LinkTo) {
    let shutdown = link.shutdown.clone();
    let keep_up = async {
        let mut backoff = Backoff::new(FIRST_WAIT, LONGEST_WAIT, link.boot);
        let enrolment = loop {
            match enrolment::ensure(&link.config, &link.folder).await {
                Ok(enrolment) => break enrolment,
                Err(error) => wait(&mut backoff, &error).await,
            }
        };
        backoff.reset();
        loop {
            let error = link.stream(&enrolment, &mut backoff).await.unwrap_err();
            link.set(Link::Down);
            wait(&mut backoff, &error).await;
        }
    };
    tokio::select! {
        () = keep_up => {}
        () = shutdown.requested() => {}
    }
}

async fn wait(backoff: &mut Backoff, error: &(dyn std::error::Error + Sync)) {
    let wait = backoff.next_wait();
    tracing::warn!(error = %error, again_in = ?wait, "the platform is out of reach; peripherals are served all the same");
    tokio::time::sleep(wait).await;
}

impl LinkTo {
    fn set(&self, link: Link) {
        self.commands.send(Command::Link(link));
        self.is_linked.send_replace(link == Link::Up);
    }

    /// Steps 2 and 3; ends only with the stream.
    async fn stream(
        &mut self,
        enrolment: &Enrolment,
        backoff: &mut Backoff,
    ) -> Result<std::convert::Infallible, StreamError> {
        let (sender, mut receiver) = dial(&enrolment.link_address, &enrolment.identity, KeepAlive::default()).await?;
        let up_last = *self.up_available.borrow_and_update();
        let down_received = *self.down_acknowledged.borrow_and_update();
        sender.send(FromGateway::Hello(self.hello(down_received, up_last))).await?;
        let up_applied = match receiver.next().await? {
            Some(FromPlatform::Welcome { up_applied }) => up_applied,
            Some(FromPlatform::Closing { detail, .. }) => return Err(StreamError::Closed(detail)),
            Some(_) => return Err(StreamError::NoWelcome),
            None => return Err(StreamError::Ended),
        };
        self.on_up_acknowledged(up_applied);
        let mut outgoing = Outgoing::resume(up_applied, self.up_acknowledged + 1, up_last, WINDOW)?;
        let mut incoming = Incoming::new(down_received);
        backoff.reset();
        self.set(Link::Up);
        tracing::info!(gateway = %self.config.id, platform = %enrolment.link_address, "linked to the platform");
        loop {
            self.send_up(&sender, &mut outgoing).await?;
            tokio::select! {
                message = receiver.next() => self.on_message(message, &mut outgoing, &mut incoming)?,
                changed = self.up_available.changed() => {
                    changed.map_err(|_| StreamError::Ended)?;
                    outgoing.handle_available(*self.up_available.borrow_and_update());
                }
                changed = self.down_acknowledged.changed() => {
                    changed.map_err(|_| StreamError::Ended)?;
                    let through = *self.down_acknowledged.borrow_and_update();
                    sender.send(FromGateway::DownAcknowledged { through }).await?;
                }
            }
        }
    }

    fn hello(&self, down_received: u64, up_last: u64) -> Hello {
        Hello {
            version: VERSION,
            gateway: self.config.id.clone(),
            down_received,
            up_first: self.up_acknowledged + 1,
            up_last,
            boot: self.boot,
            software: concat!("bugle ", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }

    /// Ships what the window allows, as it is stored.
    async fn send_up(&self, sender: &Sender<FromGateway>, outgoing: &mut Outgoing) -> Result<(), StreamError> {
        while let Some(span) = outgoing.next() {
            let limit = span.count.min(ENTRIES_PER_MESSAGE_MAX) as usize;
            let page = self.store.up_after(span.after, limit).recv().await?;
            let entries = page.into_iter().map(|(_, entry)| entry.into()).collect();
            let entries = Entries::new(span.after + 1, entries)?;
            outgoing.handle_sent(entries.last());
            sender.send(FromGateway::Up(entries)).await?;
        }
        Ok(())
    }

    fn on_message(
        &mut self,
        message: Result<Option<FromPlatform>, ReceiveError>,
        outgoing: &mut Outgoing,
        incoming: &mut Incoming,
    ) -> Result<(), StreamError> {
        match message?.ok_or(StreamError::Ended)? {
            FromPlatform::UpAcknowledged { through } => {
                outgoing.handle_acknowledged(through)?;
                self.on_up_acknowledged(through);
            }
            FromPlatform::Down(entries) => {
                let Some(news) = incoming.handle_entries(entries)? else { return Ok(()) };
                let now = self.clock.now();
                for (sequence, bytes) in news {
                    let entry = Box::new(decode_down(&bytes, now)?);
                    self.commands.send(Command::Down { sequence, entry });
                }
            }
            FromPlatform::Closing { detail, .. } => return Err(StreamError::Closed(detail)),
            FromPlatform::Welcome { .. } => return Err(StreamError::NoWelcome),
            FromPlatform::Pong { .. } => {}
        }
        Ok(())
    }

    fn on_up_acknowledged(&mut self, through: u64) {
        if through > self.up_acknowledged {
            self.up_acknowledged = through;
            self.commands.send(Command::UpAcknowledged { through });
        }
    }
}
