//! Nothing is delivered to who is not registered: to no peripheral that is blocked, refused, removed or
//! has left.

use std::collections::{BTreeMap, BTreeSet};

use bugle_core::gateway::{Change, Slot};
use bugle_core::{GatewayId, PeripheralId, RequestId};

use super::Checker;
use super::places::Places;
use crate::fact::Fact;
use crate::network::{Moment, Stamp};
use crate::state::State;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Registered,
    Gone,
}

#[derive(Debug, Default)]
pub(super) struct MembersOnly {
    places: Places,
    blocked: BTreeSet<(GatewayId, Slot)>,
    /// How a peripheral stood with a gateway since when, on its disk.
    history: BTreeMap<(GatewayId, PeripheralId), Vec<(Stamp, Standing)>>,
}

impl Checker for MembersOnly {
    fn promise(&self) -> &'static str {
        "nothing is delivered to who is not registered"
    }

    fn observe(&mut self, Moment { stamp, .. }: Moment, fact: &Fact<'_>) -> Result<(), String> {
        match fact {
            Fact::GatewayKept { gateway, change } => {
                self.places.observe(gateway, change);
                self.check_blocked(gateway, change)?;
                let (slot, standing) = match change {
                    Change::Registered { slot, .. } => (*slot, Standing::Registered),
                    Change::Deregistered { slot } | Change::Removed { slot } => (*slot, Standing::Gone),
                    Change::Allocated(stored) if stored.is_blocked => (stored.slot, Standing::Gone),
                    _ => return Ok(()),
                };
                let peripheral = self.places.at(gateway, slot)?;
                self.history.entry(((*gateway).clone(), peripheral)).or_default().push((stamp, standing));
                Ok(())
            }
            Fact::Received { gateway, peripheral, request, sent, .. } => {
                self.check(gateway, peripheral, *sent, *request)
            }
            Fact::Connected { gateway, peripheral } => self.check_let_in(gateway, peripheral),
            _ => Ok(()),
        }
    }

    fn conclude(&mut self, _: &State<'_>) -> Result<(), String> {
        Ok(())
    }
}

impl MembersOnly {
    fn check_blocked(&mut self, gateway: &GatewayId, change: &Change) -> Result<(), String> {
        match change {
            Change::Allocated(stored) if stored.is_blocked => drop(self.blocked.insert((gateway.clone(), stored.slot))),
            Change::Allocated(stored) => drop(self.blocked.remove(&(gateway.clone(), stored.slot))),
            Change::Removed { slot } => drop(self.blocked.remove(&(gateway.clone(), *slot))),
            Change::Registered { slot, .. } if self.blocked.contains(&(gateway.clone(), *slot)) => {
                return Err(format!("{gateway} has registered {}, which is blocked", self.places.at(gateway, *slot)?));
            }
            _ => {}
        }
        Ok(())
    }

    fn check(
        &self,
        gateway: &GatewayId,
        peripheral: &PeripheralId,
        sent: Stamp,
        request: RequestId,
    ) -> Result<(), String> {
        let history = self.history.get(&(gateway.clone(), peripheral.clone()));
        let then = history.and_then(|history| history.iter().rfind(|(since, _)| *since < sent));
        match then {
            Some((_, Standing::Registered)) => Ok(()),
            _ => Err(format!("{peripheral} got request {request} of {gateway}, where it is not registered")),
        }
    }

    /// One that is let in and sent away in one commit learns of both, so it need not be registered then.
    fn check_let_in(&self, gateway: &GatewayId, peripheral: &PeripheralId) -> Result<(), String> {
        let history = self.history.get(&(gateway.clone(), peripheral.clone()));
        let was_registered =
            |history: &Vec<(Stamp, Standing)>| history.iter().any(|(_, standing)| *standing == Standing::Registered);
        if history.is_some_and(was_registered) {
            return Ok(());
        }
        Err(format!("{peripheral} was let in by {gateway}, where it was never registered"))
    }
}
