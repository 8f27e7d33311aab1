//! The application's own HTTP API: what it holds, and what a person decides.

mod approvals;
mod groups;
mod metrics;
mod problem;

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::AUTHORIZATION;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use bugle_api::ProblemCode;
use bugle_core::ApplicationId;
use bugle_store::application::ApplicationStore;
use serde::Serialize;
use tokio::sync::watch;

use crate::http::problem::Refusal;
use crate::keeper::Commands;
use crate::policy_file::PolicyFile;
use crate::reader::Reach;
use crate::token::Token;

pub(crate) struct Api {
    pub(crate) application: ApplicationId,
    pub(crate) commands: Commands,
    pub(crate) reach: watch::Receiver<Reach>,
    pub(crate) policy: Option<PolicyFile>,
    pub(crate) token: Token,
    pub(crate) store: Arc<ApplicationStore>,
}

/// What `/v1/status` says.
#[derive(Debug, Serialize)]
struct Status {
    application: ApplicationId,
    /// Why the event log is not followed, if it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    out_of_reach: Option<String>,
    /// What is wrong with the policy file, if it is not what runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    policy_fault: Option<String>,
    /// The sequence of the last event that was handled.
    cursor: u64,
    groups: usize,
    approvals_waiting: usize,
    /// Decisions that the platform has not taken yet.
    decisions_waiting: usize,
}

pub(crate) fn routes(api: Api) -> Router {
    let api = Arc::new(api);
    let protected = Router::new()
        .route("/metrics", get(metrics::metrics))
        .route("/v1/status", get(status))
        .route("/v1/groups", get(groups::list))
        .route("/v1/groups/{group}", get(groups::show))
        .route("/v1/approvals", get(approvals::list))
        .route("/v1/approvals/{peripheral}", post(approvals::decide).delete(approvals::withdraw))
        .route_layer(from_fn_with_state(Arc::clone(&api), authenticate));
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz))
        .merge(protected)
        .fallback(|| async { Refusal::new(ProblemCode::NotFound, "there is nothing at this path") })
        .method_not_allowed_fallback(|| async {
            Refusal::new(ProblemCode::MethodNotAllowed, "the path exists, but not with this method")
        })
        .with_state(api)
}

async fn authenticate(State(api): State<Arc<Api>>, request: Request, next: Next) -> Response {
    let shown = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let shown =
        shown.and_then(|value| value.split_once(' ')).filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    if shown.is_some_and(|(_, token)| api.token.is(token.trim())) {
        return next.run(request).await;
    }
    let detail = "send the token in application.token of the data folder, as `Authorization: Bearer …`";
    Refusal::new(ProblemCode::Unauthenticated, detail).into_response()
}

/// Ready means: what peripherals ask is heard, and decided.
async fn readyz(State(api): State<Arc<Api>>) -> Response {
    let reach = api.reach.borrow().clone();
    let reason = match (reach, api.commands.look(|_, _| ()).await) {
        (_, Err(unavailable)) => format!("{unavailable}\n"),
        (Reach::Out(reason), Ok(())) => format!("{reason}\n"),
        (Reach::Within, Ok(())) => return "ready\n".into_response(),
    };
    (StatusCode::SERVICE_UNAVAILABLE, reason).into_response()
}

async fn status(State(api): State<Arc<Api>>) -> Result<Json<Status>, Refusal> {
    let out_of_reach = match api.reach.borrow().clone() {
        Reach::Within => None,
        Reach::Out(reason) => Some(reason),
    };
    let application = api.application.clone();
    let policy_fault = api.policy.as_ref().and_then(PolicyFile::fault);
    let status = api.commands.look(move |configurations, census| Status {
        application,
        out_of_reach,
        policy_fault,
        cursor: configurations.cursor(),
        groups: configurations.groups().len(),
        approvals_waiting: configurations.approvals_waiting(),
        decisions_waiting: census.outgoing,
    });
    Ok(Json(status.await?))
}
