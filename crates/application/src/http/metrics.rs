//! What the application measures, for Prometheus.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use bugle_runtime::{METRICS_CONTENT_TYPE, Metrics};

use super::Api;
use super::problem::Refusal;
use crate::policy_file::PolicyFile;
use crate::reader::Reach;

pub(super) async fn metrics(State(api): State<Arc<Api>>) -> Result<Response, Refusal> {
    let mut metrics = Metrics::new("bugle_application");
    metrics.add_each("info", "Which application this is.", "application", [(&api.application, 1)]);
    let is_within = matches!(*api.reach.borrow(), Reach::Within);
    metrics.add("platform_reached", "Whether the event log is followed.", is_within.into());
    let has_fault = api.policy.as_ref().and_then(PolicyFile::fault).is_some();
    metrics.add("policy_faulty", "Whether the policy file is not what runs.", has_fault.into());
    let looked = api.commands.look(move |configurations, census| {
        metrics.add("event_cursor", "The last event that was handled.", configurations.cursor());
        metrics.add("groups", "Groups with a configuration.", configurations.groups().len() as u64);
        let members = configurations.groups().values().map(|group| group.members().len() as u64).sum();
        metrics.add("members", "Members of them, each in each of its groups.", members);
        let approvals = configurations.approvals_waiting() as u64;
        metrics.add("approvals_waiting", "Registrations that wait for a person.", approvals);
        metrics.add("decisions_waiting", "Decisions that the platform has not taken.", census.outgoing as u64);
        metrics.add("decisions_total", "Decisions that were made.", census.answered);
        metrics
    });
    let mut metrics = looked.await?;
    for (name, help, value) in api.store.measures().named() {
        metrics.add(name, help, value);
    }
    Ok(([(header::CONTENT_TYPE, METRICS_CONTENT_TYPE)], metrics.into_text()).into_response())
}
