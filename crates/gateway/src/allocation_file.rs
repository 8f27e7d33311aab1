//! The gateway's own file of allocations: TOML, or CSV where its name ends in `.csv`.
//!
//! In TOML each peripheral is a table, and what many have in common is said once. An entry's labels
//! are added to those of `defaults`; anything else replaces it:
//!
//! ```toml
//! [defaults]
//! application = "metering"
//! groups = ["meters"]
//! lifetime = 86400
//!
//! [[peripheral]]
//! id = "meter-0017"
//! password = "long-and-random"
//! labels = { street = "Main" }
//!
//! [[peripheral]]
//! id = "meter-0018"
//! groups = ["meters", "meters-east"]
//! initial_state = "blocked"
//! waker = "wake-on-lan 02:00:5e:10:00:01"
//!
//! [[peripheral]]
//! id = "meter-0019"
//! waker.http = { url = "https://sms.example/wake", body = "{peripheral}", effort = { tries = 2, back_off = 300 } }
//! ```
//!
//! A waker is a text, or a table with all that [`Waker`](bugle_core::Waker) has; in CSV its JSON.
//!
//! In CSV the first row names the columns, of which `id` and `application` are needed; groups are
//! separated by semicolons, an empty cell says nothing, and a label has a column of its own:
//!
//! ```csv
//! id,application,groups,password,label.street
//! meter-0017,metering,meters,long-and-random,Main
//! meter-0018,metering,meters;meters-east,,
//! ```
//!
//! A file is taken whole or not at all; all that is wrong with it is told line by line.
//!
//! A password in clear is turned into its verifier here and goes no further. That takes its time by
//! design, so it is done on all cores and only for those that changed; a file that has verifiers
//! instead spares it.

mod complaint;
mod csv;
mod entry;
mod passwords;
mod secret;
mod toml;
mod watcher;

use std::fs;
use std::path::PathBuf;

use bugle_core::Allocation;
use complaint::Complaints;
pub use complaint::{AllocationFileError, Complaint};
use passwords::Passwords;
pub(crate) use watcher::Watcher;

/// A file of allocations, and what was derived from it when it was last read.
#[derive(Debug)]
pub(crate) struct AllocationFile {
    path: PathBuf,
    passwords: Passwords,
}

impl AllocationFile {
    /// The file at `path`. It is not read yet.
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, passwords: Passwords::default() }
    }

    /// Reads all allocations in it. With passwords in clear this takes about a third of a millisecond
    /// of a core for each that is new.
    pub(crate) fn read(&mut self) -> Result<Vec<Allocation>, AllocationFileError> {
        let parse = match self.path.extension().and_then(|extension| extension.to_str()) {
            Some("toml") => toml::parse,
            Some("csv") => csv::parse,
            _ => return Err(AllocationFileError::Extension(self.path.clone())),
        };
        let unreadable = |source| AllocationFileError::Unreadable { path: self.path.clone(), source };
        let text = fs::read_to_string(&self.path).map_err(unreadable)?;
        let mut complaints = Complaints::default();
        let entries = parse(&text, &mut complaints);
        if let Some(complaints) = complaints.into_all() {
            return Err(AllocationFileError::Complaints { path: self.path.clone(), complaints });
        }
        Ok(self.passwords.resolve(entries))
    }
}

#[cfg(test)]
mod tests;
