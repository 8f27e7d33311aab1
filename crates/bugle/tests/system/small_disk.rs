//! A disk of its own for one part, as small as is needed to fill it.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::PathBuf;
use std::process::Command;

/// A disk that is unmounted when it is dropped.
pub(crate) struct SmallDisk(PathBuf);

impl SmallDisk {
    /// Mounts one of so many MiB at this folder.
    pub(crate) fn mount(path: PathBuf, mebibytes: u32) -> Self {
        fs::create_dir_all(&path).expect("the folder is made");
        let size = format!("size={mebibytes}m");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(&path).status();
        assert!(mounted.is_ok_and(|status| status.success()), "mounting a small disk takes root");
        Self(path)
    }

    /// Mounts one where there is a folder, with what is in that.
    pub(crate) fn mount_with_content(path: PathBuf, mebibytes: u32) -> Self {
        let former = path.with_extension("former");
        fs::rename(&path, &former).expect("the folder is there");
        let disk = Self::mount(path, mebibytes);
        for file in fs::read_dir(&former).expect("the folder is there") {
            let file = file.expect("the folder is there");
            fs::copy(file.path(), disk.0.join(file.file_name())).expect("it is a file, and there is room for it");
        }
        disk
    }

    /// Fills it to the last byte.
    pub(crate) fn fill(&self) {
        let full = File::create(self.filler()).and_then(|mut file| {
            let block = [0; 4096];
            std::iter::repeat_with(|| file.write_all(&block)).find_map(Result::err).map_or(Ok(()), Err)
        });
        assert!(full.is_err_and(|error| error.kind() == ErrorKind::StorageFull));
    }

    /// Gives back what was filled.
    pub(crate) fn clear(&self) {
        fs::remove_file(self.filler()).expect("the disk is cleared");
    }

    fn filler(&self) -> PathBuf {
        self.0.join("filler")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: whoever still uses it keeps it until it ends.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}
