//! Changes into rows, and rows back into what they record.

use std::collections::BTreeSet;
use std::str::FromStr;
use std::time::Duration;

use bugle_core::application::{Answer, Approval, ApprovalState, Change, Member, Recorded, Registration, Standing};
use bugle_core::{GroupId, PeripheralId, Presence, RegistrationId, Time, Verdict};

use super::{OutgoingAnswer, Restored};
use crate::sqlite::{Connection, Row, StoreError, params};

/// A number as a column holds it. Those that occur are far below the bound.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn unsigned(number: i64) -> Result<u64, StoreError> {
    u64::try_from(number).map_err(|_| StoreError::Corrupt(format!("{number} where no number is negative")))
}

/// Reads a word that this module has written.
fn read<T: FromStr<Err: std::fmt::Display>>(text: &str) -> Result<T, StoreError> {
    text.parse().map_err(|error| StoreError::Corrupt(format!("{text:?}: {error}")))
}

fn no_such(word: &str) -> StoreError {
    StoreError::Corrupt(format!("the word {word:?} where it has no meaning"))
}

fn given<T>(column: Option<T>, name: &str) -> Result<T, StoreError> {
    column.ok_or_else(|| StoreError::Corrupt(format!("a row without {name}")))
}

fn join(groups: &BTreeSet<GroupId>) -> String {
    groups.iter().map(GroupId::as_str).collect::<Vec<_>>().join(" ")
}

fn split(groups: &str) -> Result<BTreeSet<GroupId>, StoreError> {
    groups.split_ascii_whitespace().map(read).collect()
}

pub(super) fn apply(
    connection: &Connection,
    cursor: u64,
    changes: Vec<Change>,
) -> Result<Vec<OutgoingAnswer>, StoreError> {
    let mut outgoing = Vec::new();
    for change in changes {
        match change {
            Change::Recorded { peripheral, registration } => record(connection, &peripheral, &registration)?,
            Change::Dropped { slot } => {
                connection
                    .prepare_cached("DELETE FROM registration WHERE slot = ?1")?
                    .execute(params![signed(slot)])?;
            }
            Change::GroupCreated { group, since } => {
                let sql = "INSERT OR REPLACE INTO group_configuration (group_id, since) VALUES (?1, ?2)";
                connection.prepare_cached(sql)?.execute(params![group.as_str(), signed(since.as_millis())])?;
            }
            Change::GroupEnded { group } => {
                let sql = "DELETE FROM group_configuration WHERE group_id = ?1";
                connection.prepare_cached(sql)?.execute(params![group.as_str()])?;
            }
            Change::ApprovalRecorded { peripheral, approval } => record_approval(connection, &peripheral, &approval)?,
            Change::ApprovalDropped { peripheral } => {
                let sql = "DELETE FROM approval WHERE peripheral = ?1";
                connection.prepare_cached(sql)?.execute(params![peripheral.as_str()])?;
            }
            Change::Answered(answer) => {
                let number = record_answer(connection, &answer)?;
                outgoing.push(OutgoingAnswer { number, answer });
            }
        }
    }
    connection.prepare_cached("UPDATE state SET cursor = ?1")?.execute(params![signed(cursor)])?;
    Ok(outgoing)
}

fn record(connection: &Connection, peripheral: &PeripheralId, registration: &Registration) -> Result<(), StoreError> {
    let (standing, groups, lease, reason, sequence, member) = match &registration.standing {
        Standing::Pending { groups, lease, sequence } => {
            ("pending", Some(groups), Some(*lease), None, Some(*sequence), None)
        }
        Standing::Refused { reason } => ("refused", None, None, Some(reason), None, None),
        Standing::Member(member) => ("member", Some(&member.groups), None, None, Some(member.sequence), Some(member)),
        Standing::Replaced(member) => {
            ("replaced", Some(&member.groups), None, None, Some(member.sequence), Some(member))
        }
    };
    let presence = member.and_then(|member| member.presence);
    let next_wake = presence.and_then(Presence::next_wake);
    let presence = presence.map(|presence| match presence {
        Presence::Active => "active",
        Presence::Standby { .. } => "standby",
        Presence::Activating { .. } => "activating",
    });
    let sql = "INSERT OR REPLACE INTO registration \
        (slot, peripheral, gateway, number, standing, groups, lease_seconds, reason, sequence, presence, next_wake, since) \
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";
    connection.prepare_cached(sql)?.execute(params![
        signed(registration.slot),
        peripheral.as_str(),
        registration.gateway.as_str(),
        signed(registration.id.number()),
        standing,
        groups.map(join),
        lease.map(|lease| signed(lease.as_secs())),
        reason,
        sequence.map(signed),
        presence,
        next_wake.map(|time| signed(time.as_millis())),
        member.map(|member| signed(member.since.as_millis())),
    ])?;
    Ok(())
}

fn record_approval(connection: &Connection, peripheral: &PeripheralId, approval: &Approval) -> Result<(), StoreError> {
    let sql = "INSERT OR REPLACE INTO approval (peripheral, state, groups, gateway, since) VALUES (?1, ?2, ?3, ?4, ?5)";
    connection.prepare_cached(sql)?.execute(params![
        peripheral.as_str(),
        approval.state.as_str(),
        join(&approval.groups),
        approval.gateway.as_ref().map(|gateway| gateway.as_str()),
        signed(approval.since.as_millis()),
    ])?;
    Ok(())
}

