//! The down logs.

use std::collections::BTreeMap;

use bugle_core::{DownEntry, GatewayId, RequestId, StopCause, Time};
use bugle_wire::{decode_down, encode_down};

use super::column::{damaged, log_key, log_sequence, plain};
use super::load::one;
use super::names::Names;
use super::row::{self, select_requests};
use crate::sqlite::{Connection, Row, StoreError, params};

/// Bytes of a down log that are read at once, whatever its entries hold.
const DOWN_BYTES_MAX: usize = 1024 * 1024;

pub(super) fn append(
    connection: &Connection,
    names: &mut Names<'_>,
    entries: &[(GatewayId, DownEntry)],
) -> Result<(), StoreError> {
    let mut by_gateway: BTreeMap<&GatewayId, Vec<&DownEntry>> = BTreeMap::new();
    for (gateway, entry) in entries {
        by_gateway.entry(gateway).or_default().push(entry);
    }
    for (gateway, entries) in by_gateway {
        let number = names.known_gateway(gateway)?;
        let sql = "UPDATE gateway SET down_last = down_last + ?2 WHERE number = ?1 RETURNING down_last";
        let last: u64 =
            connection.prepare_cached(sql)?.query_row(params![number, entries.len()], |row| row.get("down_last"))?;
        let first = last - entries.len() as u64 + 1;
        let mut insert = connection.prepare_cached("INSERT INTO down (key, request, body) VALUES (?1, ?2, ?3)")?;
        for (sequence, entry) in (first..).zip(entries) {
            let (request, body) = match entry {
                DownEntry::Request(request) => (Some(request.id.number()), None),
                entry => (None, Some(encode_down(entry, Time::ZERO))),
            };
            insert.execute(params![log_key(number, sequence), request, body])?;
        }
    }
    Ok(())
}

pub(super) fn read_after(
    connection: &Connection,
    gateway: i64,
    after: u64,
    limit: u32,
) -> Result<Vec<(u64, DownEntry)>, StoreError> {
    let sql = "SELECT key, request, body FROM down WHERE key > ?1 AND key < ?2 ORDER BY key LIMIT ?3";
    let key = params![log_key(gateway, after), log_key(gateway + 1, 0), limit];
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(key)?;
    let mut entries = Vec::new();
    let mut bytes = 0;
    while bytes < DOWN_BYTES_MAX
        && let Some(row) = rows.next()?
    {
        let entry = read_entry(connection, row)?;
        bytes += match &entry {
            DownEntry::Request(request) => request.operation.payload_bytes(),
            _ => 0,
        };
        entries.push((log_sequence(plain(row, "key")?), entry));
    }
    Ok(entries)
}

fn read_entry(connection: &Connection, row: &Row<'_>) -> Result<DownEntry, StoreError> {
    if let Some(body) = plain::<Option<Vec<u8>>>(row, "body")? {
        return decode_down(&body, Time::ZERO).map_err(|error| damaged("body", &error));
    }
    let request: RequestId = row::request_id(row, "request")?;
    let read = |row: &Row<'_>| {
        let (id, request) = row::request(row)?;
        Ok(row::submitted(row)?.into_request(id, request))
    };
    let sql = select_requests!("WHERE request.number = ?1");
    Ok(match one(connection, sql, [request.number()], read)? {
        Some(request) => DownEntry::Request(request),
        // It ended so long ago that it is no longer kept. The gateway has never seen it, so that to
        // it this says nothing; but the log must have no gap.
        None => DownEntry::Cancel { request, cause: StopCause::Cancelled },
    })
}

pub(super) fn acknowledge(connection: &Connection, gateway: i64, through: u64) -> Result<(), StoreError> {
    let sql = "UPDATE gateway SET down_acknowledged = max(down_acknowledged, min(down_last, ?2)) WHERE number = ?1
        RETURNING down_acknowledged";
    let acknowledged: u64 =
        connection.prepare_cached(sql)?.query_row(params![gateway, through], |row| row.get("down_acknowledged"))?;
    connection
        .prepare_cached("DELETE FROM down WHERE key > ?1 AND key <= ?2")?
        .execute(params![log_key(gateway, 0), log_key(gateway, acknowledged)])?;
    Ok(())
}
