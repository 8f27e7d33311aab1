//! What is no longer needed goes, a page at a time so that nobody waits long.

use bugle_core::{RequestId, Time, limits};

use super::column::{millis, plain};
use super::load::one;
use super::{members, row, schedules};
use crate::sqlite::{Connection, StoreError, params};

/// Rows removed in one transaction.
const PAGE: usize = 5_000;

/// Removes a page of what is over age, and says whether there may be more.
pub(super) fn forget(connection: &Connection, now: Time) -> Result<bool, StoreError> {
    let before = |kept: std::time::Duration| now.as_millis().saturating_sub(kept.as_millis() as u64);
    let keys = connection
        .prepare_cached(
            "DELETE FROM idempotency WHERE (application, key) IN
                (SELECT application, key FROM idempotency WHERE at < ?1 LIMIT ?2)",
        )?
        .execute(params![before(limits::IDEMPOTENCY_KEPT), PAGE])?;
    connection.prepare_cached("DELETE FROM enrollment WHERE expires_at < ?1")?.execute([millis(now)])?;
    schedules::forget(connection, now)?;
    let over = "SELECT number FROM request WHERE completed_at < ?1 ORDER BY completed_at LIMIT 1";
    let oldest = one(connection, over, [before(limits::REQUEST_KEPT)], |row| row::request_id(row, "number"))?;
    let requests = match oldest {
        Some(request) => forget_request(connection, request).map(|()| true)?,
        None => false,
    };
    Ok(requests || keys == PAGE)
}

fn forget_request(connection: &Connection, request: RequestId) -> Result<(), StoreError> {
    if members::forget(connection, request, PAGE)? {
        connection.prepare_cached("DELETE FROM request_gateway WHERE request = ?1")?.execute([request.number()])?;
        connection.prepare_cached("DELETE FROM request WHERE number = ?1")?.execute([request.number()])?;
    }
    Ok(())
}

/// The group request that closes next, and its deadline.
pub(super) fn next_deadline(connection: &Connection) -> Result<Option<(RequestId, Time)>, StoreError> {
    let sql = "SELECT number, deadline FROM request WHERE completed_at IS NULL ORDER BY deadline LIMIT 1";
    one(connection, sql, [], |row| Ok((row::request_id(row, "number")?, Time::from_millis(plain(row, "deadline")?))))
}

/// How many group requests have not ended.
pub(super) fn open_requests(connection: &Connection) -> Result<u64, StoreError> {
    let sql = "SELECT count(*) AS open FROM request WHERE completed_at IS NULL";
    Ok(one(connection, sql, [], |row| plain(row, "open"))?.unwrap_or_default())
}
