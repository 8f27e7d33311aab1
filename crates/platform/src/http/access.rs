//! Applications and tokens.

use std::time::Duration;

use axum::Json as Answer;
use axum::extract::State;
use axum::http::StatusCode;
use bugle_api::{Application, IssuedToken, NewApplication, NewToken, Page, PageQuery, ProblemCode, Scope, Token};
use bugle_store::platform::TokenRow;

use super::error::ApiError;
use super::extract::{Json, Paging, Path, Query, cursor};
use super::view;
use crate::{Platform, secret};

/// The longest name of a token, in bytes.
const NAME_BYTES_MAX: usize = 200;

pub(crate) async fn add_application(
    State(platform): State<Platform>,
    Json(new): Json<NewApplication>,
) -> Result<Answer<Application>, ApiError> {
    platform.store().add_application(&new.id, platform.now()).recv().await?;
    let record = platform.store().application(&new.id).recv().await?;
    let record = record.ok_or_else(|| ApiError::unknown_application(&new.id))?;
    Ok(Answer(view::application(record)))
}

pub(crate) async fn applications(
    State(platform): State<Platform>,
    Query(query): Query<PageQuery>,
) -> Result<Answer<Page<Application>>, ApiError> {
    let paging = Paging::new(query.limit)?;
    let after = cursor(query.cursor.as_deref(), 0)?;
    let rows = platform.store().applications(after, paging.rows()).recv().await?;
    Ok(Answer(paging.page(rows.into_iter().map(|(number, record)| (number, view::application(record))).collect())))
}

pub(crate) async fn issue_token(
    State(platform): State<Platform>,
    Json(new): Json<NewToken>,
) -> Result<(StatusCode, Answer<IssuedToken>), ApiError> {
    check_token(&new)?;
    let secret = secret::new_token()?;
    let now = platform.now();
    let row = TokenRow {
        name: new.name,
        scopes: new.scopes.iter().map(|scope| scope.as_str().to_owned()).collect(),
        application: new.application.clone(),
        created_at: now,
        expires_at: new.expires_in_seconds.map(|seconds| now + Duration::from_secs(seconds)),
    };
    let added = platform.store().add_token(secret::hash(secret.as_bytes()), row.clone()).recv().await?;
    match (added, &new.application) {
        (Some(number), _) => {
            let token = view::token(number, row)?;
            tracing::info!(token = %token.id, name = %token.name, "issued a token");
            Ok((StatusCode::CREATED, Answer(IssuedToken { secret, token })))
        }
        (None, Some(application)) => Err(ApiError::unknown_application(application)),
        (None, None) => Err(ApiError::internal(&"a token of no application was not added")),
    }
}

fn check_token(new: &NewToken) -> Result<(), ApiError> {
    let wrong = if new.scopes.is_empty() {
        "at least one scope is needed"
    } else if new.name.is_empty() || new.name.len() > NAME_BYTES_MAX {
        "a name of 1 to 200 bytes is needed, to know the token by"
    } else if new.expires_in_seconds == Some(0) {
        "expires_in_seconds must be at least 1; leave it out for a token that does not expire"
    } else if new.scopes.contains(&Scope::Operator) && new.application.is_some() {
        "scope operator is for all applications; leave application out, or take other scopes"
    } else {
        return Ok(());
    };
    Err(ApiError::invalid(format!("The token is not valid: {wrong}.")))
}

pub(crate) async fn tokens(
    State(platform): State<Platform>,
    Query(query): Query<PageQuery>,
) -> Result<Answer<Page<Token>>, ApiError> {
    let paging = Paging::new(query.limit)?;
    let after = cursor(query.cursor.as_deref(), 0)?;
    let rows = platform.store().tokens(after, paging.rows()).recv().await?;
    let rows = rows.into_iter().map(|(number, row)| Ok((number, view::token(number, row)?)));
    Ok(Answer(paging.page(rows.collect::<Result<_, ApiError>>()?)))
}

pub(crate) async fn revoke_token(
    State(platform): State<Platform>,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiError> {
    let is_removed = match id.parse() {
        Ok(number) => platform.store().remove_token(number).recv().await?,
        Err(_) => false,
    };
    if !is_removed {
        let detail = format!("There is no token {id}. GET /v1/tokens lists those there are, by id.");
        return Err(ApiError::new(ProblemCode::UnknownToken, detail));
    }
    tracing::info!(token = id, "revoked a token");
    Ok(StatusCode::NO_CONTENT)
}
