//! Why a link is not up.

use bugle_runtime::link::{DialError, Ended, ReceiveError};
use bugle_store::sqlite::StoreError;
use bugle_wire::{CloseReason, LogConflict, ReplayError, WireError};
use thiserror::Error;

/// Why a link did not come about, or broke.
#[derive(Debug, Error)]
pub(super) enum LinkFailure {
    /// The platform is not reached.
    #[error(transparent)]
    Dial(#[from] DialError),
    /// The stream broke.
    #[error(transparent)]
    Receive(#[from] ReceiveError),
    /// The stream ended without a word why.
    #[error("the platform has ended the link")]
    Ended,
    /// The platform has ended the stream.
    #[error("the platform has ended the link: {detail}")]
    Closed {
        /// Why.
        reason: CloseReason,
        /// In words.
        detail: String,
    },
    /// The platform's transport is alive, but the platform says nothing.
    #[error("the platform says nothing any more")]
    Silent,
    /// The two up logs do not fit together: one side has lost what the other knows it had.
    #[error("up log: {0}")]
    Conflict(#[from] LogConflict),
    /// The platform left entries out, or acknowledged what it was never sent.
    #[error("the platform misbehaves: {0}")]
    Replay(#[from] ReplayError),
    /// An entry of the down log cannot be read. The platform is of a later release, and ought to know
    /// better.
    #[error("entry {sequence} of the down log cannot be read: {source}")]
    Entry {
        /// Which.
        sequence: u64,
        /// What is wrong with it.
        source: WireError,
    },
    /// The platform said something that is not to be said here.
    #[error("the platform misbehaves: it said {0} out of turn")]
    OutOfTurn(&'static str),
    /// The store does not give out the up log.
    #[error("up log: {0}")]
    Store(#[from] StoreError),
    /// The store lacks an entry that it was to keep.
    #[error("entry {0} is missing from the up log")]
    Missing(u64),
}

impl From<Ended> for LinkFailure {
    fn from(_: Ended) -> Self {
        Self::Ended
    }
}

impl LinkFailure {
    /// Whether it will not pass by itself.
    pub(super) const fn needs_a_person(&self) -> bool {
        match self {
            Self::Dial(DialError::Address(_) | DialError::Identity(_)) => true,
            Self::Dial(DialError::Unreachable { .. }) | Self::Ended | Self::Silent | Self::Store(_) => false,
            Self::Receive(ReceiveError::Broken(_)) => false,
            Self::Receive(ReceiveError::Misbehaved(_)) => true,
            Self::Closed { reason, .. } => !matches!(reason, CloseReason::Stopping),
            Self::Conflict(_) | Self::Replay(_) | Self::Entry { .. } | Self::OutOfTurn(_) | Self::Missing(_) => true,
        }
    }
}
