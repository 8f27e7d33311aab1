//! How a command ends.

use std::process::ExitCode;

use bugle_client::ClientError;
use bugle_gateway::ControlError;
use thiserror::Error;

/// The status of a command that a person did not want to wait for: as a shell reports a process that died of
/// SIGINT.
pub(crate) const INTERRUPTED: u8 = 130;

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
            Ended::Interrupted => Self::from(INTERRUPTED),
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
    /// The platform, the application or the gateway says no, or is out of reach.
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

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        match error {
            error @ ClientError::Address(_) => Self::Usage(error.to_string()),
            error @ ClientError::Unreachable { .. } => {
                Self::There(format!("{error}\nIs it running? `bugle up` or `bugle platform` runs one."))
            }
            error @ (ClientError::Refused { .. } | ClientError::Answer { .. }) => Self::There(error.to_string()),
        }
    }
}

impl From<ControlError> for Failure {
    fn from(error: ControlError) -> Self {
        match error {
            error @ ControlError::Forbidden { .. } => Self::Here(error.into()),
            error @ ControlError::NotRunning { .. } => {
                Self::There(format!("{error}\n`bugle gateway --config FILE` runs one, and so does `bugle up`."))
            }
            error => Self::There(error.to_string()),
        }
    }
}

impl From<bugle_gateway::StartError> for Failure {
    fn from(error: bugle_gateway::StartError) -> Self {
        let told = format!("the gateway does not start: {error}");
        match error {
            bugle_gateway::StartError::Config(_) => Self::Usage(told),
            _ => Self::Here(anyhow::Error::msg(told)),
        }
    }
}

impl From<bugle_platform::StartError> for Failure {
    fn from(error: bugle_platform::StartError) -> Self {
        let told = format!("the platform does not start: {error}");
        match error {
            bugle_platform::StartError::Config(_) | bugle_platform::StartError::Tls(_) => Self::Usage(told),
            _ => Self::Here(anyhow::Error::msg(told)),
        }
    }
}

impl From<bugle_application::StartError> for Failure {
    fn from(error: bugle_application::StartError) -> Self {
        use bugle_application::StartError::{Config, NoPolicy, Policy};
        let told = format!("the application does not start: {error}");
        match error {
            Config(_) | NoPolicy | Policy(_) => Self::Usage(told),
            _ => Self::Here(anyhow::Error::msg(told)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unreachable() -> ClientError {
        ClientError::Unreachable { url: "http://127.0.0.1:1".into(), reason: "connection refused".into() }
    }

    #[test]
    fn the_status_says_whose_fault_it_is() {
        let status = |failure: Failure| format!("{:?}", failure.exit_code());
        let expected = |code: u8| format!("{:?}", ExitCode::from(code));
        assert_eq!(status(anyhow::anyhow!("no disk").into()), expected(1));
        assert_eq!(status(ClientError::Address("no URL".into()).into()), expected(2));
        assert_eq!(status(unreachable().into()), expected(3));
    }

    #[test]
    fn a_platform_out_of_reach_is_told_with_what_to_do() {
        let failure = Failure::from(unreachable());
        assert!(failure.to_string().contains("bugle up"), "{failure}");
    }
}
