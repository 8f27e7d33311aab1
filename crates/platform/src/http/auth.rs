//! Who is asking, and whether the token allows it.

use axum::extract::{FromRequestParts, RawPathParams, Request, State};
use axum::http::header;
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::Response;
use bugle_api::{ProblemCode, Scope};
use bugle_core::ApplicationId;
use bugle_store::platform::Hash;

use super::error::ApiError;
use crate::{Platform, secret};

/// What an endpoint asks of a token.
#[derive(Debug, Clone)]
pub(crate) struct Guard {
    pub(crate) platform: Platform,
    pub(crate) scope: Scope,
}

/// Whoever holds the token.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    /// The only application in which it may act; all of them if none.
    pub(crate) application: Option<ApplicationId>,
}

impl Caller {
    /// Whether the caller may act in this application.
    pub(crate) fn check(&self, application: &ApplicationId) -> Result<(), ApiError> {
        match &self.application {
            Some(own) if own != application => Err(other_application(own)),
            _ => Ok(()),
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, ApiError> {
        let caller = parts.extensions.get::<Self>().cloned();
        caller.ok_or_else(|| ApiError::internal(&"an endpoint that asks who is calling is open to anybody"))
    }
}

/// Lets through who holds a token with the scope, good for the application in the path.
pub(crate) async fn authorize(
    State(guard): State<Guard>,
    path: RawPathParams,
    mut request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    let caller = guard.caller(bearer(&request).map(|secret| secret::hash(secret.as_bytes()))).await?;
    if let Some(own) = &caller.application
        && path.iter().any(|(name, value)| name == "application" && value != own.as_str())
    {
        return Err(other_application(own));
    }
    request.extensions_mut().insert(caller);
    Ok(next.run(request).await)
}

impl Guard {
    async fn caller(&self, secret: Option<Hash>) -> Result<Caller, ApiError> {
        let hash = secret.ok_or_else(|| {
            ApiError::new(ProblemCode::Unauthenticated, "Send a token as Authorization: Bearer <token>.")
        })?;
        let token = self.platform.store().token(hash).recv().await?.ok_or_else(|| {
            ApiError::new(ProblemCode::Unauthenticated, "The token is unknown; it may have been revoked.")
        })?;
        if token.expires_at.is_some_and(|expires_at| self.platform.now() >= expires_at) {
            let detail = format!("The token \"{}\" has expired. Ask an operator for a new one.", token.name);
            return Err(ApiError::new(ProblemCode::TokenExpired, detail));
        }
        let allows = |scope: Scope| token.scopes.iter().any(|word| word == scope.as_str());
        if !allows(self.scope) && !allows(Scope::Operator) {
            let detail = format!("This needs a token with scope {}; \"{}\" has none.", self.scope, token.name);
            return Err(ApiError::new(ProblemCode::Forbidden, detail));
        }
        Ok(Caller { application: token.application })
    }
}

fn other_application(own: &ApplicationId) -> ApiError {
    ApiError::new(ProblemCode::Forbidden, format!("The token is good for application {own} alone."))
}

fn bearer(request: &Request) -> Option<&str> {
    let value = request.headers().get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}
