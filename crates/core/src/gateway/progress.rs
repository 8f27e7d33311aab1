//! Progress: where members are seen on the way to their outcomes (step 4 of a group request).
//!
//! 1. A request is put to a peripheral, or a peripheral falls asleep, is woken or wakes: `observe` notes
//!    where each request that waits for it is now.
//! 2. What is noted is told together, after [`limits::PROGRESS_INTERVAL`]: `tell_progress`.
//! 3. A member that has its outcome by then takes what was noted along in its receipt, so that a group
//!    that answers at once costs no entry beside its receipts.
//!
//! No delivery waits for this and nothing of it is stored but the entries of the up log: what a gateway
//! had noted when it died is lost, and where members are then is told when it goes on.

use std::collections::BTreeMap;

use super::timers::Timer;
use super::{Gateway, Slot};
use crate::{MemberProgress, NumberMap, Presence, RequestId, Sighting, Stage, Time, UpEntry, limits};

/// Where members were seen, and what of it was not told yet.
#[derive(Debug, Default)]
pub(super) struct Noted(NumberMap<(RequestId, Slot), Vec<Sighting>>);

impl Noted {
    fn note(&mut self, request: RequestId, slot: Slot, sighting: Sighting) {
        let seen = self.0.entry((request, slot)).or_default();
        // The latest of each stage, so that a restless peripheral does not fill the memory.
        seen.retain(|known| known.stage != sighting.stage);
        seen.push(sighting);
    }

    /// What was noted of a member that has its outcome.
    pub(super) fn take(&mut self, request: RequestId, slot: Slot) -> Vec<Sighting> {
        self.0.remove(&(request, slot)).unwrap_or_default()
    }
}

impl Gateway {
    /// Notes where the requests are that wait for a peripheral.
    pub(super) fn observe(&mut self, now: Time, slot: Slot) {
        let Some(registration) = self.registry.registration_mut(slot) else { return };
        let stage = match registration.presence {
            Presence::Active => Stage::AtGateway,
            Presence::Standby { .. } => Stage::Asleep,
            Presence::Activating { .. } => Stage::Activating,
        };
        let is_idle = self.noted.0.is_empty();
        let mut is_sent = registration.in_flight.is_some();
        for waiting in &mut registration.waiting {
            // Only the first in line may be in flight.
            let stage = if std::mem::take(&mut is_sent) { Stage::Sent } else { stage };
            if waiting.stage != stage {
                waiting.stage = stage;
                self.noted.note(waiting.request, slot, Sighting { stage, at: now });
            }
        }
        if is_idle && !self.noted.0.is_empty() {
            self.timers.set(Timer::Progress, now + limits::PROGRESS_INTERVAL);
        }
    }

    /// Tells what was noted. With the up log full it is dropped: outcomes are told in any case.
    pub(super) fn tell_progress(&mut self) {
        let mut by_request: BTreeMap<RequestId, Vec<MemberProgress>> = BTreeMap::new();
        let mut noted: Vec<_> = std::mem::take(&mut self.noted.0).into_iter().collect();
        noted.sort_unstable_by_key(|(member, _)| *member);
        for ((request, slot), seen) in noted {
            if let Some(peripheral) = self.registry.peripheral(slot) {
                let progress = MemberProgress { peripheral: peripheral.id.clone(), seen };
                by_request.entry(request).or_default().push(progress);
            }
        }
        for (request, mut members) in by_request {
            while !members.is_empty() && self.up_log.has_room() {
                let rest = members.split_off(members.len().min(limits::RECEIPTS_PER_ENTRY_MAX));
                self.up_log.append(&mut self.outbox, UpEntry::Progress { request, members });
                members = rest;
            }
        }
    }
}
