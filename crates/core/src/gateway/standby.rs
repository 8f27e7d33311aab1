//! Standby: a registered peripheral is not reachable for a while.
//!
//! 1. Asked by the peripheral ([`Gateway::handle_standby`]), implied by its protocol
//!    ([`Gateway::handle_connection_lost`]) or by an idle policy (`on_silent`), or by the application
//!    (`put_into_standby`): the state is `standby`, with the next wake if it is known, and the
//!    application is told through the up log.
//! 2. While it lasts nothing is sent: `distribution.rs` delivers to the active alone.
//! 3. Any word makes the peripheral active again ([`Gateway::handle_word`]), and what waits is
//!    delivered.

use std::time::Duration;

use super::registry::{Held, Registration};
use super::timers::Timer;
use super::{Change, Effect, Gateway, Hold, Reach, Slot, StoredRegistration};
use crate::{ApplicationId, GroupId, PeripheralId, Presence, PresenceChanged, Time, UpEntry};

impl Gateway {
    /// A registered peripheral goes to standby, and says perhaps after how long it wakes.
    pub fn handle_standby(&mut self, now: Time, slot: Slot, wakes_after: Option<Duration>) {
        let Some(registration) = self.registry.registration_mut(slot) else { return };
        registration.last_word = now;
        let next_wake = wakes_after.map(|after| now + after);
        let presence = match registration.presence {
            Presence::Activating { .. } => Presence::Activating { next_wake },
            _ => Presence::Standby { next_wake },
        };
        self.change_presence(now, slot, presence);
        self.watch(now, slot);
        self.recall(now, slot);
        self.pump_all(now);
    }

    /// Any word from a registered peripheral.
    pub fn handle_word(&mut self, now: Time, slot: Slot) {
        let Some(registration) = self.registry.registration_mut(slot) else { return };
        registration.last_word = now;
        if registration.presence != Presence::Active {
            self.change_presence(now, slot, Presence::Active);
            self.watch(now, slot);
            self.to_pump.push_back(slot);
            self.pump_all(now);
        }
    }

    /// Whether a group request can be put to a registered peripheral, while it is active.
    pub fn handle_reach(&mut self, now: Time, slot: Slot, reach: Reach) {
        let Some(registration) = self.registry.registration_mut(slot) else { return };
        registration.reach = reach;
        if reach == Reach::Open {
            self.to_pump.push_back(slot);
            self.pump_all(now);
        }
    }

    /// The connection that held a registration is gone, in good order or not. The registration lasts
    /// for `lifetime` from now; the peripheral counts as active for `grace`, in which it may be back.
    pub fn handle_connection_lost(&mut self, now: Time, slot: Slot, grace: Duration, lifetime: Duration) {
        let Some(registration) = self.registry.registration_mut(slot) else { return };
        registration.held = Held::Not;
        registration.reach = Reach::Closed;
        registration.last_word = now;
        let lifetime = lifetime.max(grace);
        let has_new_lifetime = registration.set_lifetime(lifetime);
        let is_active = registration.presence == Presence::Active;
        self.forget_in_flight(now, slot);
        if has_new_lifetime {
            self.record_registration(slot);
        }
        self.timers.set(Timer::Lifetime(slot), now + lifetime);
        if is_active {
            self.timers.set(Timer::Presence(slot), now + grace);
        }
        self.pump_all(now);
    }

    /// A registered peripheral that needs no connection does not answer: it counts as in standby, and what is
    /// with it is put to it again at its next word.
    pub fn handle_unreachable(&mut self, now: Time, slot: Slot) {
        let Some(registration) = self.registry.registration(slot) else { return };
        let is_active = registration.presence == Presence::Active;
        self.forget_in_flight(now, slot);
        if is_active {
            self.change_presence(now, slot, Presence::Standby { next_wake: None });
            self.watch(now, slot);
            self.recall(now, slot);
        }
        self.pump_all(now);
    }

    /// What holds a registration that was restored, if it is not a connection.
    pub fn handle_held(&mut self, now: Time, slot: Slot, hold: Hold) {
        let Some(registration) = self.registry.registration_mut(slot) else { return };
        registration.held = hold.into();
        self.watch(now, slot);
    }

    /// The application puts a peripheral into standby.
    pub(super) fn put_into_standby(&mut self, now: Time, peripheral: &PeripheralId) {
        if let Some(slot) = self.registry.slot(peripheral) {
            self.put_slot_into_standby(now, slot);
        }
    }

