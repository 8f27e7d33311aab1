//! Deregistering: a registration ends, and the application's group configuration follows.
//!
//! 1. Asked by the peripheral ([`Gateway::handle_deregistration`]), by the application or the M2M user
//!    (`deregister_from_above`), or by the lifetime running out (`on_lifetime_over`): `end` finds the
//!    groups, ends the registration, settles what waited for the peripheral with outcome `left` (unless it
//!    has answered already), and returns the allocation to its initial state.
//! 2. Peripheral id and group ids go to the application through the up log: `tell_deregistered`.
//! 3. Unless the peripheral asked itself, it is told as its protocol allows: `dismiss`.

use std::collections::BTreeSet;

use super::registry::Held;
use super::timers::Timer;
use super::{Change, Effect, Gateway, Slot};
use crate::{Deregistered, EndCause, GroupId, InitialState, PeripheralId, RegistrationId, Time, UpEntry};

impl Gateway {
    /// A registered peripheral leaves.
    pub fn handle_deregistration(&mut self, now: Time, slot: Slot) {
        self.end(now, slot, EndCause::Peripheral);
        self.pump_all(now);
    }

    /// The platform ends a registration: the named one, or whichever there is.
    pub(super) fn deregister_from_above(
        &mut self,
        now: Time,
        peripheral: &PeripheralId,
        registration: Option<RegistrationId>,
        cause: EndCause,
    ) {
        let Some(slot) = self.registry.slot(peripheral) else { return };
        let Some(known) = self.registry.registration(slot) else { return };
        if registration.is_none_or(|registration| registration == known.id) {
            self.dismiss(now, slot, cause);
        }
    }

    pub(super) fn on_lifetime_over(&mut self, now: Time, slot: Slot) {
        let Some(registration) = self.registry.registration(slot) else { return };
        if registration.held == Held::ByConnection {
            return;
        }
        let over = registration.over_at();
        if over > now {
            self.timers.set(Timer::Lifetime(slot), over);
        } else {
            self.dismiss(now, slot, EndCause::LifetimeOver);
        }
    }

    /// Step 3: ends a registration, if there is one, and has the peripheral told.
    pub(super) fn dismiss(&mut self, now: Time, slot: Slot, cause: EndCause) {
        if self.end(now, slot, cause) {
            self.outbox.effect(Effect::Dismissed { slot, cause });
        }
    }

    /// Steps 1 and 2. Whether there was a registration to end.
    pub(super) fn end(&mut self, now: Time, slot: Slot, cause: EndCause) -> bool {
        // No acknowledgement is to come.
        self.settle_by_early_answer(now, slot);
        let Some(registration) = self.registry.deregister(slot) else { return false };
        for timer in [Timer::Presence(slot), Timer::Lifetime(slot), Timer::Answer(slot), Timer::Wake(slot)] {
            self.timers.clear(timer);
        }
        if registration.in_flight.is_some() {
            self.deliveries.end(now, registration.waiting.first().map(|waiting| waiting.request));
        }
        self.outbox.record(Change::Deregistered { slot });
        self.refuse_renewal(slot, registration.id);
        self.settle_left(now, slot, registration.waiting);
        self.tell_deregistered(now, slot, registration.id, &registration.groups, cause);
        let peripheral = self.registry.peripheral(slot).expect("only the allocated are registered");
        let starts_blocked = peripheral.profile.initial_state == InitialState::Blocked;
        self.set_blocked(slot, starts_blocked);
        true
    }

    pub(super) fn tell_deregistered(
        &mut self,
        now: Time,
        slot: Slot,
        registration: RegistrationId,
        groups: &BTreeSet<GroupId>,
        cause: EndCause,
    ) {
        let peripheral = self.registry.peripheral(slot).expect("only the allocated are registered");
        let application = peripheral.profile.application.clone();
        let ended =
            Deregistered { peripheral: peripheral.id.clone(), registration, groups: groups.clone(), cause, at: now };
        self.up_log.append(&mut self.outbox, UpEntry::Deregistered { application, ended });
    }
}
