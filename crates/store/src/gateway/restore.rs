//! What a gateway goes on from.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bugle_core::gateway::{Restored, Slot, StoredAllocation, StoredAsk, StoredRegistration, StoredRequest};
use bugle_core::{ApplicationId, DownEntry, PeripheralId, Presence, RegistrationId, RequestId, Time, UpEntry};
use serde::de::DeserializeOwned;

use super::write::MEMBER_BYTES;
use crate::sqlite::{Connection, Row, StoreError};

pub(super) fn restore(connection: &Connection) -> Result<Restored, StoreError> {
    let marks = "SELECT registrations_reserved, up_acknowledged, down_applied FROM mark";
    let (registrations_reserved, up_acknowledged, down_applied) =
        connection.query_row(marks, [], |row| Ok((unsigned(row, 0)?, unsigned(row, 1)?, unsigned(row, 2)?)))?;
    let last: Option<i64> = connection.query_row("SELECT max(sequence) FROM up", [], |row| row.get(0))?;
    Ok(Restored {
        allocations: collect(connection, "SELECT slot, body, origin, is_blocked FROM allocation", allocation)?,
        half_told: collect(connection, "SELECT slot FROM allocation WHERE NOT is_told", |row| slot(row, 0))?,
        registrations: collect(
            connection,
            "SELECT slot, id, groups, lifetime, lease_until, presented, presence, next_wake, last_word
             FROM registration",
            registration,
        )?,
        asks: collect(connection, "SELECT slot, registration FROM ask", |row| {
            Ok(StoredAsk { slot: slot(row, 0)?, registration: RegistrationId::new(unsigned(row, 1)?) })
        })?,
        sessions: collect(connection, "SELECT slot, state FROM session", |row| Ok((slot(row, 0)?, row.get(1)?)))?,
        observed: collect(connection, "SELECT slot, paths FROM observed", |row| Ok((slot(row, 0)?, json(row, 1)?)))?,
        requests: requests(connection)?,
        registrations_reserved,
        up_acknowledged,
        up_last: last.map_or(up_acknowledged, i64::cast_unsigned),
        up_reports: reports(connection)?,
        down_applied,
    })
}

