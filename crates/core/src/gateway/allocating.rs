//! Allocating: the M2M user configures a peripheral into groups, before it ever appears.
//!
//! An allocation is changed only where it was made: in the gateway's own file, at its command line, or
//! through the platform. A change of what a registration rests on (application, groups, credential) ends the
//! registration; the peripheral asks again. Every change is told to the platform, without the
//! credential.

use std::collections::BTreeSet;
use std::sync::Arc;

use thiserror::Error;

use super::{Change, Gateway, Slot, StoredAllocation};
use crate::{Allocation, AllocationNotice, EndCause, InitialState, Origin, PeripheralId, Time, UpEntry, limits};

/// Why an allocation was not made. The fault is of whoever configured it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AllocationConflict {
    /// The peripheral is allocated already, from elsewhere.
    #[error("peripheral {peripheral} is allocated {}; remove it there first", .origin.place())]
    Elsewhere {
        /// Which peripheral.
        peripheral: PeripheralId,
        /// Where it is allocated.
        origin: Origin,
    },
    /// There is no room for more.
    #[error("peripheral {peripheral}: this gateway holds {} allocations, and takes no more", limits::ALLOCATIONS_MAX)]
    Full {
        /// Which peripheral.
        peripheral: PeripheralId,
    },
}

/// Who is in the gateway's own file, as far as it was taken: a large one comes in parts.
#[derive(Debug, Default)]
pub struct FileContents {
    slots: BTreeSet<Slot>,
}

impl Gateway {
    /// Takes `allocations` as all that the gateway's own file holds. Returns what could not be taken.
    pub fn handle_allocations(&mut self, now: Time, allocations: Vec<Allocation>) -> Vec<AllocationConflict> {
        let mut file = FileContents::default();
        let conflicts = self.handle_allocations_part(now, &mut file, allocations);
        self.handle_allocations_end(now, &file);
        conflicts
    }

    /// Takes allocations of the gateway's own file, which `file` then contains. Returns what could not be taken.
    pub fn handle_allocations_part(
        &mut self,
        now: Time,
        file: &mut FileContents,
        allocations: Vec<Allocation>,
    ) -> Vec<AllocationConflict> {
        let mut conflicts = Vec::new();
        for allocation in allocations {
            let peripheral = allocation.peripheral.clone();
            if let Err(conflict) = self.allocate(now, allocation, Origin::File) {
                conflicts.push(conflict);
            } else {
                file.slots.extend(self.registry.slot(&peripheral));
            }
        }
        self.pump_all(now);
        conflicts
    }

    /// Removes those that the gateway's own file held before and holds no longer: it contains no others than `file`.
    pub fn handle_allocations_end(&mut self, now: Time, file: &FileContents) {
        let is_gone = |(slot, origin): &(Slot, Origin)| *origin == Origin::File && !file.slots.contains(slot);
        let origins = self.registry.slots().map(|(slot, peripheral)| (slot, peripheral.origin));
        let gone: Vec<_> = origins.filter(is_gone).collect();
        for (slot, _) in gone {
            self.remove(now, slot);
        }
        self.pump_all(now);
    }

    pub(super) fn allocate_from_platform(&mut self, now: Time, allocation: Allocation) {
        let peripheral = allocation.peripheral.clone();
        if self.allocate(now, allocation, Origin::Platform).is_err() {
            // The platform knows where an allocation was made and refuses such a one itself; if it
            // was made here meanwhile, it learns of that from what is told of the one that stands.
            if let Some(slot) = self.registry.slot(&peripheral) {
                self.tell_allocated(slot);
            }
        }
    }

    pub(super) fn remove_from_platform(&mut self, now: Time, peripheral: &PeripheralId) {
        let Some(slot) = self.registry.slot(peripheral) else { return };
        if self.registry.peripheral(slot).is_some_and(|peripheral| peripheral.origin == Origin::Platform) {
            self.remove(now, slot);
        }
    }

    /// Lets a blocked peripheral register.
    pub(super) fn release(&mut self, peripheral: &PeripheralId) {
        if let Some(slot) = self.registry.slot(peripheral) {
            self.set_blocked(slot, false);
        }
    }

    /// Ends a peripheral's registration, if any, and lets it not register again.
    pub(super) fn block(&mut self, now: Time, peripheral: &PeripheralId) {
        let Some(slot) = self.registry.slot(peripheral) else { return };
        self.refuse_ask(now, slot);
        self.dismiss(now, slot, EndCause::User);
        self.set_blocked(slot, true);
    }

