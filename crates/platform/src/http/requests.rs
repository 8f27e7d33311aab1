//! Group requests, and decisions about registrations.

use std::time::Duration;

use axum::Json as Answer;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use bugle_api::{
    DECISIONS_MAX, Decisions, DecisionsAnswer, Foresight, IDEMPOTENCY_KEY, MemberFilter, MemberQuery, Page, Request,
    RequestMember, RequestQuery, RequestState, RequestWait, Submission, WAIT_SECONDS_MAX,
};
use bugle_core::platform::{
    Cancel, CancelRefusal, Decide, DecideRefusal, IdempotencyKey, IdempotencyKeyError, SubmitRefusal, Submitted,
};
use bugle_core::{ApplicationId, GroupId, RequestId, check_request};
use bugle_store::platform::{Failure, MemberCursor, MembersShown};

use super::error::{ApiError, Refusal};
use super::extract::{Json, Paging, Path, Query, cursor};
use super::groups::{check_application, unknown};
use super::view;
use crate::Platform;
use crate::platform::SubmitError;

pub(crate) async fn submit(
    State(platform): State<Platform>,
    Path((application, group)): Path<(ApplicationId, GroupId)>,
    headers: HeaderMap,
    Json(submission): Json<Submission>,
) -> Result<(StatusCode, Answer<Request>), ApiError> {
    let key = idempotency_key(&headers)?;
    let submitted = submitted(group.clone(), submission);
    // Of a large group it takes a while, and nobody's request waits for it.
    let foreseen = platform.foresee(&application, &submitted);
    let (foresight, accepted) = tokio::join!(foreseen, platform.submit(&application, key, submitted.clone()));
    match accepted {
        Ok(id) => {
            // It is accepted, whether or not it could be foreseen what it meets.
            let foresight = foresight.unwrap_or_default();
            let request = Request { foresight, ..find(&platform, &application, id).await? };
            Ok((StatusCode::ACCEPTED, Answer(request)))
        }
        Err(SubmitError::Failure(Failure::Refused(SubmitRefusal::UnknownApplication))) => {
            Err(ApiError::unknown_application(&application))
        }
        Err(SubmitError::Failure(Failure::Refused(SubmitRefusal::UnknownGroup))) => {
            Err(ApiError::unknown_group(&application, &group))
        }
        Err(error) => Err(error.into()),
    }
}

pub(crate) fn submitted(group: GroupId, submission: Submission) -> Submitted {
    Submitted {
        group,
        lifespan: submission.deadline(),
        operation: submission.operation,
        activation: submission.activation,
        sleepers: submission.sleepers,
        receipt: submission.receipt,
        late_joiners: submission.late_joiners,
        priority: submission.priority,
        pacing: submission.pacing,
        abort: submission.abort,
        collapse_key: submission.collapse_key,
    }
}

