//! What is wrong with a file of allocations.

use std::path::{Path, PathBuf};
use std::{fmt, io};

use thiserror::Error;

/// Complaints that are told; more are only counted.
const COMPLAINTS_TOLD_MAX: usize = 100;

/// Why a file of allocations is not taken. The fault is of whoever wrote it.
#[derive(Debug, Error)]
pub enum AllocationFileError {
    /// It cannot be read as text.
    #[error("{path}: {source}")]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Its name does not tell which it is.
    #[error("{0}: a file of allocations ends in .toml or .csv")]
    Extension(PathBuf),
    /// Something in it is wrong.
    #[error("{path} is refused whole, and what was in force stays:{}", tell(path, complaints), path = path.display())]
    Complaints {
        /// Which file.
        path: PathBuf,
        /// What, in order of lines.
        complaints: Vec<Complaint>,
    },
}

/// One thing that is wrong with a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Complaint {
    /// In which line, from 1.
    pub line: u64,
    /// What is wrong.
    pub reason: String,
}

fn tell(path: &Path, complaints: &[Complaint]) -> String {
    let path = path.display();
    let mut text = String::new();
    for Complaint { line, reason } in complaints.iter().take(COMPLAINTS_TOLD_MAX) {
        text.push_str(&format!("\n  {path}:{line}: {reason}"));
    }
    if complaints.len() > COMPLAINTS_TOLD_MAX {
        text.push_str(&format!("\n  {path}: and {} more", complaints.len() - COMPLAINTS_TOLD_MAX));
    }
    text
}

/// Gathers what is wrong.
#[derive(Debug, Default)]
pub(super) struct Complaints(Vec<Complaint>);

impl Complaints {
    pub(super) fn add(&mut self, line: u64, reason: impl fmt::Display) {
        self.0.push(Complaint { line, reason: reason.to_string() });
    }

    /// What `result` holds; none if that is something wrong with `field`.
    pub(super) fn take<T, E: fmt::Display>(&mut self, line: u64, field: &str, result: Result<T, E>) -> Option<T> {
        result.map_err(|error| self.add(line, format_args!("{field}: {error}"))).ok()
    }

    /// All of them, in order of lines; none if nothing is wrong.
    pub(super) fn into_all(mut self) -> Option<Vec<Complaint>> {
        self.0.sort();
        // What is wrong with a default is wrong with every entry.
        self.0.dedup();
        (!self.0.is_empty()).then_some(self.0)
    }
}
