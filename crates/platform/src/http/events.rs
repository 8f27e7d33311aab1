//! The event log, as pages and as a stream, and the snapshot to start from.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::time::Duration;

use axum::Json as Answer;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::sse::{self, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use bugle_api::{EventQuery, LAST_EVENT_ID, PAGE_DEFAULT, PageQuery, ProblemCode, SnapshotPage};
use bugle_core::{ApplicationId, EventKind};
use bugle_store::platform::EventLog;
use futures_util::{Stream, StreamExt, stream};
use tokio::sync::watch;

use super::error::ApiError;
use super::extract::{Paging, Path, Query, cursor};
use super::view;
use crate::Platform;

/// How often a stream without events says that it is still there.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// How long a client waits before it comes back for a stream that broke.
const RECONNECT: Duration = Duration::from_secs(1);
/// Bytes of events that a page holds.
const PAGE_BYTES_MAX: usize = 1024 * 1024;
/// Events, and bytes of them, that are held for a stream whose client does not take them.
const STREAM_BOUNDS: (u32, usize) = (PAGE_DEFAULT, 64 * 1024);

pub(crate) async fn events(
    State(platform): State<Platform>,
    Path(application): Path<ApplicationId>,
    Query(query): Query<EventQuery>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let paging = Paging::new(query.limit)?;
    let after = last_event_id(&headers)?.or(query.after);
    let is_stream = accepts_stream(&headers);
    // Before the first look, so that nothing new goes unnoticed after it.
    let news = platform.watch_application(&application);
    let bounds = if is_stream { STREAM_BOUNDS } else { (paging.limit(), PAGE_BYTES_MAX) };
    let kinds = query.kinds.map(BTreeSet::from);
    let log = read(&platform, &application, after, kinds.clone(), bounds).await?;
    let after = after.unwrap_or(log.gone);
    if !is_stream {
        return Ok(page(&log));
    }
    platform.counters().count(|counts| counts.streams += 1);
    let reader = Reader { platform, application, kinds, news, after };
    let events = reader.into_stream(log);
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(HEARTBEAT)).into_response())
}

fn last_event_id(headers: &HeaderMap) -> Result<Option<u64>, ApiError> {
    let Some(value) = headers.get(LAST_EVENT_ID) else { return Ok(None) };
    let sequence = value.to_str().ok().and_then(|text| text.trim().parse().ok());
    sequence.map(Some).ok_or_else(|| {
        ApiError::invalid("The header Last-Event-ID is not valid: it must be the id of an event, a number.")
    })
}

fn accepts_stream(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT).into_iter().filter_map(|value| value.to_str().ok());
    accepted.flat_map(|value| value.split(',')).any(|kind| kind.trim().starts_with("text/event-stream"))
}

/// Reads events, unless some of those asked for are not kept.
async fn read(
    platform: &Platform,
    application: &ApplicationId,
    after: Option<u64>,
    kinds: Option<BTreeSet<EventKind>>,
    bounds: (u32, usize),
) -> Result<EventLog, ApiError> {
    let log = platform.store().events(application, after, kinds, bounds).recv().await?;
    let log = log.ok_or_else(|| ApiError::unknown_application(application))?;
    match after {
        // A cursor from the future is one of a platform that was restored from a backup since.
        Some(after) if after < log.gone || after > log.last => {
            let detail = format!(
                "Events {} to {} are kept, and you have read up to {after}. Start over from \
                 GET /v1/applications/{application}/snapshot.",
                log.gone + 1,
                log.last
            );
            Err(ApiError::new(ProblemCode::EventsGone, detail))
        }
        _ => Ok(log),
    }
}

/// An event record, made of the event as it is kept.
fn record(sequence: u64, body: &str) -> String {
    // An event is kept as an object with at least one field, so that one more goes in front.
    format!("{{\"sequence\":{sequence},{}", body.trim_start_matches('{'))
}

fn page(log: &EventLog) -> Response {
    let records: Vec<_> = log.events.iter().map(|(sequence, body)| record(*sequence, body)).collect();
    let body = format!("{{\"items\":[{}],\"next_after\":{}}}", records.join(","), log.through);
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}

/// Reads a log at the speed at which its client takes the events: there is no queue for it, only the
/// place up to which it has read.
struct Reader {
    platform: Platform,
    application: ApplicationId,
    kinds: Option<BTreeSet<EventKind>>,
    news: watch::Receiver<()>,
    after: u64,
}

/// Counts a reader for as long as it lives.
impl Drop for Reader {
    fn drop(&mut self) {
        self.platform.counters().count(|counts| counts.streams -= 1);
    }
}

impl Reader {
    /// A stream of `first` and then of all that comes, until the platform ends or the client, by
    /// then too slow, has lost events; coming back it is told so.
    fn into_stream(self, first: EventLog) -> impl Stream<Item = Result<sse::Event, Infallible>> {
        stream::unfold((self, Some(first)), |(mut reader, first)| async move {
            let log = match first {
                Some(log) => log,
                None => reader.next_page().await?,
            };
            let told = log.events.last().map_or(reader.after, |(sequence, _)| *sequence);
            reader.after = log.through;
            let event = |sequence: u64| sse::Event::default().id(sequence.to_string()).retry(RECONNECT);
            let events =
                log.events.into_iter().map(move |(sequence, body)| event(sequence).data(record(sequence, &body)));
            // What was passed over is never asked for again, though nobody hears of it.
            let passed = (told < log.through).then(|| event(log.through));
            Some((stream::iter(events.chain(passed).map(Ok)), (reader, None)))
        })
        .flatten()
    }

    /// The next events, when there are any; none when the stream is to end.
    async fn next_page(&mut self) -> Option<EventLog> {
        loop {
            self.news.mark_unchanged();
            let after = Some(self.after);
            let kinds = self.kinds.clone();
            let log = read(&self.platform, &self.application, after, kinds, STREAM_BOUNDS).await.ok()?;
            if log.through > self.after {
                return Some(log);
            }
            tokio::select! {
                changed = self.news.changed() => changed.ok()?,
                () = self.platform.shutdown().requested() => return None,
            }
        }
    }
}

pub(crate) async fn snapshot(
    State(platform): State<Platform>,
    Path(application): Path<ApplicationId>,
    Query(query): Query<PageQuery>,
) -> Result<Answer<SnapshotPage>, ApiError> {
    let paging = Paging::new(query.limit)?;
    let after = cursor(query.cursor.as_deref(), 0)?;
    let snapshot = platform.store().snapshot(&application, after, paging.rows()).recv().await?;
    let (sequence, rows) = snapshot.ok_or_else(|| ApiError::unknown_application(&application))?;
    let page = paging.page(rows);
    let items = page.items.into_iter().flat_map(|(key, row)| view::snapshot(key, row)).collect();
    Ok(Answer(SnapshotPage { sequence, items, next_cursor: page.next_cursor }))
}
