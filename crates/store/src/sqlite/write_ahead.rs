//! The write-ahead log, and when it is carried over into the file.
//!
//! 1. Each commit says how long the log is.
//! 2. A long one is carried over when nothing has been written for a while: so a burst is not held up by it.
//! 3. One that is never given that while is carried over when it is full, once the commit is answered.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use rusqlite::Connection;

/// Pages in the log that are worth carrying over.
const PAGES_LONG: u32 = 1_000;
/// Pages in a log that is full, which are some 48 MiB.
const PAGES_MAX: u32 = 12_000;

/// How long the log of a file is.
#[derive(Debug)]
pub(super) struct WriteAheadLog {
    pages: Arc<AtomicU32>,
    /// Whether it could not be carried over when that was tried last.
    is_stuck: Cell<bool>,
}

impl WriteAheadLog {
    /// How long nothing is written before a long log is carried over.
    pub(super) const QUIET: Duration = Duration::from_millis(100);

    /// Has the connection that writes tell of its commits.
    pub(super) fn watch(connection: &mut Connection) -> rusqlite::Result<Self> {
        let pages = Arc::new(AtomicU32::new(0));
        let told = Arc::clone(&pages);
        connection.wal_hook(Some(move |_: &mut rusqlite::hooks::Wal, pages: std::ffi::c_int| {
            told.store(u32::try_from(pages).unwrap_or(0), Relaxed);
            Ok(())
        }))?;
        Ok(Self { pages, is_stuck: Cell::new(false) })
    }

    pub(super) fn is_long(&self) -> bool {
        self.pages.load(Relaxed) >= PAGES_LONG
    }

    pub(super) fn is_full(&self) -> bool {
        self.pages.load(Relaxed) >= PAGES_MAX
    }

    /// Carries over what nobody reads from it any more. What is left is seen to after the next commit.
    pub(super) fn carry_over(&self, connection: &Connection) {
        self.pages.store(0, Relaxed);
        let carried = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
        let was_stuck = self.is_stuck.replace(carried.is_err());
        if let Err(error) = carried
            && !was_stuck
        {
            // Nothing is lost: it stays in the log, which grows.
            tracing::warn!(%error, "the write-ahead log could not be carried over");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Instant;

    use tempfile::TempDir;

    use super::*;
    use crate::sqlite::{Database, Layout, StoreError};

    const LAYOUT: Layout = Layout::of_tests(&["CREATE TABLE body (bytes BLOB) STRICT"]);
    const PAGE_BYTES: u64 = 4_096;

    fn bytes(path: &Path) -> u64 {
        std::fs::metadata(path).map_or(0, |file| file.len())
    }

    fn write_pages(database: &Database, pages: u32) {
        let bytes = u64::from(pages) * PAGE_BYTES;
        let insert = move |connection: &Connection| -> Result<(), StoreError> {
            connection.execute("INSERT INTO body VALUES (zeroblob(?1))", [bytes as i64])?;
            Ok(())
        };
        database.write(insert).wait().expect("there is room");
    }

    #[test]
    fn a_long_log_is_carried_over_when_nothing_more_is_written() {
        let folder = TempDir::new().expect("a folder");
        let path = folder.path().join("test.db");
        let database = Database::open(&path, &LAYOUT).expect("opens");
        write_pages(&database, PAGES_LONG / 2);
        std::thread::sleep(3 * WriteAheadLog::QUIET);
        assert!(bytes(&path) < 10 * PAGE_BYTES, "it is too short to be worth it");
        write_pages(&database, PAGES_LONG);
        let patience = Instant::now() + Duration::from_secs(20);
        while bytes(&path) < u64::from(PAGES_LONG) * PAGE_BYTES {
            assert!(Instant::now() < patience, "{} bytes are in the file", bytes(&path));
            std::thread::sleep(WriteAheadLog::QUIET / 10);
        }
    }

    #[test]
    fn a_log_does_not_grow_for_ever_however_busy_the_file_is() {
        const PAGES_AT_ONCE: u32 = 500;
        let folder = TempDir::new().expect("a folder");
        let path = folder.path().join("test.db");
        let database = Database::open(&path, &LAYOUT).expect("opens");
        for _ in 0..3 * PAGES_MAX / PAGES_AT_ONCE {
            write_pages(&database, PAGES_AT_ONCE);
        }
        let log = bytes(&folder.path().join("test.db-wal"));
        let frame_bytes = PAGE_BYTES + 24;
        assert!(log < u64::from(PAGES_MAX + 2 * PAGES_AT_ONCE) * frame_bytes, "{log} bytes");
        assert!(bytes(&path) > u64::from(2 * PAGES_MAX) * PAGE_BYTES);
    }
}
