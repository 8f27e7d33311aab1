//! The numbers that stand for ids.

use std::collections::HashMap;

use bugle_core::platform::ApplicationGroup;
use bugle_core::{ApplicationId, GatewayId, Time};

use super::column::millis;
use crate::sqlite::{Connection, OptionalExtension, StoreError, params};

/// Looks numbers up once for each job. Not kept longer: the job that gave a number may come to nothing.
pub(super) struct Names<'c> {
    connection: &'c Connection,
    gateways: HashMap<GatewayId, Option<i64>>,
    applications: HashMap<ApplicationId, Option<i64>>,
    groups: HashMap<ApplicationGroup, Option<i64>>,
}

impl<'c> Names<'c> {
    pub(super) fn new(connection: &'c Connection) -> Self {
        Self { connection, gateways: HashMap::new(), applications: HashMap::new(), groups: HashMap::new() }
    }

    pub(super) fn gateway(&mut self, id: &GatewayId) -> Result<Option<i64>, StoreError> {
        if let Some(number) = self.gateways.get(id) {
            return Ok(*number);
        }
        let sql = "SELECT number FROM gateway WHERE id = ?1";
        let number = look_up(self.connection, sql, (id.as_str(),))?;
        self.gateways.insert(id.clone(), number);
        Ok(number)
    }

    pub(super) fn application(&mut self, id: &ApplicationId) -> Result<Option<i64>, StoreError> {
        if let Some(number) = self.applications.get(id) {
            return Ok(*number);
        }
        let sql = "SELECT number FROM application WHERE id = ?1";
        let number = look_up(self.connection, sql, (id.as_str(),))?;
        self.applications.insert(id.clone(), number);
        Ok(number)
    }

    pub(super) fn group(&mut self, key: &ApplicationGroup) -> Result<Option<i64>, StoreError> {
        if let Some(number) = self.groups.get(key) {
            return Ok(*number);
        }
        let number = match self.application(&key.0)? {
            Some(application) => {
                let sql = r#"SELECT number FROM "group" WHERE application = ?1 AND id = ?2"#;
                look_up(self.connection, sql, (application, key.1.as_str()))?
            }
            None => None,
        };
        self.groups.insert(key.clone(), number);
        Ok(number)
    }

    /// The number of a gateway that a row speaks of, and that must be there for it.
    pub(super) fn known_gateway(&mut self, id: &GatewayId) -> Result<i64, StoreError> {
        self.gateway(id)?.ok_or_else(|| StoreError::Statement(format!("gateway {id} is unknown")))
    }

    /// The number of an application that a row speaks of, and that must be there for it.
    pub(super) fn known_application(&mut self, id: &ApplicationId) -> Result<i64, StoreError> {
        self.application(id)?.ok_or_else(|| StoreError::Statement(format!("application {id} is unknown")))
    }

    /// The number of an application, which is added if need be.
    pub(super) fn ensure_application(&mut self, id: &ApplicationId, now: Time) -> Result<i64, StoreError> {
        if let Some(number) = self.application(id)? {
            return Ok(number);
        }
        let sql = "INSERT INTO application (id, created_at) VALUES (?1, ?2)";
        self.connection.prepare_cached(sql)?.execute(params![id.as_str(), millis(now)])?;
        let number = self.connection.last_insert_rowid();
        self.applications.insert(id.clone(), Some(number));
        Ok(number)
    }

    /// The number of a group, which is added if need be.
    pub(super) fn ensure_group(&mut self, key: &ApplicationGroup) -> Result<i64, StoreError> {
        if let Some(number) = self.group(key)? {
            return Ok(number);
        }
        let application = self.known_application(&key.0)?;
        let sql = r#"INSERT INTO "group" (application, id) VALUES (?1, ?2)"#;
        self.connection.prepare_cached(sql)?.execute(params![application, key.1.as_str()])?;
        let number = self.connection.last_insert_rowid();
        self.groups.insert(key.clone(), Some(number));
        Ok(number)
    }
}

fn look_up(connection: &Connection, sql: &str, key: impl rusqlite::Params) -> Result<Option<i64>, StoreError> {
    Ok(connection.prepare_cached(sql)?.query_row(key, |row| row.get(0)).optional()?)
}