fn record_answer(connection: &Connection, answer: &Answer) -> Result<u64, StoreError> {
    let (groups, lease, reason) = match &answer.verdict {
        Verdict::Authorized { groups, lease } => (Some(join(groups)), Some(signed(lease.as_secs())), None),
        Verdict::Refused { reason } => (None, None, Some(reason)),
    };
    let sql = "INSERT INTO answer (gateway, peripheral, registration, groups, lease_seconds, reason) \
        VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    let number = connection.prepare_cached(sql)?.insert(params![
        answer.gateway.as_str(),
        answer.peripheral.as_str(),
        signed(answer.registration.number()),
        groups,
        lease,
        reason,
    ])?;
    unsigned(number)
}

pub(super) fn restore(connection: &Connection) -> Result<Restored, StoreError> {
    let cursor = connection.query_row("SELECT cursor FROM state", [], |row| row.get(0))?;
    let registrations = "SELECT slot, peripheral, gateway, number, standing, groups, lease_seconds, reason, sequence, \
        presence, next_wake, since FROM registration ORDER BY slot";
    let groups = "SELECT group_id, since FROM group_configuration";
    let approvals = "SELECT peripheral, state, groups, gateway, since FROM approval";
    let answers = "SELECT number, gateway, peripheral, registration, groups, lease_seconds, reason FROM answer \
        ORDER BY number";
    Ok(Restored {
        recorded: Recorded {
            cursor: unsigned(cursor)?,
            registrations: all(connection, registrations, read_registration)?,
            groups: all(connection, groups, read_group)?,
            approvals: all(connection, approvals, read_approval)?,
        },
        outgoing: all(connection, answers, read_answer)?,
    })
}

fn all<T>(
    connection: &Connection,
    sql: &str,
    read: impl Fn(&Row<'_>) -> Result<T, StoreError>,
) -> Result<Vec<T>, StoreError> {
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query([])?;
    let mut read_back = Vec::new();
    while let Some(row) = rows.next()? {
        read_back.push(read(row)?);
    }
    Ok(read_back)
}

fn read_registration(row: &Row<'_>) -> Result<(PeripheralId, Registration), StoreError> {
    let word: String = row.get("standing")?;
    let groups = || split(&given(row.get::<_, Option<String>>("groups")?, "groups")?);
    let sequence = || unsigned(given(row.get("sequence")?, "a sequence")?);
    let standing = match word.as_str() {
        "pending" => Standing::Pending {
            groups: groups()?,
            lease: Duration::from_secs(unsigned(given(row.get("lease_seconds")?, "a lease")?)?),
            sequence: sequence()?,
        },
        "refused" => Standing::Refused { reason: given(row.get("reason")?, "a reason")? },
        "member" | "replaced" => {
            let since = Time::from_millis(unsigned(given(row.get("since")?, "a time")?)?);
            let member = Member { groups: groups()?, presence: read_presence(row)?, since, sequence: sequence()? };
            if word == "member" { Standing::Member(member) } else { Standing::Replaced(member) }
        }
        other => return Err(no_such(other)),
    };
    let registration = Registration {
        slot: unsigned(row.get("slot")?)?,
        gateway: read(&row.get::<_, String>("gateway")?)?,
        id: RegistrationId::new(unsigned(row.get("number")?)?),
        standing,
    };
    Ok((read(&row.get::<_, String>("peripheral")?)?, registration))
}

fn read_presence(row: &Row<'_>) -> Result<Option<Presence>, StoreError> {
    let next_wake: Option<i64> = row.get("next_wake")?;
    let next_wake = next_wake.map(unsigned).transpose()?.map(Time::from_millis);
    match row.get::<_, Option<String>>("presence")?.as_deref() {
        None => Ok(None),
        Some("active") => Ok(Some(Presence::Active)),
        Some("standby") => Ok(Some(Presence::Standby { next_wake })),
        Some("activating") => Ok(Some(Presence::Activating { next_wake })),
        Some(other) => Err(no_such(other)),
    }
}

fn read_group(row: &Row<'_>) -> Result<(GroupId, Time), StoreError> {
    let since = Time::from_millis(unsigned(row.get("since")?)?);
    Ok((read(&row.get::<_, String>("group_id")?)?, since))
}

fn read_approval(row: &Row<'_>) -> Result<(PeripheralId, Approval), StoreError> {
    let state = match row.get::<_, String>("state")?.as_str() {
        "waiting" => ApprovalState::Waiting,
        "approved" => ApprovalState::Approved,
        "refused" => ApprovalState::Refused,
        other => return Err(no_such(other)),
    };
    let gateway: Option<String> = row.get("gateway")?;
    let approval = Approval {
        state,
        groups: split(&row.get::<_, String>("groups")?)?,
        gateway: gateway.as_deref().map(read).transpose()?,
        since: Time::from_millis(unsigned(row.get("since")?)?),
    };
    Ok((read(&row.get::<_, String>("peripheral")?)?, approval))
}

fn read_answer(row: &Row<'_>) -> Result<OutgoingAnswer, StoreError> {
    let verdict = match row.get::<_, Option<String>>("groups")? {
        Some(groups) => Verdict::Authorized {
            groups: split(&groups)?,
            lease: Duration::from_secs(unsigned(given(row.get("lease_seconds")?, "a lease")?)?),
        },
        None => Verdict::Refused { reason: given(row.get("reason")?, "a reason")? },
    };
    let answer = Answer {
        gateway: read(&row.get::<_, String>("gateway")?)?,
        peripheral: read(&row.get::<_, String>("peripheral")?)?,
        registration: RegistrationId::new(unsigned(row.get("registration")?)?),
        verdict,
    };
    Ok(OutgoingAnswer { number: unsigned(row.get("number")?)?, answer })
}
