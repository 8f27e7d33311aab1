//! Who may come in: tokens of people and programs, and certificates of gateways.

use bugle_core::{ApplicationId, GatewayId, Time};

use super::column::{from_json, from_word, millis, plain, time, time_option};
use super::load::{all, one};
use super::names::Names;
use crate::sqlite::{Connection, Row, StoreError, params};

/// SHA-256 of a secret or a certificate.
pub type Hash = [u8; 32];

/// A token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRow {
    /// What it is for.
    pub name: String,
    /// What it allows, in the words of the API.
    pub scopes: Vec<String>,
    /// The only application that it is good for.
    pub application: Option<ApplicationId>,
    /// When it was issued.
    pub created_at: Time,
    /// Until when it is good.
    pub expires_at: Option<Time>,
}

const TOKEN: &str = "SELECT token.*, application.id AS application_id FROM token \
     LEFT JOIN application ON application.number = token.application ";

fn token(row: &Row<'_>) -> Result<(i64, TokenRow), StoreError> {
    let application = match plain::<Option<i64>>(row, "application")? {
        Some(_) => Some(from_word(row, "application_id")?),
        None => None,
    };
    let token = TokenRow {
        name: plain(row, "name")?,
        scopes: from_json(row, "scopes")?,
        application,
        created_at: time(row, "created_at")?,
        expires_at: time_option(row, "expires_at")?,
    };
    Ok((plain(row, "number")?, token))
}

/// Adds a token; none if its application is unknown.
pub(super) fn add_token(connection: &Connection, hash: &Hash, token: &TokenRow) -> Result<Option<i64>, StoreError> {
    let application = match &token.application {
        Some(application) => match Names::new(connection).application(application)? {
            Some(number) => Some(number),
            None => return Ok(None),
        },
        None => None,
    };
    let sql =
        "INSERT INTO token (hash, name, scopes, application, created_at, expires_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    connection.prepare_cached(sql)?.execute(params![
        hash,
        token.name,
        super::column::json(&token.scopes)?,
        application,
        millis(token.created_at),
        token.expires_at.map(millis),
    ])?;
    Ok(Some(connection.last_insert_rowid()))
}

pub(super) fn token_of(connection: &Connection, hash: &Hash) -> Result<Option<TokenRow>, StoreError> {
    let sql = format!("{TOKEN} WHERE hash = ?1");
    Ok(one(connection, &sql, [hash], token)?.map(|(_, token)| token))
}

pub(super) fn tokens(connection: &Connection, after: i64, limit: u32) -> Result<Vec<(i64, TokenRow)>, StoreError> {
    let sql = format!("{TOKEN} WHERE token.number > ?1 ORDER BY token.number LIMIT ?2");
    all(connection, &sql, params![after, limit], token)
}

pub(super) fn remove_token(connection: &Connection, number: i64) -> Result<bool, StoreError> {
    Ok(connection.prepare_cached("DELETE FROM token WHERE number = ?1")?.execute([number])? > 0)
}

pub(super) fn add_enrollment(
    connection: &Connection,
    hash: &Hash,
    gateway: &GatewayId,
    expires_at: Time,
    now: Time,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO gateway (id, created_at) VALUES (?1, ?2) ON CONFLICT (id) DO NOTHING";
    connection.prepare_cached(sql)?.execute(params![gateway.as_str(), millis(now)])?;
    let number = Names::new(connection).known_gateway(gateway)?;
    // A new token makes older ones for the same gateway worthless.
    connection.prepare_cached("DELETE FROM enrollment WHERE gateway = ?1")?.execute([number])?;
    let sql = "INSERT INTO enrollment (hash, gateway, expires_at) VALUES (?1, ?2, ?3)";
    connection.prepare_cached(sql)?.execute(params![hash, number, millis(expires_at)])?;
    Ok(())
}

/// The gateway that an enrolment token is for, and until when it is good.
pub(super) fn enrollment(connection: &Connection, hash: &Hash) -> Result<Option<(GatewayId, Time)>, StoreError> {
    let sql = "SELECT gateway.id, expires_at FROM enrollment JOIN gateway ON gateway.number = enrollment.gateway
        WHERE hash = ?1";
    one(connection, sql, [hash], |row| Ok((from_word(row, "id")?, time(row, "expires_at")?)))
}

/// Uses an enrolment token up for a certificate; false if somebody else has.
pub(super) fn enrol(connection: &Connection, hash: &Hash, certificate: &Hash) -> Result<bool, StoreError> {
    let sql = "UPDATE gateway SET certificate = ?2 WHERE number = (SELECT gateway FROM enrollment WHERE hash = ?1)";
    let is_new = connection.prepare_cached(sql)?.execute(params![hash, certificate])? > 0;
    connection.prepare_cached("DELETE FROM enrollment WHERE hash = ?1")?.execute([hash])?;
    Ok(is_new)
}
