//! Copies of a file while a process uses it, and looking a file through for damage.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::OpenError;

/// How long a copy waits for a lock: only the end of a process ever holds one.
const LOCK_WAIT: Duration = Duration::from_secs(30);

/// Copies what is committed in the file `from` now to a new file `to`, looks the copy through and
/// returns when it is on disk. Whoever uses the file goes on reading and writing meanwhile.
///
/// This process must not have the file open by other means than this crate's.
///
/// # Errors
/// If either is damaged, or the disk does not let it be done; a part of a copy may be left then.
pub fn copy(from: &Path, to: &Path) -> Result<(), OpenError> {
    let failed = |error| OpenError::from_sqlite(from, error);
    let source = open(from)?;
    let name = to.to_str().ok_or_else(|| OpenError::Io { path: to.to_owned(), reason: "no UTF-8".to_owned() })?;
    // One read transaction: one state of the file, every change in it that was ever answered for.
    source.execute("VACUUM INTO ?1", [name]).map_err(failed)?;
    let on_disk = || {
        fs::set_permissions(to, Permissions::from_mode(0o600))?;
        File::open(to)?.sync_all()
    };
    on_disk().map_err(|error| OpenError::from_io(to, &error))?;
    look_through(to)
}

/// Looks a file through for damage, tables against indexes too.
///
/// # Errors
/// If there is some, or the file cannot be read.
pub fn look_through(path: &Path) -> Result<(), OpenError> {
    let failed = |error| OpenError::from_sqlite(path, error);
    let connection = open(path)?;
    let verdict: String = connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0)).map_err(failed)?;
    if verdict == "ok" { Ok(()) } else { Err(OpenError::Corrupt { path: path.to_owned(), reason: verdict }) }
}

fn open(path: &Path) -> Result<Connection, OpenError> {
    let failed = |error| OpenError::from_sqlite(path, error);
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(failed)?;
    connection.busy_timeout(LOCK_WAIT).map_err(failed)?;
    Ok(connection)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

    use tempfile::TempDir;

    use super::*;
    use crate::sqlite::{Database, Layout, StoreError, params};

    const LAYOUT: Layout = Layout::of_tests(&[
        "CREATE TABLE pair (number INTEGER PRIMARY KEY AUTOINCREMENT, twin INTEGER NOT NULL) STRICT",
    ]);

    #[test]
    fn a_copy_is_one_state_of_a_file_that_is_written_meanwhile() {
        let folder = TempDir::new().expect("a folder");
        let path = folder.path().join("test.db");
        let database = Database::open(&path, &LAYOUT).expect("opens");
        let is_over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for twin in (0..).take_while(|_| !is_over.load(Relaxed)) {
                    // Two rows in one job: there are both, or neither.
                    let insert = move |connection: &Connection| -> Result<(), StoreError> {
                        for _ in 0..2 {
                            connection.execute("INSERT INTO pair (twin) VALUES (?1)", params![twin])?;
                        }
                        Ok(())
                    };
                    database.write(insert).wait().expect("written");
                }
            });
            let mut before = 0;
            for number in 0..20 {
                let to = folder.path().join(format!("copy-{number}.db"));
                copy(&path, &to).expect("copies");
                let copied = open(&to).expect("opens");
                let count = |sql: &str| copied.query_row(sql, [], |row| row.get::<_, i64>(0)).expect("counts");
                assert_eq!(count("SELECT count(*) FROM (SELECT twin FROM pair GROUP BY twin HAVING count(*) != 2)"), 0);
                let rows = count("SELECT count(*) FROM pair");
                assert!(rows >= before);
                before = rows;
            }
            is_over.store(true, Relaxed);
        });
        drop(database);
        Database::open(&folder.path().join("copy-19.db"), &LAYOUT).expect("a copy is as good as the file");
    }

    #[test]
    fn a_copy_is_for_its_owner_alone_and_takes_no_place_of_another_file() {
        let folder = TempDir::new().expect("a folder");
        let path = folder.path().join("test.db");
        let _database = Database::open(&path, &LAYOUT).expect("opens");
        let to = folder.path().join("copy.db");
        copy(&path, &to).expect("copies");
        assert_eq!(fs::metadata(&to).expect("is there").permissions().mode() & 0o777, 0o600);
        assert!(copy(&path, &to).is_err());
    }
}
