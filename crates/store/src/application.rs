//! What an application keeps: its group configurations with everything that they rest on, how far it
//! has read the event log, and the answers that the platform has not acknowledged.
//!
//! The changes of a batch of events, the answers among them, and the cursor are one job, so that
//! after a crash either all of it is there or the batch is handled again.

mod rows;
#[cfg(test)]
mod tests;

use std::path::Path;

use bugle_core::ApplicationId;
use bugle_core::application::{Answer, Change, Recorded};
use thiserror::Error;

use crate::sqlite::{Connection, Database, Layout, Measures, OpenError, OptionalExtension, StoreError, params};

const LAYOUT: Layout = Layout {
    kind: "application",
    application_id: 0x4275_6170,
    cache_kib: 32_768,
    migrations: &[include_str!("application/1.sql")],
};

/// The store of one application.
#[derive(Debug)]
pub struct ApplicationStore {
    database: Database,
}

/// Why a store could not be opened.
#[derive(Debug, Error)]
pub enum ApplicationStoreError {
    /// The file could not be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The file could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The file is another application's.
    #[error("the file is application {found}'s; give application {wanted} a data folder of its own")]
    Foreign {
        /// Whose it is.
        found: String,
        /// Whose it was to be.
        wanted: ApplicationId,
    },
}

/// An answer that the platform has not acknowledged, and its number; later ones have larger numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutgoingAnswer {
    /// Its number.
    pub number: u64,
    /// The answer.
    pub answer: Answer,
}

/// Everything that a store held when it was opened.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Restored {
    /// What the group configurations are restored from.
    pub recorded: Recorded,
    /// The answers that the platform has not acknowledged, in order.
    pub outgoing: Vec<OutgoingAnswer>,
}

impl ApplicationStore {
    /// Opens the file at `path`, creating it if need be, as this application's. Blocks.
    ///
    /// # Errors
    /// If it cannot be opened or read, or is another application's.
    pub fn open(path: &Path, application: &ApplicationId) -> Result<Self, ApplicationStoreError> {
        let database = Database::open(path, &LAYOUT)?;
        let wanted = application.clone();
        let found = database.write(move |connection| claim(connection, &wanted)).wait()?;
        if found != application.as_str() {
            return Err(ApplicationStoreError::Foreign { found, wanted: application.clone() });
        }
        Ok(Self { database })
    }

    /// How it is doing.
    #[must_use]
    pub fn measures(&self) -> Measures {
        self.database.measures()
    }

    /// Reads everything back.
    ///
    /// # Errors
    /// If the file cannot be read, or holds what no release has written.
    pub async fn restore(&self) -> Result<Restored, StoreError> {
        self.database.read(rows::restore).recv().await
    }

    /// Stores the changes that led to this cursor, in order. Returns the answers among them, which may
    /// leave now.
    ///
    /// # Errors
    /// If nothing was stored.
    pub async fn commit(&self, cursor: u64, changes: Vec<Change>) -> Result<Vec<OutgoingAnswer>, StoreError> {
        self.database.write(move |connection| rows::apply(connection, cursor, changes)).recv().await
    }

    /// Forgets the answers up to and including this number, which the platform has acknowledged.
    ///
    /// # Errors
    /// If nothing was stored.
    pub async fn acknowledge(&self, through: u64) -> Result<(), StoreError> {
        let forget = move |connection: &Connection| -> Result<(), StoreError> {
            let mut delete = connection.prepare_cached("DELETE FROM answer WHERE number <= ?1")?;
            delete.execute(params![rows::signed(through)])?;
            Ok(())
        };
        self.database.write(forget).recv().await
    }
}

/// Whose the file is; this application's from now on if it is new.
fn claim(connection: &Connection, application: &ApplicationId) -> Result<String, StoreError> {
    let found = connection.query_row("SELECT application FROM state", [], |row| row.get(0)).optional()?;
    if let Some(found) = found {
        return Ok(found);
    }
    let sql = "INSERT INTO state (one, application, cursor) VALUES (1, ?1, 0)";
    connection.execute(sql, params![application.as_str()])?;
    Ok(application.as_str().to_owned())
}
