//! At most one wake-up goes to a peripheral in each activation window: while one may still work no other is
//! sent, whoever else wants the peripheral awake; and never one to a peripheral that is known to be active.

use std::collections::{BTreeMap, BTreeSet};

use bugle_core::gateway::Change;
use bugle_core::{GatewayId, PeripheralId, Presence, Time};

use super::Checker;
use super::places::Places;
use crate::fact::Fact;
use crate::network::Moment;
use crate::state::State;

type Member = (GatewayId, PeripheralId);

#[derive(Debug, Default)]
pub(super) struct Wakes {
    places: Places,
    active: BTreeSet<Member>,
    /// Before when no other wake-up may follow, unless the peripheral is heard first.
    quiet_until: BTreeMap<Member, (Time, Window)>,
}

/// What the quiet is for.
#[derive(Debug, Clone, Copy)]
enum Window {
    /// The wake-up may still work.
    Open { back_off: std::time::Duration },
    /// It could not be sent, and the peripheral is left alone.
    Failed,
}

impl Checker for Wakes {
    fn promise(&self) -> &'static str {
        "at most one wake-up goes to a peripheral in each activation window"
    }

    fn observe(&mut self, moment: Moment, fact: &Fact<'_>) -> Result<(), String> {
        let now = moment.at;
        match fact {
            Fact::GatewayKept { gateway, change } => {
                self.places.observe(gateway, change);
                self.kept(gateway, change)?;
            }
            Fact::WakeSent { gateway, peripheral, effort, tries, .. } => {
                let member = ((*gateway).clone(), (*peripheral).clone());
                if self.active.contains(&member) {
                    return Err(format!("{gateway} wakes {peripheral}, which is active"));
                }
                if *tries == 0 || *tries > effort.tries {
                    return Err(format!("{gateway} wakes {peripheral} with try {tries} of {}", effort.tries));
                }
                if let Some((until, window)) = self.quiet_until.get(&member)
                    && now < *until
                {
                    let left = *until - now;
                    return Err(format!("{gateway} wakes {peripheral} again {left:?} too early: {window:?}"));
                }
                let window = Window::Open { back_off: effort.back_off };
                self.quiet_until.insert(member, (now + effort.time_limit, window));
            }
            Fact::WakeFailed { gateway, peripheral } => {
                let member = ((*gateway).clone(), (*peripheral).clone());
                if let Some((until, window)) = self.quiet_until.get_mut(&member)
                    && let Window::Open { back_off } = *window
                {
                    (*until, *window) = ((*until).min(now + back_off), Window::Failed);
                }
            }
            // Only what may still work is known to the next process.
            Fact::GatewayDied { gateway } => {
                let may_work = |window: &Window| matches!(window, Window::Open { .. });
                self.quiet_until.retain(|(at, _), (_, window)| at != *gateway || may_work(window));
            }
            _ => {}
        }
        Ok(())
    }

    fn conclude(&mut self, _: &State<'_>) -> Result<(), String> {
        Ok(())
    }
}

impl Wakes {
    fn kept(&mut self, gateway: &GatewayId, change: &Change) -> Result<(), String> {
        let (slot, is_active) = match change {
            Change::Registered { slot, registration } => (*slot, registration.presence == Presence::Active),
            Change::Presence { slot, presence, .. } => (*slot, *presence == Presence::Active),
            Change::Deregistered { slot } | Change::Removed { slot } => (*slot, false),
            _ => return Ok(()),
        };
        let member = (gateway.clone(), self.places.at(gateway, slot)?);
        if is_active {
            self.quiet_until.remove(&member);
            self.active.insert(member);
        } else {
            self.active.remove(&member);
        }
        Ok(())
    }
}
