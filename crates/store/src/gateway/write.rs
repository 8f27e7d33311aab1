//! Each change as statements.

use bugle_core::gateway::{Change, Settlement, Slot, StoredAllocation, StoredRegistration, StoredRequest};
use bugle_core::{DownEntry, PeripheralId, Presence, RequestId, Time, UpEntry};

use crate::sqlite::{Connection, StoreError, params};

/// Bytes of one member in the column of a request's members: slot, delivery, whether it is activated.
pub(super) const MEMBER_BYTES: usize = 7;

pub(super) fn write(connection: &Connection, change: &Change) -> Result<(), StoreError> {
    match change {
        Change::Allocated(stored) => allocated(connection, stored),
        Change::Removed { slot } => {
            for sql in [
                "DELETE FROM allocation WHERE slot = ?1",
                "DELETE FROM registration WHERE slot = ?1",
                "DELETE FROM ask WHERE slot = ?1",
                "DELETE FROM session WHERE slot = ?1",
                "DELETE FROM observed WHERE slot = ?1",
            ] {
                execute(connection, sql, [slot.number()])?;
            }
            Ok(())
        }
        Change::Asked(ask) => execute(
            connection,
            "INSERT OR REPLACE INTO ask VALUES (?1, ?2)",
            (ask.slot.number(), ask.registration.number().cast_signed()),
        ),
        Change::AskEnded { slot } => execute(connection, "DELETE FROM ask WHERE slot = ?1", [slot.number()]),
        Change::Registered { slot, registration } => registered(connection, *slot, registration),
        Change::Presence { slot, presence, last_word } => {
            let (word, next_wake) = (word(*presence), presence.next_wake());
            let sql = "UPDATE registration SET presence = ?2, next_wake = ?3, last_word = ?4 WHERE slot = ?1";
            execute(connection, sql, (slot.number(), word, next_wake.map(millis), millis(*last_word)))
        }
        Change::Deregistered { slot } => {
            execute(connection, "DELETE FROM registration WHERE slot = ?1", [slot.number()])?;
            execute(connection, "DELETE FROM session WHERE slot = ?1", [slot.number()])
        }
        Change::Session { slot, session } => {
            execute(connection, "INSERT OR REPLACE INTO session VALUES (?1, ?2)", (slot.number(), session))
        }
        Change::Observed { slot, paths } => {
            let paths = serde_json::to_string(paths).expect("paths are JSON");
            execute(connection, "INSERT OR REPLACE INTO observed VALUES (?1, ?2)", (slot.number(), paths))
        }
        Change::RegistrationsReserved { through } => {
            execute(connection, "UPDATE mark SET registrations_reserved = ?1", [through.cast_signed()])
        }
        Change::Taken(request) => taken(connection, request),
        Change::Joined { request, peripheral, waiting } => joined(connection, *request, peripheral, *waiting),
        Change::Settled(settlement) => settled(connection, settlement),
        Change::Cancelled { request } => {
            execute(connection, "UPDATE request SET is_cancelled = 1 WHERE id = ?1", [request.number().cast_signed()])
        }
        Change::Ended { request } => {
            let id = request.number().cast_signed();
            execute(connection, "DELETE FROM request WHERE id = ?1", [id])?;
            execute(connection, "DELETE FROM settlement WHERE request = ?1", [id])
        }
        Change::Up { sequence, entry } => up(connection, *sequence, entry),
        Change::UpTrimmed { through } => {
            execute(connection, "DELETE FROM up WHERE sequence <= ?1", [through.cast_signed()])?;
            execute(connection, "UPDATE mark SET up_acknowledged = ?1", [through.cast_signed()])
        }
        Change::DownApplied { sequence } => {
            execute(connection, "UPDATE mark SET down_applied = ?1", [sequence.cast_signed()])
        }
    }
}

