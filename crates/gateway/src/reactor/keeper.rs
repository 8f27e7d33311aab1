//! Hands batches to the store, one at a time, and again if it fails.

use std::sync::Arc;
use std::time::Duration;

use bugle_core::Time;
use bugle_core::gateway::{Batch, Ticket};
use bugle_store::gateway::GatewayStore;
use bugle_store::sqlite::StoreError;

use super::command::{Command, Commands, Persisted};

/// How long after a failure the store is tried again.
const RETRY_INTERVAL: Duration = Duration::from_millis(500);

pub(super) struct Keeper {
    store: Arc<GatewayStore>,
    commands: Commands,
    in_commit: Option<Arc<Batch>>,
    failure: Option<StoreError>,
    retry_at: Option<Time>,
    commits: u64,
}

impl Keeper {
    pub(super) fn new(store: Arc<GatewayStore>, commands: Commands) -> Self {
        Self { store, commands, in_commit: None, failure: None, retry_at: None, commits: 0 }
    }

    /// Begins to commit a batch.
    pub(super) fn persist(&mut self, batch: Batch) {
        let batch = Arc::new(batch);
        let former = self.in_commit.replace(Arc::clone(&batch));
        assert!(former.is_none(), "the machine gives out one batch at a time");
        self.submit(batch);
    }

    /// A commit is done: of which batch. None if it failed and is to be tried again.
    pub(super) fn on_persisted(&mut self, now: Time, persisted: Persisted) -> Result<Option<Ticket>, StoreError> {
        match persisted {
            Ok(ticket) => {
                self.commits += 1;
                self.in_commit = None;
                if self.failure.take().is_some() {
                    tracing::info!("the gateway's store works again; nothing was lost");
                }
                Ok(Some(ticket))
            }
            Err(error) if error.is_passing() => {
                if self.failure.as_ref() != Some(&error) {
                    tracing::error!(%error, "the gateway's store takes nothing; it is tried again until it does");
                }
                self.failure = Some(error);
                self.retry_at = Some(now + RETRY_INTERVAL);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    pub(super) fn retry_if_due(&mut self, now: Time) {
        if self.retry_at.is_some_and(|at| at <= now)
            && let Some(batch) = &self.in_commit
        {
            self.retry_at = None;
            self.submit(Arc::clone(batch));
        }
    }

    pub(super) const fn next_retry(&self) -> Option<Time> {
        self.retry_at
    }

    /// Whether all is on disk.
    pub(super) const fn is_idle(&self) -> bool {
        // What a failing store cannot take must not keep the process from stopping.
        self.in_commit.is_none() || self.failure.is_some()
    }

    pub(super) const fn failure(&self) -> Option<&StoreError> {
        self.failure.as_ref()
    }

    pub(super) const fn commits(&self) -> u64 {
        self.commits
    }

    pub(super) fn wake(&self) {
        self.commands.wake();
    }

    fn submit(&self, batch: Arc<Batch>) {
        let commands = self.commands.clone();
        self.store.persist(batch, move |result| commands.send(Command::Persisted(result)));
    }
}
