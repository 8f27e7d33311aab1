//! A platform that knows nothing but the API: an event log, a snapshot, and the decisions it was sent.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use bugle_api::{
    Decision, DecisionResult, Decisions, DecisionsAnswer, EventQuery, EventRecord, Problem, ProblemCode, SnapshotPage,
};
use bugle_core::{
    Deregistered, Description, EndCause, Event, Evidence, GatewayId, GroupId, PeripheralId, Presence, PresenceChanged,
    Protocol, RegistrationAsked, RegistrationId, Time, Verdict,
};
use tokio::runtime::Runtime;
use tokio::sync::watch;

pub(crate) const APPLICATION: &str = "metering";
pub(crate) const TOKEN: &str = "the token of the application";
/// Longer than anything takes that is going to happen.
const PATIENCE: Duration = Duration::from_secs(20);

/// Events that it writes to a stream in one go.
const EVENTS_AT_ONCE: usize = 250;

#[derive(Default)]
pub(crate) struct Known {
    events: Vec<Event>,
    /// Events up to this one are no longer kept.
    pub(crate) gone: u64,
    pub(crate) snapshot: Vec<Event>,
    /// Whether it tells all events from the first whatever it is asked.
    pub(crate) repeats_itself: bool,
    /// Whether it takes no decisions.
    pub(crate) takes_none: bool,
    /// How often it was called with decisions.
    pub(crate) calls: usize,
    pub(crate) decisions: Vec<Decision>,
}

#[derive(Clone)]
struct Shared {
    known: Arc<(Mutex<Known>, Condvar)>,
    /// How many events there are.
    news: watch::Sender<u64>,
}

pub(crate) struct Platform {
    shared: Shared,
    pub(crate) url: String,
    runtime: Option<Runtime>,
}

impl Platform {
    pub(crate) fn start() -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let shared = Shared { known: Arc::default(), news: watch::Sender::new(0) };
        let routes = Router::new()
            .route("/v1/applications/{application}/events", get(events))
            .route("/v1/applications/{application}/snapshot", get(snapshot))
            .route("/v1/applications/{application}/decisions", post(decide))
            .with_state(shared.clone());
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("it listens"));
        runtime.spawn(async move { axum::serve(listener, routes).await });
        Self { shared, url, runtime: Some(runtime) }
    }

    pub(crate) fn known(&self) -> MutexGuard<'_, Known> {
        self.shared.lock()
    }

    pub(crate) fn tell(&self, events: impl IntoIterator<Item = Event>) {
        let mut known = self.known();
        known.events.extend(events);
        self.shared.news.send_replace(known.events.len() as u64);
    }

    /// Forgets all events, as if restored from a backup.
    pub(crate) fn forget_events(&self) {
        self.known().events.clear();
        self.shared.news.send_replace(0);
    }

    pub(crate) fn wait_until(&self, what: &str, is_so: impl Fn(&Known) -> bool) -> MutexGuard<'_, Known> {
        let (known, changed) = &*self.shared.known;
        let known = known.lock().expect("nobody panicked");
        let (known, waited) = changed.wait_timeout_while(known, PATIENCE, |known| !is_so(known)).expect("no panic");
        assert!(!waited.timed_out(), "{what}: {:?}", known.decisions);
        known
    }

    /// The answers, once there are so many.
    pub(crate) fn answers(&self, count: usize) -> Vec<(String, u64, bool)> {
        let known = self.wait_until("answers", |known| known.decisions.len() >= count);
        known.decisions.iter().map(summary).collect()
    }
}

impl Drop for Platform {
    fn drop(&mut self) {
        // It streams for ever.
        self.runtime.take().into_iter().for_each(Runtime::shutdown_background);
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.0.lock().expect("nobody panicked")
    }

    fn changed(&self) {
        self.known.1.notify_all();
    }
}

/// Who, which registration, whether it is a yes.
fn summary(decision: &Decision) -> (String, u64, bool) {
    let is_yes = matches!(decision.verdict, Verdict::Authorized { .. });
    (decision.peripheral.to_string(), decision.registration.number(), is_yes)
}

fn problem(code: ProblemCode) -> Response {
    let status = StatusCode::from_u16(code.status()).expect("a status");
    (status, Json(Problem::new(code, "as the test wants it"))).into_response()
}

fn is_allowed(headers: &HeaderMap, application: &str) -> bool {
    let expected = format!("Bearer {TOKEN}");
    application == APPLICATION
        && headers.get(AUTHORIZATION).is_some_and(|shown| shown.as_bytes() == expected.as_bytes())
}

