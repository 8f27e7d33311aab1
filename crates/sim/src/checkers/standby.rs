//! While a peripheral is in standby nothing is sent to it: what is meant for it waits.

use std::collections::BTreeSet;

use bugle_core::gateway::Change;
use bugle_core::{GatewayId, PeripheralId, Presence, RequestId};

use super::Checker;
use super::places::Places;
use crate::fact::{Carrier, Fact};
use crate::network::Moment;
use crate::state::State;

type Member = (GatewayId, PeripheralId);

#[derive(Debug, Default)]
pub(super) struct Standby {
    places: Places,
    asleep: BTreeSet<Member>,
    sent: BTreeSet<(Member, RequestId)>,
}

impl Checker for Standby {
    fn promise(&self) -> &'static str {
        "nothing is sent to a peripheral in standby"
    }

    fn observe(&mut self, _: Moment, fact: &Fact<'_>) -> Result<(), String> {
        match fact {
            Fact::GatewayKept { gateway, change } => {
                self.places.observe(gateway, change);
                let (slot, is_active) = match change {
                    Change::Registered { slot, registration } => (*slot, registration.presence == Presence::Active),
                    Change::Presence { slot, presence, .. } => (*slot, *presence == Presence::Active),
                    _ => return Ok(()),
                };
                let member = ((*gateway).clone(), self.places.at(gateway, slot)?);
                if is_active {
                    self.asleep.remove(&member);
                } else {
                    self.asleep.insert(member);
                }
            }
            Fact::Sent { gateway, peripheral, request, carrier } => {
                let member = ((*gateway).clone(), (*peripheral).clone());
                let is_asleep = self.asleep.contains(&member);
                let is_first = self.sent.insert((member, *request));
                // What CoAP has it sends by itself, until it is acknowledged.
                let is_new = *carrier == Carrier::Stream || (*carrier == Carrier::Datagram && is_first);
                if is_asleep && is_new {
                    return Err(format!("{gateway} sends request {request} to {peripheral}, which is in standby"));
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
