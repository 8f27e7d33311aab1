//! A gateway that ran before goes on from what its store kept.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use thin_vec::ThinVec;

use super::change::{StoredAllocation, StoredAsk, StoredRegistration, StoredRequest};
use super::distribution::{cancelled_under_way, meters};
use super::registration::Numbers;
use super::registry::{Held, Registration, Waiting};
use super::up_log::UpLog;
use super::{Change, Config, Gateway, Reach, Slot};
use crate::{ApplicationId, EndCause, Presence, RegistrationId, ResourcePath, Stage, Time};

/// What the store kept.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Restored {
    /// The allocations.
    pub allocations: Vec<StoredAllocation>,
    /// Those of them of which an earlier version told the platform less than is told today.
    pub half_told: Vec<Slot>,
    /// The registrations.
    pub registrations: Vec<(Slot, StoredRegistration)>,
    /// The askings that were not decided.
    pub asks: Vec<StoredAsk>,
    /// What the edge keeps of the registered peripherals' protocol sessions; it is the edge's to take.
    pub sessions: Vec<(Slot, Vec<u8>)>,
    /// What applications want to hear of.
    pub observed: Vec<(Slot, BTreeSet<ResourcePath>)>,
    /// The requests that have not ended, in the order in which they were taken; of the members only
    /// those without an outcome.
    pub requests: Vec<StoredRequest>,
    /// Registrations up to this number may have been given out.
    pub registrations_reserved: u64,
    /// The up log is trimmed up to here,
    pub up_acknowledged: u64,
    /// goes on up to here,
    pub up_last: u64,
    /// and holds these reports, oldest first.
    pub up_reports: VecDeque<(u64, ApplicationId)>,
    /// The down log is applied up to here.
    pub down_applied: u64,
}

impl Gateway {
    /// The gateway as the store kept it.
    ///
    /// Whoever asked to register is gone with the process that it asked, and the application is told.
    /// Connections are gone as well: for each registration that one held the edge calls
    /// [`handle_connection_lost`](Self::handle_connection_lost), and for each that rests on the peripheral's
    /// word [`handle_held`](Self::handle_held).
    #[must_use]
    pub fn restore(now: Time, config: Config, seed: u64, restored: Restored) -> Self {
        let mut gateway = Self::new(config, seed);
        gateway.registrations = Numbers::after(restored.registrations_reserved);
        gateway.up_log = UpLog::restore(restored.up_acknowledged, restored.up_last, restored.up_reports);
        gateway.down_applied = restored.down_applied;
        for StoredAllocation { slot, allocation, origin, is_blocked } in restored.allocations {
            let allocation = Arc::unwrap_or_clone(allocation);
            gateway.registry.put(slot, allocation, origin, is_blocked);
        }
        for slot in restored.half_told {
            gateway.tell_again(slot);
        }
        let registered: Vec<Slot> = restored.registrations.iter().map(|(slot, _)| *slot).collect();
        for (slot, stored) in restored.registrations {
            gateway.registry.register(slot, Registration::from(stored));
            gateway.watch(now, slot);
        }
        gateway.observed = restored.observed.into_iter().collect();
        if restored.down_applied > 0 {
            // Somebody may have been served or woken just before, as the down log asks for it.
            gateway.deliveries.restore(now);
            gateway.wakes.restore(now);
        }
        for stored in restored.requests {
            gateway.resume(now, stored);
        }
        for slot in registered {
            gateway.resume_activation(now, slot);
        }
        for StoredAsk { slot, registration } in restored.asks {
            gateway.end_lost_ask(now, slot, registration);
        }
        gateway.pump_all(now);
        gateway
    }

    fn resume(&mut self, now: Time, stored: StoredRequest) {
        let StoredRequest { request, members, met, is_cancelled } = stored;
        let id = request.id;
        let mut slots = Vec::with_capacity(members.len());
        for (slot, delivery, activates) in members {
            let Some(registration) = self.registry.registration_mut(slot) else { continue };
            // The first in line may have been sent before the process died; one of another priority may
            // have overtaken it since, or it that one. So may be what stands behind one that was joined
            // late: it may have been the first until then.
            let priority = request.priority;
            let may_be_joined_late = |other: &Waiting| {
                self.requests.get(&other.request).is_some_and(|taken| taken.request.includes_late_joiners())
            };
            let mut before = registration.waiting.iter().filter(|other| other.priority == priority);
            let is_repeat = before.all(may_be_joined_late);
            let stage = Stage::AtGateway;
            registration.wait(Waiting { request: id, priority, delivery, activates, is_repeat, tries: 0, stage });
            self.observe(now, slot);
            slots.push(slot);
        }
        if let Some(key) = request.collapse().filter(|_| !is_cancelled) {
            self.collapses.insert(key, id);
        }
        if !is_cancelled {
            self.open_to_late_joiners(&request, met);
        }
        let [deliveries, wakes] = meters(&request.pacing).map(|meter| meter.restored(now));
        self.hold(request, slots.clone(), deliveries, wakes);
        if let Some(taken) = self.requests.get_mut(&id) {
            taken.is_stopped = is_cancelled;
        }
        if is_cancelled {
            // What was not with a peripheral when the request was cancelled was settled then.
            for slot in slots {
                self.settle(now, slot, id, cancelled_under_way());
            }
        }
    }

    fn end_lost_ask(&mut self, now: Time, slot: Slot, registration: RegistrationId) {
        self.outbox.record(Change::AskEnded { slot });
        let Some(peripheral) = self.registry.peripheral(slot) else { return };
        let is_renewal = peripheral.registration.as_ref().is_some_and(|known| known.id == registration);
        if !is_renewal {
            let groups = Arc::clone(&peripheral.profile.groups);
            self.tell_deregistered(now, slot, registration, &groups, EndCause::Unanswered);
        }
    }
}

impl From<StoredRegistration> for Registration {
    fn from(stored: StoredRegistration) -> Self {
        Self {
            id: stored.id,
            groups: stored.groups,
            lifetime: stored.lifetime.into(),
            lease_until: stored.lease_until,
            presented: stored.presented,
            presence: stored.presence,
            last_word: stored.last_word,
            held: Held::Not,
            reach: Reach::Closed,
            is_sleeper: stored.presence != Presence::Active,
            last_activated: Time::ZERO,
            waking: None,
            waiting: ThinVec::new(),
            in_flight: None,
            early_answer: None,
        }
    }
}
