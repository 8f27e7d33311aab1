//! What the platform counts since it started.

use std::sync::{Mutex, MutexGuard, PoisonError};

use bugle_core::{OutcomeKind, Totals, UpEntry};

/// Counted by all tasks.
#[derive(Debug, Default)]
pub(crate) struct Counters(Mutex<Counts>);

/// What was counted.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counts {
    /// Entries of up logs that were applied.
    pub(crate) up_entries: u64,
    /// Registrations that peripherals asked for.
    pub(crate) registrations_asked: u64,
    /// Registrations that ended.
    pub(crate) deregistered: u64,
    /// Reports of peripherals.
    pub(crate) reports: u64,
    /// Reports that gateways had to drop.
    pub(crate) reports_lost: u64,
    /// Outcomes that gateways reported, by kind.
    pub(crate) outcomes: Totals,
    /// Group requests that were accepted.
    pub(crate) requests: u64,
    /// Decisions of applications.
    pub(crate) decisions: u64,
    /// Answers of the HTTP API by the first digit of their status.
    pub(crate) answers: [u64; 5],
    /// Event streams that are open.
    pub(crate) streams: u64,
}

impl Counters {
    pub(crate) fn counts(&self) -> Counts {
        *self.lock()
    }

    pub(crate) fn count(&self, count: impl FnOnce(&mut Counts)) {
        count(&mut self.lock());
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counts {
    /// What these entries of an up log bring.
    pub(crate) fn of(entries: &[(u64, UpEntry)]) -> Self {
        let mut counts = Self { up_entries: entries.len() as u64, ..Self::default() };
        for (_, entry) in entries {
            match entry {
                UpEntry::RegistrationAsked { .. } => counts.registrations_asked += 1,
                UpEntry::Deregistered { .. } => counts.deregistered += 1,
                UpEntry::Receipts { receipts, .. } => {
                    receipts.iter().for_each(|receipt| counts.outcomes.add(receipt.outcome.kind(), 1));
                }
                UpEntry::Report { .. } => counts.reports += 1,
                UpEntry::ReportsLost { count, .. } => counts.reports_lost += count,
                UpEntry::Allocated(_)
                | UpEntry::Removed { .. }
                | UpEntry::PresenceChanged { .. }
                | UpEntry::MembersFixed { .. }
                | UpEntry::Progress { .. }
                | UpEntry::Stranger(_) => {}
            }
        }
        counts
    }

    /// Adds what entries of an up log brought.
    pub(crate) fn add(&mut self, brought: &Self) {
        self.up_entries += brought.up_entries;
        self.registrations_asked += brought.registrations_asked;
        self.deregistered += brought.deregistered;
        self.reports += brought.reports;
        self.reports_lost += brought.reports_lost;
        for kind in OutcomeKind::ALL {
            self.outcomes.add(*kind, brought.outcomes.count(*kind));
        }
    }
}
