//! One entry of a file of allocations, whichever way it is written.

use std::collections::BTreeMap;
use std::time::Duration;

use bugle_core::{Allocation, InitialState, PeripheralId, Waker};

use super::complaint::Complaints;
use super::secret::{Secret, SecretDraft};

/// A field as it stands in the file.
#[derive(Debug, Clone)]
pub(super) struct Field<T> {
    pub(super) line: u64,
    pub(super) value: T,
}

/// An entry as it stands in the file: what is not said is none.
#[derive(Debug, Clone, Default)]
pub(super) struct Draft {
    /// Where it starts.
    pub(super) line: u64,
    pub(super) peripheral: Option<String>,
    pub(super) application: Option<Field<String>>,
    pub(super) groups: Option<Field<Vec<String>>>,
    pub(super) initial_state: Option<Field<String>>,
    pub(super) secret: SecretDraft,
    pub(super) waker: Option<Field<Waker>>,
    pub(super) lifetime: Option<Field<u64>>,
    pub(super) idle: Option<Field<u64>>,
    pub(super) labels: BTreeMap<String, String>,
}

/// Takes what stands in a file, entry by entry.
pub(super) type Each<'e> = dyn FnMut(Draft, &mut Complaints) + 'e;

/// An entry that is as it should be.
#[derive(Debug)]
pub(super) struct Entry {
    /// The allocation, without its credential.
    pub(super) allocation: Allocation,
    pub(super) secret: Secret,
}

impl Draft {
    /// This, and where it says nothing what `defaults` say.
    pub(super) fn or(self, defaults: &Self) -> Self {
        let mut labels = defaults.labels.clone();
        labels.extend(self.labels);
        Self {
            line: self.line,
            peripheral: self.peripheral,
            application: self.application.or_else(|| defaults.application.clone()),
            groups: self.groups.or_else(|| defaults.groups.clone()),
            initial_state: self.initial_state.or_else(|| defaults.initial_state.clone()),
            secret: self.secret.or(&defaults.secret),
            waker: self.waker.or_else(|| defaults.waker.clone()),
            lifetime: self.lifetime.or_else(|| defaults.lifetime.clone()),
            idle: self.idle.or_else(|| defaults.idle.clone()),
            labels,
        }
    }

    /// The entry, if nothing is wrong with it.
    pub(super) fn check(self, complaints: &mut Complaints) -> Option<Entry> {
        // Each is looked at before any is given up on, so that all that is wrong is told.
        let peripheral = needed(self.peripheral, "an id", self.line, complaints)
            .and_then(|id| complaints.take(self.line, "id", id.parse::<PeripheralId>()));
        let application = needed(self.application, "an application", self.line, complaints)
            .and_then(|field| complaints.take(field.line, "application", field.value.parse()));
        let groups = needed(self.groups, "a group", self.line, complaints).and_then(|field| {
            let groups: Vec<_> =
                field.value.iter().map(|group| complaints.take(field.line, "groups", group.parse())).collect();
            groups.into_iter().collect::<Option<_>>()
        });
        let initial_state = word(self.initial_state, "initial_state", complaints, |word| match word {
            "allocated" => Some(InitialState::Allocated),
            "blocked" => Some(InitialState::Blocked),
            _ => None,
        });
        let secret = self.secret.read(complaints);
        let allocation = Allocation {
            peripheral: peripheral?,
            application: application?,
            groups: groups?,
            initial_state: initial_state?,
            credential: None,
            waker: self.waker.map(|field| field.value).unwrap_or_default(),
            labels: self.labels,
            lifetime: self.lifetime.map(|field| Duration::from_secs(field.value)),
            idle: self.idle.map(|field| Duration::from_secs(field.value)),
        };
        match allocation.check() {
            Ok(()) => Some(Entry { allocation, secret: secret? }),
            Err(error) => {
                complaints.add(self.line, error);
                None
            }
        }
    }
}

fn needed<T>(field: Option<T>, what: &str, line: u64, complaints: &mut Complaints) -> Option<T> {
    if field.is_none() {
        complaints.add(line, format_args!("{what} is missing"));
    }
    field
}

fn word<T: Default>(
    field: Option<Field<String>>,
    name: &str,
    complaints: &mut Complaints,
    read: impl FnOnce(&str) -> Option<T>,
) -> Option<T> {
    let Some(field) = field else { return Some(T::default()) };
    let word = read(&field.value);
    if word.is_none() {
        complaints.add(field.line, format_args!("{name}: {:?} is no such word", field.value));
    }
    word
}
