//! What a gateway keeps: the changes of its machine, and what it goes on from after a restart.

mod restore;
mod write;

use std::path::Path;
use std::sync::Arc;

use bugle_core::gateway::{Batch, Restored, Ticket};

use crate::sqlite::{Answer, Database, Layout, Measures, OpenError, Row, StoreError};

/// What the gateway knows it has in memory already, so that the store reads only what a commit touches.
const CACHE_KIB: u32 = 4_096;

/// The tables. Slots are small integers given by the gateway's machine, so that rows are written in
/// order and found without an index.
const LAYOUT: Layout = Layout {
    kind: "gateway",
    application_id: 0x4275_6757, // BugW
    cache_kib: CACHE_KIB,
    migrations: &[
        "
        CREATE TABLE allocation (
            slot INTEGER PRIMARY KEY,
            body TEXT NOT NULL,
            origin TEXT NOT NULL,
            is_blocked INTEGER NOT NULL
        ) STRICT;
        CREATE TABLE registration (
            slot INTEGER PRIMARY KEY,
            id INTEGER NOT NULL,
            groups TEXT NOT NULL,
            lifetime INTEGER NOT NULL,
            lease_until INTEGER NOT NULL,
            presented BLOB NOT NULL,
            presence TEXT NOT NULL,
            next_wake INTEGER,
            last_word INTEGER NOT NULL
        ) STRICT;
        CREATE TABLE ask (slot INTEGER PRIMARY KEY, registration INTEGER NOT NULL) STRICT;
        CREATE TABLE session (slot INTEGER PRIMARY KEY, state BLOB NOT NULL) STRICT;
        CREATE TABLE request (
            taken INTEGER PRIMARY KEY,
            id INTEGER NOT NULL UNIQUE,
            body BLOB NOT NULL,
            members BLOB NOT NULL,
            is_cancelled INTEGER NOT NULL DEFAULT 0
        ) STRICT;
        CREATE TABLE settlement (
            number INTEGER PRIMARY KEY,
            request INTEGER NOT NULL,
            slots BLOB NOT NULL
        ) STRICT;
        CREATE INDEX settlement_of_request ON settlement (request);
        CREATE TABLE up (
            sequence INTEGER PRIMARY KEY,
            is_report INTEGER NOT NULL,
            entry BLOB NOT NULL
        ) STRICT;
        CREATE TABLE mark (
            only INTEGER PRIMARY KEY CHECK (only = 0),
            registrations_reserved INTEGER NOT NULL DEFAULT 0,
            up_acknowledged INTEGER NOT NULL DEFAULT 0,
            down_applied INTEGER NOT NULL DEFAULT 0
        ) STRICT;
        INSERT INTO mark (only) VALUES (0);
    ",
        "
        CREATE TABLE observed (slot INTEGER PRIMARY KEY, paths TEXT NOT NULL) STRICT;
    ",
        "
        -- Of a request that includes late joiners: peripherals that it has met, as JSON, and the member that
        -- joined, as in the members of the request.
        ALTER TABLE settlement ADD COLUMN met TEXT;
        ALTER TABLE settlement ADD COLUMN member BLOB;
    ",
        "
        -- Whether the platform was told of an allocation what it is told since this layout: also what wakes the
        -- peripheral.
        ALTER TABLE allocation ADD COLUMN is_told INTEGER NOT NULL DEFAULT FALSE;
    ",
    ],
};

/// The gateway's store. Closed when dropped.
#[derive(Debug)]
pub struct GatewayStore {
    database: Database,
}

impl GatewayStore {
    /// Opens the store at `path`, and returns with it what it kept.
    ///
    /// # Errors
    /// If another process has it open, it is damaged, of another kind or of a later release, or the
    /// disk does not let it be opened.
    pub fn open(path: &Path) -> Result<(Self, Restored), OpenError> {
        let database = Database::open(path, &LAYOUT)?;
        let restored = database.read(restore::restore).wait();
        let restored = restored.map_err(|error| match error {
            StoreError::Corrupt(reason) => OpenError::Corrupt { path: path.to_owned(), reason },
            other => OpenError::Io { path: path.to_owned(), reason: other.to_string() },
        })?;
        Ok((Self { database }, restored))
    }

    /// How it is doing.
    #[must_use]
    pub fn measures(&self) -> Measures {
        self.database.measures()
    }

    /// Makes `batch` durable, all or nothing, and calls `then` with its ticket.
    ///
    /// Batches rest on each other: the next must not be given before `then` was called, and if
    /// that was with an error the same batch must be given again first.
    pub fn persist(&self, batch: Arc<Batch>, then: impl FnOnce(Result<Ticket, StoreError>) + Send + 'static) {
        let job = move |connection: &_| {
            batch.changes.iter().try_for_each(|change| write::write(connection, change))?;
            Ok(batch.ticket)
        };
        self.database.write_then(job, then);
    }

    /// Entries of the up log after `after`, encoded for the link, at most `limit`.
    pub fn up_after(&self, after: u64, limit: usize) -> Answer<Vec<(u64, Vec<u8>)>, StoreError> {
        self.database.read(move |connection| {
            let mut statement = connection
                .prepare_cached("SELECT sequence, entry FROM up WHERE sequence > ?1 ORDER BY sequence LIMIT ?2")?;
            let row = |row: &Row<'_>| Ok((row.get::<_, i64>(0)?.cast_unsigned(), row.get(1)?));
            let rows = statement.query_map((after.cast_signed(), limit as i64), row)?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }
}

#[cfg(test)]
mod tests;
