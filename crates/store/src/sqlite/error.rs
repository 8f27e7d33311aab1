//! What can go wrong with a file, said so that whoever reads it knows what to do.

use std::path::PathBuf;

use rusqlite::ErrorCode;
use thiserror::Error;

/// Why a job was not done. The fault is of the system, never of what was asked.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum StoreError {
    /// Too many jobs wait already. The asker should come back later.
    #[error("too many changes are waiting to be stored")]
    Busy,
    /// The disk is full. Nothing of the job was stored.
    #[error("the disk is full; free some space and nothing is lost")]
    Full,
    /// The disk could not be read or written. Nothing of the job was stored.
    #[error("the disk could not be read or written: {0}")]
    Io(String),
    /// The file is damaged.
    #[error("the file is damaged, restore it from a backup: {0}")]
    Corrupt(String),
    /// The database is closing, or its thread has died.
    #[error("the store has stopped")]
    Stopped,
    /// A statement failed in a way that only a defect of this program explains.
    #[error("a statement failed: {0}")]
    Statement(String),
}

impl StoreError {
    /// Whether the same job may succeed later without anybody changing it.
    #[must_use]
    pub const fn is_passing(&self) -> bool {
        matches!(self, Self::Busy | Self::Full | Self::Io(_))
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full,
            Some(
                ErrorCode::SystemIoFailure | ErrorCode::CannotOpen | ErrorCode::ReadOnly | ErrorCode::PermissionDenied,
            ) => Self::Io(error.to_string()),
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                Self::Io("another program has held the file for too long".to_owned())
            }
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Corrupt(error.to_string()),
            _ => Self::Statement(error.to_string()),
        }
    }
}

/// Why a file could not be opened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// Another process has it open.
    #[error("{} is in use by {holder}; two processes must not share a data folder", path.display())]
    InUse {
        /// Which file.
        path: PathBuf,
        /// Who holds it, as in "process 4711".
        holder: String,
    },
    /// It is not a file of this kind.
    #[error("{} is not a {kind} file of Bugle; it was left untouched", path.display())]
    Foreign {
        /// Which file.
        path: PathBuf,
        /// What it was to be, as in "platform".
        kind: &'static str,
    },
    /// A later release of Bugle has written it.
    #[error(
        "{} has layout {found}, this release knows up to {known}: it was written by a later release; \
         run that one, or restore a backup made before the upgrade",
        path.display()
    )]
    Newer {
        /// Which file.
        path: PathBuf,
        /// Its layout.
        found: usize,
        /// The latest layout that is known.
        known: usize,
    },
    /// It is damaged.
    #[error("{} is damaged, restore it from a backup: {reason}", path.display())]
    Corrupt {
        /// Which file.
        path: PathBuf,
        /// What SQLite says.
        reason: String,
    },
    /// It could not be read or written.
    #[error("{} could not be opened: {reason}", path.display())]
    Io {
        /// Which file or folder.
        path: PathBuf,
        /// What the system says.
        reason: String,
    },
}

impl OpenError {
    pub(super) fn from_sqlite(path: &std::path::Path, error: rusqlite::Error) -> Self {
        let path = path.to_owned();
        match StoreError::from(error) {
            StoreError::Corrupt(reason) => Self::Corrupt { path, reason },
            other => Self::Io { path, reason: other.to_string() },
        }
    }

    pub(super) fn from_io(path: &std::path::Path, error: &std::io::Error) -> Self {
        Self::Io { path: path.to_owned(), reason: error.to_string() }
    }
}
