//! Rows as the rules know them, read from rows as SQLite has them.

use std::time::Duration;

use bugle_core::platform::{GatewayRow, PeripheralKey, PeripheralRow, RequestGatewayRow, RequestRow, Submitted};
use bugle_core::{GatewayId, PeripheralId, RegistrationId, RequestId, ScheduleId};

use super::column::{damaged, from_json, from_json_option, from_word, from_word_option, plain, time, time_option};
use crate::sqlite::{Row, StoreError};

/// A query for rows that [`peripheral`] reads, with the rest of the statement.
macro_rules! select_peripherals {
    ($rest:literal) => {
        concat!(
            "SELECT peripheral.*, gateway.id AS gateway_id, application.id AS application_id \
             FROM peripheral JOIN gateway ON gateway.number = peripheral.gateway \
             JOIN application ON application.number = peripheral.application ",
            $rest
        )
    };
}
pub(super) use select_peripherals;

/// A query for rows that [`request`] and [`submitted`] read, with the rest of the statement.
macro_rules! select_requests {
    ($rest:literal) => {
        concat!(
            "SELECT request.*, application.id AS application_id \
             FROM request JOIN application ON application.number = request.application ",
            $rest
        )
    };
}
pub(super) use select_requests;

pub(super) fn gateway(row: &Row<'_>) -> Result<GatewayRow, StoreError> {
    Ok(GatewayRow {
        up_applied: plain(row, "up_applied")?,
        down_last: plain(row, "down_last")?,
        down_acknowledged: plain(row, "down_acknowledged")?,
    })
}

pub(super) fn peripheral(row: &Row<'_>) -> Result<(PeripheralKey, PeripheralRow), StoreError> {
    let key = (from_word(row, "gateway_id")?, from_word(row, "id")?);
    let registration = |column| -> Result<Option<RegistrationId>, StoreError> {
        Ok(plain::<Option<u64>>(row, column)?.map(RegistrationId::new))
    };
    let row = PeripheralRow {
        application: from_word(row, "application_id")?,
        groups: from_json(row, "groups")?,
        initial_state: from_word(row, "initial_state")?,
        labels: from_json(row, "labels")?,
        origin: from_word(row, "origin")?,
        wakes: from_word_option(row, "wakes")?,
        registration: registration("registration")?,
        member_of: from_json(row, "member_of")?,
        presence: from_word(row, "presence")?,
        since: time(row, "since")?,
        next_wake: time_option(row, "next_wake")?,
        asked: from_json_option(row, "asked")?,
        decided: registration("decided")?,
        roamed: registration("roamed")?,
        description: from_json_option(row, "description")?,
    };
    Ok((key, row))
}

pub(super) fn request(row: &Row<'_>) -> Result<(RequestId, RequestRow), StoreError> {
    let id = request_id(row, "number")?;
    let row = RequestRow {
        application: from_word(row, "application_id")?,
        group: from_word(row, "group")?,
        contained: from_json(row, "contained")?,
        accepted_at: time(row, "accepted_at")?,
        deadline: time(row, "deadline")?,
        state: from_word(row, "state")?,
        completed_at: time_option(row, "completed_at")?,
        gateways: plain(row, "gateways")?,
        gateways_fixed: plain(row, "gateways_fixed")?,
        totals: from_json(row, "totals")?,
        stages: from_json(row, "stages")?,
        schedule: schedule_id(row)?,
        abort: from_json_option(row, "abort")?,
    };
    Ok((id, row))
}

pub(super) fn submitted(row: &Row<'_>) -> Result<Submitted, StoreError> {
    let lifespan: Duration = time(row, "deadline")? - time(row, "accepted_at")?;
    Ok(Submitted {
        group: from_word(row, "group")?,
        operation: from_json(row, "operation")?,
        activation: from_word(row, "activation")?,
        sleepers: from_word(row, "sleepers")?,
        receipt: from_word(row, "receipt")?,
        late_joiners: from_word(row, "late_joiners")?,
        lifespan,
        priority: from_word(row, "priority")?,
        pacing: from_json(row, "pacing")?,
        abort: from_json_option(row, "abort")?,
        collapse_key: plain::<Option<String>>(row, "collapse_key")?
            .map(|text| text.parse().map_err(|error| damaged("collapse_key", &error)))
            .transpose()?,
    })
}

pub(super) fn request_id(row: &Row<'_>, column: &str) -> Result<RequestId, StoreError> {
    RequestId::from_number(plain(row, column)?).ok_or_else(|| damaged(column, &"no request id"))
}

fn schedule_id(row: &Row<'_>) -> Result<Option<ScheduleId>, StoreError> {
    let text: Option<String> = plain(row, "schedule")?;
    text.map(|text| text.parse()).transpose().map_err(|error| damaged("schedule", &error))
}

/// Needs `gateway_id` beside the columns of the table.
pub(super) fn request_gateway(row: &Row<'_>) -> Result<(GatewayId, RequestGatewayRow), StoreError> {
    let recorded_to: Option<String> = plain(row, "recorded_to")?;
    let recorded_to: Option<PeripheralId> =
        recorded_to.map(|text| text.parse()).transpose().map_err(|error| damaged("recorded_to", &error))?;
    Ok((from_word(row, "gateway_id")?, RequestGatewayRow { is_fixed: plain(row, "is_fixed")?, recorded_to }))
}
