//! What the platform measures, for Prometheus. Names of gateways and applications are in it, so that it
//! takes an operator's token.

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use bugle_api::PAGE_MAX;
use bugle_core::{ApplicationId, GatewayId, OutcomeKind};
use bugle_runtime::{METRICS_CONTENT_TYPE, Metrics};
use bugle_store::platform::{ApplicationRecord, GatewayRecord, Numbered, PlatformStore};
use bugle_store::sqlite::{Answer, StoreError};

use super::error::ApiError;
use crate::Platform;
use crate::counters::Counts;

pub(super) async fn metrics(State(platform): State<Platform>) -> Result<Response, ApiError> {
    let store = platform.store();
    let gateways = all(store, |store, after| store.gateways(after, PAGE_MAX)).await?;
    let applications = all(store, |store, after| store.applications(after, PAGE_MAX)).await?;
    let mut metrics = Metrics::new("bugle_platform");
    metrics.add("requests", "Group requests that have not ended.", store.open_requests().recv().await?);
    of_gateways(&mut metrics, &platform, &gateways);
    of_applications(&mut metrics, &applications);
    counted(&mut metrics, &platform.counters().counts());
    for (name, help, value) in store.measures().named() {
        metrics.add(name, help, value);
    }
    Ok(([(header::CONTENT_TYPE, METRICS_CONTENT_TYPE)], metrics.into_text()).into_response())
}

/// All pages of a list.
async fn all<T>(
    store: &PlatformStore,
    page: impl Fn(&PlatformStore, i64) -> Answer<Numbered<T>, StoreError>,
) -> Result<Vec<T>, StoreError> {
    let mut items = Vec::new();
    let mut after = 0;
    loop {
        let found = page(store, after).recv().await?;
        let Some((last, _)) = found.last() else { return Ok(items) };
        after = *last;
        items.extend(found.into_iter().map(|(_, item)| item));
    }
}

fn of_gateways(metrics: &mut Metrics, platform: &Platform, gateways: &[GatewayRecord]) {
    let mut each = |name, help, value: &dyn Fn(&GatewayRecord) -> u64| {
        let values = gateways.iter().map(|known| (&known.id, value(known)));
        metrics.add_each::<&GatewayId>(name, help, "gateway", values);
    };
    each("link_up", "Whether the gateway is connected.", &|known| platform.links().is_connected(&known.id).into());
    each("up_log_applied", "The last entry of its up log that is applied.", &|known| known.logs.up_applied);
    each("down_log_last", "The last entry of its down log.", &|known| known.logs.down_last);
    each("down_log_entries", "Entries of its down log that it has not acknowledged.", &|known| {
        known.logs.down_waiting()
    });
}

fn of_applications(metrics: &mut Metrics, applications: &[ApplicationRecord]) {
    let mut each = |name, help, value: &dyn Fn(&ApplicationRecord) -> u64| {
        let values = applications.iter().map(|known| (&known.id, value(known)));
        metrics.add_each::<&ApplicationId>(name, help, "application", values);
    };
    each("event_log_last", "The latest event of its event log.", &|known| known.event_last);
    each("event_log_entries", "Events of its event log that are kept.", &|known| {
        known.event_last.saturating_sub(known.event_gone)
    });
}

fn counted(metrics: &mut Metrics, counts: &Counts) {
    metrics.add("up_entries_total", "Entries of up logs applied.", counts.up_entries);
    metrics.add("registrations_asked_total", "Registrations asked for.", counts.registrations_asked);
    metrics.add("decisions_total", "Decisions of applications taken.", counts.decisions);
    metrics.add("deregistered_total", "Registrations that ended.", counts.deregistered);
    metrics.add("reports_total", "Reports of peripherals.", counts.reports);
    metrics.add("reports_lost_total", "Reports that gateways had to drop.", counts.reports_lost);
    metrics.add("requests_accepted_total", "Group requests accepted.", counts.requests);
    let kinds = OutcomeKind::ALL.iter().map(|kind| (kind, counts.outcomes.count(*kind)));
    metrics.add_each("outcomes_total", "Outcomes that gateways reported, by kind.", "outcome", kinds);
    metrics.add("event_streams", "Event streams that are open.", counts.streams);
    let classes = (1..).map(|digit| format!("{digit}xx")).zip(counts.answers);
    metrics.add_each("http_answers_total", "Answers of the HTTP API, by status.", "status", classes);
}
