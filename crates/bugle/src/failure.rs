//! How a command ends.

use std::process::ExitCode;

use thiserror::Error;

/// How a command that did what it was told ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// As it should.
    Well,
    /// Members of a group request were not served.
    MembersNotServed,
    /// The person did not want to wait longer.
    Interrupted,
}

impl From<Ended> for ExitCode {
    fn from(ended: Ended) -> Self {
        match ended {
            Ended::Well => Self::SUCCESS,
            Ended::MembersNotServed => Self::from(1),
            // As a shell reports a process that died of SIGINT.
            Ended::Interrupted => Self::from(130),
        }
    }
}

/// Why a command could not do what it was told, and whose fault that is.
#[derive(Debug, Error)]
pub(crate) enum Failure {
    /// Something on this machine.
    #[error("{0:#}")]
    Here(#[from] anyhow::Error),
    /// The command line, or a file that it names.
    #[error("{0}")]
    Usage(String),
    /// The platform or the application says no, or is out of reach.
    #[error("{0}")]
    There(String),
}

impl Failure {
    /// The status that the process ends with.
    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Self::Here(_) => ExitCode::from(1),
            Self::Usage(_) => ExitCode::from(2),
            Self::There(_) => ExitCode::from(3),
        }
    }
}
