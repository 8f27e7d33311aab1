//! Looks a large file through for damage while it is in use already.
//!
//! Small files are looked through before they are used. A large one would keep a start waiting for
//! minutes, so that it is looked through beside the work; once damage is found nothing more is served.

use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;

use rusqlite::InterruptHandle;

use super::{Layout, OpenError};

/// A look that is under way, or over.
pub(super) struct Checker {
    interrupt: InterruptHandle,
    thread: JoinHandle<()>,
}

impl Checker {
    /// Looks through the file at `path`; what is wrong with it goes into `damage`.
    pub(super) fn start(path: &Path, kind: &str, damage: Arc<OnceLock<String>>) -> Result<Self, OpenError> {
        let connection = Layout::open_to_check(path)?;
        let interrupt = connection.get_interrupt_handle();
        let shown = path.display().to_string();
        let look = move || {
            let verdict = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0));
            let reason = match verdict {
                Ok(verdict) if verdict == "ok" => return tracing::debug!(file = shown, "no damage was found"),
                Ok(damage) => damage,
                Err(error) => match error.sqlite_error_code() {
                    Some(rusqlite::ErrorCode::DatabaseCorrupt) => error.to_string(),
                    Some(rusqlite::ErrorCode::OperationInterrupted) => return,
                    _ => return tracing::warn!(file = shown, %error, "the file could not be looked through for damage"),
                },
            };
            tracing::error!(
                file = shown,
                reason,
                "the file is damaged, nothing more of it is served: restore it from a backup"
            );
            // There is but one look.
            let _ = damage.set(reason);
        };
        let thread = std::thread::Builder::new().name(format!("{kind}-checker")).spawn(look);
        let thread = thread.map_err(|error| OpenError::from_io(path, &error))?;
        Ok(Self { interrupt, thread })
    }

    /// Ends the look, wherever it is.
    pub(super) fn stop(self) {
        self.interrupt.interrupt();
        if self.thread.join().is_err() {
            tracing::error!("the look for damage has panicked");
        }
    }
}

impl std::fmt::Debug for Checker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Checker").finish_non_exhaustive()
    }
}
