//! The gateway's own file of allocations, TOML or CSV: what the M2M user configures by hand.
//!
//! ```toml
//! [defaults]                      # for all that do not say otherwise
//! application = "metering"
//! groups = ["meters"]
//!
//! [[peripheral]]
//! id = "meter-0001"
//!
//! [[peripheral]]
//! id = "valve-0001"
//! groups = ["valves", "cellar"]
//! password = "a long random text"
//! labels = { floor = "-1" }
//! ```
//!
//! CSV has a header row that names its columns: `id`, and any of `application`, `groups` (with
//! semicolons between), `initial_state`, `username`, `password`, `verifier`, `lifetime`, `idle` and
//! `label.<name>`.
//!
//! A file is taken whole or not at all; what is wrong with it is told line by line.

mod entry;
mod text;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use bugle_core::{Allocation, PeripheralId};
use thiserror::Error;

use entry::Entry;

/// Why a file of allocations is not taken. The fault is of whoever wrote it.
#[derive(Debug, Error)]
pub enum AllocationFileError {
    /// It cannot be read.
    #[error("{path}: {source}")]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// It is neither.
    #[error("{0}: a file of allocations ends in .toml or .csv")]
    Extension(PathBuf),
    /// Something in it is wrong.
    #[error("{path} is refused whole, and what was in force stays:{}", Lines { path: path.as_path(), complaints: complaints.as_slice() }, path = path.display())]
    Complaints {
        /// Which file.
        path: PathBuf,
        /// What, in order of lines.
        complaints: Vec<Complaint>,
    },
}

/// One thing that is wrong with a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Complaint {
    /// In which line, from 1.
    pub line: u64,
    /// What is wrong.
    pub reason: String,
}

struct Lines<'a> {
    path: &'a Path,
    complaints: &'a [Complaint],
}

impl fmt::Display for Lines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.complaints
            .iter()
            .try_for_each(|complaint| write!(f, "\n  {}:{}: {}", self.path.display(), complaint.line, complaint.reason))
    }
}

/// Reads the file at `path`.
///
/// # Errors
/// If it cannot be read, or anything in it is wrong.
pub(crate) fn read(path: &Path) -> Result<Vec<Allocation>, AllocationFileError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| AllocationFileError::Unreadable { path: path.to_owned(), source })?;
    let entries = match path.extension().and_then(|extension| extension.to_str()) {
        Some("toml") => text::from_toml(&text),
        Some("csv") => text::from_csv(&text),
        _ => return Err(AllocationFileError::Extension(path.to_owned())),
    };
    let complain = |complaints| AllocationFileError::Complaints { path: path.to_owned(), complaints };
    allocations(entries.map_err(complain)?).map_err(complain)
}

/// Makes the allocations of all entries, or says all that is wrong with them.
fn allocations(entries: Vec<Entry>) -> Result<Vec<Allocation>, Vec<Complaint>> {
    let lines: Vec<u64> = entries.iter().map(|entry| entry.line).collect();
    let mut made = Vec::with_capacity(entries.len());
    let mut complaints = Vec::new();
    let mut seen: BTreeMap<PeripheralId, u64> = BTreeMap::new();
    for (result, line) in make_all(entries).into_iter().zip(lines) {
        match result {
            Ok(allocation) => {
                if let Some(first) = seen.insert(allocation.peripheral.clone(), line) {
                    let reason = format!("peripheral {} is in line {first} already", allocation.peripheral);
                    complaints.push(Complaint { line, reason });
                }
                made.push(allocation);
            }
            Err(complaint) => complaints.push(complaint),
        }
    }
    if complaints.is_empty() { Ok(made) } else { Err(complaints) }
}

/// Deriving verifiers from passwords takes a third of a millisecond each: all processors take part.
fn make_all(entries: Vec<Entry>) -> Vec<Result<Allocation, Complaint>> {
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let share = entries.len().div_ceil(threads).max(1);
    let mut rest = entries;
    std::thread::scope(|scope| {
        let mut workers = Vec::new();
        while !rest.is_empty() {
            let after = rest.split_off(share.min(rest.len()));
            let mine = std::mem::replace(&mut rest, after);
            workers.push(scope.spawn(move || mine.into_iter().map(Entry::allocation).collect::<Vec<_>>()));
        }
        workers.into_iter().flat_map(|worker| worker.join().expect("making an allocation does not panic")).collect()
    })
}

#[cfg(test)]
mod tests;
