//! The group configurations: which peripherals are members of which groups, kept from the event log.
//!
//! 1. A peripheral asks to register (`RegistrationAsked`, step 4 of registering). The authorizer
//!    decides (step 5): see `asking.rs`.
//! 2. On yes the peripheral becomes a member, and the group configuration is created or updated
//!    (step 6). On no, and while a person has to approve, nothing changes for the groups.
//! 3. The gateway puts the yes in force and tells where the member is (`PresenceChanged`; standby,
//!    step 1).
//! 4. The registration ends (`Deregistered`; deregistering, step 2): the peripheral leaves the
//!    group configuration, which ends with its last member.
//!
//! A peripheral is a member through one registration: of two at one gateway the one with the larger
//! number, of two at different gateways the one that got its yes later. A word about an older one
//! changes nothing. An older one is remembered until its end, so that its last words are known as old,
//! and because the newer one may come to nothing.

use std::collections::{BTreeMap, BTreeSet};

use super::authorizer::Authorizer;
use super::change::{Change, Recorded};
use super::registration::{Answer, Approval, Member, Registration, Standing};
use crate::{
    Deregistered, Event, EventKind, GatewayId, GroupId, PeripheralId, Presence, PresenceChanged, RegistrationId, Time,
    Verdict,
};

/// The group configurations of one application, with everything that they rest on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GroupConfigurations {
    pub(super) cursor: u64,
    pub(super) slots: u64,
    pub(super) registrations: BTreeMap<PeripheralId, Vec<Registration>>,
    pub(super) groups: BTreeMap<GroupId, GroupConfiguration>,
    pub(super) approvals: BTreeMap<PeripheralId, Approval>,
    pub(super) approvals_waiting: usize,
}

/// The configuration of one group; it has at least one member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupConfiguration {
    since: Time,
    members: BTreeSet<PeripheralId>,
}

impl GroupConfiguration {
    /// When it was created.
    #[must_use]
    pub const fn since(&self) -> Time {
        self.since
    }

    /// Its members, in the order of their ids.
    #[must_use]
    pub const fn members(&self) -> &BTreeSet<PeripheralId> {
        &self.members
    }
}

impl GroupConfigurations {
    /// The group configurations as they were recorded.
    #[must_use]
    pub fn restore(recorded: Recorded) -> Self {
        let mut this = Self { cursor: recorded.cursor, ..Self::default() };
        let since: BTreeMap<_, _> = recorded.groups.into_iter().collect();
        for (peripheral, registration) in recorded.registrations {
            this.slots = this.slots.max(registration.slot);
            if let Standing::Member(member) = &registration.standing {
                for group in &member.groups {
                    let since = since.get(group).copied().unwrap_or(member.since);
                    let created = GroupConfiguration { since, members: BTreeSet::new() };
                    this.groups.entry(group.clone()).or_insert(created).members.insert(peripheral.clone());
                }
            }
            this.registrations.entry(peripheral).or_default().push(registration);
        }
        for (peripheral, approval) in recorded.approvals {
            this.set_approval(peripheral, Some(approval));
        }
        this
    }

    /// The sequence number of the last event that was handled.
    #[must_use]
    pub const fn cursor(&self) -> u64 {
        self.cursor
    }

    /// All groups that have members, in the order of their ids.
    #[must_use]
    pub const fn groups(&self) -> &BTreeMap<GroupId, GroupConfiguration> {
        &self.groups
    }

    /// What people are asked, and have decided, about peripherals.
    #[must_use]
    pub const fn approvals(&self) -> &BTreeMap<PeripheralId, Approval> {
        &self.approvals
    }

    /// The registrations of a peripheral.
    #[must_use]
    pub fn registrations(&self, peripheral: &PeripheralId) -> &[Registration] {
        self.registrations.get(peripheral).map_or(&[], Vec::as_slice)
    }

    /// The registration through which a peripheral is a member, if it is one.
    #[must_use]
    pub fn member(&self, peripheral: &PeripheralId) -> Option<(&Registration, &Member)> {
        self.registrations(peripheral).iter().find_map(|known| match &known.standing {
            Standing::Member(member) => Some((known, member)),
            _ => None,
        })
    }

    /// Whether they rest on events of this kind. Others move only the cursor: see [`pass_over`](Self::pass_over).
    #[must_use]
    pub const fn rest_on(kind: EventKind) -> bool {
        match kind {
            EventKind::RegistrationAsked | EventKind::PresenceChanged | EventKind::Deregistered => true,
            EventKind::RequestAccepted
            | EventKind::SchedulePassedOver
            | EventKind::MembersFixed
            | EventKind::Progress
            | EventKind::Receipts
            | EventKind::RequestCompleted
            | EventKind::Report
            | EventKind::ReportsLost => false,
        }
    }

