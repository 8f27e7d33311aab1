//! While a peripheral is in standby nothing is sent to it: what is meant for it waits.
//!
//! A gateway may have heard a word from a peripheral that its disk has in standby. So what is sent to one is put
//! aside until the disk says more of it: that it woke no later than that, or that the promise was broken.

use std::collections::{BTreeMap, BTreeSet};

use bugle_core::gateway::Change;
use bugle_core::{GatewayId, PeripheralId, Presence, RequestId, Time};

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
    /// What was sent to one that is asleep as far as the disk tells, and when by the gateway's clock.
    doubtful: BTreeMap<Member, (RequestId, Time)>,
}

impl Checker for Standby {
    fn promise(&self) -> &'static str {
        "nothing is sent to a peripheral in standby"
    }

    fn observe(&mut self, _: Moment, fact: &Fact<'_>) -> Result<(), String> {
        match fact {
            Fact::GatewayKept { gateway, change } => {
                self.places.observe(gateway, change);
                let (slot, presence, last_word) = match change {
                    Change::Registered { slot, registration } => {
                        (*slot, Some(registration.presence), registration.last_word)
                    }
                    Change::Presence { slot, presence, last_word } => (*slot, Some(*presence), *last_word),
                    Change::Deregistered { slot } | Change::Removed { slot } => (*slot, None, Time::MAX),
                    _ => return Ok(()),
                };
                let member = ((*gateway).clone(), self.places.at(gateway, slot)?);
                if let Some((request, sent)) = self.doubtful.get(&member).copied() {
                    if last_word > sent {
                        return Err(sent_in_standby(&member, request));
                    }
                    if presence == Some(Presence::Active) {
                        self.doubtful.remove(&member);
                    }
                }
                match presence {
                    Some(Presence::Active) | None => self.asleep.remove(&member),
                    Some(_) => self.asleep.insert(member),
                };
            }
            Fact::Sent { gateway, peripheral, request, carrier, shown } => {
                let member = ((*gateway).clone(), (*peripheral).clone());
                let is_first = self.sent.insert((member.clone(), *request));
                // What CoAP has it sends by itself, until it is acknowledged.
                let is_new = *carrier == Carrier::Stream || (*carrier == Carrier::Datagram && is_first);
                if is_new && self.asleep.contains(&member) {
                    self.doubtful.entry(member).or_insert((*request, *shown));
                }
            }
            // What it had heard is lost with it.
            Fact::GatewayDied { gateway } => self.doubtful.retain(|(at, _), _| at != *gateway),
            _ => {}
        }
        Ok(())
    }

    fn conclude(&mut self, _: &State<'_>) -> Result<(), String> {
        self.doubtful.iter().next().map_or(Ok(()), |(member, (request, _))| Err(sent_in_standby(member, *request)))
    }
}

fn sent_in_standby((gateway, peripheral): &Member, request: RequestId) -> String {
    format!("{gateway} sends request {request} to {peripheral}, which is in standby")
}
