//! What a store measures while it runs.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// How a store is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Measures {
    /// Jobs that wait for the thread that writes.
    pub writes_waiting: u64,
    /// Jobs that wait for a thread that reads.
    pub reads_waiting: u64,
    /// Jobs that were turned away because too many waited.
    pub turned_away: u64,
    /// Commits since the start.
    pub commits: u64,
    /// Commits that failed, of which nothing was kept.
    pub failed_commits: u64,
    /// The size of the file.
    pub file_bytes: u64,
    /// The size of the write-ahead log beside it.
    pub log_bytes: u64,
}

impl Measures {
    /// Each with a name, what it is in words, and its value. Names of what only grows end in `_total`.
    #[must_use]
    pub const fn named(&self) -> [(&'static str, &'static str, u64); 7] {
        [
            ("store_writes_waiting", "Jobs that wait for the thread that writes.", self.writes_waiting),
            ("store_reads_waiting", "Jobs that wait for a thread that reads.", self.reads_waiting),
            ("store_turned_away_total", "Jobs turned away because too many waited.", self.turned_away),
            ("store_commits_total", "Commits.", self.commits),
            ("store_failed_commits_total", "Commits that failed; nothing of them was kept.", self.failed_commits),
            ("store_file_bytes", "Size of the store's file.", self.file_bytes),
            ("store_log_bytes", "Size of the write-ahead log beside it.", self.log_bytes),
        ]
    }
}

/// Counted by the threads of a store.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) writes_waiting: AtomicU64,
    pub(super) reads_waiting: AtomicU64,
    pub(super) turned_away: AtomicU64,
    pub(super) commits: AtomicU64,
    pub(super) failed_commits: AtomicU64,
}

impl Counts {
    pub(super) fn measures(&self, path: &Path) -> Measures {
        let bytes = |path: &Path| std::fs::metadata(path).map_or(0, |file| file.len());
        let mut log = path.as_os_str().to_owned();
        log.push("-wal");
        Measures {
            writes_waiting: self.writes_waiting.load(Relaxed),
            reads_waiting: self.reads_waiting.load(Relaxed),
            turned_away: self.turned_away.load(Relaxed),
            commits: self.commits.load(Relaxed),
            failed_commits: self.failed_commits.load(Relaxed),
            file_bytes: bytes(path),
            log_bytes: bytes(Path::new(&log)),
        }
    }
}
