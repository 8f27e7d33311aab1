//! The event log, followed across whatever breaks in between.

use std::time::Duration;

use bugle_api::{EventHead, EventRecord};
use bugle_core::{ApplicationId, EventKind};
use bugle_runtime::Backoff;
use reqwest::Response;

use crate::sse::Parser;
use crate::{Client, ClientError};

const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(10);
/// The platform sends a sign of life every 15 seconds; without one the stream is dead.
const SILENCE_MAX: Duration = Duration::from_secs(45);

/// An event of which only the head has been read: many readers want few kinds, and the rest costs most of the reading.
/// [`Follower::read`] reads all of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnreadEvent {
    head: EventHead,
    json: Vec<u8>,
}

impl UnreadEvent {
    /// Its place in the log.
    #[must_use]
    pub const fn sequence(&self) -> u64 {
        self.head.sequence
    }

    /// What kind of event it is.
    #[must_use]
    pub const fn kind(&self) -> EventKind {
        self.head.kind
    }
}

/// Follows an event log. What was given out is not given out again, and nothing is left out.
#[derive(Debug)]
pub struct Follower {
    client: Client,
    application: ApplicationId,
    after: Option<u64>,
    stream: Option<Stream>,
    backoff: Backoff,
}

#[derive(Debug)]
struct Stream {
    answer: Response,
    parser: Parser,
}

impl Follower {
    pub(crate) fn new(client: Client, application: ApplicationId, after: Option<u64>) -> Self {
        let seed = application
            .as_str()
            .bytes()
            .fold(u64::from(std::process::id()), |seed, byte| seed.rotate_left(7) ^ u64::from(byte));
        let backoff = Backoff::new(FIRST_WAIT, LONGEST_WAIT, seed);
        Self { client, application, after, stream: None, backoff }
    }

    /// The last event that was given out.
    #[must_use]
    pub const fn after(&self) -> Option<u64> {
        self.after
    }

    /// The next events, at least one: all that have come by now. A platform out of reach is waited
    /// for. May be dropped while it waits; nothing is lost.
    ///
    /// # Errors
    /// If the platform says no in a way that waiting does not mend. With status 410 the events after
    /// [`after`](Self::after) are not kept any more: start over from the snapshot.
    pub async fn next(&mut self) -> Result<Vec<UnreadEvent>, ClientError> {
        loop {
            match self.try_next().await {
                Ok(Some(events)) => {
                    self.backoff.reset();
                    self.after = events.last().map(UnreadEvent::sequence).or(self.after);
                    return Ok(events);
                }
                Ok(None) => {
                    self.stream = None;
                    tokio::time::sleep(self.backoff.next_wait()).await;
                }
                Err(error) if error.is_passing() => {
                    self.stream = None;
                    // Not sooner than the platform asks for, but at random after that.
                    let wait = error.retry_after().unwrap_or_default() + self.backoff.next_wait();
                    tracing::warn!(%error, again_in = ?wait, "the event log is out of reach");
                    tokio::time::sleep(wait).await;
                }
                Err(error) => {
                    self.stream = None;
                    return Err(error);
                }
            }
        }
    }

    /// Reads all of an event.
    ///
    /// # Errors
    /// If it is not understood.
    pub fn read(&self, event: &UnreadEvent) -> Result<EventRecord, ClientError> {
        serde_json::from_slice(&event.json).map_err(|error| self.client.not_understood(&error))
    }

    /// The next events; none if the stream ended.
    async fn try_next(&mut self) -> Result<Option<Vec<UnreadEvent>>, ClientError> {
        if self.stream.is_none() {
            let answer = self.client.open_events(&self.application, self.after).await?;
            self.stream = Some(Stream { answer, parser: Parser::default() });
        }
        let stream = self.stream.as_mut().expect("it was opened");
        loop {
            let mut events = Vec::new();
            while let Some(json) = stream.parser.poll_event() {
                let head = serde_json::from_slice(&json).map_err(|error| self.client.not_understood(&error))?;
                events.push(UnreadEvent { head, json });
            }
            if !events.is_empty() {
                return Ok(Some(events));
            }
            let broken = |reason: String| ClientError::Unreachable { url: self.client.url().to_owned(), reason };
            let chunk = tokio::time::timeout(SILENCE_MAX, stream.answer.chunk()).await;
            let chunk = chunk.map_err(|_| broken("no sign of life".into()))?;
            let Some(bytes) = chunk.map_err(|error| broken(error.to_string()))? else { return Ok(None) };
            stream.parser.handle_bytes(&bytes).map_err(|_| self.client.not_understood(&"an event without end"))?;
        }
    }
}
