//! Keeps the gateway's allocations as its file says: at the start, when the file changes, on SIGHUP.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use bugle_core::gateway::{AllocationConflict, FileContents};
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
        let commands = self.commands.clone();
        let reading = spawn_blocking(move || {
            // What an interrupted reading leaves behind is at worst a verifier that is derived again.
            let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
            take(&mut file, &commands)
        });
        let (count, conflicts) = reading.await.expect("reading allocations does not panic")?;
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

/// Has the reactor take what is in the file, one part after the other. Returns how many there are, and what could not
/// be taken.
fn take(file: &mut AllocationFile, commands: &Commands) -> Result<(usize, Vec<AllocationConflict>), ReloadError> {
    let (mut contents, mut conflicts) = (FileContents::default(), Vec::new());
    let count = file.read(|allocations| {
        let (taken, answer) = oneshot::channel();
        commands.send(Command::Allocations { file: std::mem::take(&mut contents), allocations, taken });
        let found;
        (contents, found) = answer.blocking_recv().map_err(|_| ReloadError::Stopping)?;
        conflicts.extend(found);
        Ok::<_, ReloadError>(())
    })?;
    let (ended, answer) = oneshot::channel();
    commands.send(Command::AllocationsEnd { file: contents, ended });
    answer.blocking_recv().map_err(|_| ReloadError::Stopping)?;
    Ok((count, conflicts))
}