    /// The application puts all members of a group into standby.
    pub(super) fn put_group_into_standby(&mut self, now: Time, application: &ApplicationId, group: &GroupId) {
        let members: Vec<Slot> = self.registry.members_of(application, group).collect();
        members.into_iter().for_each(|slot| self.put_slot_into_standby(now, slot));
    }

    fn put_slot_into_standby(&mut self, now: Time, slot: Slot) {
        let Some(registration) = self.registry.registration(slot) else { return };
        if registration.presence == Presence::Active {
            self.change_presence(now, slot, Presence::Standby { next_wake: None });
            self.outbox.effect(Effect::PutIntoStandby { slot });
        }
    }

    /// An active peripheral may have been silent for too long.
    pub(super) fn on_silent(&mut self, now: Time, slot: Slot) {
        let Some(peripheral) = self.registry.registered(slot) else { return };
        let idle = peripheral.profile.idle;
        let registration = peripheral.registration.as_deref().expect("it is registered");
        if registration.presence != Presence::Active {
            return;
        }
        let silent_at = match registration.held {
            Held::ByConnection => idle.map(|idle| registration.last_word + idle),
            // What is with it is given its time: its coming to an end is heard of.
            Held::ByWord { .. } if registration.in_flight.is_some() => Some(now + self.config.answer_time),
            Held::ByWord { awake } => idle.or(awake.map(Duration::from)).map(|awake| registration.last_word + awake),
            // The grace in which it might have been back is over.
            Held::Not => Some(now),
        };
        let is_held = registration.held == Held::ByConnection;
        match silent_at {
            Some(at) if at > now => self.timers.set(Timer::Presence(slot), at),
            Some(_) if registration.over_at() > now || is_held => {
                self.change_presence(now, slot, Presence::Standby { next_wake: None });
                self.recall(now, slot);
            }
            _ => {}
        }
    }

    /// Sets the timers that a registration's state calls for.
    pub(super) fn watch(&mut self, now: Time, slot: Slot) {
        let Some(peripheral) = self.registry.registered(slot) else { return };
        let registration = peripheral.registration.as_deref().expect("it is registered");
        let idle = match registration.held {
            Held::ByWord { awake } => peripheral.profile.idle.or(awake.map(Duration::from)),
            Held::ByConnection | Held::Not => peripheral.profile.idle,
        };
        match idle {
            Some(idle) if registration.presence == Presence::Active => {
                self.timers.set(Timer::Presence(slot), now.max(registration.last_word + idle));
            }
            _ => self.timers.clear(Timer::Presence(slot)),
        }
        if registration.held == Held::ByConnection {
            self.timers.clear(Timer::Lifetime(slot));
        } else {
            self.timers.set(Timer::Lifetime(slot), registration.over_at());
        }
    }

    /// Changes whether a registered peripheral is reachable, durably, and tells the application.
    pub(super) fn change_presence(&mut self, now: Time, slot: Slot, presence: Presence) {
        let Some(registration) = self.registry.registration_mut(slot) else { return };
        if registration.presence == presence {
            return;
        }
        registration.presence = presence;
        registration.is_sleeper |= presence != Presence::Active;
        let last_word = registration.last_word;
        if presence == Presence::Active {
            self.on_woken(slot);
        }
        self.outbox.record(Change::Presence { slot, presence, last_word });
        self.tell_presence(now, slot);
        self.observe(now, slot);
    }

    /// Keeps when a registered peripheral was heard last.
    pub(super) fn record_word(&mut self, slot: Slot) {
        let Some(registration) = self.registry.registration(slot) else { return };
        let Registration { presence, last_word, .. } = *registration;
        self.outbox.record(Change::Presence { slot, presence, last_word });
    }

    pub(super) fn tell_presence(&mut self, now: Time, slot: Slot) {
        let Some(peripheral) = self.registry.registered(slot) else { return };
        let registration = peripheral.registration.as_deref().expect("it is registered");
        let changed = PresenceChanged {
            peripheral: peripheral.id.clone(),
            registration: registration.id,
            groups: registration.groups.as_ref().clone(),
            presence: registration.presence,
            at: now,
        };
        let application = peripheral.profile.application.clone();
        self.up_log.append(&mut self.outbox, UpEntry::PresenceChanged { application, changed });
    }

    pub(super) fn record_registration(&mut self, slot: Slot) {
        let Some(registration) = self.registry.registration(slot) else { return };
        let registration = StoredRegistration {
            id: registration.id,
            groups: registration.groups.clone(),
            lifetime: registration.lifetime(),
            lease_until: registration.lease_until,
            presented: registration.presented,
            presence: registration.presence,
            last_word: registration.last_word,
        };
        self.outbox.record(Change::Registered { slot, registration });
    }
}
