//! What a file holds: whose it is, and the migrations that led to its present tables.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use super::OpenError;

/// How long a statement waits for a lock: only a checkpoint or a backup ever holds one.
const LOCK_WAIT: Duration = Duration::from_secs(10);
/// What the write-ahead log is cut back to after a burst.
const JOURNAL_BYTES_MAX: u32 = 64 * 1024 * 1024;
/// Files up to this size are checked through and through when they are opened, which takes less
/// than a second. Larger ones are looked through beside the work (`checker.rs`), as a start must not
/// take minutes.
pub(super) const CHECKED_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// What a connection that reads keeps in memory, as a part of what the one that writes keeps.
const READER_CACHE_SHARE: u32 = 16;
/// Statements that a connection keeps prepared.
const STATEMENTS_MAX: usize = 256;

/// What a kind of file holds.
#[derive(Debug, Clone, Copy)]
pub struct Layout {
    /// The word for it, as in "platform".
    pub kind: &'static str,
    /// Marks the file as one of this kind (`PRAGMA application_id`); never zero.
    pub application_id: i32,
    /// How much of it the connection that writes keeps in memory, in KiB. Each of those that read keeps a sixteenth.
    pub cache_kib: u32,
    /// The statements that lead from each layout to the next, the first from an empty file. Those
    /// released are never changed; new ones are added at the end.
    pub migrations: &'static [&'static str],
}

impl Layout {
    /// One that no part has.
    #[cfg(test)]
    pub(super) const fn of_tests(migrations: &'static [&'static str]) -> Self {
        Self { kind: "test", application_id: 7, cache_kib: 2_048, migrations }
    }

    /// Opens the connection that writes, having brought the file to the present layout.
    pub(super) fn open(&self, path: &Path) -> Result<Connection, OpenError> {
        // Created here and not by SQLite so that only its owner may read it.
        OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)
            .map_err(|error| OpenError::from_io(path, &error))?;
        let failed = |error| OpenError::from_sqlite(path, error);
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut connection = Connection::open_with_flags(path, flags).map_err(failed)?;
        connection.busy_timeout(LOCK_WAIT).map_err(failed)?;
        self.check(path, &connection)?;
        configure(&connection, self.cache_kib).map_err(failed)?;
        self.migrate(path, &mut connection)?;
        // What a job would be taken back with: each page that it changes, as it was. That is kept in memory, as files
        // would double what is written. A migration may change all there is, so it is only for what comes after.
        connection.pragma_update(None, "temp_store", "MEMORY").map_err(failed)?;
        Ok(connection)
    }

    /// Opens one of the connections that read.
    pub(super) fn open_to_read(&self, path: &Path) -> Result<Connection, OpenError> {
        let connection = Self::open_to_check(path)?;
        let kept = limit_cache(&connection, self.cache_kib / READER_CACHE_SHARE);
        kept.map_err(|error| OpenError::from_sqlite(path, error))?;
        Ok(connection)
    }

    /// Opens a connection that reads all of a file once.
    pub(super) fn open_to_check(path: &Path) -> Result<Connection, OpenError> {
        let failed = |error| OpenError::from_sqlite(path, error);
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags).map_err(failed)?;
        connection.busy_timeout(LOCK_WAIT).map_err(failed)?;
        keep_statements(&connection).map_err(failed)?;
        Ok(connection)
    }

    /// Refuses a file that is damaged or of another kind before anything is written to it.
    fn check(&self, path: &Path, connection: &Connection) -> Result<(), OpenError> {
        let failed = |error| OpenError::from_sqlite(path, error);
        let application_id: i32 = pragma(connection, "application_id").map_err(failed)?;
        let tables: i64 =
            connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(failed)?;
        if application_id != self.application_id && (application_id, tables) != (0, 0) {
            return Err(OpenError::Foreign { path: path.to_owned(), kind: self.kind });
        }
        let bytes = std::fs::metadata(path).map_err(|error| OpenError::from_io(path, &error))?.len();
        if bytes <= CHECKED_BYTES_MAX {
            let verdict: String =
                connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(failed)?;
            if verdict != "ok" {
                return Err(OpenError::Corrupt { path: path.to_owned(), reason: verdict });
            }
        }
        Ok(())
    }

    fn migrate(&self, path: &Path, connection: &mut Connection) -> Result<(), OpenError> {
        let failed = |error| OpenError::from_sqlite(path, error);
        let found: u32 = pragma(connection, "user_version").map_err(failed)?;
        let found = found as usize;
        let Some(missing) = self.migrations.get(found..) else {
            let known = self.migrations.len();
            return Err(OpenError::Newer { path: path.to_owned(), found, known });
        };
        for (migration, version) in missing.iter().zip(found + 1..) {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
            transaction.execute_batch(migration).map_err(failed)?;
            transaction.pragma_update(None, "user_version", version as i64).map_err(failed)?;
            transaction.pragma_update(None, "application_id", self.application_id).map_err(failed)?;
            transaction.commit().map_err(failed)?;
            tracing::info!(file = %path.display(), layout = version, "migrated");
        }
        Ok(())
    }
}

