//! The HTTP API.

mod access;
mod auth;
mod error;
mod events;
mod extract;
mod gateways;
mod groups;
mod health;
mod metrics;
mod peripherals;
mod requests;
mod schedules;
mod server;
#[cfg(test)]
mod tests;
mod view;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{MethodFilter, MethodRouter, get, on};
use bugle_api::{Access, Endpoint, Method, Scope};

pub(crate) use server::serve;

use crate::Platform;

/// The largest body that is taken: a thousand decisions, or the largest operation in base 64.
const BODY_BYTES_MAX: usize = 1024 * 1024;

/// All endpoints of the API.
pub(crate) fn router(platform: Platform) -> Router {
    let mut router = Router::new();
    for endpoint in Endpoint::ALL {
        let mut route = handler(*endpoint);
        if let Access::Scope(scope) = endpoint.access() {
            let guard = auth::Guard { platform: platform.clone(), scope };
            route = route.route_layer(middleware::from_fn_with_state(guard, auth::authorize));
        }
        router = router.route(endpoint.path(), route);
    }
    // For Prometheus and not of the API: its form is not ours to describe.
    let guard = auth::Guard { platform: platform.clone(), scope: Scope::Operator };
    let measured = get(metrics::metrics).route_layer(middleware::from_fn_with_state(guard, auth::authorize));
    router
        .route("/metrics", measured)
        .fallback(error::not_found)
        .method_not_allowed_fallback(error::method_not_allowed)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(middleware::from_fn_with_state(platform.clone(), trace))
        .with_state(platform)
}

/// Tells of every request in the log, with the ids that its path names.
async fn trace(State(platform): State<Platform>, request: Request, next: Next) -> Response {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let response = next.run(request).await;
    let status = response.status().as_u16();
    tracing::debug!(%method, path, status, "answered");
    let class = usize::from(status / 100).saturating_sub(1);
    platform.counters().count(|counts| counts.answers.iter_mut().skip(class).take(1).for_each(|count| *count += 1));
    response
}

fn handler(endpoint: Endpoint) -> MethodRouter<Platform> {
    let method = match endpoint.method() {
        Method::Get => MethodFilter::GET,
        Method::Post => MethodFilter::POST,
        Method::Put => MethodFilter::PUT,
        Method::Delete => MethodFilter::DELETE,
    };
    match endpoint {
        Endpoint::Healthz => on(method, health::healthz),
        Endpoint::Readyz => on(method, health::readyz),
        Endpoint::Document => on(method, health::document),
        Endpoint::AddApplication => on(method, access::add_application),
        Endpoint::Applications => on(method, access::applications),
        Endpoint::IssueToken => on(method, access::issue_token),
        Endpoint::Tokens => on(method, access::tokens),
        Endpoint::RevokeToken => on(method, access::revoke_token),
        Endpoint::AddGateway => on(method, gateways::add_gateway),
        Endpoint::Gateways => on(method, gateways::gateways),
        Endpoint::Enrol => on(method, gateways::enrol),
        Endpoint::Strangers => on(method, gateways::strangers),
        Endpoint::Peripherals => on(method, peripherals::peripherals),
        Endpoint::Peripheral => on(method, peripherals::peripheral),
        Endpoint::Allocate => on(method, peripherals::allocate),
        Endpoint::Remove => on(method, peripherals::remove),
        Endpoint::Release => on(method, peripherals::release),
        Endpoint::Block => on(method, peripherals::block),
        Endpoint::Deregister => on(method, peripherals::deregister),
        Endpoint::Standby => on(method, peripherals::standby),
        Endpoint::Observe => on(method, peripherals::observe),
        Endpoint::ObserveNoMore => on(method, peripherals::observe_no_more),
        Endpoint::Activate => on(method, peripherals::activate),
        Endpoint::Groups => on(method, groups::groups),
        Endpoint::Group => on(method, groups::group),
        Endpoint::GroupMembers => on(method, groups::members),
        Endpoint::Nest => on(method, groups::nest),
        Endpoint::Unnest => on(method, groups::unnest),
        Endpoint::ActivateGroup => on(method, groups::activate),
        Endpoint::StandbyGroup => on(method, groups::standby),
        Endpoint::Submit => on(method, requests::submit),
        Endpoint::Foresee => on(method, requests::foresee),
        Endpoint::Requests => on(method, requests::requests),
        Endpoint::Request => on(method, requests::request),
        Endpoint::RequestMembers => on(method, requests::members),
        Endpoint::Cancel => on(method, requests::cancel),
        Endpoint::PutSchedule => on(method, schedules::put),
        Endpoint::Schedules => on(method, schedules::schedules),
        Endpoint::Schedule => on(method, schedules::schedule),
        Endpoint::CancelSchedule => on(method, schedules::cancel),
        Endpoint::Decide => on(method, requests::decide),
        Endpoint::Events => on(method, events::events),
        Endpoint::Snapshot => on(method, events::snapshot),
    }
}
