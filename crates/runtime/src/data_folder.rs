//! Where a service keeps its files.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use thiserror::Error;

const LOCK: &str = "lock";
const FOLDER_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;

/// A folder that one process at a time holds, and that only its user may look into.
#[derive(Debug)]
pub struct DataFolder {
    path: PathBuf,
    /// Locked as long as this lives; the system unlocks it when the process ends, however it ends.
    _lock: File,
}

/// Why a folder cannot be used. The fault is of whoever configured it, or of the disk.
#[derive(Debug, Error)]
pub enum DataFolderError {
    /// Another process holds it.
    #[error("data folder {path} is in use by {holder}: two processes cannot share one")]
    InUse {
        /// The folder.
        path: PathBuf,
        /// Who holds it, as far as is known.
        holder: String,
    },
    /// The system refuses.
    #[error("cannot {doing} {path}: {source}")]
    Io {
        /// What was tried.
        doing: &'static str,
        /// With what.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

impl DataFolder {
    /// Takes the folder at `path`, and makes it if there is none.
    ///
    /// # Errors
    /// If another process holds it, or the system does not let it be made or locked.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, DataFolderError> {
        let path = path.into();
        DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(&path).map_err(failed("make", &path))?;
        let lock = take_lock(&path)?;
        Ok(Self { path, _lock: lock })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where a file of this name in it is, or would be.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// What a file in it holds; none if there is no such file.
    ///
    /// # Errors
    /// If there is one and it cannot be read as text.
    pub fn read(&self, name: &str) -> Result<Option<String>, DataFolderError> {
        let path = self.file(name);
        match fs::read_to_string(&path) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed("read", &path)(error)),
        }
    }

    /// Puts a file in it, readable for its user alone, in place of any of that name. After a crash
    /// there is either the old one or the new one, whole.
    ///
    /// # Errors
    /// If the system does not let it be written.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<(), DataFolderError> {
        let path = self.file(name);
        let new = self.file(&format!("{name}.new"));
        let write = || {
            let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(FILE_MODE).open(&new)?;
            // The mode above counts only for a file that was not there.
            file.set_permissions(Permissions::from_mode(FILE_MODE))?;
            file.write_all(bytes)?;
            file.sync_all()?;
            fs::rename(&new, &path)?;
            File::open(&self.path)?.sync_all()
        };
        write().map_err(failed("write", &path))
    }
}

fn take_lock(folder: &Path) -> Result<File, DataFolderError> {
    let path = folder.join(LOCK);
    let mut options = OpenOptions::new();
    let mut file = options
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(FILE_MODE)
        .open(&path)
        .map_err(failed("open", &path))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            return Err(DataFolderError::InUse { path: folder.to_owned(), holder: holder(&mut file) });
        }
        Err(TryLockError::Error(error)) => return Err(failed("lock", &path)(error)),
    }
    // Only to be named in the message above, so a disk too full for it is no reason to stop.
    let _ = file.set_len(0).and_then(|()| write!(file, "{}", std::process::id()));
    Ok(file)
}

fn holder(lock: &mut File) -> String {
    let mut text = String::new();
    match lock.read_to_string(&mut text).map(|_| text.trim().parse::<u32>()) {
        Ok(Ok(process)) => format!("process {process}"),
        _ => "another process".to_owned(),
    }
}

fn failed(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> DataFolderError {
    let path = path.to_owned();
    move |source| DataFolderError::Io { doing, path, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).expect("it is there").permissions().mode() & 0o777
    }

    #[test]
    fn a_new_folder_and_its_files_are_for_their_user_alone() {
        let outer = tempfile::tempdir().expect("a folder");
        let folder = DataFolder::open(outer.path().join("a/b")).expect("a data folder");
        assert_eq!(mode(folder.path()), 0o700);
        folder.write("key.pem", b"secret").expect("written");
        assert_eq!(mode(&folder.file("key.pem")), 0o600);
        assert_eq!(folder.read("key.pem").expect("readable").as_deref(), Some("secret"));
        assert_eq!(folder.read("other").expect("readable"), None);
    }

    #[test]
    fn a_file_is_replaced_whole_and_nothing_is_left_beside_it() {
        let outer = tempfile::tempdir().expect("a folder");
        let folder = DataFolder::open(outer.path()).expect("a data folder");
        folder.write("certificate.pem", b"a long first version").expect("written");
        fs::write(folder.file("certificate.pem.new"), "left over by a crash").expect("written");
        folder.write("certificate.pem", b"second").expect("written");
        assert_eq!(folder.read("certificate.pem").expect("readable").as_deref(), Some("second"));
        assert!(!folder.file("certificate.pem.new").exists());
    }

    #[test]
    fn a_folder_in_use_names_the_process_that_holds_it() {
        let outer = tempfile::tempdir().expect("a folder");
        let held = DataFolder::open(outer.path()).expect("a data folder");
        let error = DataFolder::open(outer.path()).expect_err("it is held").to_string();
        assert!(error.contains(&format!("process {}", std::process::id())), "{error}");
        drop(held);
        assert!(DataFolder::open(outer.path()).is_ok(), "it was let go");
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_told_with_its_path() {
        let outer = tempfile::tempdir().expect("a folder");
        let file = outer.path().join("file");
        fs::write(&file, "").expect("written");
        let error = DataFolder::open(file.join("inside")).expect_err("a file is in the way").to_string();
        assert!(error.starts_with("cannot make") && error.contains("file/inside"), "{error}");
    }
}
