//! One stream, from dialling to its end.
//!
//! One half of it reads and one writes, and neither waits for the other: two ends that both write, and
//! read only when they are done, would wait for each other for ever.

use std::convert::Infallible;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use bugle_runtime::link::{KeepAlive, Receiver, Sender, dial};
use bugle_wire::{Entries, FromGateway, FromPlatform, Hello, Incoming, Outgoing, Span, VERSION, decode_down};
use bytes::Bytes;
use tokio::sync::{Notify, watch};
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::{LinkEvent, LinkFailure, LinkState, Session};

/// Entries of the up log that are sent ahead of their acknowledgement.
const UP_WINDOW: u64 = 4_096;
/// Entries of the up log that are read from the store at once.
const UP_READ_MAX: u64 = 256;
/// Entries are put into one message up to this size; a larger one goes alone.
const MESSAGE_BYTES: usize = 512 * 1024;
/// Entries of the down log that the machine may have yet to make durable before more are read.
const DOWN_WINDOW: u64 = 1_024;
/// How often the platform is asked for a sign of life, and how long it may give none.
const PING_INTERVAL: Duration = Duration::from_secs(10);
const SILENCE_MAX: Duration = Duration::from_secs(30);
/// What operators see of this end.
const SOFTWARE: &str = concat!("bugle ", env!("CARGO_PKG_VERSION"));

/// What both halves know of the up log.
struct UpLog {
    outgoing: Mutex<Outgoing>,
    /// The platform has acknowledged some of it.
    acknowledged: Notify,
}

impl Session {
    /// Dials, and holds the link for as long as it lasts.
    pub(super) async fn hold(&self, keep_alive: KeepAlive, state: &watch::Sender<LinkState>) -> LinkFailure {
        match self.try_hold(keep_alive, state).await {
            Ok(never) => match never {},
            Err(failure) => failure,
        }
    }

    async fn try_hold(
        &self,
        keep_alive: KeepAlive,
        state: &watch::Sender<LinkState>,
    ) -> Result<Infallible, LinkFailure> {
        let (sender, mut receiver) = dial(&self.address, &self.identity, keep_alive).await?;
        let hello = self.hello().await?;
        let down_received = hello.down_received;
        let (up_first, up_last) = (hello.up_first, hello.up_last);
        sender.send(FromGateway::Hello(hello)).await?;
        let up_applied = match next(&mut receiver).await? {
            FromPlatform::Welcome { up_applied } => up_applied,
            FromPlatform::Closing { reason, detail } => return Err(LinkFailure::Closed { reason, detail }),
            other => return Err(LinkFailure::OutOfTurn(name(&other))),
        };
        let outgoing = Outgoing::resume(up_applied, up_first, up_last, UP_WINDOW)?;
        let up_log = UpLog { outgoing: Mutex::new(outgoing), acknowledged: Notify::new() };
        self.go_up(state, up_applied);
        tokio::select! {
            ended = self.read(&up_log, receiver, down_received) => ended,
            ended = self.write(&up_log, sender, down_received) => ended,
        }
    }

    async fn hello(&self) -> Result<Hello, LinkFailure> {
        let down_received = *self.down_acknowledged.borrow();
        let up_last = *self.up_available.borrow();
        let oldest = (self.read_up)(0, 1).await?;
        Ok(Hello {
            version: VERSION,
            gateway: self.gateway.clone(),
            down_received,
            up_first: oldest.first().map_or(up_last + 1, |(sequence, _)| *sequence),
            up_last,
            boot: self.boot,
            software: SOFTWARE.to_owned(),
        })
    }

