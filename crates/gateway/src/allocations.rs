//! Keeps the gateway's allocations as its file says: at the start, when the file changes, on SIGHUP.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use bugle_core::gateway::AllocationConflict;
use bugle_runtime::Shutdown;
use thiserror::Error;
use tokio::sync::oneshot;
use tokio::task::spawn_blocking;

use crate::allocation_file::{AllocationFile, AllocationFileError, Watcher};
use crate::reactor::{Command, Commands};

/// The gateway's file of allocations, if it has one.
#[derive(Debug, Clone)]
pub struct Allocations {
    path: Option<PathBuf>,
    /// Read by one at a time.
    file: Option<Arc<Mutex<AllocationFile>>>,
    commands: Commands,
}

/// Why the file is not in force.
#[derive(Debug, Error)]
pub enum ReloadError {
    /// The gateway has none.
    #[error("this gateway has no file of allocations")]
    NoFile,
    /// It is not taken.
    #[error(transparent)]
    File(#[from] AllocationFileError),
    /// The gateway is stopping.
    #[error("the gateway is stopping")]
    Stopping,
}

impl Allocations {
    pub(crate) fn new(path: Option<PathBuf>, commands: Commands) -> Self {
        let file = path.clone().map(|path| Arc::new(Mutex::new(AllocationFile::new(path))));
        Self { path, file, commands }
    }

    /// Reads the file, and puts it in force whole. Returns what could not be taken because it is
    /// allocated elsewhere.
    ///
    /// # Errors
    /// If anything in it is wrong; then all stays as it was.
    pub async fn reload(&self) -> Result<Vec<AllocationConflict>, ReloadError> {
        let file = self.file.clone().ok_or(ReloadError::NoFile)?;
        // What an interrupted reading leaves behind is at worst a verifier that is derived again.
        let read = spawn_blocking(move || file.lock().unwrap_or_else(PoisonError::into_inner).read()).await;
        let allocations = read.expect("reading allocations does not panic")?;
        let (conflicts, answer) = oneshot::channel();
        let count = allocations.len();
        self.commands.send(Command::Allocations { allocations, conflicts });
        let conflicts = answer.await.map_err(|_| ReloadError::Stopping)?;
        tracing::info!(count, conflicts = conflicts.len(), "allocations are as in the file");
        Ok(conflicts)
    }

    /// Reloads the file whenever it changes, and on SIGHUP.
    pub(crate) async fn watch(self, shutdown: Shutdown) {
        let Some(path) = self.path.clone() else { return };
        let mut watcher = match Watcher::new(path) {
            Ok(watcher) => watcher,
            Err(error) => return tracing::error!(%error, "SIGHUP cannot be heard; the file is not watched"),
        };
        loop {
            tokio::select! {
                () = shutdown.requested() => return,
                () = watcher.changed() => self.reload_and_tell().await,
            }
        }
    }

    async fn reload_and_tell(&self) {
        match self.reload().await {
            Ok(conflicts) => {
                for conflict in conflicts {
                    tracing::warn!(%conflict, "an allocation is not taken");
                }
            }
            Err(ReloadError::Stopping) => {}
            Err(error) => tracing::error!("{error}"),
        }
    }
}
