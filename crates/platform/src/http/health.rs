//! Whether the platform lives and works, and what its API is.

use std::sync::OnceLock;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;

use super::error::ApiError;
use crate::Platform;

pub(crate) async fn healthz() -> StatusCode {
    StatusCode::NO_CONTENT
}

/// Writes, as a platform that cannot store anything serves nobody.
pub(crate) async fn readyz(State(platform): State<Platform>) -> Result<StatusCode, ApiError> {
    platform.store().probe().recv().await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(crate) async fn document() -> Result<impl IntoResponse, ApiError> {
    static DOCUMENT: OnceLock<Option<String>> = OnceLock::new();
    let document = DOCUMENT.get_or_init(|| bugle_api::document(env!("CARGO_PKG_VERSION")).to_json().ok());
    let document = document.as_deref().ok_or_else(|| ApiError::internal(&"the OpenAPI document is no JSON"))?;
    Ok(([(header::CONTENT_TYPE, "application/json")], document))
}
