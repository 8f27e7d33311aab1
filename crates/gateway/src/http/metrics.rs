//! What the gateway measures, for Prometheus.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use bugle_core::OutcomeKind;
use bugle_core::gateway::Census;
use bugle_edge::Counters;
use bugle_runtime::{METRICS_CONTENT_TYPE, Metrics};

use super::Probes;
use crate::reactor::Status;

pub(super) async fn metrics(State(probes): State<Arc<Probes>>) -> Response {
    let Some(status) = probes.status().await else {
        return (StatusCode::SERVICE_UNAVAILABLE, "the gateway is stopping\n").into_response();
    };
    let mut metrics = Metrics::new("bugle_gateway");
    metrics.add_each("info", "Which gateway this is.", "gateway", [(&probes.gateway, 1)]);
    let link = probes.link.borrow().clone();
    metrics.add("link_up", "Whether the platform is reached.", link.is_up().into());
    metrics.add("store_failing", "Whether the store takes nothing.", status.store_failure.is_some().into());
    held(&mut metrics, &status);
    counted(&mut metrics, &status.counters);
    for (name, help, value) in probes.store.measures().named() {
        metrics.add(name, help, value);
    }
    ([(header::CONTENT_TYPE, METRICS_CONTENT_TYPE)], metrics.into_text()).into_response()
}

/// What the machine holds, and what became of it.
fn held(metrics: &mut Metrics, status: &Status) {
    let Census { allocated, registered, registering, requests, members_waiting, .. } = status.census;
    let Census { outcomes, unpersisted, up_log, down_applied, .. } = status.census;
    metrics.add("allocations", "Allocations.", allocated as u64);
    metrics.add("registered", "Registered peripherals.", registered as u64);
    metrics.add("registering", "Peripherals that await the application's decision.", registering as u64);
    metrics.add("requests", "Group requests that have not ended here.", requests as u64);
    metrics.add("members_waiting", "Members of those without an outcome yet.", members_waiting as u64);
    let kinds = OutcomeKind::ALL.iter().map(|kind| (kind, outcomes.count(*kind)));
    metrics.add_each("outcomes_total", "Outcomes of members, by kind.", "outcome", kinds);
    metrics.add("up_log_entries", "Entries of the up log that the platform has not acknowledged.", up_log);
    metrics.add("down_log_applied", "The last entry of the down log that is applied.", down_applied);
    metrics.add("changes_unpersisted", "Changes that are not on disk yet.", unpersisted as u64);
}

/// What peripherals did.
fn counted(metrics: &mut Metrics, counters: &Counters) {
    let Counters { connections, accepted, clients, sessions, admitted, refused, deliveries, .. } = *counters;
    metrics.add("connections", "Connections that are open.", connections);
    metrics.add("connections_total", "Connections that were ever opened.", accepted);
    metrics.add("lwm2m_clients", "LwM2M clients that are registered.", clients);
    metrics.add("dtls_sessions", "Sessions of DTLS that stand.", sessions);
    metrics.add("admitted_total", "Registrations admitted, re-admissions among them.", admitted);
    metrics.add("refused_total", "Registrations refused.", refused);
    metrics.add("deliveries_total", "Deliveries put to peripherals, repetitions among them.", deliveries);
    let Counters { noise, faults, reports_dropped, retransmissions, .. } = *counters;
    metrics.add("retransmissions_total", "Messages of CoAP that were sent again.", retransmissions);
    metrics.add("noise_total", "Packets that were of no use and were dropped or refused.", noise);
    metrics.add("faults_total", "Connections closed because the peripheral broke its protocol.", faults);
    metrics.add("reports_dropped_total", "Reports dropped while the store took nothing.", reports_dropped);
    let Counters { datagrams_malformed, datagrams_unsent, handshakes_failed, .. } = *counters;
    metrics.add("datagrams_malformed_total", "Datagrams that were no messages of CoAP.", datagrams_malformed);
    metrics.add("datagrams_unsent_total", "Datagrams without a session to send them in.", datagrams_unsent);
    metrics.add("handshakes_failed_total", "Handshakes of DTLS that came to nothing.", handshakes_failed);
}
