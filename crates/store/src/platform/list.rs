//! What is shown: lists, and single rows with all there is to them.

use std::fmt;
use std::str::FromStr;

use bugle_core::platform::{GroupCount, MemberRow, PeripheralKey, PeripheralRow, RequestRow, RequestState, Submitted};
use bugle_core::{
    ApplicationId, GatewayId, GroupId, OutcomeKind, PeripheralId, RequestId, Stage, State, Stranger, Time,
};
use thiserror::Error;

use super::column::{from_word, json, plain, time, time_option};
use super::load::{all, count, one};
use super::names::Names;
use super::nesting;
use super::row::{self, select_peripherals, select_requests};
use crate::sqlite::{Connection, Row, StoreError, params};

/// A page of rows, each with its number, by which the next page is asked for.
pub type Numbered<T> = Vec<(i64, T)>;

/// An application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApplicationRecord {
    /// Which.
    pub id: ApplicationId,
    /// Since when it is known.
    pub created_at: Time,
    /// The sequence of its latest event.
    pub event_last: u64,
    /// Events up to and including this one are no longer kept.
    pub event_gone: u64,
}

/// A gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatewayRecord {
    /// Which.
    pub id: GatewayId,
    /// Since when it is known.
    pub created_at: Time,
    /// When its link was last known to be up.
    pub last_seen: Option<Time>,
    /// SHA-256 of the certificate with which it may connect.
    pub certificate: Option<[u8; 32]>,
    /// Where its logs stand.
    pub logs: bugle_core::platform::GatewayRow,
}

/// A group request with what it asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestRecord {
    /// Which.
    pub id: RequestId,
    /// What it asks.
    pub submitted: Submitted,
    /// Where it stands.
    pub row: RequestRow,
    /// Members on record at gateways that have not told theirs.
    pub accepted: u64,
}

/// Which peripherals are listed.
#[derive(Debug, Clone, Default)]
pub struct PeripheralFilter {
    /// Those of this application.
    pub application: Option<ApplicationId>,
    /// Those at this gateway.
    pub gateway: Option<GatewayId>,
    /// Those in this state.
    pub state: Option<State>,
}

/// A place in the list of the members of a group request.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MemberCursor {
    /// The number of the gateway.
    pub gateway: i64,
    /// The peripheral; not an id where there is none before the first.
    pub peripheral: String,
}

impl fmt::Display for MemberCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.gateway, self.peripheral)
    }
}

/// A text is no place in a list. The fault is of whoever wrote it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("not a place in the list of members")]
pub struct MemberCursorError;

impl FromStr for MemberCursor {
    type Err = MemberCursorError;

    fn from_str(text: &str) -> Result<Self, MemberCursorError> {
        let (gateway, peripheral) = text.split_once('/').ok_or(MemberCursorError)?;
        let gateway = gateway.parse().map_err(|_| MemberCursorError)?;
        Ok(Self { gateway, peripheral: peripheral.to_owned() })
    }
}

/// Which members of a group request are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MembersShown {
    /// All of them.
    All,
    /// Those without outcome.
    Waiting,
    /// Those of them that are there.
    At(Stage),
    /// Those that ended so.
    Ended(OutcomeKind),
}

/// A member of a group request.
pub type MemberRecord = (GatewayId, PeripheralId, MemberRow);

fn application(row: &Row<'_>) -> Result<(i64, ApplicationRecord), StoreError> {
    let record = ApplicationRecord {
        id: from_word(row, "id")?,
        created_at: time(row, "created_at")?,
        event_last: plain(row, "event_last")?,
        event_gone: plain(row, "event_gone")?,
    };
    Ok((plain(row, "number")?, record))
}

pub(super) fn applications(
    connection: &Connection,
    after: i64,
    limit: u32,
) -> Result<Numbered<ApplicationRecord>, StoreError> {
    let sql = "SELECT * FROM application WHERE number > ?1 ORDER BY number LIMIT ?2";
    all(connection, sql, params![after, limit], application)
}

pub(super) fn application_of(
    connection: &Connection,
    id: &ApplicationId,
) -> Result<Option<ApplicationRecord>, StoreError> {
    let found = one(connection, "SELECT * FROM application WHERE id = ?1", [id.as_str()], application)?;
    Ok(found.map(|(_, record)| record))
}

