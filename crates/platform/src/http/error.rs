//! What goes wrong, as problem documents that say what to do.

use std::fmt::Display;

use axum::http::{HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use bugle_api::{Problem, ProblemCode};
use bugle_core::platform::{CancelRefusal, DecideRefusal, DirectGroupRefusal, DirectRefusal, SubmitRefusal};
use bugle_core::{ApplicationId, GroupId, RequestId, ScheduleId};
use bugle_store::platform::Failure;
use bugle_store::sqlite::StoreError;

use crate::platform::SubmitError;
use crate::secret::NoRandomness;

/// An answer that is a problem.
#[derive(Debug)]
pub(crate) struct ApiError {
    code: ProblemCode,
    detail: String,
    retry_after: Option<u16>,
}

/// Seconds after which to try again what did not fit into a queue.
const RETRY_QUEUE: u16 = 1;
/// Seconds after which to try again what the disk did not take.
const RETRY_DISK: u16 = 5;
/// Seconds after which to try again what did not fit into a down log.
const RETRY_DOWN_LOG: u16 = 60;

impl ApiError {
    pub(crate) fn new(code: ProblemCode, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into(), retry_after: None }
    }

    pub(crate) fn invalid(detail: impl Display) -> Self {
        Self::new(ProblemCode::Invalid, detail.to_string())
    }

    fn retry(code: ProblemCode, detail: impl Into<String>, seconds: u16) -> Self {
        Self { retry_after: Some(seconds), ..Self::new(code, detail) }
    }

    /// A defect; what it is goes into the log alone.
    pub(crate) fn internal(error: &dyn Display) -> Self {
        tracing::error!(%error, "a request failed by a defect");
        Self::new(ProblemCode::Internal, "This is a defect of the platform. Its log has the details.")
    }

    pub(crate) fn unknown_application(application: &ApplicationId) -> Self {
        let detail = format!("There is no application {application}. An operator adds it with POST /v1/applications.");
        Self::new(ProblemCode::UnknownApplication, detail)
    }

    pub(crate) fn unknown_group(application: &ApplicationId, group: &GroupId) -> Self {
        let detail = format!(
            "No allocation names group {group} of application {application}, or one that it contains. Allocate a \
             peripheral to it, or check \
             the name against GET /v1/applications/{application}/groups."
        );
        Self::new(ProblemCode::UnknownGroup, detail)
    }

    pub(crate) fn unknown_request(application: &ApplicationId, request: RequestId) -> Self {
        let detail = format!(
            "Application {application} has no group request {request}. It may have been removed, which happens a \
             week after its end."
        );
        Self::new(ProblemCode::UnknownRequest, detail)
    }

    pub(crate) fn unknown_schedule(application: &ApplicationId, schedule: &ScheduleId) -> Self {
        let detail = format!(
            "Application {application} has no schedule {schedule}. One that is over is removed a week after that."
        );
        Self::new(ProblemCode::UnknownSchedule, detail)
    }

    fn down_log_full(error: &dyn Display) -> Self {
        let detail = format!("The gateway has been out of reach for too long: {error}. Try again when it is back.");
        Self::retry(ProblemCode::Overloaded, detail, RETRY_DOWN_LOG)
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let problem = Problem::new(self.code, self.detail);
        let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_vec(&problem).unwrap_or_default();
        let mut response = (status, [(header::CONTENT_TYPE, Problem::CONTENT_TYPE)], body).into_response();
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        if status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Busy => Self::retry(
                ProblemCode::Overloaded,
                "Too many changes wait to be stored. Try again after the time in Retry-After.",
                RETRY_QUEUE,
            ),
            StoreError::Full | StoreError::Io(_) | StoreError::Stopped => {
                tracing::error!(%error, "a request was not stored");
                let detail = format!("Nothing was stored: {}. Try again later.", public(&error));
                Self::retry(ProblemCode::Unavailable, detail, RETRY_DISK)
            }
            StoreError::Corrupt(_) | StoreError::Statement(_) => Self::internal(&error),
        }
    }
}

/// What may be told of it to anybody.
fn public(error: &StoreError) -> &'static str {
    match error {
        StoreError::Full => "the platform's disk is full",
        StoreError::Io(_) => "the platform's disk cannot be written",
        _ => "the platform is stopping",
    }
}

