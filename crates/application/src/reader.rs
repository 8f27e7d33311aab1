//! Reads the event log of the platform.
//!
//! 1. Takes the events after the cursor that the group configurations rest on, as they come, and hands them over in
//!    batches. The platform passes over all others, and says how far it is.
//! 2. While none come, asks now and then how far the log reaches. If that is before the cursor, the
//!    platform was restored from a backup and the log means something else now: starts over.
//! 3. Where the log no longer reaches back to the cursor, starts over from a snapshot.

use std::time::Duration;

use bugle_api::{EventKinds, EventRecord, PAGE_MAX, PageQuery};
use bugle_client::{Client, ClientError};
use bugle_core::application::GroupConfigurations;
use bugle_core::{ApplicationId, Event};
use bugle_runtime::Backoff;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(15);
/// Events that gather before no more are taken.
const BATCH_MAX: u64 = 1_000;
/// After how long without an event it asks how far the log reaches.
const CHECK_INTERVAL: Duration = Duration::from_secs(5);
/// The status of a refusal to tell events that are no longer kept.
const GONE: u16 = 410;

/// What the reader hands over.
#[derive(Debug)]
pub(crate) enum Batch {
    /// The next events.
    Events {
        /// Those that the group configurations rest on.
        events: Vec<EventRecord>,
        /// The number of the last, whatever it was.
        through: u64,
    },
    /// All that is registered and awaits a decision, at least as new as the event with this number.
    Snapshot {
        /// The number of the event.
        sequence: u64,
        /// What there is, as the events that lead there.
        events: Vec<Event>,
    },
}

/// Whether the event log is within reach.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reach {
    /// It is.
    Within,
    /// It is not, for this reason.
    Out(String),
}

/// Why reading has stopped for now.
enum Stop {
    /// Nobody takes batches any more.
    Unwanted,
    /// The log does not go on from the cursor.
    Broken(&'static str),
}

pub(crate) struct Reader {
    pub(crate) client: Client,
    pub(crate) application: ApplicationId,
    /// The last event that was handed over.
    pub(crate) cursor: u64,
    pub(crate) batches: mpsc::Sender<Batch>,
    pub(crate) reach: watch::Sender<Reach>,
    pub(crate) seed: u64,
}

impl Reader {
    pub(crate) async fn run(mut self) {
        let mut backoff = Backoff::new(FIRST_WAIT, LONGEST_WAIT, self.seed);
        loop {
            let before = self.cursor;
            let stopped = match self.read().await {
                Ok(Stop::Unwanted) => return,
                Ok(Stop::Broken(reason)) => self.start_over(reason).await,
                Err(error) => Err(error),
            };
            if self.cursor != before {
                backoff.reset();
            }
            if let Err(error) = stopped {
                self.tell(Reach::Out(error.to_string()));
                tokio::time::sleep(backoff.next_wait()).await;
            }
        }
    }

    /// Steps 1 and 2. While a batch is handled the next one gathers, so that batches are as large as
    /// the load wants them.
    async fn read(&mut self) -> Result<Stop, ClientError> {
        let kinds = EventKinds::that(GroupConfigurations::rest_on).expect("they rest on events");
        let mut log = self.client.follow(&self.application, Some(self.cursor)).of_kinds(kinds);
        let mut gathered: Vec<EventRecord> = Vec::new();
        let mut through = self.cursor;
        let mut check_at = Instant::now();
        loop {
            let events = tokio::select! {
                biased;
                room = self.batches.reserve(), if through > self.cursor => {
                    let Ok(room) = room else { return Ok(Stop::Unwanted) };
                    self.cursor = through;
                    room.send(Batch::Events { events: std::mem::take(&mut gathered), through });
                    continue;
                }
                events = log.next(), if through - self.cursor < BATCH_MAX => events,
                () = sleep_until(check_at) => {
                    check_at = Instant::now() + CHECK_INTERVAL;
                    if self.reaches_back_only().await {
                        return Ok(Stop::Broken("the event log has gone back"));
                    }
                    continue;
                }
            };
            let events = match events {
                Err(error) if error.status() == Some(GONE) => return Ok(Stop::Broken("events are gone")),
                events => events?,
            };
            self.tell(Reach::Within);
            check_at = Instant::now() + CHECK_INTERVAL;
            // What was told before is not handed over again.
            gathered.extend(events.into_iter().filter(|event| event.sequence > through));
            through = log.after().unwrap_or(through).max(through);
        }
    }

    /// Whether the log ends before the cursor. What cannot be asked now is asked again later.
    async fn reaches_back_only(&self) -> bool {
        let first = PageQuery { cursor: None, limit: Some(1) };
        match self.client.snapshot(&self.application, &first).await {
            Ok(page) => {
                self.tell(Reach::Within);
                page.sequence < self.cursor
            }
            Err(error) => {
                self.tell(Reach::Out(error.to_string()));
                false
            }
        }
    }

    /// Step 3: reads all pages. What changes meanwhile is in the events after the first page's number.
    async fn start_over(&mut self, reason: &'static str) -> Result<(), ClientError> {
        tracing::warn!(cursor = self.cursor, reason, "starting over from a snapshot");
        let mut query = PageQuery { cursor: None, limit: Some(PAGE_MAX) };
        let mut sequence = None;
        let mut events = Vec::new();
        loop {
            let page = self.client.snapshot(&self.application, &query).await?;
            sequence.get_or_insert(page.sequence);
            events.extend(page.items);
            query.cursor = page.next_cursor;
            if query.cursor.is_none() {
                break;
            }
        }
        self.cursor = sequence.unwrap_or_default();
        // Whether anybody takes it shows at the next batch.
        let _ = self.batches.send(Batch::Snapshot { sequence: self.cursor, events }).await;
        Ok(())
    }

    /// Logs and passes on what is news.
    fn tell(&self, now: Reach) {
        self.reach.send_if_modified(|known| {
            if *known == now {
                return false;
            }
            match &now {
                Reach::Within => tracing::info!(cursor = self.cursor, "following the event log"),
                Reach::Out(reason) => tracing::warn!(%reason, "the event log is out of reach"),
            }
            *known = now;
            true
        });
    }
}
