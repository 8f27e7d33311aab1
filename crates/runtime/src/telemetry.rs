//! What a process tells of itself, on standard error.

use std::io::{self, IsTerminal};

use serde::{Deserialize, Serialize};
use thiserror::Error;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;
use tracing_subscriber::util::SubscriberInitExt;

/// What is logged, and how.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Telemetry {
    /// What is logged: a level, or levels by module, as `info,bugle_runtime=debug`.
    pub filter: String,
    /// How it looks.
    pub format: LogFormat,
}

/// How a log looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// Lines for people.
    #[default]
    Human,
    /// One JSON object a line, for programs.
    Json,
}

/// Why a process cannot log. The fault is of whoever configured or wrote it.
#[derive(Debug, Error)]
pub enum TelemetryError {
    /// The filter cannot be read.
    #[error("log filter {filter:?}: {source}")]
    Filter {
        /// As configured.
        filter: String,
        /// What is wrong with it.
        source: ParseError,
    },
    /// Something in the process logs already.
    #[error("logging is set up already")]
    SetUpAlready,
}

impl Default for Telemetry {
    fn default() -> Self {
        Self { filter: "info".to_owned(), format: LogFormat::default() }
    }
}

impl Telemetry {
    /// Has the whole process log to standard error from now on.
    ///
    /// # Errors
    /// If the filter cannot be read, or this was done before.
    pub fn start(&self) -> Result<(), TelemetryError> {
        let started = match self.format {
            LogFormat::Human => tracing_subscriber::fmt()
                .with_env_filter(self.filter()?)
                .with_writer(io::stderr)
                .with_ansi(io::stderr().is_terminal())
                .finish()
                .try_init(),
            LogFormat::Json => tracing_subscriber::fmt()
                .with_env_filter(self.filter()?)
                .with_writer(io::stderr)
                .json()
                .flatten_event(true)
                .finish()
                .try_init(),
        };
        started.map_err(|_| TelemetryError::SetUpAlready)
    }

    fn filter(&self) -> Result<EnvFilter, TelemetryError> {
        let failed = |source| TelemetryError::Filter { filter: self.filter.clone(), source };
        EnvFilter::builder().parse(&self.filter).map_err(failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_that_cannot_be_read_is_told_as_it_was_written() {
        let telemetry = Telemetry { filter: "info,bugle=loud".into(), ..Telemetry::default() };
        let error = telemetry.start().expect_err("no level is called so").to_string();
        assert!(error.contains("info,bugle=loud"), "{error}");
    }

    #[test]
    fn the_default_logs_what_changes_for_people() {
        let telemetry: Telemetry = toml::from_str("").expect("all is optional");
        assert_eq!(telemetry, Telemetry { filter: "info".into(), format: LogFormat::Human });
        assert!(telemetry.filter().is_ok());
    }
}