impl From<NoRandomness> for ApiError {
    fn from(error: NoRandomness) -> Self {
        Self::internal(&error)
    }
}

/// A refusal of one procedure as a problem.
pub(crate) trait Refusal {
    fn into_error(self) -> ApiError;
}

impl<R: Refusal> From<Failure<R>> for ApiError {
    fn from(failure: Failure<R>) -> Self {
        match failure {
            Failure::Refused(refusal) => refusal.into_error(),
            Failure::Store(error) => error.into(),
        }
    }
}

impl From<SubmitError> for ApiError {
    fn from(error: SubmitError) -> Self {
        match error {
            SubmitError::Failure(failure) => failure.into(),
            SubmitError::NoRandomness(error) => error.into(),
        }
    }
}

impl Refusal for SubmitRefusal {
    /// Who asked knows application and group; the handler tells them in place of these two.
    fn into_error(self) -> ApiError {
        match self {
            Self::Request(error) => ApiError::invalid(format!("The group request is not valid: {error}.")),
            Self::KeyReused(_) => ApiError::new(
                ProblemCode::IdempotencyKeyReused,
                format!("Not accepted: {self}. Use a new key for a new group request."),
            ),
            Self::DownLogFull(_) => ApiError::down_log_full(&self),
            Self::UnknownApplication => ApiError::new(ProblemCode::UnknownApplication, "The application is unknown."),
            Self::UnknownGroup => ApiError::new(ProblemCode::UnknownGroup, "No allocation names this group."),
            Self::IdTaken => ApiError::internal(&self),
        }
    }
}

impl Refusal for CancelRefusal {
    fn into_error(self) -> ApiError {
        match self {
            Self::UnknownRequest => ApiError::new(ProblemCode::UnknownRequest, "The group request is unknown."),
            Self::DownLogFull(_) => ApiError::down_log_full(&self),
        }
    }
}

impl Refusal for DecideRefusal {
    fn into_error(self) -> ApiError {
        match self {
            Self::UnknownApplication => ApiError::new(ProblemCode::UnknownApplication, "The application is unknown."),
            Self::DownLogFull(_) => ApiError::down_log_full(&self),
        }
    }
}

impl Refusal for DirectGroupRefusal {
    fn into_error(self) -> ApiError {
        match self {
            Self::UnknownApplication => ApiError::new(ProblemCode::UnknownApplication, "The application is unknown."),
            Self::UnknownGroup => ApiError::new(ProblemCode::UnknownGroup, "The group is unknown."),
            Self::DownLogFull(_) => ApiError::down_log_full(&self),
        }
    }
}

impl Refusal for DirectRefusal {
    fn into_error(self) -> ApiError {
        match self {
            Self::Allocation(error) => ApiError::invalid(format!("The allocation is not valid: {error}.")),
            Self::UnknownGateway => ApiError::new(
                ProblemCode::UnknownGateway,
                "There is no gateway of this name. An operator adds it with POST /v1/gateways.",
            ),
            Self::UnknownApplication => ApiError::new(
                ProblemCode::UnknownApplication,
                "The application is unknown. An operator adds it with POST /v1/applications.",
            ),
            Self::UnknownPeripheral => ApiError::new(
                ProblemCode::UnknownPeripheral,
                "No allocation of this peripheral at this gateway is known. One made just now counts once its \
                 gateway has it.",
            ),
            Self::AllocatedElsewhere(_) => ApiError::new(ProblemCode::AllocatedElsewhere, format!("Not done: {self}.")),
            Self::DownLogFull => ApiError::down_log_full(&self),
        }
    }
}

pub(crate) async fn not_found(uri: Uri) -> ApiError {
    let detail = format!("There is nothing at {}. GET /v1/openapi.json tells what there is.", uri.path());
    ApiError::new(ProblemCode::NotFound, detail)
}

pub(crate) async fn method_not_allowed(method: Method, uri: Uri) -> ApiError {
    let detail = format!("{method} is not for {}. GET /v1/openapi.json tells what is.", uri.path());
    ApiError::new(ProblemCode::MethodNotAllowed, detail)
}