fn allocated(connection: &Connection, stored: &StoredAllocation) -> Result<(), StoreError> {
    let body = serde_json::to_string(&*stored.allocation).expect("an allocation is JSON");
    let origin = serde_json::to_string(&stored.origin).expect("an origin is JSON");
    let sql = "INSERT OR REPLACE INTO allocation VALUES (?1, ?2, ?3, ?4, TRUE)";
    execute(connection, sql, (stored.slot.number(), body, origin, stored.is_blocked))
}

fn registered(connection: &Connection, slot: Slot, registration: &StoredRegistration) -> Result<(), StoreError> {
    let groups = serde_json::to_string(&*registration.groups).expect("group ids are JSON");
    let lifetime = i64::try_from(registration.lifetime.as_millis()).unwrap_or(i64::MAX);
    let sql = "INSERT OR REPLACE INTO registration VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
    let row = params![
        slot.number(),
        registration.id.number().cast_signed(),
        groups,
        lifetime,
        millis(registration.lease_until),
        registration.presented,
        word(registration.presence),
        registration.presence.next_wake().map(millis),
        millis(registration.last_word),
    ];
    execute(connection, sql, row)
}

fn taken(connection: &Connection, stored: &StoredRequest) -> Result<(), StoreError> {
    // From the epoch on, what remains until the deadline is the deadline itself.
    let body = bugle_wire::encode_down(&DownEntry::Request((*stored.request).clone()), Time::ZERO);
    let mut members = Vec::with_capacity(stored.members.len() * MEMBER_BYTES);
    stored.members.iter().for_each(|waiting| members.extend_from_slice(&member(*waiting)));
    let id = stored.request.id.number().cast_signed();
    let sql = "INSERT INTO request (id, body, members, is_cancelled) VALUES (?1, ?2, ?3, ?4)";
    execute(connection, sql, (id, body, members, stored.is_cancelled))?;
    if stored.met.is_empty() {
        return Ok(());
    }
    let met = serde_json::to_string(&stored.met).expect("peripheral ids are JSON");
    execute(connection, "INSERT INTO settlement (request, slots, met) VALUES (?1, x'', ?2)", (id, met))
}

fn member((slot, delivery, activates): (Slot, u16, bool)) -> [u8; MEMBER_BYTES] {
    let mut bytes = [0; MEMBER_BYTES];
    bytes[..4].copy_from_slice(&slot.number().to_le_bytes());
    bytes[4..6].copy_from_slice(&delivery.to_le_bytes());
    bytes[6] = u8::from(activates);
    bytes
}

fn joined(
    connection: &Connection,
    request: RequestId,
    peripheral: &PeripheralId,
    waiting: Option<(Slot, u16, bool)>,
) -> Result<(), StoreError> {
    let met = serde_json::to_string(&[peripheral]).expect("peripheral ids are JSON");
    let sql = "INSERT INTO settlement (request, slots, met, member) VALUES (?1, x'', ?2, ?3)";
    execute(connection, sql, (request.number().cast_signed(), met, waiting.map(member)))
}

fn settled(connection: &Connection, settlement: &Settlement) -> Result<(), StoreError> {
    let slots: Vec<u8> = settlement.slots.iter().flat_map(|slot| slot.number().to_le_bytes()).collect();
    let sql = "INSERT INTO settlement (request, slots) VALUES (?1, ?2)";
    execute(connection, sql, (settlement.request.number().cast_signed(), slots))
}

fn up(connection: &Connection, sequence: u64, entry: &UpEntry) -> Result<(), StoreError> {
    let is_report = matches!(entry, UpEntry::Report { .. });
    let bytes = bugle_wire::encode_up(entry);
    execute(connection, "INSERT OR REPLACE INTO up VALUES (?1, ?2, ?3)", (sequence.cast_signed(), is_report, bytes))
}

const fn word(presence: Presence) -> &'static str {
    match presence {
        Presence::Active => "active",
        Presence::Standby { .. } => "standby",
        Presence::Activating { .. } => "activating",
    }
}

fn millis(time: Time) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

fn execute(connection: &Connection, sql: &str, row: impl rusqlite::Params) -> Result<(), StoreError> {
    connection.prepare_cached(sql)?.execute(row)?;
    Ok(())
}
