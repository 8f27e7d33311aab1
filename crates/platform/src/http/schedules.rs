//! Schedules: group requests that are to come.

use axum::Json as Answer;
use axum::extract::State;
use axum::http::StatusCode;
use bugle_api::{NewSchedule, Page, PageQuery, Schedule};
use bugle_core::platform::{CancelSchedule, PutSchedule, PutScheduleRefusal, Recurrence, Timing};
use bugle_core::{ApplicationId, GroupId, ScheduleId};
use bugle_store::platform::Failure;

use super::error::ApiError;
use super::extract::{Json, Paging, Path, Query};
use super::groups::check_application;
use super::{requests, view};
use crate::Platform;
use crate::calendar::first_due;

pub(crate) async fn put(
    State(platform): State<Platform>,
    Path(key): Path<(ApplicationId, ScheduleId)>,
    Json(new): Json<NewSchedule>,
) -> Result<Answer<Schedule>, ApiError> {
    let timing = timing(&new)?;
    let first_due = first_due(&timing, platform.now())
        .map_err(|error| ApiError::invalid(format!("The schedule is not valid: {error}.")))?;
    let group = new.group.clone();
    let submitted = requests::submitted(new.group, new.request);
    match platform.perform(PutSchedule { key: key.clone(), submitted, timing, first_due }).await {
        Ok(()) => find(&platform, key).await.map(Answer),
        Err(Failure::Refused(refusal)) => Err(refused(refusal, &key.0, &group)),
        Err(Failure::Store(error)) => Err(error.into()),
    }
}

fn timing(new: &NewSchedule) -> Result<Timing, ApiError> {
    let invalid = |reason| Err(ApiError::invalid(format!("The schedule is not valid: {reason}.")));
    match (&new.cron, new.not_before) {
        (Some(cron), not_before) => {
            let time_zone = new.time_zone.clone().unwrap_or_else(|| "UTC".to_owned());
            Ok(Timing::Recurring { recurrence: Recurrence { cron: cron.clone(), time_zone }, not_before })
        }
        (None, Some(_)) if new.time_zone.is_some() => invalid("a time zone says how cron is read, and there is none"),
        (None, Some(at)) => Ok(Timing::Once(at)),
        (None, None) => invalid("say when, with not_before, cron or both"),
    }
}

fn refused(refusal: PutScheduleRefusal, application: &ApplicationId, group: &GroupId) -> ApiError {
    match refusal {
        PutScheduleRefusal::Request(error) => ApiError::invalid(format!("The group request is not valid: {error}.")),
        PutScheduleRefusal::UnknownApplication => ApiError::unknown_application(application),
        PutScheduleRefusal::UnknownGroup => ApiError::unknown_group(application, group),
        PutScheduleRefusal::TooMany => {
            ApiError::invalid(format!("The schedule was not taken: {refusal}. Cancel one that is no longer needed."))
        }
    }
}

async fn find(platform: &Platform, key: (ApplicationId, ScheduleId)) -> Result<Schedule, ApiError> {
    let row = platform.store().schedule(&key).recv().await?;
    row.map(|row| view::schedule(key.clone(), row)).ok_or_else(|| ApiError::unknown_schedule(&key.0, &key.1))
}

pub(crate) async fn schedules(
    State(platform): State<Platform>,
    Path(application): Path<ApplicationId>,
    Query(query): Query<PageQuery>,
) -> Result<Answer<Page<Schedule>>, ApiError> {
    check_application(&platform, &application).await?;
    let paging = Paging::new(query.limit)?;
    let rows = platform.store().schedules(&application, query.cursor.unwrap_or_default(), paging.rows());
    let rows = rows.recv().await?.into_iter();
    let rows = rows.map(|(id, row)| (id.clone(), view::schedule((application.clone(), id), row)));
    Ok(Answer(paging.page(rows.collect())))
}

pub(crate) async fn schedule(
    State(platform): State<Platform>,
    Path(key): Path<(ApplicationId, ScheduleId)>,
) -> Result<Answer<Schedule>, ApiError> {
    find(&platform, key).await.map(Answer)
}

pub(crate) async fn cancel(
    State(platform): State<Platform>,
    Path(key): Path<(ApplicationId, ScheduleId)>,
) -> Result<StatusCode, ApiError> {
    match platform.perform(CancelSchedule { key: key.clone() }).await {
        Ok(()) => Ok(StatusCode::NO_CONTENT),
        Err(Failure::Refused(_)) => Err(ApiError::unknown_schedule(&key.0, &key.1)),
        Err(Failure::Store(error)) => Err(error.into()),
    }
}
