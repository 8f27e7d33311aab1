//! Making a backup.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::Context;
use bugle_gateway::KEEPING_KEY_FILE;

use super::Manifest;
use crate::failure::Failure;

/// Copies what is in the data folder `from` to the new folder `to`.
pub(crate) fn save(from: &Path, to: &Path) -> Result<Manifest, Failure> {
    let mut paths = Vec::new();
    gather(from, Path::new(""), &mut paths).map_err(|error| unreadable(from, error))?;
    if !paths.iter().any(|path| is_store(path)) {
        return Err(Failure::Usage(format!(
            "there is no store in {}: name the data folder of a part, or that of `bugle up`",
            from.display()
        )));
    }
    match DirBuilder::new().mode(0o700).create(to) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            return Err(Failure::Usage(format!("{} is there already: name a new folder", to.display())));
        }
        made => made.with_context(|| format!("cannot make {}", to.display()))?,
    }
    for path in &paths {
        copy(from, to, path)?;
    }
    let manifest = Manifest::of(to, paths)?;
    manifest.write(to)?;
    Ok(manifest)
}

/// Copies one file, a store as it stands at one moment.
pub(super) fn copy(from: &Path, to: &Path, path: &Path) -> anyhow::Result<()> {
    let (source, target) = (from.join(path), to.join(path));
    if let Some(folder) = target.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    if is_store(path) {
        return bugle_store::sqlite::copy(&source, &target).map_err(anyhow::Error::new);
    }
    let copied = fs::copy(&source, &target)
        .and_then(|_| fs::set_permissions(&target, Permissions::from_mode(0o600)))
        .and_then(|()| File::open(&target)?.sync_all());
    copied.with_context(|| format!("cannot copy {} to {}", source.display(), target.display()))
}

pub(super) fn is_store(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "db")
}

/// Whether a file is of the process that runs, and of no use to the next; or must not be put back, so that what it is
/// the key to is over.
fn is_passing(name: &str) -> bool {
    let ends = [".lock", ".sock", ".new", "-wal", "-shm", "-journal"];
    name == "lock" || name == KEEPING_KEY_FILE || ends.iter().any(|end| name.ends_with(end))
}

/// The files in a folder and in those below, in the order of their names, as paths from `root`.
fn gather(root: &Path, folder: &Path, paths: &mut Vec<PathBuf>) -> io::Result<()> {
    let mut entries = fs::read_dir(root.join(folder))?.collect::<io::Result<Vec<_>>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = folder.join(entry.file_name());
        let kind = entry.file_type()?;
        if kind.is_dir() {
            gather(root, &path, paths)?;
        } else if kind.is_file() && !is_passing(&entry.file_name().to_string_lossy()) {
            paths.push(path);
        }
    }
    Ok(())
}

fn unreadable(folder: &Path, error: io::Error) -> Failure {
    let told = format!("{}: {error}", folder.display());
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Failure::Usage(told),
        _ => Failure::Here(anyhow::Error::msg(told)),
    }
}
