//! The event logs and the down logs.

use std::collections::{BTreeMap, BTreeSet};

use bugle_core::{ApplicationId, DownEntry, Event, EventKind, GatewayId, RequestId, StopCause, Time, limits};
use bugle_wire::{decode_down, encode_down};

use super::column::{damaged, json, log_key, log_sequence, plain};
use super::load::one;
use super::names::Names;
use super::row::{self, select_requests};
use crate::sqlite::{Blob, Connection, Row, StoreError, params};

/// Bytes of a down log that are read at once, whatever its entries hold.
const DOWN_BYTES_MAX: usize = 1024 * 1024;

/// Events that are looked at in one go for those that are wanted.
const LOOKED_AT_MAX: u32 = 10_000;
/// What an event begins with, and so many bytes with the longest kind.
const KIND_FIRST: &[u8] = br#"{"event":""#;
const HEAD_BYTES: usize = 40;

/// A page of an event log.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EventLog {
    /// The events as JSON, with their sequences.
    pub events: Vec<(u64, String)>,
    /// The events up to this sequence are here, or are of no kind that was asked for.
    pub through: u64,
    /// The sequence of the latest event there is; 0 before the first.
    pub last: u64,
    /// Events up to and including this one are no longer kept.
    pub gone: u64,
}

pub(super) fn append_events(
    connection: &Connection,
    names: &mut Names<'_>,
    events: &[(ApplicationId, Event)],
) -> Result<(), StoreError> {
    let mut by_application: BTreeMap<&ApplicationId, Vec<&Event>> = BTreeMap::new();
    for (application, event) in events {
        by_application.entry(application).or_default().push(event);
    }
    for (application, events) in by_application {
        let number = names.known_application(application)?;
        let (mut last, gone) = event_bounds(connection, number)?;
        let mut insert = connection.prepare_cached("INSERT INTO event (key, body) VALUES (?1, ?2)")?;
        for event in events {
            last += 1;
            insert.execute(params![log_key(number, last), json(event)?])?;
        }
        let now_gone = gone.max(last.saturating_sub(limits::EVENTS_PER_APPLICATION_MAX));
        connection
            .prepare_cached("DELETE FROM event WHERE key > ?1 AND key <= ?2")?
            .execute(params![log_key(number, gone), log_key(number, now_gone)])?;
        connection
            .prepare_cached("UPDATE application SET event_last = ?2, event_gone = ?3 WHERE number = ?1")?
            .execute(params![number, last, now_gone])?;
    }
    Ok(())
}

pub(super) fn event_bounds(connection: &Connection, application: i64) -> Result<(u64, u64), StoreError> {
    let sql = "SELECT event_last, event_gone FROM application WHERE number = ?1";
    let bounds = one(connection, sql, [application], |row| Ok((plain(row, "event_last")?, plain(row, "event_gone")?)))?;
    Ok(bounds.unwrap_or_default())
}

pub(super) fn events_after(
    connection: &Connection,
    application: i64,
    after: Option<u64>,
    kinds: Option<&BTreeSet<EventKind>>,
    (limit, bytes_max): (u32, usize),
) -> Result<EventLog, StoreError> {
    let (last, gone) = event_bounds(connection, application)?;
    let after = after.unwrap_or(gone);
    let sql = "SELECT key FROM event WHERE key > ?1 AND key <= ?2 ORDER BY key LIMIT ?3";
    let mut statement = connection.prepare_cached(sql)?;
    let looked_at_max = if kinds.is_some() { LOOKED_AT_MAX } else { limit };
    let mut rows = statement.query(params![log_key(application, after), log_key(application, last), looked_at_max])?;
    let mut bodies = Bodies { connection, open: None };
    let mut log = EventLog { events: Vec::new(), through: after, last, gone };
    let mut bytes = 0;
    while bytes < bytes_max
        && log.events.len() < limit as usize
        && let Some(row) = rows.next()?
    {
        let key = plain(row, "key")?;
        log.through = log_sequence(key);
        if let Some(body) = bodies.read_if(key, |kind| kinds.is_none_or(|kinds| kinds.contains(&kind)))? {
            bytes += body.len();
            log.events.push((log.through, body));
        }
    }
    Ok(log)
}

/// Reads what events say. Of those that nobody wants it reads the first bytes, and not the thousand receipts behind
/// them.
struct Bodies<'c> {
    connection: &'c Connection,
    open: Option<Blob<'c>>,
}

