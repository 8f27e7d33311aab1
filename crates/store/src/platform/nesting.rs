//! Groups that lie in groups.

use std::collections::BTreeSet;

use bugle_core::platform::{GroupCount, NestingKey, Put};
use bugle_core::{ApplicationId, GroupId};

use super::column::{from_word, json, plain};
use super::load::{all, count, one};
use super::names::Names;
use crate::sqlite::{Connection, StoreError, params};

/// The numbers of a group and of all that it contains, near and far.
pub(super) fn whole(connection: &Connection, group: i64) -> Result<Vec<i64>, StoreError> {
    let sql = "WITH RECURSIVE whole (number) AS
            (VALUES (?1) UNION SELECT inner_group FROM nesting JOIN whole ON outer_group = whole.number)
        SELECT number FROM whole";
    all(connection, sql, [group], |row| plain(row, "number"))
}

/// The groups that a group contains, near and far.
pub(super) fn contained(connection: &Connection, group: i64) -> Result<BTreeSet<GroupId>, StoreError> {
    let whole = json(&whole(connection, group)?)?;
    let sql = r#"SELECT id FROM "group" WHERE number IN (SELECT value FROM json_each(?1)) AND number <> ?2"#;
    Ok(all(connection, sql, params![whole, group], |row| from_word(row, "id"))?.into_iter().collect())
}

/// The groups that lie directly in a group.
pub(super) fn inside(connection: &Connection, group: i64) -> Result<Vec<GroupId>, StoreError> {
    let sql = r#"SELECT id FROM nesting JOIN "group" ON number = inner_group WHERE outer_group = ?1 ORDER BY id"#;
    all(connection, sql, [group], |row| from_word(row, "id"))
}

/// The groups in which a group lies directly.
pub(super) fn around(connection: &Connection, group: i64) -> Result<Vec<GroupId>, StoreError> {
    let sql = r#"SELECT id FROM nesting JOIN "group" ON number = outer_group WHERE inner_group = ?1 ORDER BY id"#;
    all(connection, sql, [group], |row| from_word(row, "id"))
}

/// The count of peripherals that are in any of the groups, each once.
pub(super) fn count_distinct(connection: &Connection, groups: &[i64]) -> Result<GroupCount, StoreError> {
    let sql = r#"SELECT coalesce(sum(allocated), 0) AS allocated, coalesce(sum(member), 0) AS members,
            coalesce(sum(member AND presence = 'active'), 0) AS active
        FROM (SELECT peripheral, max(is_allocated) AS allocated, max(is_member) AS member FROM place
            WHERE "group" IN (SELECT value FROM json_each(?1)) GROUP BY peripheral)
        JOIN peripheral ON peripheral.number = peripheral"#;
    Ok(one(connection, sql, [json(&groups)?], count)?.unwrap_or_default())
}

/// All nestings of an application.
pub(super) fn all_of(connection: &Connection, application: &ApplicationId) -> Result<Vec<NestingKey>, StoreError> {
    let sql = r#"SELECT outside.id AS outer_id, inside.id AS inner_id FROM "group" AS outside
        JOIN nesting ON outer_group = outside.number JOIN "group" AS inside ON inside.number = inner_group
        WHERE outside.application = (SELECT number FROM application WHERE id = ?1)"#;
    all(connection, sql, [application.as_str()], |row| {
        Ok((application.clone(), from_word(row, "outer_id")?, from_word(row, "inner_id")?))
    })
}

pub(super) fn write(
    connection: &Connection,
    names: &mut Names<'_>,
    put: &Put<NestingKey, ()>,
) -> Result<(), StoreError> {
    let (application, outer, inner) = &put.key;
    let outer = names.ensure_group(&(application.clone(), outer.clone()))?;
    let inner = names.ensure_group(&(application.clone(), inner.clone()))?;
    let sql = match put.row {
        Some(()) => "INSERT OR IGNORE INTO nesting (outer_group, inner_group) VALUES (?1, ?2)",
        None => "DELETE FROM nesting WHERE outer_group = ?1 AND inner_group = ?2",
    };
    connection.prepare_cached(sql)?.execute(params![outer, inner])?;
    Ok(())
}
