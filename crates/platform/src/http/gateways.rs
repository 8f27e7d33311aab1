//! Gateways, their enrolment, and the strangers they met.

use std::time::Duration;

use axum::Json as Answer;
use axum::extract::State;
use axum::http::StatusCode;
use bugle_api::{
    Enrolled, Enrollment, EnrollmentToken, Gateway, NewGateway, Page, PageQuery, ProblemCode, StrangerRecord,
};

use super::error::ApiError;
use super::extract::{Json, Paging, Query, cursor};
use super::view;
use crate::Platform;
use crate::enrolment::{EnrolError, IssueError, TOKEN_LIFETIME_MAX};

pub(crate) async fn add_gateway(
    State(platform): State<Platform>,
    Json(new): Json<NewGateway>,
) -> Result<(StatusCode, Answer<EnrollmentToken>), ApiError> {
    let lifetime = new.expires_in_seconds.map(Duration::from_secs);
    if lifetime.is_some_and(|lifetime| lifetime.is_zero() || lifetime > TOKEN_LIFETIME_MAX) {
        return Err(ApiError::invalid("The gateway is not valid: expires_in_seconds must be from 1 to 2592000."));
    }
    match platform.issue_enrolment_token(new.id, lifetime).await {
        Ok(token) => Ok((StatusCode::CREATED, Answer(token))),
        Err(IssueError::NoRandomness(error)) => Err(error.into()),
        Err(IssueError::Store(error)) => Err(error.into()),
    }
}

pub(crate) async fn gateways(
    State(platform): State<Platform>,
    Query(query): Query<PageQuery>,
) -> Result<Answer<Page<Gateway>>, ApiError> {
    let paging = Paging::new(query.limit)?;
    let after = cursor(query.cursor.as_deref(), 0)?;
    let rows = platform.store().gateways(after, paging.rows()).recv().await?;
    let rows = rows.into_iter().map(|(number, record)| {
        let is_connected = platform.links().is_connected(&record.id);
        (number, view::gateway(record, is_connected))
    });
    Ok(Answer(paging.page(rows.collect())))
}

pub(crate) async fn enrol(
    State(platform): State<Platform>,
    Json(enrollment): Json<Enrollment>,
) -> Result<(StatusCode, Answer<Enrolled>), ApiError> {
    match platform.enrol(enrollment).await {
        Ok(enrolled) => Ok((StatusCode::CREATED, Answer(enrolled))),
        Err(error @ (EnrolError::Token | EnrolError::Expired)) => {
            Err(ApiError::new(ProblemCode::EnrollmentRefused, format!("Not enrolled: {error}.")))
        }
        Err(EnrolError::Request(error)) => Err(ApiError::invalid(format!("Not enrolled: {error}."))),
        Err(EnrolError::Authority(error)) => Err(ApiError::internal(&error)),
        Err(EnrolError::Store(error)) => Err(error.into()),
    }
}

pub(crate) async fn strangers(
    State(platform): State<Platform>,
    Query(query): Query<PageQuery>,
) -> Result<Answer<Page<StrangerRecord>>, ApiError> {
    let paging = Paging::new(query.limit)?;
    let before = cursor(query.cursor.as_deref(), i64::MAX)?;
    let rows = platform.store().strangers(before, paging.rows()).recv().await?;
    let rows = rows.into_iter().map(|(number, (gateway, stranger))| (number, view::stranger(gateway, stranger)));
    Ok(Answer(paging.page(rows.collect())))
}