fn gateway(row: &Row<'_>) -> Result<(i64, GatewayRecord), StoreError> {
    let record = GatewayRecord {
        id: from_word(row, "id")?,
        created_at: time(row, "created_at")?,
        last_seen: time_option(row, "last_seen")?,
        certificate: plain(row, "certificate")?,
        logs: row::gateway(row)?,
    };
    Ok((plain(row, "number")?, record))
}

pub(super) fn gateways(connection: &Connection, after: i64, limit: u32) -> Result<Numbered<GatewayRecord>, StoreError> {
    let sql = "SELECT * FROM gateway WHERE number > ?1 ORDER BY number LIMIT ?2";
    all(connection, sql, params![after, limit], gateway)
}

pub(super) fn gateway_of(connection: &Connection, id: &GatewayId) -> Result<Option<GatewayRecord>, StoreError> {
    let found = one(connection, "SELECT * FROM gateway WHERE id = ?1", [id.as_str()], gateway)?;
    Ok(found.map(|(_, record)| record))
}

/// The latest first: `before` a number.
pub(super) fn strangers(
    connection: &Connection,
    before: i64,
    limit: u32,
) -> Result<Numbered<(GatewayId, Stranger)>, StoreError> {
    let sql = "SELECT stranger.*, gateway.id AS gateway_id FROM stranger
        JOIN gateway ON gateway.number = stranger.gateway
        WHERE stranger.number < ?1 ORDER BY stranger.number DESC LIMIT ?2";
    all(connection, sql, params![before, limit], |row| {
        let stranger = Stranger {
            peripheral: from_word(row, "peripheral")?,
            protocol: from_word(row, "protocol")?,
            address: plain(row, "address")?,
            at: time(row, "at")?,
        };
        Ok((plain(row, "number")?, (from_word(row, "gateway_id")?, stranger)))
    })
}

fn numbered_peripheral(row: &Row<'_>) -> Result<(i64, (PeripheralKey, PeripheralRow)), StoreError> {
    Ok((plain(row, "number")?, row::peripheral(row)?))
}

pub(super) fn peripherals(
    connection: &Connection,
    filter: &PeripheralFilter,
    after: i64,
    limit: u32,
) -> Result<Numbered<(PeripheralKey, PeripheralRow)>, StoreError> {
    let state = filter.state.map(State::as_str);
    let application = filter.application.as_ref().map(ApplicationId::as_str);
    let gateway = filter.gateway.as_ref().map(GatewayId::as_str);
    // One statement each, as each reads along another index. What is not asked for is null.
    let sql = match (application, gateway) {
        (Some(_), _) => select_peripherals!(
            "WHERE peripheral.application = (SELECT number FROM application WHERE id = ?1)
             AND (?2 IS NULL OR gateway.id = ?2) AND (?3 IS NULL OR state = ?3)
             AND peripheral.number > ?4 ORDER BY peripheral.number LIMIT ?5"
        ),
        (None, Some(_)) => select_peripherals!(
            "WHERE peripheral.gateway = (SELECT number FROM gateway WHERE id = ?2)
             AND (?1 IS NULL) AND (?3 IS NULL OR state = ?3)
             AND peripheral.number > ?4 ORDER BY peripheral.number LIMIT ?5"
        ),
        (None, None) => select_peripherals!(
            "WHERE (?1 IS NULL) AND (?2 IS NULL) AND (?3 IS NULL OR state = ?3)
             AND peripheral.number > ?4 ORDER BY peripheral.number LIMIT ?5"
        ),
    };
    all(connection, sql, params![application, gateway, state, after, limit], numbered_peripheral)
}

/// How a peripheral belongs to a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Belonging {
    /// It is allocated to it.
    Allocated,
    /// It is a member of it.
    Member,
}