    pub(super) fn set_blocked(&mut self, slot: Slot, is_blocked: bool) {
        let Some(peripheral) = self.registry.peripheral_mut(slot) else { return };
        if peripheral.is_blocked != is_blocked {
            peripheral.is_blocked = is_blocked;
            self.record_allocation(slot);
            self.tell_allocated(slot);
        }
    }

    pub(super) fn allocate(
        &mut self,
        now: Time,
        allocation: Allocation,
        origin: Origin,
    ) -> Result<(), AllocationConflict> {
        let starts_blocked = allocation.initial_state == InitialState::Blocked;
        let Some(slot) = self.registry.slot(&allocation.peripheral) else {
            if self.registry.len() >= limits::ALLOCATIONS_MAX {
                return Err(AllocationConflict::Full { peripheral: allocation.peripheral });
            }
            let slot = self.registry.vacant();
            self.put(slot, allocation, origin, starts_blocked);
            return Ok(());
        };
        let known = self.registry.peripheral(slot).expect("a slot that is found is taken");
        if known.origin != origin {
            return Err(AllocationConflict::Elsewhere { peripheral: allocation.peripheral, origin: known.origin });
        }
        let former = known.allocation();
        if former == allocation {
            return Ok(());
        }
        let rests_on = |allocation: &Allocation| {
            (allocation.application.clone(), allocation.groups.clone(), allocation.credential.clone())
        };
        if rests_on(&former) != rests_on(&allocation) {
            self.refuse_ask(now, slot);
            self.dismiss(now, slot, EndCause::User);
        }
        if former.application != allocation.application {
            let Allocation { peripheral, application, .. } = former.clone();
            self.up_log.append(&mut self.outbox, UpEntry::Removed { peripheral, application });
        }
        let is_blocked = self.registry.peripheral(slot).is_some_and(|known| known.is_blocked);
        let has_new_start = former.initial_state != allocation.initial_state;
        let is_registered = self.registry.registered(slot).is_some();
        let is_blocked = if has_new_start && !is_registered { starts_blocked } else { is_blocked };
        if is_blocked {
            self.refuse_ask(now, slot);
        }
        self.put(slot, allocation, origin, is_blocked);
        Ok(())
    }

    fn put(&mut self, slot: Slot, allocation: Allocation, origin: Origin, is_blocked: bool) {
        self.registry.put(slot, allocation, origin, is_blocked);
        self.record_allocation(slot);
        self.tell_allocated(slot);
    }

    pub(super) fn remove(&mut self, now: Time, slot: Slot) {
        self.refuse_ask(now, slot);
        self.dismiss(now, slot, EndCause::User);
        let known = self.registry.peripheral(slot).expect("only the allocated are removed");
        let entry = UpEntry::Removed { peripheral: known.id.clone(), application: known.profile.application.clone() };
        self.registry.remove(slot);
        self.observed.remove(&slot);
        self.outbox.record(Change::Removed { slot });
        self.up_log.append(&mut self.outbox, entry);
    }

    /// Tells the platform of an allocation that has not changed.
    pub(super) fn tell_again(&mut self, slot: Slot) {
        self.record_allocation(slot);
        self.tell_allocated(slot);
    }

    fn record_allocation(&mut self, slot: Slot) {
        let Some(peripheral) = self.registry.peripheral(slot) else { return };
        let stored = StoredAllocation {
            slot,
            allocation: Arc::new(peripheral.allocation()),
            origin: peripheral.origin,
            is_blocked: peripheral.is_blocked,
        };
        self.outbox.record(Change::Allocated(stored));
    }

    /// Tells the platform of an allocation. Its initial state is the one that it is in now, if it is
    /// not registered: a peripheral that is blocked meanwhile is told of as blocked.
    fn tell_allocated(&mut self, slot: Slot) {
        let Some(peripheral) = self.registry.peripheral(slot) else { return };
        let initial_state = if peripheral.is_blocked { InitialState::Blocked } else { InitialState::Allocated };
        let notice = AllocationNotice {
            peripheral: peripheral.id.clone(),
            application: peripheral.profile.application.clone(),
            groups: peripheral.profile.groups.as_ref().clone(),
            initial_state,
            labels: peripheral.profile.labels.clone(),
            origin: peripheral.origin,
            wakes: Some(peripheral.profile.waker.wakes()),
        };
        self.up_log.append(&mut self.outbox, UpEntry::Allocated(notice));
    }
}
