//! Keeps the gateway's allocations as its file says: at the start, when the file changes, on SIGHUP.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bugle_core::gateway::AllocationConflict;
use bugle_runtime::Shutdown;
use thiserror::Error;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;
use tokio::task::spawn_blocking;

use crate::allocation_file::{self, AllocationFileError};
use crate::reactor::{Command, Commands};

/// How often the file is looked at. Notices of the system would come sooner, but not from every file
/// system, and not for a file that an editor replaces.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// The gateway's file of allocations, if it has one.
#[derive(Debug, Clone)]
pub struct Allocations {
    path: Option<PathBuf>,
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

/// What tells one version of a file from another.
#[derive(PartialEq, Eq)]
struct Version {
    inode: u64,
    length: u64,
    modified: (i64, i64),
}

impl Version {
    fn of(path: &Path) -> io::Result<Self> {
        let metadata = fs::metadata(path)?;
        let modified = (metadata.mtime(), metadata.mtime_nsec());
        Ok(Self { inode: metadata.ino(), length: metadata.len(), modified })
    }
}

impl Allocations {
    pub(crate) const fn new(path: Option<PathBuf>, commands: Commands) -> Self {
        Self { path, commands }
    }

    /// Reads the file, and puts it in force whole. Returns what could not be taken because it is
    /// allocated elsewhere.
    ///
    /// # Errors
    /// If anything in it is wrong; then all stays as it was.
    pub async fn reload(&self) -> Result<Vec<AllocationConflict>, ReloadError> {
        let path = self.path.clone().ok_or(ReloadError::NoFile)?;
        let read = spawn_blocking(move || allocation_file::read(&path)).await;
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
        let mut hangup = match signal(SignalKind::hangup()) {
            Ok(hangup) => hangup,
            Err(error) => return tracing::error!(%error, "SIGHUP cannot be heard; the file is not watched"),
        };
        let mut in_force: Option<Version> = None;
        let mut look = tokio::time::interval(LOOK_INTERVAL);
        loop {
            let is_wanted = tokio::select! {
                () = shutdown.requested() => return,
                _ = hangup.recv() => true,
                _ = look.tick() => false,
            };
            let version = Version::of(&path).ok();
            if is_wanted || version != in_force {
                in_force = version;
                self.reload_and_tell().await;
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
