//! Running one part in the foreground.

use std::path::{Path, PathBuf};

use anyhow::Context;
use bugle_runtime::{LogFormat, Telemetry, config, tls};
use clap::{Args, ValueEnum};
use serde::de::DeserializeOwned;

use crate::failure::Failure;

/// What running a part takes.
#[derive(Debug, Args)]
pub(crate) struct PartArgs {
    /// The configuration file; without one all settings come from the environment
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    log: LogArgs,
}

/// What is logged, to standard error.
#[derive(Debug, Args)]
pub(crate) struct LogArgs {
    /// What is logged: a level, or levels by module, as info,bugle_runtime=debug
    #[arg(long, value_name = "FILTER", env = "BUGLE_LOG")]
    log: Option<String>,
    /// How the log looks
    #[arg(long, value_name = "FORMAT", env = "BUGLE_LOG_FORMAT", default_value = "human")]
    log_format: LogFormatWord,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LogFormatWord {
    /// Lines for people
    Human,
    /// One JSON object a line, for programs
    Json,
}

impl LogArgs {
    /// Starts to log; by `default` where nothing else is said.
    pub(crate) fn start(&self, default: &str) -> Result<(), Failure> {
        let format = match self.log_format {
            LogFormatWord::Human => LogFormat::Human,
            LogFormatWord::Json => LogFormat::Json,
        };
        let filter = self.log.clone().unwrap_or_else(|| default.to_owned());
        Telemetry { filter, format }.start().map_err(|error| Failure::Usage(error.to_string()))
    }
}

impl PartArgs {
    /// The configuration of the part that is called `part`, to look at.
    pub(crate) fn read<T: DeserializeOwned>(config: Option<&Path>, part: &str) -> Result<T, Failure> {
        let prefix = format!("BUGLE_{}__", part.to_uppercase());
        config::load(config, &prefix).map_err(|error| Failure::Usage(error.to_string()))
    }

    /// The configuration of the part that is called `part`, as `gateway`; logs from now on.
    pub(crate) fn prepare<T: DeserializeOwned>(&self, part: &str) -> Result<T, Failure> {
        let prefix = format!("BUGLE_{}__", part.to_uppercase());
        let hint = format!("`bugle config {part} > {part}.toml` prints a template");
        let config = config::load(self.config.as_deref(), &prefix)
            .map_err(|error| Failure::Usage(format!("{error}\n{hint}; `bugle {part} --config {part}.toml` runs it")))?;
        self.log.start("info")?;
        tls::install_provider();
        Ok(config)
    }
}

/// What ends the process in good order.
pub(crate) fn shutdown_on_signals() -> Result<bugle_runtime::Shutdown, Failure> {
    Ok(bugle_runtime::Shutdown::on_signals().context("cannot handle signals")?)
}
