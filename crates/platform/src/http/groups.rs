//! Groups and their members.

use axum::Json as Answer;
use axum::extract::State;
use axum::http::StatusCode;
use bugle_api::{Group, GroupDetail, Page, PageQuery, Peripheral, ProblemCode};
use bugle_core::platform::{
    DirectGroup, DirectGroupRefusal, GroupCount, GroupDirection, Nest, NestRefusal, NotNested, Unnest,
};
use bugle_core::{ApplicationId, GroupId};
use bugle_store::platform::{Belonging, Failure, NestingRecord, PeripheralFilter};

use super::error::ApiError;
use super::extract::{Paging, Path, Query, cursor};
use super::view;
use crate::Platform;

pub(crate) async fn groups(
    State(platform): State<Platform>,
    Path(application): Path<ApplicationId>,
    Query(query): Query<PageQuery>,
) -> Result<Answer<Page<Group>>, ApiError> {
    check_application(&platform, &application).await?;
    let paging = Paging::new(query.limit)?;
    let after = cursor(query.cursor.as_deref(), 0)?;
    let rows = platform.store().groups(&application, after, paging.rows()).recv().await?;
    let rows =
        rows.into_iter().map(|(number, (group, count))| (number, view::group(application.clone(), group, count)));
    Ok(Answer(paging.page(rows.collect())))
}

pub(crate) async fn group(
    State(platform): State<Platform>,
    Path((application, group)): Path<(ApplicationId, GroupId)>,
) -> Result<Answer<GroupDetail>, ApiError> {
    let gateways = platform.store().group(&application, &group).recv().await?;
    let nesting = platform.store().nesting(&application, &group).recv().await?;
    let is_apart = nesting.inside.is_empty() && nesting.around.is_empty();
    if is_apart && gateways.iter().all(|(_, count)| count.allocated == 0) {
        return Err(unknown(&platform, &application, &group).await);
    }
    let sum = gateways.iter().fold(GroupCount::default(), |sum, (_, count)| GroupCount {
        allocated: sum.allocated + count.allocated,
        members: sum.members + count.members,
        active: sum.active + count.active,
    });
    Ok(Answer(GroupDetail {
        group: view::group(application, group, sum),
        gateways: gateways.into_iter().map(|(gateway, count)| view::group_at(gateway, count)).collect(),
        whole: view::whole_group(&nesting),
        contains: nesting.inside,
        contained_in: nesting.around,
    }))
}

pub(crate) async fn members(
    State(platform): State<Platform>,
    Path((application, group)): Path<(ApplicationId, GroupId)>,
    Query(query): Query<PageQuery>,
) -> Result<Answer<Page<Peripheral>>, ApiError> {
    let paging = Paging::new(query.limit)?;
    let after = cursor(query.cursor.as_deref(), 0)?;
    let filter = PeripheralFilter::default();
    let store = platform.store();
    let rows = store.peripherals_of_group(&application, &group, Belonging::Member, filter, after, paging.rows());
    let rows = rows.recv().await?;
    if rows.is_empty()
        && store.group(&application, &group).recv().await?.is_empty()
        && store.nesting(&application, &group).recv().await? == NestingRecord::default()
    {
        return Err(unknown(&platform, &application, &group).await);
    }
    let rows = rows.into_iter().map(|(number, (key, row))| (number, view::peripheral(key, row)));
    Ok(Answer(paging.page(rows.collect())))
}

pub(crate) async fn nest(
    State(platform): State<Platform>,
    Path((application, outer, inner)): Path<(ApplicationId, GroupId, GroupId)>,
) -> Result<StatusCode, ApiError> {
    match platform.perform(Nest { application: application.clone(), outer, inner }).await {
        Ok(()) => Ok(StatusCode::NO_CONTENT),
        Err(Failure::Refused(NestRefusal::UnknownApplication)) => Err(ApiError::unknown_application(&application)),
        Err(Failure::Refused(refusal)) => {
            Err(ApiError::new(ProblemCode::GroupNesting, format!("Not nested: {refusal}.")))
        }
        Err(Failure::Store(error)) => Err(error.into()),
    }
}

pub(crate) async fn unnest(
    State(platform): State<Platform>,
    Path((application, outer, inner)): Path<(ApplicationId, GroupId, GroupId)>,
) -> Result<StatusCode, ApiError> {
    let detail = format!("Group {inner} does not lie directly in group {outer} of application {application}.");
    match platform.perform(Unnest { application, outer, inner }).await {
        Ok(()) => Ok(StatusCode::NO_CONTENT),
        Err(Failure::Refused(NotNested)) => Err(ApiError::new(ProblemCode::NotNested, detail)),
        Err(Failure::Store(error)) => Err(error.into()),
    }
}

/// Refuses an application that is not there.
pub(crate) async fn activate(
    State(platform): State<Platform>,
    Path((application, group)): Path<(ApplicationId, GroupId)>,
) -> Result<StatusCode, ApiError> {
    direct(&platform, application, group, GroupDirection::Activate).await
}

pub(crate) async fn standby(
    State(platform): State<Platform>,
    Path((application, group)): Path<(ApplicationId, GroupId)>,
) -> Result<StatusCode, ApiError> {
    direct(&platform, application, group, GroupDirection::Standby).await
}

async fn direct(
    platform: &Platform,
    application: ApplicationId,
    group: GroupId,
    direction: GroupDirection,
) -> Result<StatusCode, ApiError> {
    match platform.perform(DirectGroup { application: application.clone(), group: group.clone(), direction }).await {
        Ok(()) => Ok(StatusCode::ACCEPTED),
        Err(Failure::Refused(DirectGroupRefusal::UnknownApplication)) => {
            Err(ApiError::unknown_application(&application))
        }
        Err(Failure::Refused(DirectGroupRefusal::UnknownGroup)) => Err(ApiError::unknown_group(&application, &group)),
        Err(error) => Err(error.into()),
    }
}

pub(crate) async fn check_application(platform: &Platform, application: &ApplicationId) -> Result<(), ApiError> {
    match platform.store().application(application).recv().await? {
        Some(_) => Ok(()),
        None => Err(ApiError::unknown_application(application)),
    }
}

/// The group is unknown, or its application is.
pub(crate) async fn unknown(platform: &Platform, application: &ApplicationId, group: &GroupId) -> ApiError {
    match check_application(platform, application).await {
        Ok(()) => ApiError::unknown_group(application, group),
        Err(error) => error,
    }
}
