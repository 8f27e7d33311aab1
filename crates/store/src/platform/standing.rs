//! How the members of groups stand.

use std::collections::BTreeSet;

use bugle_core::platform::{Sleeper, Standing};
use bugle_core::{ApplicationId, GroupId, Presence, State};

use super::column::{from_json, from_word, from_word_option, json, plain, time_option};
use super::load::{count, one};
use super::names::Names;
use super::nesting;
use crate::sqlite::{Connection, Row, StoreError};

/// The registered members of groups and of all that they contain, each once; none if no allocation names
/// any of these groups.
pub(super) fn standing(
    connection: &Connection,
    application: &ApplicationId,
    groups: &BTreeSet<GroupId>,
) -> Result<Option<Standing>, StoreError> {
    let mut names = Names::new(connection);
    let mut numbers = BTreeSet::new();
    for group in groups {
        if let Some(number) = names.group(&(application.clone(), group.clone()))? {
            numbers.extend(nesting::whole(connection, number)?);
        }
    }
    let is_one = numbers.len() == 1;
    let numbers = json(&numbers)?;
    let sql = r#"SELECT coalesce(sum(allocated), 0) AS allocated, coalesce(sum(members), 0) AS members,
            coalesce(sum(active), 0) AS active
        FROM group_gateway WHERE "group" IN (SELECT value FROM json_each(?1))"#;
    let sum = one(connection, sql, [&numbers], count)?.unwrap_or_default();
    if sum.allocated == 0 {
        return Ok(None);
    }
    // With nobody asleep the counts say it all. A member of two groups counts in both.
    if sum.active == sum.members && is_one {
        return Ok(Some(Standing { active: sum.active, sleepers: Vec::new() }));
    }
    members(connection, &numbers).map(Some)
}

fn members(connection: &Connection, groups: &str) -> Result<Standing, StoreError> {
    let sql = r#"SELECT gateway.id AS gateway_id, peripheral.id, presence, next_wake, wakes, labels
        FROM peripheral
        JOIN gateway ON gateway.number = peripheral.gateway
        WHERE peripheral.number IN
            (SELECT peripheral FROM place WHERE is_member AND "group" IN (SELECT value FROM json_each(?1)))"#;
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query([groups])?;
    let mut standing = Standing::default();
    while let Some(row) = rows.next()? {
        match sleeper(row)? {
            Some(sleeper) => standing.sleepers.push(sleeper),
            None => standing.active += 1,
        }
    }
    Ok(standing)
}

/// Nobody if the member is active.
fn sleeper(row: &Row<'_>) -> Result<Option<Sleeper>, StoreError> {
    let presence = match plain::<String>(row, "presence")?.as_str() {
        word if word == State::Active.as_str() => return Ok(None),
        word if word == State::Activating.as_str() => {
            Presence::Activating { next_wake: time_option(row, "next_wake")? }
        }
        _ => Presence::Standby { next_wake: time_option(row, "next_wake")? },
    };
    Ok(Some(Sleeper {
        gateway: from_word(row, "gateway_id")?,
        peripheral: from_word(row, "id")?,
        presence,
        wakes: from_word_option(row, "wakes")?,
        labels: from_json(row, "labels")?,
    }))
}
