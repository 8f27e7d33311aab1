//! Nobody is registered before its application has said yes, on disk; and no gateway gives out the number of
//! a registration twice, lest an old yes be taken for a new one.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use bugle_core::gateway::Change;
use bugle_core::{GatewayId, GroupId, PeripheralId, RegistrationId, Verdict, application};

use super::Checker;
use super::places::Places;
use crate::fact::Fact;
use crate::network::Moment;
use crate::state::State;

#[derive(Debug, Default)]
pub(super) struct Authorized {
    places: Places,
    /// Who has asked under which number.
    numbers: BTreeMap<(GatewayId, RegistrationId), PeripheralId>,
    /// For which groups applications have said yes.
    yes: BTreeMap<(GatewayId, PeripheralId, RegistrationId), BTreeSet<GroupId>>,
}

impl Checker for Authorized {
    fn promise(&self) -> &'static str {
        "nobody is registered before the application has said yes"
    }

    fn observe(&mut self, _: Moment, fact: &Fact<'_>) -> Result<(), String> {
        match fact {
            Fact::ApplicationKept { change: application::Change::Answered(answer), .. } => {
                if let Verdict::Authorized { groups, .. } = &answer.verdict {
                    let asked = (answer.gateway.clone(), answer.peripheral.clone(), answer.registration);
                    self.yes.entry(asked).or_default().extend(groups.iter().cloned());
                }
            }
            Fact::GatewayKept { gateway, change } => {
                self.places.observe(gateway, change);
                if let Change::Asked(ask) = change {
                    let peripheral = self.places.at(gateway, ask.slot)?;
                    let number = ((*gateway).clone(), ask.registration);
                    let first = self.numbers.entry(number).or_insert_with(|| peripheral.clone());
                    if *first != peripheral {
                        let id = ask.registration;
                        return Err(format!("{gateway} has given {id} to {first} and to {peripheral}"));
                    }
                }
                if let Change::Registered { slot, registration } = change {
                    let peripheral = self.places.at(gateway, *slot)?;
                    let groups = self.yes.get(&((*gateway).clone(), peripheral.clone(), registration.id));
                    if !groups.is_some_and(|groups| registration.groups.is_subset(groups)) {
                        let id = registration.id;
                        return Err(format!("{gateway} has registered {peripheral} under {id} without a yes"));
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn conclude(&mut self, _: &State<'_>) -> Result<(), String> {
        Ok(())
    }
}
