//! What people are asked, and decide, about peripherals.

use std::ops::Bound;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use bugle_api::{Page, PageQuery, ProblemCode};
use bugle_core::application::{self, GroupConfigurations};
use bugle_core::{GatewayId, GroupId, PeripheralId, Time};
use serde::{Deserialize, Serialize};

use super::Api;
use super::groups::{page, parse_cursor};
use super::problem::{InBody, InPath, InQuery, Refusal, page_size};

/// What a person is asked, or has decided, about a peripheral.
#[derive(Debug, Serialize)]
pub(super) struct Approval {
    peripheral: PeripheralId,
    /// `waiting`, `approved` or `refused`.
    state: &'static str,
    /// The groups that it is about.
    groups: Vec<GroupId>,
    /// Through which gateway it asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    gateway: Option<GatewayId>,
    /// When it came to stand so.
    since: Time,
    /// Whether the peripheral waits for the answer now; if not it gets it when it asks next.
    is_asking: bool,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ApprovalDecision {
    decision: Word,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Word {
    Approve,
    Refuse,
}

pub(super) async fn list(
    State(api): State<Arc<Api>>,
    InQuery(query): InQuery<PageQuery>,
) -> Result<Json<Page<Approval>>, Refusal> {
    let size = page_size(&query)?;
    let after = query.cursor.as_deref().map(parse_cursor::<PeripheralId>).transpose()?;
    let page = api.commands.look(move |configurations, _| {
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let approvals = configurations.approvals().range((start, Bound::Unbounded));
        let shown = approvals.map(|(peripheral, approval)| show(configurations, peripheral, approval));
        page(shown, size, |approval| approval.peripheral.to_string())
    });
    Ok(Json(page.await?))
}

pub(super) async fn decide(
    State(api): State<Arc<Api>>,
    InPath(peripheral): InPath<PeripheralId>,
    InBody(ApprovalDecision { decision }): InBody<ApprovalDecision>,
) -> Result<Json<Approval>, Refusal> {
    tracing::info!(%peripheral, ?decision, "a person has decided");
    let decided = api.commands.change(move |configurations, census, changes| {
        match decision {
            Word::Approve => configurations.approve(census.now, &peripheral, changes)?,
            Word::Refuse => configurations.refuse(census.now, &peripheral, changes),
        }
        let approval = configurations.approvals().get(&peripheral);
        Ok(approval.map(|approval| show(configurations, &peripheral, approval)))
    });
    let decided: Result<_, application::NothingAsked> = decided.await?;
    match decided {
        Ok(approval) => Ok(Json(approval.expect("what was decided is there"))),
        Err(nothing) => Err(Refusal::new(ProblemCode::Invalid, nothing.to_string())),
    }
}

pub(super) async fn withdraw(
    State(api): State<Arc<Api>>,
    InPath(peripheral): InPath<PeripheralId>,
) -> Result<StatusCode, Refusal> {
    let detail = format!("nothing was asked or decided about {peripheral}");
    let withdrawn =
        api.commands.change(move |configurations, _, changes| configurations.withdraw(&peripheral, changes));
    match withdrawn.await? {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(Refusal::new(ProblemCode::UnknownPeripheral, detail)),
    }
}

fn show(configurations: &GroupConfigurations, peripheral: &PeripheralId, approval: &application::Approval) -> Approval {
    Approval {
        peripheral: peripheral.clone(),
        state: approval.state.as_str(),
        groups: approval.groups.iter().cloned().collect(),
        gateway: approval.gateway.clone(),
        since: approval.since,
        is_asking: configurations.is_pending(peripheral),
    }
}
