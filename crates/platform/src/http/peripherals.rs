//! Peripherals: looking at them and directing them.

use axum::Json as Answer;
use axum::extract::State;
use axum::http::StatusCode;
use bugle_api::{AllocationBody, ObservationBody, Page, Peripheral, PeripheralQuery};
use bugle_core::platform::{Direct, DirectRefusal, Direction, PeripheralKey};
use bugle_store::platform::{Belonging, PeripheralFilter};

use super::auth::Caller;
use super::error::{ApiError, Refusal};
use super::extract::{Json, Paging, Path, Query, cursor};
use super::view;
use crate::Platform;

pub(crate) async fn peripherals(
    State(platform): State<Platform>,
    caller: Caller,
    Query(query): Query<PeripheralQuery>,
) -> Result<Answer<Page<Peripheral>>, ApiError> {
    if let Some(application) = &query.application {
        caller.check(application)?;
    }
    let application = query.application.or(caller.application);
    let paging = Paging::new(query.limit)?;
    let after = cursor(query.cursor.as_deref(), 0)?;
    let filter = PeripheralFilter { application: application.clone(), gateway: query.gateway, state: query.state };
    let rows = match (&application, &query.group) {
        (_, None) => platform.store().peripherals(filter, after, paging.rows()),
        (Some(application), Some(group)) => {
            let belonging = Belonging::Allocated;
            platform.store().peripherals_of_group(application, group, belonging, filter, after, paging.rows())
        }
        (None, Some(_)) => {
            return Err(ApiError::invalid("The query is not valid: group is of an application; give application too."));
        }
    };
    let rows = rows.recv().await?.into_iter().map(|(number, (key, row))| (number, view::peripheral(key, row)));
    Ok(Answer(paging.page(rows.collect())))
}

pub(crate) async fn peripheral(
    State(platform): State<Platform>,
    caller: Caller,
    Path(key): Path<PeripheralKey>,
) -> Result<Answer<Peripheral>, ApiError> {
    let row = platform.store().peripheral(key.clone()).recv().await?;
    // Another application's is as good as none.
    let row = row.filter(|row| caller.check(&row.application).is_ok());
    let row = row.ok_or_else(|| DirectRefusal::UnknownPeripheral.into_error())?;
    Ok(Answer(view::peripheral(key, row)))
}

pub(crate) async fn allocate(
    State(platform): State<Platform>,
    caller: Caller,
    Path(key): Path<PeripheralKey>,
    Json(body): Json<AllocationBody>,
) -> Result<StatusCode, ApiError> {
    caller.check(&body.application)?;
    let allocation = body.into_allocation(key.1.clone());
    direct(&platform, caller, key, Direction::Allocate(Box::new(allocation))).await
}

pub(crate) async fn remove(
    State(platform): State<Platform>,
    caller: Caller,
    Path(key): Path<PeripheralKey>,
) -> Result<StatusCode, ApiError> {
    direct(&platform, caller, key, Direction::Remove).await
}

pub(crate) async fn release(
    State(platform): State<Platform>,
    caller: Caller,
    Path(key): Path<PeripheralKey>,
) -> Result<StatusCode, ApiError> {
    direct(&platform, caller, key, Direction::Release).await
}

pub(crate) async fn block(
    State(platform): State<Platform>,
    caller: Caller,
    Path(key): Path<PeripheralKey>,
) -> Result<StatusCode, ApiError> {
    direct(&platform, caller, key, Direction::Block).await
}

pub(crate) async fn deregister(
    State(platform): State<Platform>,
    caller: Caller,
    Path(key): Path<PeripheralKey>,
) -> Result<StatusCode, ApiError> {
    direct(&platform, caller, key, Direction::Deregister).await
}

pub(crate) async fn standby(
    State(platform): State<Platform>,
    caller: Caller,
    Path(key): Path<PeripheralKey>,
) -> Result<StatusCode, ApiError> {
    direct(&platform, caller, key, Direction::Standby).await
}

pub(crate) async fn observe(
    State(platform): State<Platform>,
    caller: Caller,
    Path(key): Path<PeripheralKey>,
    Json(body): Json<ObservationBody>,
) -> Result<StatusCode, ApiError> {
    direct(&platform, caller, key, Direction::Observe(body.path)).await
}

pub(crate) async fn observe_no_more(
    State(platform): State<Platform>,
    caller: Caller,
    Path(key): Path<PeripheralKey>,
    Json(body): Json<ObservationBody>,
) -> Result<StatusCode, ApiError> {
    direct(&platform, caller, key, Direction::ObserveNoMore(body.path)).await
}

pub(crate) async fn activate(
    State(platform): State<Platform>,
    caller: Caller,
    Path(key): Path<PeripheralKey>,
) -> Result<StatusCode, ApiError> {
    direct(&platform, caller, key, Direction::Activate).await
}

async fn direct(
    platform: &Platform,
    caller: Caller,
    (gateway, peripheral): PeripheralKey,
    direction: Direction,
) -> Result<StatusCode, ApiError> {
    platform.perform(Direct { application: caller.application, gateway, peripheral, direction }).await?;
    Ok(StatusCode::ACCEPTED)
}