async fn events(
    State(shared): State<Shared>,
    Path(application): Path<String>,
    Query(query): Query<EventQuery>,
    headers: HeaderMap,
) -> Response {
    if !is_allowed(&headers, &application) {
        return problem(ProblemCode::Forbidden);
    }
    let after = query.after.unwrap_or_default();
    let known = shared.lock();
    let (gone, repeats) = (known.gone, known.repeats_itself);
    drop(known);
    if after < gone {
        return problem(ProblemCode::EventsGone);
    }
    let after = if repeats { 0 } else { after };
    let news = shared.news.subscribe();
    let is_wanted = move |event: &Event| query.kinds.as_ref().is_none_or(|kinds| kinds.contain(event.kind()));
    let start = (shared, news, after, is_wanted);
    let stream = futures_util::stream::unfold(start, |(shared, mut news, after, is_wanted)| async move {
        news.wait_for(|last| *last > after).await.ok()?;
        let events: Vec<Event> =
            shared.lock().events.iter().skip(after as usize).take(EVENTS_AT_ONCE).cloned().collect();
        let told = after + events.len() as u64;
        let wanted = events.into_iter().zip(after + 1..).filter(|(event, _)| is_wanted(event));
        let text: String = wanted.map(|(event, sequence)| as_text(sequence, event)).collect();
        let text = format!("{text}id: {told}\n\n");
        Some((Ok::<_, Infallible>(text), (shared, news, told, is_wanted)))
    });
    ([(CONTENT_TYPE, "text/event-stream")], Body::from_stream(stream)).into_response()
}

fn as_text(sequence: u64, event: Event) -> String {
    let record = serde_json::to_string(&EventRecord { sequence, event }).expect("an event is JSON");
    format!("id: {sequence}\ndata: {record}\n\n")
}

async fn snapshot(State(shared): State<Shared>, Path(application): Path<String>, headers: HeaderMap) -> Response {
    if !is_allowed(&headers, &application) {
        return problem(ProblemCode::Forbidden);
    }
    let known = shared.lock();
    let sequence = known.events.len() as u64;
    Json(SnapshotPage { sequence, items: known.snapshot.clone(), next_cursor: None }).into_response()
}

async fn decide(
    State(shared): State<Shared>,
    Path(application): Path<String>,
    headers: HeaderMap,
    Json(Decisions { decisions }): Json<Decisions>,
) -> Response {
    if !is_allowed(&headers, &application) {
        return problem(ProblemCode::Forbidden);
    }
    let mut known = shared.lock();
    known.calls += 1;
    let results = vec![DecisionResult::Passed; decisions.len()];
    let answer = if known.takes_none {
        problem(ProblemCode::Unavailable)
    } else {
        // Deciding the same twice does nothing.
        for decision in decisions {
            if !known.decisions.contains(&decision) {
                known.decisions.push(decision);
            }
        }
        Json(DecisionsAnswer { results }).into_response()
    };
    drop(known);
    shared.changed();
    answer
}

fn gateway() -> GatewayId {
    GatewayId::new("gw").expect("a gateway id")
}

fn peripheral(id: &str) -> PeripheralId {
    PeripheralId::new(id).expect("a peripheral id")
}

fn groups() -> BTreeSet<GroupId> {
    BTreeSet::from([GroupId::new("g").expect("a group id")])
}

pub(crate) fn asks(id: &str, registration: u64) -> Event {
    let asked = RegistrationAsked {
        peripheral: peripheral(id),
        registration: RegistrationId::new(registration),
        groups: groups(),
        evidence: Evidence::default(),
        description: Description {
            protocol: Protocol::Mqtt5,
            address: "192.0.2.1:1883".into(),
            lifetime: Duration::from_secs(60),
            objects: String::new(),
        },
    };
    Event::RegistrationAsked { gateway: gateway(), asked }
}

pub(crate) fn is_active(id: &str, registration: u64) -> Event {
    let changed = PresenceChanged {
        peripheral: peripheral(id),
        registration: RegistrationId::new(registration),
        groups: groups(),
        presence: Presence::Active,
        at: Time::ZERO,
    };
    Event::PresenceChanged { gateway: gateway(), changed }
}

pub(crate) fn leaves(id: &str, registration: u64) -> Event {
    let ended = Deregistered {
        peripheral: peripheral(id),
        registration: RegistrationId::new(registration),
        groups: groups(),
        cause: EndCause::Peripheral,
        at: Time::ZERO,
    };
    Event::Deregistered { gateway: gateway(), ended }
}

pub(crate) fn loses_reports(count: u64) -> Event {
    Event::ReportsLost { gateway: gateway(), count }
}
