//! Ending in good order.

use std::io;
use std::sync::Arc;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

/// Tells all parts of a process that it is to end. Clones share one fate.
#[derive(Debug, Clone)]
pub struct Shutdown(Arc<watch::Sender<bool>>);

impl Shutdown {
    /// One that only [`request`](Self::request) sets off.
    #[must_use]
    pub fn manual() -> Self {
        Self(Arc::new(watch::Sender::new(false)))
    }

    /// One that SIGINT and SIGTERM set off. A second signal ends the process at once, for those who do
    /// not want to wait.
    ///
    /// # Errors
    /// If the system does not let the process handle signals.
    pub fn on_signals() -> io::Result<Self> {
        let shutdown = Self::manual();
        let signals = [(SignalKind::interrupt(), 2), (SignalKind::terminate(), 15)];
        for (kind, number) in signals {
            tokio::spawn(watch_signal(signal(kind)?, number, shutdown.clone()));
        }
        Ok(shutdown)
    }

    /// Has the process end.
    pub fn request(&self) {
        self.0.send_replace(true);
    }

    /// Whether the process is to end.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        *self.0.borrow()
    }

    /// Returns when the process is to end.
    pub async fn requested(&self) {
        let mut requested = self.0.subscribe();
        requested.wait_for(|is_requested| *is_requested).await.expect("this holds the sender");
    }
}

async fn watch_signal(mut signals: Signal, number: i32, shutdown: Shutdown) {
    while signals.recv().await.is_some() {
        if shutdown.is_requested() {
            tracing::warn!(signal = number, "ending at once");
            // As a shell reports a process that died of this signal.
            std::process::exit(128 + number);
        }
        tracing::info!(signal = number, "ending; a second signal ends at once");
        shutdown.request();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_request_reaches_every_clone_before_and_after_it() {
        let shutdown = Shutdown::manual();
        let early = tokio::spawn({
            let shutdown = shutdown.clone();
            async move { shutdown.requested().await }
        });
        assert!(!shutdown.is_requested());
        shutdown.clone().request();
        early.await.expect("the task ends");
        shutdown.requested().await;
        assert!(shutdown.is_requested());
    }
}
