//! Activation: a peripheral in standby is woken.
//!
//! 1. A request, the application or the M2M user calls for it: `call`. One that wakes by itself is
//!    waited for; for any other a wake-up is to be sent, and waits for its turn (`pacing.rs`).
//! 2. The wake-up goes out ([`Effect::Wake`]): `wake_next`. Whoever else calls meanwhile shares it.
//! 3. Any word from the peripheral ends the activation: `on_woken`. All that called is content with
//!    that, so that no request wakes a peripheral twice.
//! 4. A try fails at once ([`Gateway::handle_wake_failed`]) or when its time limit is over (`on_wake_due`).
//!    After a pause the next one takes its turn; after the last the peripheral is in standby with the
//!    next wake that it told, and with its queue: `give_up`. Until the pause after that is over, no
//!    other activation begins.
//! 5. When nobody calls any more, the peripheral is just in standby: `calm`.
//!
//! The state is durable before a wake-up leaves, so that after a crash the try that was under way
//! counts as one. Its time begins when it has left: one that waits for the disk is followed by no other.

use std::sync::Arc;

use super::pacing::{Cause, Departure};
use super::timers::Timer;
use super::{Effect, Gateway, Slot};
use crate::{ApplicationId, GroupId, PeripheralId, Presence, Time, WakeEffort, Waker};

/// What is done to wake a peripheral.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Waking {
    /// Whether someone other than a request calls.
    is_asked: bool,
    /// Tries of this activation so far.
    tries: u8,
    /// The try that is under way.
    attempt: Option<Attempt>,
    /// Until when it is left alone.
    pause_until: Time,
}

impl Waking {
    /// Whoever called, other than a request, is content.
    pub(super) fn ask_no_more(&mut self) {
        self.is_asked = false;
    }
}

#[derive(Debug, Clone, Copy)]
struct Attempt {
    number: WakeUp,
    /// Until when it may work; none while it has not left.
    until: Option<Time>,
}

/// Tells a wake-up from all others since the gateway was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WakeUp(u64);

impl Gateway {
    /// Sending a wake-up failed.
    pub fn handle_wake_failed(&mut self, now: Time, slot: Slot, wake_up: WakeUp) {
        let Some(registration) = self.registry.registration(slot) else { return };
        if registration.waking().attempt.is_some_and(|attempt| attempt.number == wake_up) {
            self.on_try_failed(now, slot);
            self.pump_all(now);
        }
    }

    /// Someone asks for a peripheral to be activated, for no request.
    pub(super) fn activate(&mut self, now: Time, peripheral: &PeripheralId) {
        if let Some(slot) = self.registry.slot(peripheral) {
            self.activate_slot(now, slot);
        }
    }

    /// Someone asks for all members of a group to be activated.
    pub(super) fn activate_group(&mut self, now: Time, application: &ApplicationId, group: &GroupId) {
        let mut members: Vec<_> =
            self.registry.members_of(application, group).map(|slot| (self.turn(slot), slot)).collect();
        members.sort_unstable();
        for (_, slot) in members {
            self.activate_slot(now, slot);
        }
    }

    fn activate_slot(&mut self, now: Time, slot: Slot) {
        let Some(registration) = self.registry.registration_mut(slot) else { return };
        if registration.presence != Presence::Active {
            registration.waking_mut().is_asked = true;
            self.call(now, slot, None, 0);
        }
    }

    /// Who is activated before whom: the soonest expected wake first, then the least recently activated.
    pub(super) fn turn(&self, slot: Slot) -> (Time, Time) {
        match self.registry.registration(slot) {
            Some(registration) if matches!(registration.presence, Presence::Activating { .. }) => {
                (Time::ZERO, Time::ZERO)
            }
            Some(registration) => (registration.presence.next_wake().unwrap_or(Time::MAX), registration.last_activated),
            None => (Time::MAX, Time::MAX),
        }
    }

