//! What goes wrong between here and the platform.

use std::time::Duration;

use bugle_api::Problem;
use thiserror::Error;

/// Why a call came to nothing.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ClientError {
    /// The platform's address is none. The fault is of whoever configured it.
    #[error("{0:?} is no address of a platform; it has the form http://host:port")]
    Address(String),
    /// The platform cannot be reached. Whether it has done what was asked is not known.
    #[error("the platform at {url} cannot be reached: {reason}")]
    Unreachable {
        /// Where it was to be.
        url: String,
        /// What happened.
        reason: String,
    },
    /// The platform says no.
    #[error("{}: {}", .problem.title, .problem.detail)]
    Refused {
        /// Why, as it says.
        problem: Problem,
        /// After how long to try again, if it says so.
        retry_after: Option<Duration>,
    },
    /// Whoever answers is no platform, or one of another release.
    #[error("the answer of {url} is not understood: {reason}")]
    Answer {
        /// Where the answer is from.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl ClientError {
    /// Whether the same call may succeed later without anybody changing it.
    #[must_use]
    pub const fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::Refused { problem, .. } => matches!(problem.status, 408 | 429 | 500..=599),
            Self::Address(_) | Self::Answer { .. } => false,
        }
    }

    /// After how long to try again, if the platform says so.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// The status code of the answer, if there was one that says no.
    #[must_use]
    pub const fn status(&self) -> Option<u16> {
        match self {
            Self::Refused { problem, .. } => Some(problem.status),
            _ => None,
        }
    }
}