pub(crate) async fn foresee(
    State(platform): State<Platform>,
    Path((application, group)): Path<(ApplicationId, GroupId)>,
    Json(submission): Json<Submission>,
) -> Result<Answer<Foresight>, ApiError> {
    let submitted = submitted(group, submission);
    check_request(&submitted.operation, submitted.lifespan, &submitted.pacing)
        .map_err(|error| SubmitRefusal::from(error).into_error())?;
    match platform.foresee(&application, &submitted).await? {
        Some(foresight) => Ok(Answer(foresight)),
        None => Err(unknown(&platform, &application, &submitted.group).await),
    }
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<IdempotencyKey>, ApiError> {
    let Some(value) = headers.get(IDEMPOTENCY_KEY) else { return Ok(None) };
    let key = value.to_str().map_err(|_| IdempotencyKeyError).and_then(IdempotencyKey::new);
    key.map(Some).map_err(|error| ApiError::invalid(format!("The header Idempotency-Key is not valid: {error}.")))
}

async fn find(platform: &Platform, application: &ApplicationId, id: RequestId) -> Result<Request, ApiError> {
    let record = platform.store().request(application, id).recv().await?;
    record.map(view::request).ok_or_else(|| ApiError::unknown_request(application, id))
}

pub(crate) async fn requests(
    State(platform): State<Platform>,
    Path(application): Path<ApplicationId>,
    Query(query): Query<RequestQuery>,
) -> Result<Answer<Page<Request>>, ApiError> {
    check_application(&platform, &application).await?;
    let paging = Paging::new(query.limit)?;
    let before = match query.cursor.as_deref() {
        None => None,
        text => Some(cursor(text, RequestId::compose(platform.now(), 0))?),
    };
    let rows = platform.store().requests(&application, query.group, query.state, before, paging.rows());
    let rows = rows.recv().await?.into_iter().map(|record| (record.id, view::request(record)));
    Ok(Answer(paging.page(rows.collect())))
}

pub(crate) async fn request(
    State(platform): State<Platform>,
    Path((application, id)): Path<(ApplicationId, RequestId)>,
    Query(query): Query<RequestWait>,
) -> Result<Answer<Request>, ApiError> {
    let wait = wait(query)?;
    if wait.is_zero() {
        return find(&platform, &application, id).await.map(Answer);
    }
    // Before the first look, so that it does not end unnoticed after it.
    let mut end = platform.watch_request(id);
    let found = find(&platform, &application, id).await?;
    if found.state == RequestState::Complete {
        return Ok(Answer(found));
    }
    tokio::select! {
        _ = end.changed() => {}
        () = tokio::time::sleep(wait) => {}
        () = platform.shutdown().requested() => {}
    }
    find(&platform, &application, id).await.map(Answer)
}

fn wait(query: RequestWait) -> Result<Duration, ApiError> {
    match query.wait_seconds.unwrap_or(0) {
        seconds @ 0..=WAIT_SECONDS_MAX => Ok(Duration::from_secs(seconds.into())),
        _ => Err(ApiError::invalid(format!(
            "The query is not valid: wait_seconds must be from 0 to {WAIT_SECONDS_MAX}. Ask again to wait longer."
        ))),
    }
}

pub(crate) async fn members(
    State(platform): State<Platform>,
    Path((application, id)): Path<(ApplicationId, RequestId)>,
    Query(query): Query<MemberQuery>,
) -> Result<Answer<Page<RequestMember>>, ApiError> {
    let request = find(&platform, &application, id).await?;
    let paging = Paging::new(query.limit)?;
    let after = cursor(query.cursor.as_deref(), MemberCursor::default())?;
    let shown = match (query.outcome, query.stage) {
        (None, None) => MembersShown::All,
        (None, Some(stage)) => MembersShown::At(stage),
        (Some(MemberFilter::Waiting), None) => MembersShown::Waiting,
        (Some(MemberFilter::Ended(kind)), None) => MembersShown::Ended(kind),
        (Some(_), Some(_)) => {
            return Err(ApiError::invalid("The query is not valid: name an outcome or a stage, not both."));
        }
    };
    let rows = platform.store().members(id, shown, after, paging.rows()).recv().await?;
    let rows = rows.into_iter().map(|(cursor, member)| (cursor, view::member(member, request.accepted_at)));
    Ok(Answer(paging.page(rows.collect())))
}

pub(crate) async fn cancel(
    State(platform): State<Platform>,
    Path((application, request)): Path<(ApplicationId, RequestId)>,
) -> Result<(StatusCode, Answer<Request>), ApiError> {
    match platform.perform(Cancel { application: application.clone(), request }).await {
        Ok(()) => Ok((StatusCode::ACCEPTED, Answer(find(&platform, &application, request).await?))),
        Err(Failure::Refused(CancelRefusal::UnknownRequest)) => Err(ApiError::unknown_request(&application, request)),
        Err(error) => Err(error.into()),
    }
}

pub(crate) async fn decide(
    State(platform): State<Platform>,
    Path(application): Path<ApplicationId>,
    Json(Decisions { decisions }): Json<Decisions>,
) -> Result<Answer<DecisionsAnswer>, ApiError> {
    if decisions.len() > DECISIONS_MAX {
        return Err(ApiError::invalid(format!("The body is not valid: at most {DECISIONS_MAX} decisions at once.")));
    }
    let count = decisions.len() as u64;
    match platform.perform(Decide { application: application.clone(), decisions }).await {
        Ok(results) => {
            platform.counters().count(|counts| counts.decisions += count);
            Ok(Answer(DecisionsAnswer { results }))
        }
        Err(Failure::Refused(DecideRefusal::UnknownApplication)) => Err(ApiError::unknown_application(&application)),
        Err(error) => Err(error.into()),
    }
}
