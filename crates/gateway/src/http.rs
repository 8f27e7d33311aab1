//! How the gateway is doing, for probes and people: `/healthz`, `/readyz`, `/v1/status`, `/metrics`.

mod metrics;

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use bugle_core::{GatewayId, Time};
use bugle_store::gateway::GatewayStore;
use serde::Serialize;
use tokio::sync::{oneshot, watch};

use crate::link::LinkState;
use crate::reactor::{Command, Commands, Status};

#[derive(Debug, Clone)]
pub(crate) struct Probes {
    pub(crate) gateway: GatewayId,
    pub(crate) commands: Commands,
    pub(crate) link: watch::Receiver<LinkState>,
    pub(crate) store: Arc<GatewayStore>,
}

/// What `/v1/status` says.
#[derive(Debug, Serialize)]
struct Report {
    gateway: GatewayId,
    is_linked: bool,
    /// Since when the link is as it is.
    link_since: Time,
    /// Why there is none, if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    link_failure: Option<String>,
    /// Why the store takes nothing, if it does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    store_failure: Option<String>,
    allocated: usize,
    registered: usize,
    registering: usize,
    requests: usize,
    up_log: u64,
    down_applied: u64,
    connections: u64,
    clients: u64,
    accepted: u64,
    admitted: u64,
    refused: u64,
    deliveries: u64,
    noise: u64,
    faults: u64,
    reports_dropped: u64,
    datagrams_malformed: u64,
    datagrams_dropped: u64,
    retransmissions: u64,
    commits: u64,
}

pub(crate) fn routes(probes: Probes) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics::metrics))
        .route("/v1/status", get(report))
        .with_state(Arc::new(probes))
}

impl Probes {
    /// None if the gateway's thread does not answer any more.
    async fn status(&self) -> Option<Status> {
        let (answer, status) = oneshot::channel();
        self.commands.send(Command::Status(answer));
        status.await.ok()
    }
}

/// Ready means: peripherals are served, and what they say reaches the platform.
async fn readyz(State(probes): State<Arc<Probes>>) -> Response {
    let link = probes.link.borrow().clone();
    let reason = match probes.status().await {
        None => "the gateway is stopping\n".to_owned(),
        Some(Status { store_failure: Some(failure), .. }) => format!("the store takes nothing: {failure}\n"),
        Some(_) if !link.is_up() => {
            let failure = link.failure().map_or(String::new(), |failure| format!(" ({failure})"));
            format!("the platform is out of reach{failure}; what concerns it waits in the up log\n")
        }
        Some(_) => return "ready\n".into_response(),
    };
    (StatusCode::SERVICE_UNAVAILABLE, reason).into_response()
}

async fn report(State(probes): State<Arc<Probes>>) -> Response {
    let Some(Status { counters, datagrams_dropped, census, store_failure, commits }) = probes.status().await else {
        return (StatusCode::SERVICE_UNAVAILABLE, "the gateway is stopping\n").into_response();
    };
    let link = probes.link.borrow().clone();
    let report = Report {
        gateway: probes.gateway.clone(),
        is_linked: link.is_up(),
        link_since: link.since(),
        link_failure: link.failure().map(ToOwned::to_owned),
        store_failure,
        allocated: census.allocated,
        registered: census.registered,
        registering: census.registering,
        requests: census.requests,
        up_log: census.up_log,
        down_applied: census.down_applied,
        connections: counters.connections,
        clients: counters.clients,
        accepted: counters.accepted,
        admitted: counters.admitted,
        refused: counters.refused,
        deliveries: counters.deliveries,
        noise: counters.noise,
        faults: counters.faults,
        reports_dropped: counters.reports_dropped,
        datagrams_malformed: counters.datagrams_malformed,
        datagrams_dropped,
        retransmissions: counters.retransmissions,
        commits,
    };
    Json(report).into_response()
}