pub(super) fn peripherals_of_group(
    connection: &Connection,
    group: (&ApplicationId, &GroupId),
    belonging: Belonging,
    filter: &PeripheralFilter,
    after: i64,
    limit: u32,
) -> Result<Numbered<(PeripheralKey, PeripheralRow)>, StoreError> {
    let Some(number) = Names::new(connection).group(&(group.0.clone(), group.1.clone()))? else {
        return Ok(Vec::new());
    };
    let whole = nesting::whole(connection, number)?;
    // In several groups a peripheral may be several times: they are all looked through for a page. One group
    // is read along its index.
    let sql = match &whole[..] {
        [_] => select_peripherals!(
            r#"JOIN place ON place.peripheral = peripheral.number
               WHERE place."group" = (SELECT value FROM json_each(?1))
               AND CASE ?2 WHEN 0 THEN is_allocated ELSE is_member END
               AND (?3 IS NULL OR gateway.id = ?3) AND (?4 IS NULL OR state = ?4)
               AND place.peripheral > ?5 ORDER BY place.peripheral LIMIT ?6"#
        ),
        _ => select_peripherals!(
            r#"WHERE peripheral.number IN (SELECT place.peripheral FROM place
                   WHERE place."group" IN (SELECT value FROM json_each(?1))
                   AND CASE ?2 WHEN 0 THEN is_allocated ELSE is_member END AND place.peripheral > ?5)
               AND (?3 IS NULL OR gateway.id = ?3) AND (?4 IS NULL OR state = ?4)
               ORDER BY peripheral.number LIMIT ?6"#
        ),
    };
    let belonging = i64::from(belonging == Belonging::Member);
    let gateway = filter.gateway.as_ref().map(GatewayId::as_str);
    let state = filter.state.map(State::as_str);
    let key = params![json(&whole)?, belonging, gateway, state, after, limit];
    all(connection, sql, key, numbered_peripheral)
}

pub(super) fn peripheral_of(connection: &Connection, key: &PeripheralKey) -> Result<Option<PeripheralRow>, StoreError> {
    let sql = select_peripherals!("WHERE gateway.id = ?1 AND peripheral.id = ?2");
    let found = one(connection, sql, params![key.0.as_str(), key.1.as_str()], row::peripheral)?;
    Ok(found.map(|(_, row)| row))
}

/// Registered, or awaiting a decision: what a snapshot holds.
pub(super) fn present(
    connection: &Connection,
    application: &ApplicationId,
    after: i64,
    limit: u32,
) -> Result<Numbered<(PeripheralKey, PeripheralRow)>, StoreError> {
    let sql = select_peripherals!(
        "WHERE peripheral.application = (SELECT number FROM application WHERE id = ?1)
         AND (registration IS NOT NULL OR asked IS NOT NULL)
         AND peripheral.number > ?2 ORDER BY peripheral.number LIMIT ?3"
    );
    all(connection, sql, params![application.as_str(), after, limit], numbered_peripheral)
}

pub(super) fn groups(
    connection: &Connection,
    application: &ApplicationId,
    after: i64,
    limit: u32,
) -> Result<Numbered<(GroupId, GroupCount)>, StoreError> {
    let sql = r#"SELECT "group".number, "group".id, coalesce(sum(allocated), 0) AS allocated,
            coalesce(sum(members), 0) AS members, coalesce(sum(active), 0) AS active
        FROM "group" LEFT JOIN group_gateway ON group_gateway."group" = "group".number
        WHERE application = (SELECT number FROM application WHERE id = ?1) AND "group".number > ?2
        GROUP BY "group".number
        HAVING sum(allocated) > 0 OR EXISTS (SELECT 1 FROM nesting WHERE outer_group = "group".number)
        ORDER BY "group".number LIMIT ?3"#;
    all(connection, sql, params![application.as_str(), after, limit], |row| {
        Ok((plain(row, "number")?, (from_word(row, "id")?, count(row)?)))
    })
}

pub(super) fn group_gateways(
    connection: &Connection,
    group: (&ApplicationId, &GroupId),
) -> Result<Vec<(GatewayId, GroupCount)>, StoreError> {
    let sql = r#"SELECT group_gateway.*, gateway.id AS gateway_id FROM group_gateway
        JOIN gateway ON gateway.number = group_gateway.gateway
        WHERE "group" = (SELECT number FROM "group" WHERE id = ?2
            AND application = (SELECT number FROM application WHERE id = ?1))
        ORDER BY gateway.id"#;
    let key = params![group.0.as_str(), group.1.as_str()];
    all(connection, sql, key, |row| Ok((from_word(row, "gateway_id")?, count(row)?)))
}

fn request(row: &Row<'_>) -> Result<RequestRecord, StoreError> {
    let (id, request) = row::request(row)?;
    Ok(RequestRecord { id, submitted: row::submitted(row)?, row: request, accepted: 0 })
}