/// Statements are prepared once. Without a stable plan SQLite would prepare many anew for every other
/// value that is bound to them, which takes longer than running them.
fn keep_statements(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map(drop)
}

fn configure(connection: &Connection, cache_kib: u32) -> rusqlite::Result<()> {
    keep_statements(connection)?;
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    limit_cache(connection, cache_kib)?;
    connection.pragma_update_and_check(None, "journal_size_limit", JOURNAL_BYTES_MAX, |_| Ok(()))
}

fn limit_cache(connection: &Connection, kib: u32) -> rusqlite::Result<()> {
    // Below nought it is KiB; above, it would be pages.
    connection.pragma_update(None, "cache_size", -i64::from(kib))
}

fn pragma<T: rusqlite::types::FromSql>(connection: &Connection, name: &str) -> rusqlite::Result<T> {
    connection.pragma_query_value(None, name, |row| row.get(0))
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    const FIRST: Layout = Layout::of_tests(&["CREATE TABLE a (x INTEGER) STRICT"]);
    const SECOND: Layout = Layout {
        migrations: &["CREATE TABLE a (x INTEGER) STRICT", "ALTER TABLE a ADD COLUMN y INTEGER DEFAULT 4"],
        ..FIRST
    };

    #[test]
    fn an_older_file_is_migrated_with_its_content() {
        let folder = TempDir::new().expect("a folder");
        let path = folder.path().join("test.db");
        FIRST.open(&path).expect("creates").execute("INSERT INTO a VALUES (3)", []).expect("inserts");
        let connection = SECOND.open(&path).expect("migrates");
        let row = connection.query_row("SELECT x, y FROM a", [], |row| Ok((row.get(0)?, row.get(1)?)));
        assert_eq!(row, Ok((3, 4)));
    }

    #[test]
    fn a_file_of_a_later_release_is_refused() {
        let folder = TempDir::new().expect("a folder");
        let path = folder.path().join("test.db");
        SECOND.open(&path).expect("creates");
        assert!(matches!(FIRST.open(&path), Err(OpenError::Newer { found: 2, known: 1, .. })));
    }

    #[test]
    fn a_file_of_another_kind_is_refused_and_left_untouched() {
        let folder = TempDir::new().expect("a folder");
        let path = folder.path().join("test.db");
        FIRST.open(&path).expect("creates");
        let other = Layout { kind: "other", application_id: 8, ..FIRST };
        assert!(matches!(other.open(&path), Err(OpenError::Foreign { .. })));
        let strange = folder.path().join("strange.db");
        Connection::open(&strange).and_then(|file| file.execute_batch("CREATE TABLE z (x)")).expect("creates");
        assert!(matches!(FIRST.open(&strange), Err(OpenError::Foreign { .. })));
    }

    #[test]
    fn damage_is_named() {
        let folder = TempDir::new().expect("a folder");
        let text = folder.path().join("text.db");
        std::fs::write(&text, "This is a letter, and certainly no database. ".repeat(40)).expect("writes");
        assert!(matches!(FIRST.open(&text), Err(OpenError::Corrupt { .. })));
        let path = folder.path().join("test.db");
        let connection = FIRST.open(&path).expect("creates");
        connection
            .execute_batch("WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT 20000) INSERT INTO a SELECT x FROM n")
            .expect("inserts");
        drop(connection);
        let mut bytes = std::fs::read(&path).expect("reads");
        let middle = bytes.len() / 2;
        bytes[middle..middle + 9000].fill(0xff);
        std::fs::write(&path, bytes).expect("writes");
        assert!(matches!(FIRST.open(&path), Err(OpenError::Corrupt { .. })));
    }

    #[test]
    fn only_its_owner_may_read_a_file() {
        use std::os::unix::fs::PermissionsExt;
        let folder = TempDir::new().expect("a folder");
        let path = folder.path().join("test.db");
        FIRST.open(&path).expect("creates");
        assert_eq!(std::fs::metadata(&path).expect("is there").permissions().mode() & 0o777, 0o600);
    }
}
