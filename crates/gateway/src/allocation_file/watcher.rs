//! When the file is to be read again.
//!
//! It is looked at once a second. That works wherever a file can be, on network file systems and in
//! containers too, where notices from the system get lost; it sees an editor that puts a new file in
//! place of the old one; and it costs one call to the system a second.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Interval, MissedTickBehavior, interval};

const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// Tells when a file has changed, or the process got SIGHUP.
#[derive(Debug)]
pub(crate) struct Watcher {
    path: PathBuf,
    has_told: bool,
    /// As the file was when it was last told of.
    told: Option<Look>,
    /// As it was when it was looked at last.
    seen: Option<Look>,
    looks: Interval,
    hangup: Signal,
}

/// What tells one version of a file from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Look {
    device: u64,
    inode: u64,
    length: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Look {
    fn at(path: &Path) -> Option<Self> {
        std::fs::metadata(path).ok().map(|metadata| Self::from(&metadata))
    }
}

impl From<&Metadata> for Look {
    fn from(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            length: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

impl Watcher {
    /// Fails if the system does not let the process handle SIGHUP.
    pub(crate) fn new(path: PathBuf) -> std::io::Result<Self> {
        let mut looks = interval(LOOK_INTERVAL);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let seen = Look::at(&path);
        Ok(Self { path, has_told: false, told: None, seen, looks, hangup: signal(SignalKind::hangup())? })
    }

    /// Returns when the file is to be read: at once the first time, be it there or not, and then when it
    /// has changed. Giving up on the wait loses nothing.
    ///
    /// A file that is being written is to be read only after it has stayed the same for a second: half
    /// of one would end the registrations of all that the other half holds. One that goes away is waited
    /// for.
    pub(crate) async fn changed(&mut self) {
        loop {
            let is_asked = tokio::select! {
                Some(()) = self.hangup.recv() => true,
                _ = self.looks.tick() => false,
            };
            let before = std::mem::replace(&mut self.seen, Look::at(&self.path));
            if before.is_some() && self.seen.is_none() {
                tracing::warn!(path = %self.path.display(), "the file of allocations is gone; what it held stays in force");
            }
            let is_news = !self.has_told || (self.seen.is_some() && self.seen != self.told);
            if is_asked || (is_news && self.seen == before) {
                (self.has_told, self.told) = (true, self.seen);
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::process::Command;

    use tempfile::TempDir;
    use tokio::time::{Instant, timeout};

    use super::*;

    struct Scene {
        folder: TempDir,
        watcher: Watcher,
    }

    impl Scene {
        /// A file that was told of.
        async fn new() -> Self {
            let folder = tempfile::tempdir().expect("a folder");
            let path = folder.path().join("allocations.csv");
            fs::write(&path, "one").expect("written");
            let watcher = Watcher::new(path).expect("signals can be handled");
            let mut scene = Self { folder, watcher };
            let started = Instant::now();
            scene.watcher.changed().await;
            assert!(started.elapsed() < LOOK_INTERVAL, "the first one is not waited for");
            scene
        }

        fn path(&self, name: &str) -> PathBuf {
            self.folder.path().join(name)
        }

        fn write(&self, text: &str) {
            fs::write(self.path("allocations.csv"), text).expect("written");
        }

        async fn is_quiet(&mut self) -> bool {
            timeout(LOOK_INTERVAL * 10, self.watcher.changed()).await.is_err()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_is_told_once() {
        let mut scene = Scene::new().await;
        assert!(scene.is_quiet().await);
        scene.write("two");
        scene.watcher.changed().await;
        assert!(scene.is_quiet().await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_file_that_an_editor_puts_in_place_of_the_old_one_is_seen() {
        let mut scene = Scene::new().await;
        // Of the same length.
        fs::write(scene.path("new"), "two").expect("written");
        fs::rename(scene.path("new"), scene.path("allocations.csv")).expect("renamed");
        scene.watcher.changed().await;
        assert!(scene.is_quiet().await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_file_that_is_being_written_is_told_of_when_it_has_settled() {
        let mut scene = Scene::new().await;
        let path = scene.path("allocations.csv");
        let writer = tokio::spawn(async move {
            for length in 10..20 {
                fs::write(&path, "x".repeat(length)).expect("written");
                tokio::time::sleep(LOOK_INTERVAL.mul_f64(0.9)).await;
            }
        });
        scene.watcher.changed().await;
        let told = fs::metadata(scene.path("allocations.csv")).expect("it is there").len();
        assert_eq!(told, 19);
        writer.await.expect("it writes");
    }

    #[tokio::test(start_paused = true)]
    async fn a_file_that_is_not_there_at_first_is_told_of_once_and_then_waited_for() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("allocations.csv");
        let watcher = Watcher::new(path).expect("signals can be handled");
        let mut scene = Scene { folder, watcher };
        scene.watcher.changed().await;
        assert!(scene.is_quiet().await);
        scene.write("one");
        scene.watcher.changed().await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_file_that_goes_away_is_waited_for() {
        let mut scene = Scene::new().await;
        fs::remove_file(scene.path("allocations.csv")).expect("removed");
        assert!(scene.is_quiet().await);
        scene.write("two");
        scene.watcher.changed().await;
    }

    #[tokio::test]
    async fn a_hangup_has_an_unchanged_file_told_of_again() {
        let mut scene = Scene::new().await;
        let process = std::process::id().to_string();
        assert!(Command::new("kill").args(["-s", "HUP", &process]).status().expect("kill is there").success());
        timeout(Duration::from_secs(30), scene.watcher.changed()).await.expect("it is told of");
    }
}
