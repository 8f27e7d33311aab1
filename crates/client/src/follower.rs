//! The event log, followed across whatever breaks in between.

use std::time::Duration;

use bugle_api::{EventKinds, EventQuery, EventRecord};
use bugle_core::ApplicationId;
use bugle_runtime::Backoff;
use reqwest::Response;

use crate::sse::{Parser, ServerSentEvent};
use crate::{Client, ClientError};

const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(10);
/// The platform sends a sign of life every 15 seconds; without one the stream is dead.
const SILENCE_MAX: Duration = Duration::from_secs(45);

/// Follows an event log. What was given out is not given out again, and nothing is left out.
#[derive(Debug)]
pub struct Follower {
    client: Client,
    application: ApplicationId,
    after: Option<u64>,
    kinds: Option<EventKinds>,
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
        Self { client, application, after, kinds: None, stream: None, backoff }
    }

    /// Follows only events of these kinds. The platform passes over the others.
    #[must_use]
    pub fn of_kinds(self, kinds: EventKinds) -> Self {
        Self { kinds: Some(kinds), ..self }
    }

    /// The last event that was given out or passed over.
    #[must_use]
    pub const fn after(&self) -> Option<u64> {
        self.after
    }

    /// The next events: all that have come by now, or none if those that came were passed over. A platform out of
    /// reach is waited for. May be dropped while it waits; nothing is lost.
    ///
    /// # Errors
    /// If the platform says no in a way that waiting does not mend. With status 410 the events after
    /// [`after`](Self::after) are not kept any more: start over from the snapshot.
    pub async fn next(&mut self) -> Result<Vec<EventRecord>, ClientError> {
        loop {
            match self.try_next().await {
                Ok(Some((events, through))) => {
                    self.backoff.reset();
                    self.after = Some(through);
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

    /// The next events, and up to which one that is; none if the stream ended.
    async fn try_next(&mut self) -> Result<Option<(Vec<EventRecord>, u64)>, ClientError> {
        if self.stream.is_none() {
            let query = EventQuery { after: self.after, kinds: self.kinds.clone(), limit: None };
            let answer = self.client.open_events(&self.application, &query).await?;
            self.stream = Some(Stream { answer, parser: Parser::default() });
        }
        let stream = self.stream.as_mut().expect("it was opened");
        loop {
            let (mut events, mut through) = (Vec::new(), None);
            while let Some(ServerSentEvent { id, data }) = stream.parser.poll_event() {
                through = id.or(through);
                if !data.is_empty() {
                    let record = serde_json::from_slice(&data).map_err(|error| self.client.not_understood(&error))?;
                    let record: EventRecord = record;
                    through = Some(record.sequence);
                    events.push(record);
                }
            }
            if let Some(through) = through {
                return Ok(Some((events, through)));
            }
            let broken = |reason: String| ClientError::Unreachable { url: self.client.url().to_owned(), reason };
            let chunk = tokio::time::timeout(SILENCE_MAX, stream.answer.chunk()).await;
            let chunk = chunk.map_err(|_| broken("no sign of life".into()))?;
            let Some(bytes) = chunk.map_err(|error| broken(error.to_string()))? else { return Ok(None) };
            stream.parser.handle_bytes(&bytes).map_err(|_| self.client.not_understood(&"an event without end"))?;
        }
    }
}
