//! Starting over from a snapshot, when the event log no longer reaches back to the cursor.
//!
//! 1. The platform tells of every registration in force where it is (`PresenceChanged`), and of every
//!    asking that awaits a decision (`RegistrationAsked`).
//! 2. What was in force and is not told of is over, as is what waited for approval.
//! 3. What got a yes and was not in force yet may be on its way: its gateway's word decides.
//! 4. What is told of is taken over, and what awaits a decision is decided.

use std::collections::{BTreeMap, BTreeSet};

use super::authorizer::Authorizer;
use super::change::Change;
use super::configuration::GroupConfigurations;
use super::registration::{Member, Registration, Standing};
use crate::{Event, GatewayId, PeripheralId, PresenceChanged, RegistrationId, Time};

type InForce<'a> = BTreeMap<&'a PeripheralId, Vec<(&'a GatewayId, &'a PresenceChanged)>>;

impl GroupConfigurations {
    /// Makes the group configurations what the events of a snapshot say, which is at least as new as
    /// the event with this sequence number. The events after that one are to be handled next.
    /// Approvals stay.
    pub fn rebuild(
        &mut self,
        now: Time,
        sequence: u64,
        snapshot: &[Event],
        authorizer: &impl Authorizer,
        changes: &mut Vec<Change>,
    ) {
        self.cursor = sequence;
        let mut in_force = InForce::new();
        let mut asked = BTreeSet::new();
        for event in snapshot {
            match event {
                Event::PresenceChanged { gateway, changed } => {
                    in_force.entry(&changed.peripheral).or_default().push((gateway, changed));
                }
                Event::RegistrationAsked { gateway, asked: about } => {
                    asked.insert((&about.peripheral, gateway, about.registration));
                }
                _ => {}
            }
        }
        self.drop_untold(&in_force, &asked, changes);
        for (peripheral, told) in &in_force {
            self.take_over(now, peripheral, told, changes);
        }
        for event in snapshot {
            if let Event::RegistrationAsked { gateway, asked } = event {
                self.on_asked(now, gateway, asked, authorizer, changes);
            }
        }
    }

    /// Steps 2 and 3.
    fn drop_untold(
        &mut self,
        in_force: &InForce<'_>,
        asked: &BTreeSet<(&PeripheralId, &GatewayId, RegistrationId)>,
        changes: &mut Vec<Change>,
    ) {
        let mut untold = Vec::new();
        for (peripheral, all) in &self.registrations {
            let told = in_force.get(peripheral).map_or(&[][..], Vec::as_slice);
            let is_told = |known: &Registration| {
                told.iter().any(|(gateway, changed)| known.is(gateway, changed.registration))
                    || asked.contains(&(peripheral, &known.gateway, known.id))
            };
            untold.extend(all.iter().filter(|known| !is_told(known)).map(|known| (peripheral.clone(), known.clone())));
        }
        for (peripheral, known) in untold {
            let on_its_way = match &known.standing {
                Standing::Member(member) | Standing::Replaced(member) => {
                    Some(member).filter(|known| known.presence.is_none())
                }
                Standing::Pending { .. } | Standing::Refused { .. } => None,
            };
            let on_its_way = on_its_way.cloned();
            self.drop_registration(&peripheral, &known.gateway, known.id, changes);
            if let Some(member) = on_its_way {
                self.record(&peripheral, &known.gateway, known.id, Standing::Replaced(member), changes);
            }
        }
    }

    /// Step 4. Several registrations of a peripheral can be in force while it roams: the one that got
    /// its yes last is the one that it is a member through, and of which nothing is known is new.
    fn take_over(
        &mut self,
        now: Time,
        peripheral: &PeripheralId,
        told: &[(&GatewayId, &PresenceChanged)],
        changes: &mut Vec<Change>,
    ) {
        let mut told: Vec<_> = told
            .iter()
            .map(|(gateway, changed)| {
                let known = self.registrations(peripheral).iter().find(|known| known.is(gateway, changed.registration));
                let known = match known.map(|known| &known.standing) {
                    Some(Standing::Member(member) | Standing::Replaced(member)) => Some(member),
                    _ => None,
                };
                let member = Member {
                    groups: changed.groups.clone(),
                    presence: Some(changed.presence),
                    since: known.map_or(now, |known| known.since),
                    sequence: known.map_or(self.cursor, |known| known.sequence),
                };
                (*gateway, changed.registration, member)
            })
            .collect();
        told.sort_by_key(|(_, registration, member)| (member.sequence, *registration));
        for (gateway, registration, member) in told {
            let as_known = self.member(peripheral).filter(|(known, _)| known.is(gateway, registration));
            if as_known.is_none_or(|(_, known)| *known != member) {
                self.admit(now, peripheral, gateway, registration, member, changes);
            }
        }
    }
}