    /// Takes the event with this sequence number; one that was taken before changes nothing. `now`
    /// is the wall clock's time.
    pub fn handle_event(
        &mut self,
        now: Time,
        sequence: u64,
        event: &Event,
        authorizer: &impl Authorizer,
        changes: &mut Vec<Change>,
    ) {
        if sequence <= self.cursor {
            return;
        }
        self.cursor = sequence;
        match event {
            Event::RegistrationAsked { gateway, asked } => self.on_asked(now, gateway, asked, authorizer, changes),
            Event::PresenceChanged { gateway, changed } => self.on_presence(now, gateway, changed, changes),
            Event::Deregistered { gateway, ended } => self.on_deregistered(now, gateway, ended, changes),
            other => debug_assert!(!Self::rest_on(other.kind()), "what they rest on is handled"),
        }
    }

    /// Passes over the events up to the one with this sequence number: those that were not handled are of kinds that
    /// they do not [rest on](Self::rest_on).
    pub fn pass_over(&mut self, through: u64) {
        self.cursor = self.cursor.max(through);
    }

    /// A gateway says of a registration where it is; so it is in force there.
    fn on_presence(&mut self, now: Time, gateway: &GatewayId, changed: &PresenceChanged, changes: &mut Vec<Change>) {
        let PresenceChanged { peripheral, registration: id, groups, presence, at: _ } = changed;
        let mut member =
            Member { groups: groups.clone(), presence: Some(*presence), since: now, sequence: self.cursor };
        match self.registrations(peripheral).iter().find(|known| known.is(gateway, *id)).map(|known| &known.standing) {
            Some(Standing::Member(_)) => {
                self.put_in_force(peripheral, gateway, *id, *presence, changes);
                return;
            }
            Some(Standing::Replaced(known)) => {
                member = Member { presence: Some(*presence), ..known.clone() };
                self.put_in_force(peripheral, gateway, *id, *presence, changes);
                let is_newer = |(other, newer): (&Registration, &Member)| match other.gateway == *gateway {
                    true => other.id > *id,
                    false => newer.sequence >= member.sequence,
                };
                if self.member(peripheral).is_some_and(is_newer) {
                    return;
                }
            }
            // The gateway has not seen the no yet; when it does, the registration ends.
            Some(Standing::Refused { .. }) => return,
            Some(Standing::Pending { .. }) | None if self.has_newer_in_force(peripheral, gateway, *id) => return,
            // Re-admitted under a lease, which is a yes given in advance.
            Some(Standing::Pending { .. }) | None => {}
        }
        self.admit(now, peripheral, gateway, *id, member, changes);
    }

    fn put_in_force(
        &mut self,
        peripheral: &PeripheralId,
        gateway: &GatewayId,
        id: RegistrationId,
        presence: Presence,
        changes: &mut Vec<Change>,
    ) {
        let all = self.registrations.get_mut(peripheral).into_iter().flatten();
        for known in all.filter(|known| known.is(gateway, id)) {
            if let Standing::Member(member) | Standing::Replaced(member) = &mut known.standing
                && member.presence != Some(presence)
            {
                member.presence = Some(presence);
                changes.push(Change::Recorded { peripheral: peripheral.clone(), registration: known.clone() });
            }
        }
        let is_over = |known: &Registration| !matches!(known.standing, Standing::Member(_));
        self.drop_older(peripheral, gateway, id, is_over, changes);
    }

    /// When the member's registration ends, it is a member again through the latest that it replaced
    /// and that is in force still, if there is one: the newer one may have come to nothing, and where
    /// it did not, its gateway has yet to hear that the older one is over, and to tell.
    fn on_deregistered(&mut self, now: Time, gateway: &GatewayId, ended: &Deregistered, changes: &mut Vec<Change>) {
        let peripheral = &ended.peripheral;
        if self.member(peripheral).is_some_and(|(known, _)| known.is(gateway, ended.registration)) {
            let in_force = self.registrations(peripheral).iter().filter_map(|known| match &known.standing {
                Standing::Replaced(member) if member.presence.is_some() => Some((known, member)),
                _ => None,
            });
            let latest = in_force.max_by_key(|(known, member)| (member.sequence, known.id));
            let latest = latest.map(|(known, member)| (known.gateway.clone(), known.id, member.clone()));
            if let Some((gateway, id, member)) = latest {
                self.admit(now, peripheral, &gateway, id, member, changes);
            }
        }
        self.drop_registration(peripheral, gateway, ended.registration, changes);
    }