impl Bodies<'_> {
    /// An event, if its kind is wanted.
    fn read_if(&mut self, key: i64, is_wanted: impl Fn(EventKind) -> bool) -> Result<Option<String>, StoreError> {
        let blob = match &mut self.open {
            Some(blob) => {
                blob.reopen(key)?;
                blob
            }
            none => none.insert(self.connection.blob_open("main", "event", "body", key, true)?),
        };
        let mut head = [0; HEAD_BYTES];
        let read = blob.read_at(&mut head, 0)?;
        if !is_wanted(kind(&head[..read])?) {
            return Ok(None);
        }
        let mut body = vec![0; blob.len()];
        blob.read_at_exact(&mut body, 0)?;
        String::from_utf8(body).map(Some).map_err(|error| damaged("body", &error))
    }
}

/// The kind of an event, which it names first.
fn kind(head: &[u8]) -> Result<EventKind, StoreError> {
    let word = head.strip_prefix(KIND_FIRST).and_then(|behind| behind.split(|byte| *byte == b'"').next());
    let kind = EventKind::ALL.iter().copied().find(|kind| word == Some(kind.as_str().as_bytes()));
    kind.ok_or_else(|| damaged("body", &"it is no event"))
}

pub(super) fn append_down(
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

pub(super) fn down_after(
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
        let entry = down_entry(connection, row)?;
        bytes += match &entry {
            DownEntry::Request(request) => request.operation.payload_bytes(),
            _ => 0,
        };
        entries.push((log_sequence(plain(row, "key")?), entry));
    }
    Ok(entries)
}

fn down_entry(connection: &Connection, row: &Row<'_>) -> Result<DownEntry, StoreError> {
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

pub(super) fn acknowledge_down(connection: &Connection, gateway: i64, through: u64) -> Result<(), StoreError> {
    let sql = "UPDATE gateway SET down_acknowledged = max(down_acknowledged, min(down_last, ?2)) WHERE number = ?1
        RETURNING down_acknowledged";
    let acknowledged: u64 =
        connection.prepare_cached(sql)?.query_row(params![gateway, through], |row| row.get("down_acknowledged"))?;
    connection
        .prepare_cached("DELETE FROM down WHERE key > ?1 AND key <= ?2")?
        .execute(params![log_key(gateway, 0), log_key(gateway, acknowledged)])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use bugle_core::Totals;

    use super::*;

    #[test]
    fn the_oldest_events_go_when_there_are_too_many() {
        let connection = Connection::open_in_memory().expect("opens");
        connection.execute_batch(include_str!("tables.sql")).expect("creates");
        let application: ApplicationId = "metering".parse().expect("an application id");
        let mut names = Names::new(&connection);
        let number = names.ensure_application(&application, Time::ZERO).expect("adds");
        let lost = |count| (application.clone(), Event::ReportsLost { gateway: "gw".parse().expect("an id"), count });
        append_events(&connection, &mut names, &[lost(1), lost(2)]).expect("appends");
        let nearly = limits::EVENTS_PER_APPLICATION_MAX - 1;
        connection.execute("UPDATE application SET event_last = ?1", [nearly]).expect("updates");
        append_events(&connection, &mut names, &[lost(3), lost(4)]).expect("appends");
        let log = events_after(&connection, number, None, None, (9, usize::MAX)).expect("reads");
        assert_eq!((log.last, log.gone), (nearly + 2, 1));
        let kept: Vec<_> = log.events.iter().map(|(sequence, _)| *sequence).collect();
        assert_eq!(kept, [2, nearly + 1, nearly + 2]);
    }

    #[test]
    fn a_long_stretch_of_other_kinds_is_passed_over_in_several_goes() {
        let connection = Connection::open_in_memory().expect("opens");
        connection.execute_batch(include_str!("tables.sql")).expect("creates");
        let application: ApplicationId = "metering".parse().expect("an application id");
        let mut names = Names::new(&connection);
        let number = names.ensure_application(&application, Time::ZERO).expect("adds");
        let events: Vec<_> = (0..LOOKED_AT_MAX.into())
            .map(|count| Event::ReportsLost { gateway: "gw".parse().expect("an id"), count })
            .chain([Event::RequestCompleted { request: RequestId::compose(Time::ZERO, 1), totals: Totals::default() }])
            .map(|event| (application.clone(), event))
            .collect();
        append_events(&connection, &mut names, &events).expect("appends");
        let kinds = BTreeSet::from([EventKind::RequestCompleted]);
        let read = |after| events_after(&connection, number, after, Some(&kinds), (9, usize::MAX)).expect("reads");
        let first = read(None);
        assert_eq!((first.events.len(), first.through), (0, LOOKED_AT_MAX.into()));
        let second = read(Some(first.through));
        assert_eq!((second.events.len(), second.through), (1, second.last));
    }
}