    /// Step 1. `rank` tells who goes first of those for which the same cause calls.
    pub(super) fn call(&mut self, now: Time, slot: Slot, cause: Cause, rank: u32) {
        let Some(peripheral) = self.registry.registered_mut(slot) else { return };
        let is_window = peripheral.profile.waker == Waker::Window;
        let registration = peripheral.registration.as_deref_mut().expect("it is registered");
        let Presence::Standby { next_wake } = registration.presence else { return };
        if is_window {
            registration.last_activated = now;
            self.change_presence(now, slot, Presence::Activating { next_wake });
        } else if registration.waking().pause_until > now {
            self.timers.set(Timer::Wake(slot), registration.waking().pause_until);
        } else {
            self.wakes.add(now, cause, rank, slot);
        }
    }

    /// A peripheral went to standby while requests wait that may wake it. One that wakes by itself is
    /// waited for all the same.
    pub(super) fn recall(&mut self, now: Time, slot: Slot) {
        if let (Some(_), Some(cause)) = (self.effort(slot), self.caller(slot)) {
            self.call(now, slot, cause, 0);
        }
    }

    /// On whose behalf a peripheral is to be woken, if it is.
    fn caller(&self, slot: Slot) -> Option<Cause> {
        let registration = self.registry.registration(slot)?;
        let request = registration.waiting.iter().find(|waiting| waiting.activates).map(|waiting| waiting.request);
        match request {
            Some(request) => Some(Some(request)),
            None => registration.waking().is_asked.then_some(None),
        }
    }

    fn is_called(&self, slot: Slot, cause: Cause) -> bool {
        let Some(registration) = self.registry.registration(slot) else { return false };
        match cause {
            None => registration.waking().is_asked,
            Some(request) => registration.waiting.iter().any(|waiting| waiting.request == request && waiting.activates),
        }
    }

    /// Step 2, as far as the wake budget allows.
    pub(super) fn wake_next(&mut self, now: Time) {
        while let Some((cause, slot)) = self.wakes.take_next(now) {
            if self.is_called(slot, cause) && self.wake(now, slot, cause) {
                self.wakes.begin(now, cause);
            }
        }
    }

    /// Sends a wake-up, unless one is on its way or a pause is kept. Whether it did.
    fn wake(&mut self, now: Time, slot: Slot, cause: Cause) -> bool {
        let Some(peripheral) = self.registry.registered_mut(slot) else { return false };
        let profile = Arc::clone(&peripheral.profile);
        let registration = peripheral.registration.as_deref_mut().expect("it is registered");
        if profile.waker == Waker::Window || registration.presence == Presence::Active {
            return false;
        }
        let waking = registration.waking_mut();
        if waking.attempt.is_some() || waking.pause_until > now {
            return false;
        }
        if profile.waker.effort().is_some_and(|effort| waking.tries >= effort.tries) {
            // Its allocation allows fewer than it did.
            self.give_up(now, slot);
            return false;
        }
        self.last_wake_up.0 += 1;
        let number = self.last_wake_up;
        waking.tries += 1;
        waking.attempt = Some(Attempt { number, until: None });
        let tries = waking.tries;
        registration.last_activated = now;
        let next_wake = registration.presence.next_wake();
        self.change_presence(now, slot, Presence::Activating { next_wake });
        // Its time begins when it leaves.
        self.timers.clear(Timer::Wake(slot));
        let waker = profile.waker.clone();
        self.outbox.effect(Effect::Wake { slot, request: cause, wake_up: number, waker, tries });
        true
    }

    /// A wake-up is about to leave. Not one that nobody wants any more.
    pub(super) fn wake_up_leaves(
        &mut self,
        now: Time,
        slot: Slot,
        cause: Cause,
        wake_up: WakeUp,
        waker: &Waker,
    ) -> bool {
        let until = waker.effort().map(|effort| now + effort.time_limit);
        let registration = self.registry.registration_mut(slot);
        let attempt = registration.and_then(|registration| registration.waking.as_mut()?.attempt.as_mut());
        let wanted = attempt.filter(|attempt| attempt.number == wake_up);
        let leaves = wanted.is_some();
        if let (Some(attempt), Some(until)) = (wanted, until) {
            attempt.until = Some(until);
            self.timers.set(Timer::Wake(slot), until);
        }
        self.wakes.leave(now, cause, if leaves { Departure::At(now) } else { Departure::Never });
        self.timers.set_or_clear(Timer::Wakes, self.wakes.next_due(now));
        leaves
    }

