//! `bugle backup` and `bugle restore`: data folders, kept and brought back.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use serde::Serialize;

use super::Context;
use crate::backup::{Existing, Manifest, restore, save};
use crate::failure::{Ended, Failure};
use crate::output::count;

/// Make a backup of a data folder, also while its part runs
///
/// The stores are copied as they stand at one moment, with everything that was ever promised until then.
/// The backup holds keys and tokens as the data folder does: keep it as carefully.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  bugle backup platform-data --to backups/platform
  bugle backup bugle-data --to backups/everything")]
pub(crate) struct BackupArgs {
    /// The data folder of a part, or that of `bugle up`
    folder: PathBuf,
    /// The folder to make
    #[arg(long, value_name = "FOLDER")]
    to: PathBuf,
}

/// Bring a data folder back from a backup
///
/// No part may run on it. Files that are not what they were when the backup was made are refused, and
/// then nothing changes.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  bugle restore backups/platform --to platform-data
  bugle restore backups/platform --to platform-data --replace")]
pub(crate) struct RestoreArgs {
    /// The backup
    backup: PathBuf,
    /// The data folder to bring back
    #[arg(long, value_name = "FOLDER")]
    to: PathBuf,
    /// What is there is put aside, with ".replaced" after its name
    #[arg(long)]
    replace: bool,
}

/// What was copied.
#[derive(Debug, Serialize)]
struct Copied {
    folder: PathBuf,
    files: usize,
    bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    put_aside: Option<PathBuf>,
}

impl BackupArgs {
    pub(crate) async fn run(self, context: &Context) -> Result<Ended, Failure> {
        let to = self.to.clone();
        let manifest = blocking(move || save(&self.folder, &self.to)).await?;
        context.output.print(&copied(to, &manifest, None), |copied| format!("{}.", describe(copied)))?;
        Ok(Ended::Well)
    }
}

impl RestoreArgs {
    pub(crate) async fn run(self, context: &Context) -> Result<Ended, Failure> {
        let to = self.to.clone();
        let existing = if self.replace { Existing::PutAside } else { Existing::Keep };
        let (manifest, put_aside) = blocking(move || restore(&self.backup, &self.to, existing)).await?;
        context.output.print(&copied(to, &manifest, put_aside), |copied| {
            let aside =
                copied.put_aside.as_ref().map(|aside| format!(" What was there is in {} now.", aside.display()));
            let made = format!("as it was on {}", manifest.made_at);
            format!("{}, {made}.{}", describe(copied), aside.unwrap_or_default())
        })?;
        Ok(Ended::Well)
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Failure> + Send + 'static) -> Result<T, Failure> {
    tokio::task::spawn_blocking(work).await.context("it was broken off")?
}

fn copied(folder: PathBuf, manifest: &Manifest, put_aside: Option<PathBuf>) -> Copied {
    Copied { folder, files: manifest.files.len(), bytes: manifest.bytes(), put_aside }
}

fn describe(copied: &Copied) -> String {
    let files = count(copied.files as u64, "file");
    format!("{}: {files}, {} bytes", copied.folder.display(), copied.bytes)
}