/// Where a group lies among others.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NestingRecord {
    /// The groups that lie directly in it.
    pub inside: Vec<GroupId>,
    /// The groups in which it lies directly.
    pub around: Vec<GroupId>,
    /// How many groups it contains, near and far.
    pub contained: u64,
    /// The peripherals of the group and of those that it contains, each counted once. Nothing is counted if
    /// it contains none.
    pub whole: GroupCount,
}

pub(super) fn nesting_of(
    connection: &Connection,
    group: (&ApplicationId, &GroupId),
) -> Result<NestingRecord, StoreError> {
    let Some(number) = Names::new(connection).group(&(group.0.clone(), group.1.clone()))? else {
        return Ok(NestingRecord::default());
    };
    let whole = nesting::whole(connection, number)?;
    Ok(NestingRecord {
        inside: nesting::inside(connection, number)?,
        around: nesting::around(connection, number)?,
        contained: whole.len() as u64 - 1,
        whole: if whole.len() > 1 { nesting::count_distinct(connection, &whole)? } else { GroupCount::default() },
    })
}

/// Counts the members on record at the gateways that have not told any of theirs.
fn count_accepted(connection: &Connection, record: &mut RequestRecord) -> Result<(), StoreError> {
    if record.row.state == RequestState::Complete || record.row.gateways_fixed == record.row.gateways {
        return Ok(());
    }
    // The counts say it for one group. In several a peripheral may be several times.
    let sql = if record.row.contained.is_empty() {
        r#"SELECT coalesce(sum(group_gateway.members), 0) AS accepted FROM request
            JOIN request_gateway ON request_gateway.request = request.number AND NOT is_fixed
            JOIN "group" ON "group".application = request.application AND "group".id = request."group"
            JOIN group_gateway ON group_gateway."group" = "group".number
                AND group_gateway.gateway = request_gateway.gateway
            WHERE request.number = ?1 AND NOT EXISTS (SELECT 1 FROM member_page AS page
                WHERE page.request = request.number AND page.gateway = request_gateway.gateway)"#
    } else {
        r#"SELECT count(DISTINCT peripheral.number) AS accepted FROM request
            JOIN request_gateway ON request_gateway.request = request.number AND NOT is_fixed
            JOIN "group" ON "group".application = request.application AND ("group".id = request."group"
                OR "group".id IN (SELECT value FROM json_each(request.contained)))
            JOIN place ON place."group" = "group".number AND is_member
            JOIN peripheral ON peripheral.number = place.peripheral AND peripheral.gateway = request_gateway.gateway
            WHERE request.number = ?1 AND NOT EXISTS (SELECT 1 FROM member_page AS page
                WHERE page.request = request.number AND page.gateway = request_gateway.gateway)"#
    };
    let accepted = one(connection, sql, [record.id.number()], |row| plain(row, "accepted"))?;
    record.accepted = accepted.unwrap_or_default();
    Ok(())
}

pub(super) fn request_of(
    connection: &Connection,
    application: &ApplicationId,
    id: RequestId,
) -> Result<Option<RequestRecord>, StoreError> {
    let sql = select_requests!("WHERE request.number = ?1 AND application.id = ?2");
    let mut found = one(connection, sql, params![id.number(), application.as_str()], request)?;
    found.iter_mut().try_for_each(|record| count_accepted(connection, record))?;
    Ok(found)
}

/// The latest first: `before` a request.
pub(super) fn requests(
    connection: &Connection,
    application: &ApplicationId,
    group: Option<&GroupId>,
    state: Option<RequestState>,
    before: Option<RequestId>,
    limit: u32,
) -> Result<Vec<RequestRecord>, StoreError> {
    let sql = select_requests!(
        r#"WHERE request.application = (SELECT number FROM application WHERE id = ?1)
           AND (?2 IS NULL OR "group" = ?2) AND (?3 IS NULL OR state = ?3)
           AND request.number < ?4 ORDER BY request.number DESC LIMIT ?5"#
    );
    let group = group.map(GroupId::as_str);
    let state = state.map(RequestState::as_str);
    let before = before.map_or(i64::MAX as u64, RequestId::number);
    let mut found = all(connection, sql, params![application.as_str(), group, state, before, limit], request)?;
    found.iter_mut().try_for_each(|record| count_accepted(connection, record))?;
    Ok(found)
}