    async fn read(
        &self,
        up_log: &UpLog,
        mut receiver: Receiver<FromPlatform>,
        down_received: u64,
    ) -> Result<Infallible, LinkFailure> {
        let mut incoming = Incoming::new(down_received);
        let mut applied = self.down_acknowledged.clone();
        loop {
            // What the machine has not made durable is bounded here: the platform's window is its own affair.
            let has_room = |applied: &u64| incoming.received().saturating_sub(*applied) < DOWN_WINDOW;
            if applied.wait_for(has_room).await.is_err() {
                std::future::pending::<()>().await;
            }
            match next(&mut receiver).await? {
                FromPlatform::Down(entries) => {
                    for (sequence, bytes) in incoming.handle_entries(entries)?.into_iter().flatten() {
                        let unreadable = |source| LinkFailure::Entry { sequence, source };
                        let entry = Box::new(decode_down(&bytes, self.clock.now()).map_err(unreadable)?);
                        (self.on_event)(LinkEvent::Entry { sequence, entry });
                    }
                }
                FromPlatform::UpAcknowledged { through } => {
                    if up_log.lock().handle_acknowledged(through)? {
                        up_log.acknowledged.notify_one();
                        (self.on_event)(LinkEvent::UpAcknowledged { through });
                    }
                }
                FromPlatform::Pong { .. } => {}
                FromPlatform::Closing { reason, detail } => return Err(LinkFailure::Closed { reason, detail }),
                FromPlatform::Welcome { .. } => return Err(LinkFailure::OutOfTurn("welcome")),
            }
        }
    }

    async fn write(
        &self,
        up_log: &UpLog,
        sender: Sender<FromGateway>,
        down_received: u64,
    ) -> Result<Infallible, LinkFailure> {
        let mut available = self.up_available.clone();
        let mut applied = self.down_acknowledged.clone();
        let mut told = down_received;
        let mut pings = interval(PING_INTERVAL);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut token = 0;
        loop {
            up_log.lock().handle_available(*available.borrow_and_update());
            let through = *applied.borrow_and_update();
            if through > told {
                sender.send(FromGateway::DownAcknowledged { through }).await?;
                told = through;
            }
            let span = up_log.lock().next();
            if let Some(span) = span {
                self.send_up(up_log, &sender, span).await?;
                continue;
            }
            tokio::select! {
                () = changed(&mut available) => {}
                () = changed(&mut applied) => {}
                () = up_log.acknowledged.notified() => {}
                _ = pings.tick() => {
                    token += 1;
                    sender.send(FromGateway::Ping { token }).await?;
                }
            }
        }
    }

    /// Sends entries as they stand in the store, in messages of a moderate size.
    async fn send_up(&self, up_log: &UpLog, sender: &Sender<FromGateway>, span: Span) -> Result<(), LinkFailure> {
        let count = usize::try_from(span.count.min(UP_READ_MAX)).expect("a small number");
        let mut first = span.after + 1;
        let (mut message, mut bytes) = (Vec::new(), 0);
        let mut rows = (self.read_up)(span.after, count).await?.into_iter().peekable();
        if rows.peek().is_none() {
            return Err(LinkFailure::Missing(first));
        }
        while let Some((sequence, entry)) = rows.next() {
            let expected = first + message.len() as u64;
            if sequence != expected {
                return Err(LinkFailure::Missing(expected));
            }
            bytes += entry.len();
            message.push(Bytes::from(entry));
            if rows.peek().is_none_or(|(_, next)| bytes + next.len() > MESSAGE_BYTES) {
                let entries = Entries::new(first, std::mem::take(&mut message));
                let entries = entries.expect("there are some, and the store numbers them from 1");
                let last = entries.last();
                // Before it is sent: an acknowledgement may come at once.
                up_log.lock().handle_sent(last);
                sender.send(FromGateway::Up(entries)).await?;
                (first, bytes) = (last + 1, 0);
            }
        }
        Ok(())
    }
}

impl UpLog {
    fn lock(&self) -> MutexGuard<'_, Outgoing> {
        self.outgoing.lock().expect("nobody panics with it")
    }
}

/// The next message, which is to come before long.
async fn next(receiver: &mut Receiver<FromPlatform>) -> Result<FromPlatform, LinkFailure> {
    let message = timeout(SILENCE_MAX, receiver.next()).await.map_err(|_| LinkFailure::Silent)??;
    message.ok_or(LinkFailure::Ended)
}

/// Returns when the value has changed. When nothing changes it any more the gateway is ending, and the
/// link with it.
async fn changed(value: &mut watch::Receiver<u64>) {
    if value.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}

const fn name(message: &FromPlatform) -> &'static str {
    match message {
        FromPlatform::Welcome { .. } => "welcome",
        FromPlatform::Down(_) => "down",
        FromPlatform::UpAcknowledged { .. } => "up acknowledged",
        FromPlatform::Pong { .. } => "pong",
        FromPlatform::Closing { .. } => "closing",
    }
}