    /// A try has taken its time, or a pause is over.
    pub(super) fn on_wake_due(&mut self, now: Time, slot: Slot) {
        let Some(registration) = self.registry.registration(slot) else { return };
        if registration.waking().attempt.is_some() {
            self.on_try_failed(now, slot);
        } else if let Some(cause) = self.caller(slot) {
            self.wakes.add(now, cause, 0, slot);
        }
    }

    /// Step 4.
    fn on_try_failed(&mut self, now: Time, slot: Slot) {
        let Some(effort) = self.effort(slot) else { return };
        let Some(registration) = self.registry.registration_mut(slot) else { return };
        let waking = registration.waking_mut();
        waking.attempt = None;
        waking.pause_until = now + effort.pause_after(waking.tries);
        if waking.tries < effort.tries {
            self.timers.set(Timer::Wake(slot), waking.pause_until);
        } else {
            self.give_up(now, slot);
        }
    }

    fn give_up(&mut self, now: Time, slot: Slot) {
        let Some(registration) = self.registry.registration_mut(slot) else { return };
        registration.waking_mut().tries = 0;
        registration.call_no_more();
        self.rest(now, slot);
    }

    /// Step 3: the peripheral is heard.
    pub(super) fn on_woken(&mut self, slot: Slot) {
        let Some(registration) = self.registry.registration_mut(slot) else { return };
        registration.waking = None;
        registration.call_no_more();
        self.timers.clear(Timer::Wake(slot));
    }

    /// Step 5. A wake-up that is on its way may yet wake it: no other follows before that is known.
    pub(super) fn calm(&mut self, now: Time, slot: Slot) {
        if self.caller(slot).is_some() {
            return;
        }
        let Some(registration) = self.registry.registration_mut(slot) else { return };
        if let Some(waking) = &mut registration.waking {
            if let Some(until) = waking.attempt.take().and_then(|attempt| attempt.until) {
                waking.pause_until = until;
            }
            waking.tries = 0;
        }
        if matches!(registration.presence, Presence::Activating { .. }) {
            self.rest(now, slot);
        }
    }

    /// The activation is over, and the peripheral has not woken.
    fn rest(&mut self, now: Time, slot: Slot) {
        self.timers.clear(Timer::Wake(slot));
        let presence = self.registry.registration(slot).map(|registration| registration.presence);
        if let Some(Presence::Activating { next_wake }) = presence {
            self.change_presence(now, slot, Presence::Standby { next_wake });
        }
    }

    /// After a start: goes on with what was being done to wake a peripheral. A wake-up may have left
    /// just before, and may yet wake it.
    pub(super) fn resume_activation(&mut self, now: Time, slot: Slot) {
        let until = self.effort(slot).map(|effort| now + effort.time_limit);
        let Some(registration) = self.registry.registration_mut(slot) else { return };
        match (registration.presence, until) {
            (Presence::Activating { .. }, Some(until)) => {
                let waking = registration.waking_mut();
                waking.tries = 1;
                waking.attempt = Some(Attempt { number: WakeUp::default(), until: Some(until) });
                self.timers.set(Timer::Wake(slot), until);
            }
            (Presence::Standby { .. }, Some(until)) => registration.waking_mut().pause_until = until,
            _ => {}
        }
        match self.caller(slot) {
            Some(cause) => self.call(now, slot, cause, 0),
            None => self.calm(now, slot),
        }
    }

    fn effort(&self, slot: Slot) -> Option<WakeEffort> {
        self.registry.registered(slot)?.profile.waker.effort().copied()
    }
}
