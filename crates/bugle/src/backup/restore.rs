//! Restoring a data folder from a backup.
//!
//! 1. Every file of the backup is held against its sum, and a part that runs on the folder against its
//!    lock: nothing has changed yet if either is not as it must be.
//! 2. The files go to a folder beside, and the stores are looked through.
//! 3. What is there is put aside, and the new folder takes its place.

use std::ffi::OsString;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use anyhow::Context;
use bugle_store::sqlite::look_through;

use super::Manifest;
use super::save::{copy, is_store};
use crate::failure::Failure;

/// What becomes of a folder that is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Existing {
    /// It stays, and nothing is restored.
    Keep,
    /// It is put aside.
    PutAside,
}

/// Makes the folder `to` what it was when the backup was made. Returns where the former one is, if
/// there was one.
pub(crate) fn restore(backup: &Path, to: &Path, existing: Existing) -> Result<(Manifest, Option<PathBuf>), Failure> {
    let manifest = Manifest::read(backup)?;
    for file in &manifest.files {
        if file.path.is_absolute() || file.path.components().any(|part| part.as_os_str() == "..") {
            return Err(Failure::Usage(format!("{}: {} leads out of it", backup.display(), file.path.display())));
        }
        file.check(backup)?;
    }
    let _locks = lock_all(to)?;
    let is_there = fs::read_dir(to).is_ok_and(|mut entries| entries.next().is_some());
    let aside = beside(to, "replaced");
    if is_there && existing == Existing::Keep {
        let told = "is there already and is not empty; --replace puts it aside";
        return Err(Failure::Usage(format!("{} {told}", to.display())));
    }
    if is_there && aside.exists() {
        let told = "is there already, put aside an earlier time; remove it first";
        return Err(Failure::Usage(format!("{} {told}", aside.display())));
    }
    let fresh = beside(to, "restoring");
    let _ = fs::remove_dir_all(&fresh);
    for file in &manifest.files {
        copy(backup, &fresh, &file.path)?;
        if is_store(&file.path) {
            look_through(&fresh.join(&file.path)).map_err(anyhow::Error::new)?;
        }
    }
    if is_there {
        rename(to, &aside)?;
    }
    rename(&fresh, to)?;
    Ok((manifest, is_there.then_some(aside)))
}

/// The folder's name with a word after it.
fn beside(folder: &Path, word: &str) -> PathBuf {
    let name = folder.file_name().unwrap_or(folder.as_os_str());
    let mut name = OsString::from(name);
    name.push(format!(".{word}"));
    folder.with_file_name(name)
}

fn rename(from: &Path, to: &Path) -> anyhow::Result<()> {
    fs::rename(from, to).with_context(|| format!("cannot rename {} to {}", from.display(), to.display()))?;
    let parent = to.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(parent)?.sync_all().with_context(|| format!("cannot write {}", parent.display()))
}

/// Takes all locks in a folder, so that no part runs on it.
fn lock_all(folder: &Path) -> Result<Vec<File>, Failure> {
    let mut locks = Vec::new();
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(locks),
        Err(error) => return Err(anyhow::Error::new(error).context(folder.display().to_string()).into()),
    };
    for entry in entries {
        let entry = entry.map_err(anyhow::Error::new)?;
        let (path, name) = (entry.path(), entry.file_name());
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            locks.extend(lock_all(&path)?);
        } else if name == "lock" || name.to_string_lossy().ends_with(".lock") {
            locks.push(lock(folder, &path)?);
        }
    }
    Ok(locks)
}

fn lock(folder: &Path, path: &Path) -> anyhow::Result<File> {
    let file = File::options().read(true).write(true).open(path).with_context(|| path.display().to_string())?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            let holder = fs::read_to_string(path).unwrap_or_default();
            let holder =
                holder.trim().parse::<u32>().map_or_else(|_| "a process".to_owned(), |id| format!("process {id}"));
            anyhow::bail!("{} is in use by {holder}: end it first", folder.display())
        }
        Err(TryLockError::Error(error)) => Err(anyhow::Error::new(error).context(path.display().to_string())),
    }
}
