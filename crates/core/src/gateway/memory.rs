//! What a gateway's store keeps, in memory: the model that every real store is held against.

use std::collections::{BTreeMap, BTreeSet};

use super::change::{Change, StoredAllocation, StoredAsk, StoredRegistration, StoredRequest};
use super::{Restored, Slot};
use crate::{PeripheralId, RequestId, ResourcePath, UpEntry};

/// Keeps what a gateway's batches change, and gives it back to [`Gateway::restore`](super::Gateway::restore).
#[derive(Debug, Default, Clone)]
pub struct Memory {
    allocations: BTreeMap<Slot, StoredAllocation>,
    registrations: BTreeMap<Slot, StoredRegistration>,
    asks: BTreeMap<Slot, StoredAsk>,
    sessions: BTreeMap<Slot, Vec<u8>>,
    observed: BTreeMap<Slot, BTreeSet<ResourcePath>>,
    requests: Vec<StoredRequest>,
    settled: BTreeSet<(RequestId, Slot)>,
    registrations_reserved: u64,
    up: BTreeMap<u64, UpEntry>,
    up_acknowledged: u64,
    down_applied: u64,
}

impl Memory {
    /// Makes one change.
    pub fn apply(&mut self, change: Change) {
        match change {
            Change::Allocated(stored) => {
                self.allocations.insert(stored.slot, stored);
            }
            Change::Removed { slot } => {
                self.allocations.remove(&slot);
                self.registrations.remove(&slot);
                self.asks.remove(&slot);
                self.sessions.remove(&slot);
                self.observed.remove(&slot);
            }
            Change::Asked(ask) => {
                self.asks.insert(ask.slot, ask);
            }
            Change::AskEnded { slot } => {
                self.asks.remove(&slot);
            }
            Change::Registered { slot, registration } => {
                self.registrations.insert(slot, registration);
            }
            Change::Presence { slot, presence, last_word } => {
                if let Some(registration) = self.registrations.get_mut(&slot) {
                    registration.presence = presence;
                    registration.last_word = last_word;
                }
            }
            Change::Deregistered { slot } => {
                self.registrations.remove(&slot);
                self.sessions.remove(&slot);
            }
            Change::Session { slot, session } => {
                self.sessions.insert(slot, session);
            }
            Change::Observed { slot, paths } => {
                self.observed.insert(slot, paths);
            }
            Change::RegistrationsReserved { through } => self.registrations_reserved = through,
            Change::Taken(request) => self.requests.push(request),
            Change::Joined { request, peripheral, waiting } => self.join(request, peripheral, waiting),
            Change::Settled(settlement) => {
                let request = settlement.request;
                self.settled.extend(settlement.slots.into_iter().map(|slot| (request, slot)));
            }
            Change::Cancelled { request } => {
                for stored in self.requests.iter_mut().filter(|stored| stored.request.id == request) {
                    stored.is_cancelled = true;
                }
            }
            Change::Ended { request } => {
                self.requests.retain(|stored| stored.request.id != request);
                self.settled.retain(|(settled, _)| *settled != request);
            }
            Change::Up { sequence, entry } => {
                self.up.insert(sequence, entry);
            }
            Change::UpTrimmed { through } => {
                self.up = self.up.split_off(&(through + 1));
                self.up_acknowledged = through;
            }
            Change::DownApplied { sequence } => self.down_applied = sequence,
        }
    }

    fn join(&mut self, request: RequestId, peripheral: PeripheralId, waiting: Option<(Slot, u16, bool)>) {
        let Some(stored) = self.requests.iter_mut().find(|stored| stored.request.id == request) else { return };
        stored.met.push(peripheral);
        if let Some(member) = waiting {
            // The slot may have been that of a member whose allocation is gone.
            stored.members.retain(|(slot, _, _)| *slot != member.0);
            stored.members.push(member);
            self.settled.remove(&(request, member.0));
        }
    }

    /// The entries of the up log after `after`.
    pub fn up_after(&self, after: u64) -> impl Iterator<Item = (u64, &UpEntry)> {
        self.up.range(after + 1..).map(|(sequence, entry)| (*sequence, entry))
    }

    /// All of it, to go on from.
    #[must_use]
    pub fn restored(&self) -> Restored {
        let unsettled = |stored: &StoredRequest| {
            let id = stored.request.id;
            let waits = |slot: Slot| !self.settled.contains(&(id, slot));
            let members = stored.members.iter().copied().filter(|(slot, _, _)| waits(*slot)).collect();
            StoredRequest { members, ..stored.clone() }
        };
        let report = |(sequence, entry): (&u64, &UpEntry)| match entry {
            UpEntry::Report { application, .. } => Some((*sequence, application.clone())),
            _ => None,
        };
        Restored {
            half_told: Vec::new(),
            allocations: self.allocations.values().cloned().collect(),
            registrations: self.registrations.iter().map(|(slot, stored)| (*slot, stored.clone())).collect(),
            asks: self.asks.values().cloned().collect(),
            sessions: self.sessions.iter().map(|(slot, session)| (*slot, session.clone())).collect(),
            observed: self.observed.iter().map(|(slot, paths)| (*slot, paths.clone())).collect(),
            requests: self.requests.iter().map(unsettled).collect(),
            registrations_reserved: self.registrations_reserved,
            up_acknowledged: self.up_acknowledged,
            up_last: self.up.last_key_value().map_or(self.up_acknowledged, |(sequence, _)| *sequence),
            up_reports: self.up.iter().filter_map(report).collect(),
            down_applied: self.down_applied,
        }
    }
}