fn collect<T>(
    connection: &Connection,
    sql: &str,
    read: impl Fn(&Row<'_>) -> Result<T, StoreError>,
) -> Result<Vec<T>, StoreError> {
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query([])?;
    let mut read_rows = Vec::new();
    while let Some(row) = rows.next()? {
        read_rows.push(read(row)?);
    }
    Ok(read_rows)
}

fn allocation(row: &Row<'_>) -> Result<StoredAllocation, StoreError> {
    Ok(StoredAllocation {
        slot: slot(row, 0)?,
        allocation: Arc::new(json(row, 1)?),
        origin: json(row, 2)?,
        is_blocked: row.get(3)?,
    })
}

fn registration(row: &Row<'_>) -> Result<(Slot, StoredRegistration), StoreError> {
    let next_wake = row.get::<_, Option<i64>>(7)?.map(|at| Time::from_millis(at.cast_unsigned()));
    let presence = match row.get_ref(6)?.as_str().map_err(|error| corrupt(&error))? {
        "active" => Presence::Active,
        "standby" => Presence::Standby { next_wake },
        "activating" => Presence::Activating { next_wake },
        other => return Err(StoreError::Corrupt(format!("{other} is no presence"))),
    };
    let registration = StoredRegistration {
        id: RegistrationId::new(unsigned(row, 1)?),
        groups: Arc::new(json(row, 2)?),
        lifetime: Duration::from_millis(unsigned(row, 3)?),
        lease_until: time(row, 4)?,
        presented: row.get(5)?,
        presence,
        last_word: time(row, 8)?,
    };
    Ok((slot(row, 0)?, registration))
}

fn requests(connection: &Connection) -> Result<Vec<StoredRequest>, StoreError> {
    let mut since: HashMap<u64, SinceTaken> = HashMap::new();
    let sql = "SELECT request, slots, met, member FROM settlement ORDER BY number";
    let settlements = collect(connection, sql, |row| {
        Ok((unsigned(row, 0)?, row.get::<_, Vec<u8>>(1)?, ids(row, 2)?, row.get::<_, Option<Vec<u8>>>(3)?))
    })?;
    for (request, slots, met, joined) in settlements {
        let since = since.entry(request).or_default();
        let numbers = slots.chunks_exact(4).map(|bytes| u32::from_le_bytes(bytes.try_into().expect("four bytes")));
        since.settled.extend(numbers);
        since.met.extend(met);
        joined.iter().flat_map(|joined| joined.chunks_exact(MEMBER_BYTES)).for_each(|bytes| since.join(member(bytes)));
    }
    let nothing = SinceTaken::default();
    collect(connection, "SELECT id, body, members, is_cancelled FROM request ORDER BY taken", |row| {
        let id = unsigned(row, 0)?;
        RequestId::from_number(id).ok_or_else(|| StoreError::Corrupt(format!("{id} is no request id")))?;
        let body = bugle_wire::decode_down(row.get_ref(1)?.as_blob().map_err(|error| corrupt(&error))?, Time::ZERO);
        let DownEntry::Request(request) = body.map_err(|error| corrupt(&error))? else {
            return Err(StoreError::Corrupt("a request is something else".into()));
        };
        let members = row.get_ref(2)?.as_blob().map_err(|error| corrupt(&error))?;
        let since = since.get(&id).unwrap_or(&nothing);
        let members = members.chunks_exact(MEMBER_BYTES).map(member).filter(|taken| since.is_as_taken(taken));
        let waits = |(slot, _, _): &(Slot, u16, bool)| !since.settled.contains(&slot.number());
        Ok(StoredRequest {
            request: Arc::new(request),
            members: members.chain(since.joined.iter().copied()).filter(waits).collect(),
            met: since.met.clone(),
            is_cancelled: row.get(3)?,
        })
    })
}

/// What became of the members of a request since it was taken.
#[derive(Default)]
struct SinceTaken {
    settled: HashSet<u32>,
    joined: Vec<(Slot, u16, bool)>,
    met: Vec<PeripheralId>,
}

impl SinceTaken {
    fn join(&mut self, member: (Slot, u16, bool)) {
        // The slot may have been that of a member whose allocation is gone.
        self.joined.retain(|(slot, _, _)| *slot != member.0);
        self.joined.push(member);
        self.settled.remove(&member.0.number());
    }

    /// Whether nobody joined in the slot of this member.
    fn is_as_taken(&self, member: &(Slot, u16, bool)) -> bool {
        self.joined.iter().all(|(slot, _, _)| *slot != member.0)
    }
}

fn member(bytes: &[u8]) -> (Slot, u16, bool) {
    let slot = u32::from_le_bytes(bytes[..4].try_into().expect("four bytes"));
    let delivery = u16::from_le_bytes(bytes[4..6].try_into().expect("two bytes"));
    (Slot::new(slot), delivery, bytes[6] != 0)
}

fn reports(connection: &Connection) -> Result<VecDeque<(u64, ApplicationId)>, StoreError> {
    let sql = "SELECT sequence, entry FROM up WHERE is_report ORDER BY sequence";
    let reports = collect(connection, sql, |row| {
        let entry = row.get_ref(1)?.as_blob().map_err(|error| corrupt(&error))?;
        match bugle_wire::decode_up(entry).map_err(|error| corrupt(&error))? {
            UpEntry::Report { application, .. } => Ok((unsigned(row, 0)?, application)),
            _ => Err(StoreError::Corrupt("a report is something else".into())),
        }
    })?;
    Ok(reports.into())
}

fn slot(row: &Row<'_>, column: usize) -> Result<Slot, StoreError> {
    Ok(Slot::new(row.get(column)?))
}

fn unsigned(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    row.get::<_, i64>(column).map(i64::cast_unsigned)
}

fn time(row: &Row<'_>, column: usize) -> Result<Time, StoreError> {
    Ok(Time::from_millis(unsigned(row, column)?))
}

fn json<T: DeserializeOwned>(row: &Row<'_>, column: usize) -> Result<T, StoreError> {
    let text = row.get_ref(column)?.as_str().map_err(|error| corrupt(&error))?;
    serde_json::from_str(text).map_err(|error| corrupt(&error))
}

/// None where the column is null.
fn ids(row: &Row<'_>, column: usize) -> Result<Vec<PeripheralId>, StoreError> {
    match row.get_ref(column)?.as_str_or_null().map_err(|error| corrupt(&error))? {
        Some(text) => serde_json::from_str(text).map_err(|error| corrupt(&error)),
        None => Ok(Vec::new()),
    }
}

fn corrupt(error: &dyn std::fmt::Display) -> StoreError {
    StoreError::Corrupt(error.to_string())
}
