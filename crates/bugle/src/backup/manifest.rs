//! What is in a backup.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::failure::Failure;

/// The file in a backup.
const MANIFEST_FILE: &str = "backup.toml";

/// What is in a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Manifest {
    /// The release that made it.
    pub(crate) release: String,
    /// When.
    pub(crate) made_at: String,
    /// The files, by their paths.
    #[serde(rename = "file")]
    pub(crate) files: Vec<Kept>,
}

/// A file in a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Kept {
    /// Where it is, from the backup's folder.
    pub(crate) path: PathBuf,
    /// Its size.
    pub(crate) bytes: u64,
    /// Its SHA-256, in hexadecimal.
    pub(crate) sha256: String,
}

impl Manifest {
    /// Of files that stand in a backup.
    pub(crate) fn of(folder: &Path, paths: Vec<PathBuf>) -> anyhow::Result<Self> {
        let files = paths.into_iter().map(|path| Kept::of(folder, path)).collect::<anyhow::Result<_>>()?;
        Ok(Self { release: env!("CARGO_PKG_VERSION").to_owned(), made_at: jiff::Zoned::now().to_string(), files })
    }

    /// Of the backup in a folder.
    pub(crate) fn read(folder: &Path) -> Result<Self, Failure> {
        let path = folder.join(MANIFEST_FILE);
        match std::fs::read_to_string(&path) {
            Ok(text) => toml::from_str(&text).map_err(|error| Failure::Usage(format!("{}: {error}", path.display()))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(Failure::Usage(format!(
                "{} is no backup, or one that was broken off: there is no {MANIFEST_FILE} in it",
                folder.display()
            ))),
            Err(error) => Err(anyhow::Error::new(error).context(path.display().to_string()).into()),
        }
    }

    /// Puts it into the backup, which is whole then.
    pub(crate) fn write(&self, folder: &Path) -> anyhow::Result<()> {
        let path = folder.join(MANIFEST_FILE);
        let text = toml::to_string(self).context("the manifest cannot be written")?;
        std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        for written in [path.as_path(), folder] {
            File::open(written)?.sync_all().with_context(|| format!("cannot write {}", written.display()))?;
        }
        Ok(())
    }

    /// The size of all files.
    pub(crate) fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }
}

impl Kept {
    fn of(folder: &Path, path: PathBuf) -> anyhow::Result<Self> {
        let (bytes, sha256) = sum(&folder.join(&path))?;
        Ok(Self { path, bytes, sha256 })
    }

    /// Checks that the file in this folder is what it was when it was kept.
    pub(crate) fn check(&self, folder: &Path) -> anyhow::Result<()> {
        let path = folder.join(&self.path);
        let found = sum(&path)?;
        anyhow::ensure!(
            found == (self.bytes, self.sha256.clone()),
            "{} is not what it was when the backup was made: it is damaged, take another backup",
            path.display()
        );
        Ok(())
    }
}

/// The size of a file, and its SHA-256.
fn sum(path: &Path) -> anyhow::Result<(u64, String)> {
    let mut file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    let (mut hash, mut bytes, mut buffer) = (Sha256::new(), 0, vec![0; 1024 * 1024]);
    loop {
        match file.read(&mut buffer).with_context(|| format!("cannot read {}", path.display()))? {
            0 => return Ok((bytes, hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())),
            read => {
                hash.update(&buffer[..read]);
                bytes += read as u64;
            }
        }
    }
}
