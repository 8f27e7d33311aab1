//! Schedules: group requests that are to come.

use bugle_core::platform::{Firing, Put, Recurrence, ScheduleKey, ScheduleRow, Timing};
use bugle_core::{ApplicationId, ScheduleId, Time, limits};

use super::column::{damaged, from_json, from_json_option, from_word, json, millis, plain, time, time_option};
use super::load::{all, one};
use super::names::Names;
use crate::sqlite::{Connection, Row, StoreError, params};

/// A query for rows that [`schedule`] reads, with the rest of the statement.
macro_rules! select_schedules {
    ($rest:literal) => {
        concat!(
            "SELECT schedule.*, application.id AS application_id \
             FROM schedule JOIN application ON application.number = schedule.application ",
            $rest
        )
    };
}

fn schedule(row: &Row<'_>) -> Result<(ScheduleKey, ScheduleRow), StoreError> {
    let key = (from_word(row, "application_id")?, from_word(row, "id")?);
    let row = ScheduleRow {
        submitted: from_json(row, "submitted")?,
        timing: timing(row)?,
        created_at: time(row, "created_at")?,
        next_due: time_option(row, "next_due")?,
        last: from_json_option::<Firing>(row, "last")?,
    };
    Ok((key, row))
}

fn timing(row: &Row<'_>) -> Result<Timing, StoreError> {
    let not_before = time_option(row, "not_before")?;
    match plain::<Option<String>>(row, "cron")? {
        Some(cron) => {
            let recurrence = Recurrence { cron, time_zone: plain(row, "time_zone")? };
            Ok(Timing::Recurring { recurrence, not_before })
        }
        None => not_before.map(Timing::Once).ok_or_else(|| damaged("not_before", &"a schedule for never")),
    }
}

pub(super) fn write(
    connection: &Connection,
    names: &mut Names<'_>,
    put: &Put<ScheduleKey, ScheduleRow>,
) -> Result<(), StoreError> {
    let application = names.known_application(&put.key.0)?;
    let id = put.key.1.as_str();
    let Some(row) = &put.row else {
        let sql = "DELETE FROM schedule WHERE application = ?1 AND id = ?2";
        connection.prepare_cached(sql)?.execute(params![application, id])?;
        return Ok(());
    };
    let (not_before, recurrence) = match &row.timing {
        Timing::Once(at) => (Some(*at), None),
        Timing::Recurring { recurrence, not_before } => (*not_before, Some(recurrence)),
    };
    let columns = params![
        application,
        id,
        json(&row.submitted)?,
        not_before.map(millis),
        recurrence.map(|recurrence| &recurrence.cron),
        recurrence.map(|recurrence| &recurrence.time_zone),
        millis(row.created_at),
        row.next_due.map(millis),
        row.last.as_ref().map(json).transpose()?,
    ];
    let sql = "INSERT OR REPLACE INTO schedule (application, id, submitted, not_before, cron, time_zone, created_at, \
         next_due, last) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
    connection.prepare_cached(sql)?.execute(columns)?;
    Ok(())
}

pub(super) fn find(connection: &Connection, key: &ScheduleKey) -> Result<Option<ScheduleRow>, StoreError> {
    let sql = select_schedules!("WHERE application.id = ?1 AND schedule.id = ?2");
    let found = one(connection, sql, params![key.0.as_str(), key.1.as_str()], schedule)?;
    Ok(found.map(|(_, row)| row))
}

pub(super) fn count(connection: &Connection, application: &ApplicationId) -> Result<u64, StoreError> {
    let sql = "SELECT count(*) AS count FROM schedule
        WHERE application = (SELECT number FROM application WHERE id = ?1)";
    Ok(one(connection, sql, [application.as_str()], |row| plain(row, "count"))?.unwrap_or_default())
}

/// By id, after one.
pub(super) fn list(
    connection: &Connection,
    application: &ApplicationId,
    after: &str,
    limit: u32,
) -> Result<Vec<(ScheduleId, ScheduleRow)>, StoreError> {
    let sql = select_schedules!("WHERE application.id = ?1 AND schedule.id > ?2 ORDER BY schedule.id LIMIT ?3");
    let found = all(connection, sql, params![application.as_str(), after, limit], schedule)?;
    Ok(found.into_iter().map(|((_, id), row)| (id, row)).collect())
}

/// The schedule that is due next, and when.
pub(super) fn next(connection: &Connection) -> Result<Option<(ScheduleKey, ScheduleRow, Time)>, StoreError> {
    let sql = select_schedules!("WHERE next_due IS NOT NULL ORDER BY next_due LIMIT 1");
    let found = one(connection, sql, [], schedule)?;
    Ok(found.and_then(|(key, row)| {
        let due = row.next_due?;
        Some((key, row, due))
    }))
}

/// Removes what has been over for as long as a group request is kept after its end.
pub(super) fn forget(connection: &Connection, now: Time) -> Result<(), StoreError> {
    let before = now.as_millis().saturating_sub(limits::REQUEST_KEPT.as_millis() as u64);
    let sql = "DELETE FROM schedule WHERE next_due IS NULL AND json_extract(last, '$.at') < ?1";
    connection.prepare_cached(sql)?.execute([before])?;
    Ok(())
}
