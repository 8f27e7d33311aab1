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
//! A file is taken whole or not at all; all that is wrong with it is told line by line. So it is read twice: first to
//! see whether anything is wrong, and then to be taken, part by part. Of a large one there is never more in memory
//! than its text and a part of its allocations, and no peripheral waits until all of it is taken.
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

use std::collections::BTreeMap;
use std::collections::btree_map::Entry as Line;
use std::fs;
use std::path::PathBuf;

use bugle_core::{Allocation, PeripheralId};
use complaint::Complaints;
pub use complaint::{AllocationFileError, Complaint};
use entry::{Draft, Each};
use passwords::{Clear, Passwords};
use secret::Secret;
pub(crate) use watcher::Watcher;

/// Allocations in a part.
const PART_ALLOCATIONS: usize = 1_000;

/// A file of allocations, and what was derived from it when it was last read.
#[derive(Debug)]
pub(crate) struct AllocationFile {
    path: PathBuf,
    passwords: Passwords,
}

/// How a file is read.
#[derive(Debug, Clone, Copy)]
enum Manner {
    TomlPieces,
    TomlWhole,
    Csv,
}

impl Manner {
    /// Has `each` take what stands in a text. Whether it can be read in this manner: any can but for
    /// [`TomlPieces`](Self::TomlPieces).
    fn read(self, text: &str, complaints: &mut Complaints, each: &mut Each<'_>) -> bool {
        match self {
            Self::TomlPieces => return toml::parse_pieces(text, complaints, each).is_ok(),
            Self::TomlWhole => toml::parse_whole(text, complaints, each),
            Self::Csv => csv::parse(text, complaints, each),
        }
        true
    }
}

/// What was seen of a file whose entries are looked at one by one.
#[derive(Default)]
struct Seen {
    lines: BTreeMap<PeripheralId, u64>,
    passwords: Vec<Clear>,
}

impl Seen {
    /// Looks whether anything is wrong with an entry, or its peripheral has been seen before.
    fn look_at(&mut self, draft: Draft, complaints: &mut Complaints) {
        let line = draft.line;
        let Some(entry) = draft.check(complaints) else { return };
        let peripheral = entry.allocation.peripheral;
        match self.lines.entry(peripheral.clone()) {
            Line::Occupied(first) => {
                complaints.add(line, format_args!("peripheral {} is in line {} already", first.key(), first.get()));
            }
            Line::Vacant(vacant) => {
                vacant.insert(line);
                if let Secret::Password { password, .. } = entry.secret {
                    self.passwords.push((peripheral, password));
                }
            }
        }
    }
}

impl AllocationFile {
    /// The file at `path`. It is not read yet.
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, passwords: Passwords::default() }
    }

    /// Has `take` take all allocations in it, part by part, unless anything is wrong with any, and says how many there
    /// are. With passwords in clear this takes about a third of a millisecond of a core for each that is new.
    pub(crate) fn read<E: From<AllocationFileError>>(
        &mut self,
        mut take: impl FnMut(Vec<Allocation>) -> Result<(), E>,
    ) -> Result<usize, E> {
        let unreadable = |source| AllocationFileError::Unreadable { path: self.path.clone(), source };
        let manner = self.manner()?;
        let text = fs::read_to_string(&self.path).map_err(unreadable)?;
        let manner = self.check(&text, manner)?;
        let (mut part, mut count, mut taken) = (Vec::new(), 0, Ok(()));
        let mut each = |draft: Draft, complaints: &mut Complaints| {
            let Some(entry) = draft.check(complaints).filter(|_| taken.is_ok()) else { return };
            part.push(self.passwords.resolve(entry));
            count += 1;
            if part.len() == PART_ALLOCATIONS {
                taken = take(std::mem::take(&mut part));
            }
        };
        manner.read(&text, &mut Complaints::default(), &mut each);
        taken?;
        take(part)?;
        Ok(count)
    }

    /// How it is read, if it can be so.
    fn manner(&self) -> Result<Manner, AllocationFileError> {
        match self.path.extension().and_then(|extension| extension.to_str()) {
            Some("toml") => Ok(Manner::TomlPieces),
            Some("csv") => Ok(Manner::Csv),
            _ => Err(AllocationFileError::Extension(self.path.clone())),
        }
    }

    /// Looks whether anything is wrong, derives the passwords if not, and says how the text is read.
    fn check(&mut self, text: &str, manner: Manner) -> Result<Manner, AllocationFileError> {
        let (mut complaints, mut seen) = (Complaints::default(), Seen::default());
        if !manner.read(text, &mut complaints, &mut |draft, complaints| seen.look_at(draft, complaints)) {
            return self.check(text, Manner::TomlWhole);
        }
        if let Some(complaints) = complaints.into_all() {
            return Err(AllocationFileError::Complaints { path: self.path.clone(), complaints });
        }
        self.passwords.derive(&seen.passwords);
        Ok(manner)
    }
}

#[cfg(test)]
mod tests;
