//! The event logs.

use std::collections::{BTreeMap, BTreeSet};

use bugle_core::{ApplicationId, Event, EventKind, limits};
use bugle_wire::{decode_receipts, encode_receipts};

use super::column::{damaged, json, log_key, log_sequence, plain};
use super::load::one;
use super::names::Names;
use crate::sqlite::{Blob, Connection, StoreError, params};

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

pub(super) fn append(
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
        let (mut last, gone) = bounds(connection, number)?;
        let mut insert = connection.prepare_cached("INSERT INTO event (key, body, receipts) VALUES (?1, ?2, ?3)")?;
        for event in events {
            last += 1;
            let (body, receipts) = take_apart(event)?;
            insert.execute(params![log_key(number, last), body, receipts])?;
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

fn bounds(connection: &Connection, application: i64) -> Result<(u64, u64), StoreError> {
    let sql = "SELECT event_last, event_gone FROM application WHERE number = ?1";
    let bounds = one(connection, sql, [application], |row| Ok((plain(row, "event_last")?, plain(row, "event_gone")?)))?;
    Ok(bounds.unwrap_or_default())
}

pub(super) fn read_after(
    connection: &Connection,
    application: i64,
    after: Option<u64>,
    kinds: Option<&BTreeSet<EventKind>>,
    (limit, bytes_max): (u32, usize),
) -> Result<EventLog, StoreError> {
    let (last, gone) = bounds(connection, application)?;
    let after = after.unwrap_or(gone);
    let sql = "SELECT key FROM event WHERE key > ?1 AND key <= ?2 ORDER BY key LIMIT ?3";
    let mut statement = connection.prepare_cached(sql)?;
    let looked_at_max = if kinds.is_some() { LOOKED_AT_MAX } else { limit };
    let mut rows = statement.query(params![log_key(application, after), log_key(application, last), looked_at_max])?;
    let mut heads = Heads { connection, open: None };
    let mut log = EventLog { events: Vec::new(), through: after, last, gone };
    let mut bytes = 0;
    while bytes < bytes_max
        && log.events.len() < limit as usize
        && let Some(row) = rows.next()?
    {
        let key = plain(row, "key")?;
        log.through = log_sequence(key);
        let is_wanted = match kinds {
            Some(kinds) => kinds.contains(&heads.kind(key)?),
            None => true,
        };
        if is_wanted {
            let event = read_event(connection, key)?;
            bytes += event.len();
            log.events.push((log.through, event));
        }
    }
    Ok(log)
}

/// What is kept of an event: as JSON without its receipts, and these beside it.
fn take_apart(event: &Event) -> Result<(String, Option<Vec<u8>>), StoreError> {
    match event {
        Event::Receipts { request, gateway, receipts } => {
            let bare = Event::Receipts { request: *request, gateway: gateway.clone(), receipts: Vec::new() };
            Ok((json(&bare)?, Some(encode_receipts(receipts))))
        }
        event => Ok((json(event)?, None)),
    }
}

/// An event as JSON, whole.
fn read_event(connection: &Connection, key: i64) -> Result<String, StoreError> {
    let sql = "SELECT body, receipts FROM event WHERE key = ?1";
    let (body, kept) = connection
        .prepare_cached(sql)?
        .query_row([key], |row| Ok((row.get::<_, String>("body")?, row.get::<_, Option<Vec<u8>>>("receipts")?)))?;
    let Some(kept) = kept else { return Ok(body) };
    let mut event = serde_json::from_str(&body).map_err(|error| damaged("body", &error))?;
    if let Event::Receipts { receipts, .. } = &mut event {
        *receipts = decode_receipts(&kept).map_err(|error| damaged("receipts", &error))?;
    }
    json(&event)
}

/// Reads how events begin, and not the report or whatever else there is behind it.
struct Heads<'c> {
    connection: &'c Connection,
    open: Option<Blob<'c>>,
}

impl Heads<'_> {
    fn kind(&mut self, key: i64) -> Result<EventKind, StoreError> {
        let blob = match &mut self.open {
            Some(blob) => {
                blob.reopen(key)?;
                blob
            }
            none => none.insert(self.connection.blob_open("main", "event", "body", key, true)?),
        };
        let mut head = [0; HEAD_BYTES];
        let read = blob.read_at(&mut head, 0)?;
        kind(&head[..read])
    }
}

/// The kind of an event, which it names first.
fn kind(head: &[u8]) -> Result<EventKind, StoreError> {
    let word = head.strip_prefix(KIND_FIRST).and_then(|behind| behind.split(|byte| *byte == b'"').next());
    let kind = EventKind::ALL.iter().copied().find(|kind| word == Some(kind.as_str().as_bytes()));
    kind.ok_or_else(|| damaged("body", &"it is no event"))
}

#[cfg(test)]
mod tests {
    use bugle_core::{RequestId, Time, Totals};

    use super::*;
    use crate::platform::tables;

    #[test]
    fn the_oldest_events_go_when_there_are_too_many() {
        let connection = tables();
        let application: ApplicationId = "metering".parse().expect("an application id");
        let mut names = Names::new(&connection);
        let number = names.ensure_application(&application, Time::ZERO).expect("adds");
        let lost = |count| (application.clone(), Event::ReportsLost { gateway: "gw".parse().expect("an id"), count });
        append(&connection, &mut names, &[lost(1), lost(2)]).expect("appends");
        let nearly = limits::EVENTS_PER_APPLICATION_MAX - 1;
        connection.execute("UPDATE application SET event_last = ?1", [nearly]).expect("updates");
        append(&connection, &mut names, &[lost(3), lost(4)]).expect("appends");
        let log = super::read_after(&connection, number, None, None, (9, usize::MAX)).expect("reads");
        assert_eq!((log.last, log.gone), (nearly + 2, 1));
        let kept: Vec<_> = log.events.iter().map(|(sequence, _)| *sequence).collect();
        assert_eq!(kept, [2, nearly + 1, nearly + 2]);
    }

    #[test]
    fn a_long_stretch_of_other_kinds_is_passed_over_in_several_goes() {
        let connection = tables();
        let application: ApplicationId = "metering".parse().expect("an application id");
        let mut names = Names::new(&connection);
        let number = names.ensure_application(&application, Time::ZERO).expect("adds");
        let events: Vec<_> = (0..LOOKED_AT_MAX.into())
            .map(|count| Event::ReportsLost { gateway: "gw".parse().expect("an id"), count })
            .chain([Event::RequestCompleted { request: RequestId::compose(Time::ZERO, 1), totals: Totals::default() }])
            .map(|event| (application.clone(), event))
            .collect();
        append(&connection, &mut names, &events).expect("appends");
        let kinds = BTreeSet::from([EventKind::RequestCompleted]);
        let read = |after| super::read_after(&connection, number, after, Some(&kinds), (9, usize::MAX)).expect("reads");
        let first = read(None);
        assert_eq!((first.events.len(), first.through), (0, LOOKED_AT_MAX.into()));
        let second = read(Some(first.through));
        assert_eq!((second.events.len(), second.through), (1, second.last));
    }
}