    /// Makes a registration the one through which the peripheral is a member.
    pub(super) fn admit(
        &mut self,
        now: Time,
        peripheral: &PeripheralId,
        gateway: &GatewayId,
        id: RegistrationId,
        member: Member,
        changes: &mut Vec<Change>,
    ) {
        let former = self.member(peripheral).map(|(_, member)| member.groups.clone()).unwrap_or_default();
        for group in member.groups.difference(&former) {
            self.join(now, group, peripheral, changes);
        }
        let left: BTreeSet<_> = former.difference(&member.groups).cloned().collect();
        self.leave(&left, peripheral, changes);
        for known in self.registrations.get_mut(peripheral).into_iter().flatten() {
            let is_here = known.gateway == *gateway;
            match &mut known.standing {
                Standing::Member(former) => known.standing = Standing::Replaced(former.clone()),
                Standing::Pending { .. } if !is_here => {
                    let reason = format!("the peripheral has registered at gateway {gateway} since");
                    changes.push(Change::Answered(known.refuse(peripheral, &reason)));
                    known.standing = Standing::Refused { reason };
                }
                Standing::Pending { .. } | Standing::Refused { .. } | Standing::Replaced(_) => continue,
            }
            if !known.is(gateway, id) {
                changes.push(Change::Recorded { peripheral: peripheral.clone(), registration: known.clone() });
            }
        }
        let is_in_force = member.presence.is_some();
        self.drop_older(peripheral, gateway, id, |known| is_in_force || known.is_asking(), changes);
        self.record(peripheral, gateway, id, Standing::Member(member), changes);
    }

    /// Forgets those of the older registrations at a gateway that this one has replaced there.
    pub(super) fn drop_older(
        &mut self,
        peripheral: &PeripheralId,
        gateway: &GatewayId,
        id: RegistrationId,
        is_replaced: impl Fn(&Registration) -> bool,
        changes: &mut Vec<Change>,
    ) {
        let Some(all) = self.registrations.get_mut(peripheral) else { return };
        all.retain(|known| {
            let is_over = known.gateway == *gateway && known.id < id && is_replaced(known);
            if is_over {
                changes.push(Change::Dropped { slot: known.slot });
            }
            !is_over
        });
    }

    /// Puts how a registration stands in place of what is known of it.
    pub(super) fn record(
        &mut self,
        peripheral: &PeripheralId,
        gateway: &GatewayId,
        id: RegistrationId,
        standing: Standing,
        changes: &mut Vec<Change>,
    ) {
        let all = self.registrations.entry(peripheral.clone()).or_default();
        let registration = match all.iter_mut().find(|known| known.is(gateway, id)) {
            Some(known) => {
                known.standing = standing;
                known.clone()
            }
            None => {
                self.slots += 1;
                let registration = Registration { slot: self.slots, gateway: gateway.clone(), id, standing };
                all.push(registration.clone());
                registration
            }
        };
        changes.push(Change::Recorded { peripheral: peripheral.clone(), registration });
    }

    /// Whether a gateway has put a newer registration in force than this one.
    fn has_newer_in_force(&self, peripheral: &PeripheralId, gateway: &GatewayId, id: RegistrationId) -> bool {
        self.registrations(peripheral).iter().filter(|known| known.gateway == *gateway && known.id > id).any(|known| {
            matches!(&known.standing, Standing::Member(newer) | Standing::Replaced(newer) if newer.presence.is_some())
        })
    }

    /// Forgets a registration, if it is known.
    pub(super) fn drop_registration(
        &mut self,
        peripheral: &PeripheralId,
        gateway: &GatewayId,
        id: RegistrationId,
        changes: &mut Vec<Change>,
    ) {
        let Some(all) = self.registrations.get_mut(peripheral) else { return };
        let Some(position) = all.iter().position(|known| known.is(gateway, id)) else { return };
        let former = all.swap_remove(position);
        if all.is_empty() {
            self.registrations.remove(peripheral);
        }
        changes.push(Change::Dropped { slot: former.slot });
        if let Standing::Member(member) = former.standing {
            self.leave(&member.groups, peripheral, changes);
        }
    }

    fn join(&mut self, now: Time, group: &GroupId, peripheral: &PeripheralId, changes: &mut Vec<Change>) {
        if let Some(configuration) = self.groups.get_mut(group) {
            configuration.members.insert(peripheral.clone());
            return;
        }
        let configuration = GroupConfiguration { since: now, members: BTreeSet::from([peripheral.clone()]) };
        self.groups.insert(group.clone(), configuration);
        changes.push(Change::GroupCreated { group: group.clone(), since: now });
    }

    fn leave(&mut self, groups: &BTreeSet<GroupId>, peripheral: &PeripheralId, changes: &mut Vec<Change>) {
        for group in groups {
            let Some(configuration) = self.groups.get_mut(group) else { continue };
            configuration.members.remove(peripheral);
            if configuration.members.is_empty() {
                self.groups.remove(group);
                changes.push(Change::GroupEnded { group: group.clone() });
            }
        }
    }
}

impl Registration {
    /// Whether it waits or was refused.
    pub(super) const fn is_asking(&self) -> bool {
        matches!(self.standing, Standing::Pending { .. } | Standing::Refused { .. })
    }

    pub(super) fn refuse(&self, peripheral: &PeripheralId, reason: &str) -> Answer {
        self.answer(peripheral, Verdict::Refused { reason: reason.to_owned() })
    }

    pub(super) fn answer(&self, peripheral: &PeripheralId, verdict: Verdict) -> Answer {
        Answer { gateway: self.gateway.clone(), peripheral: peripheral.clone(), registration: self.id, verdict }
    }
}
