//! Reading what is sent: path, query, body. What cannot be read is a problem.

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use bugle_api::{PAGE_DEFAULT, PAGE_MAX, Page, ProblemCode};
use serde::de::DeserializeOwned;
use serde_json::error::Category;

use super::BODY_BYTES_MAX;
use super::error::ApiError;

/// How long a body may take to arrive.
const BODY_TIME: Duration = Duration::from_secs(30);

/// What varies in the path.
#[derive(Debug)]
pub(crate) struct Path<T>(pub(crate) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let path = axum::extract::Path::from_request_parts(parts, state).await;
        path.map(|axum::extract::Path(path)| Self(path))
            .map_err(|rejection| ApiError::invalid(format!("The path is not valid: {}.", rejection.body_text())))
    }
}

/// The query.
#[derive(Debug)]
pub(crate) struct Query<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let query = axum::extract::Query::from_request_parts(parts, state).await;
        query
            .map(|axum::extract::Query(query)| Self(query))
            .map_err(|rejection| ApiError::invalid(format!("The query is not valid: {}.", rejection.body_text())))
    }
}

/// The body, which must be JSON.
#[derive(Debug)]
pub(crate) struct Json<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        if !is_json(&request) {
            return Err(ApiError::new(
                ProblemCode::UnsupportedMediaType,
                "Send the body as JSON, with Content-Type: application/json.",
            ));
        }
        let bytes = tokio::time::timeout(BODY_TIME, Bytes::from_request(request, state)).await;
        let bytes = match bytes {
            Ok(Ok(bytes)) => bytes,
            Ok(Err(rejection)) => return Err(unread(&rejection)),
            Err(_) => return Err(ApiError::new(ProblemCode::Malformed, "The body did not arrive in time.")),
        };
        serde_json::from_slice(&bytes).map(Self).map_err(|error| match error.classify() {
            Category::Data => ApiError::invalid(format!("The body is not valid: {error}.")),
            Category::Io | Category::Syntax | Category::Eof => {
                ApiError::new(ProblemCode::Malformed, format!("The body is no JSON: {error}."))
            }
        })
    }
}

fn is_json(request: &Request) -> bool {
    let content_type = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = content_type.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/json")
}

fn unread(rejection: &BytesRejection) -> ApiError {
    if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
        return ApiError::new(ProblemCode::TooLarge, format!("A body has at most {BODY_BYTES_MAX} bytes."));
    }
    ApiError::new(ProblemCode::Malformed, format!("The body did not arrive: {}.", rejection.body_text()))
}

/// Which page is asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Paging {
    limit: u32,
}

impl Paging {
    pub(crate) fn new(limit: Option<u32>) -> Result<Self, ApiError> {
        match limit.unwrap_or(PAGE_DEFAULT) {
            limit @ 1..=PAGE_MAX => Ok(Self { limit }),
            _ => Err(ApiError::invalid(format!("The query is not valid: limit must be from 1 to {PAGE_MAX}."))),
        }
    }

    pub(crate) fn limit(self) -> u32 {
        self.limit
    }

    /// How many rows to read: one more than asked for shows whether there is another page.
    pub(crate) fn rows(self) -> u32 {
        self.limit + 1
    }

    /// The page of these rows, each with the cursor of the page that starts after it.
    pub(crate) fn page<T, C: ToString>(self, mut rows: Vec<(C, T)>) -> Page<T> {
        let is_last = rows.len() <= self.limit as usize;
        rows.truncate(self.limit as usize);
        let next_cursor = rows.last().filter(|_| !is_last).map(|(cursor, _)| cursor.to_string());
        Page { items: rows.into_iter().map(|(_, item)| item).collect(), next_cursor }
    }
}

/// A cursor that is a value in text; the first page's without one.
pub(crate) fn cursor<T: std::str::FromStr>(text: Option<&str>, first: T) -> Result<T, ApiError> {
    let Some(text) = text else { return Ok(first) };
    text.parse().map_err(|_| {
        ApiError::invalid("The query is not valid: cursor is not the next_cursor of a page. Start without it.")
    })
}
