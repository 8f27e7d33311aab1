//! Whole histories: two gateways, a platform between, events that come again, restarts. Whatever
//! happened, once all words have arrived the group configurations are the gateways' registrations.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use proptest::prelude::*;

use super::{ByLetter, asking, gateway, peripheral};
use crate::application::{Answer, Change, GroupConfigurations, Recorded, Registration, Standing};
use crate::{
    Deregistered, EndCause, Event, GatewayId, GroupId, PeripheralId, Presence, PresenceChanged, RegistrationId, Time,
    Verdict,
};

const PERIPHERALS: [&str; 4] = ["a1", "a2", "m1", "x1"];
const GATEWAYS: [&str; 2] = ["ga", "gb"];

type At = (PeripheralId, GatewayId);

#[derive(Debug, Clone)]
enum Op {
    Ask(usize, usize, u8),
    Renew(usize, usize),
    GiveUp(usize, usize),
    Sleep(usize, usize),
    Wake(usize, usize),
    End(usize, usize),
    /// A gateway takes the next entry of its down log.
    Down(usize),
    /// The application takes the next events.
    Take(usize),
    /// The last events come again.
    Again(usize),
    Restart,
    Approve(usize),
    Refuse(usize),
    Withdraw(usize),
    /// The application starts over from a snapshot.
    Rebuild,
}

fn op() -> impl Strategy<Value = Op> {
    let (p, g) = (0..PERIPHERALS.len(), 0..GATEWAYS.len());
    let at = (p.clone(), g.clone());
    prop_oneof![
        4 => (p.clone(), g.clone(), 1..4_u8).prop_map(|(p, g, groups)| Op::Ask(p, g, groups)),
        2 => at.clone().prop_map(|(p, g)| Op::Renew(p, g)),
        1 => at.clone().prop_map(|(p, g)| Op::GiveUp(p, g)),
        1 => at.clone().prop_map(|(p, g)| Op::Sleep(p, g)),
        1 => at.clone().prop_map(|(p, g)| Op::Wake(p, g)),
        1 => at.prop_map(|(p, g)| Op::End(p, g)),
        6 => g.prop_map(Op::Down),
        5 => (1..4_usize).prop_map(Op::Take),
        1 => (1..6_usize).prop_map(Op::Again),
        1 => Just(Op::Restart),
        1 => p.clone().prop_map(Op::Approve),
        1 => p.clone().prop_map(Op::Refuse),
        1 => p.prop_map(Op::Withdraw),
        1 => Just(Op::Rebuild),
    ]
}

/// What a gateway knows of a peripheral.
#[derive(Default)]
struct Local {
    registered: Option<(RegistrationId, BTreeSet<GroupId>)>,
    asks: Option<(RegistrationId, BTreeSet<GroupId>)>,
}

enum Down {
    Decision(PeripheralId, RegistrationId, Verdict),
    Deregister(PeripheralId, RegistrationId),
}

/// What the platform has on record of a peripheral at a gateway.
#[derive(Default)]
struct OnRecord {
    asked: Option<(RegistrationId, BTreeSet<GroupId>)>,
    registered: Option<(RegistrationId, BTreeSet<GroupId>)>,
    /// Which registration the gateway was told to end.
    roamed: Option<RegistrationId>,
}

impl OnRecord {
    fn is_older(&self, id: RegistrationId) -> bool {
        self.registered.as_ref().is_some_and(|(registered, _)| id < *registered)
    }

    fn settle_asking(&mut self, id: RegistrationId) {
        self.asked.take_if(|(asked, _)| *asked <= id);
    }
}

/// The durable side of the application: the changes, as a store would apply them.
#[derive(Default)]
struct Disk {
    cursor: u64,
    registrations: BTreeMap<u64, (PeripheralId, Registration)>,
    groups: BTreeMap<GroupId, Time>,
    approvals: BTreeMap<PeripheralId, crate::application::Approval>,
}

#[derive(Default)]
struct World {
    next_registration: u64,
    local: BTreeMap<At, Local>,
    down: BTreeMap<GatewayId, VecDeque<Down>>,
    on_record: BTreeMap<At, OnRecord>,
    log: Vec<Event>,
    configurations: GroupConfigurations,
    disk: Disk,
}

impl World {
    fn apply(&mut self, op: &Op) {
        let at = |p: &usize, g: &usize| (peripheral(PERIPHERALS[*p]), gateway(GATEWAYS[*g]));
        let now = Time::from_millis(self.log.len() as u64);
        let mut changes = Vec::new();
        match op {
            Op::Ask(p, g, mask) => self.ask(at(p, g), *mask),
            Op::Renew(p, g) => {
                let at = at(p, g);
                let local = self.local.entry(at.clone()).or_default();
                let Some(registered) = local.registered.clone() else { return };
                self.give_up(&at);
                self.local.entry(at.clone()).or_default().asks = Some(registered.clone());
                self.tell_asked(&at, registered);
            }
            Op::GiveUp(p, g) => self.give_up(&at(p, g)),
            Op::Sleep(p, g) => self.tell_presence(&at(p, g), Presence::Standby { next_wake: None }),
            Op::Wake(p, g) => self.tell_presence(&at(p, g), Presence::Active),
            Op::End(p, g) => self.end(&at(p, g)),
            Op::Down(g) => self.take_down(&gateway(GATEWAYS[*g])),
            Op::Take(count) => self.take(*count),
            Op::Again(count) => {
                let cursor = self.configurations.cursor() as usize;
                for sequence in (cursor + 1).saturating_sub(*count).max(1)..=cursor {
                    let event = &self.log[sequence - 1];
                    self.configurations.handle_event(now, sequence as u64, event, &ByLetter, &mut changes);
                }
                assert_eq!(changes, [], "an event that comes again changes nothing");
            }
            Op::Restart => self.configurations = self.disk.restore(),
            Op::Approve(p) => {
                // That nothing was asked is an answer too.
                let _ = self.configurations.approve(now, &peripheral(PERIPHERALS[*p]), &mut changes);
            }
            Op::Refuse(p) => self.configurations.refuse(now, &peripheral(PERIPHERALS[*p]), &mut changes),
            Op::Withdraw(p) => {
                self.configurations.withdraw(&peripheral(PERIPHERALS[*p]), &mut changes);
            }
            Op::Rebuild => self.rebuild(now, &mut changes),
        }
        self.commit(changes);
    }

    fn ask(&mut self, at: At, mask: u8) {
        self.give_up(&at);
        self.next_registration += 1;
        let groups = ["g", "h"].into_iter().enumerate().filter(|(bit, _)| mask & (1 << bit) != 0);
        let groups: BTreeSet<_> = groups.map(|(_, group)| GroupId::new(group).expect("a group id")).collect();
        let asks = (RegistrationId::new(self.next_registration), groups);
        self.local.entry(at.clone()).or_default().asks = Some(asks.clone());
        self.tell_asked(&at, asks);
    }

    fn tell_asked(&mut self, at: &At, asks: (RegistrationId, BTreeSet<GroupId>)) {
        let row = self.on_record.entry(at.clone()).or_default();
        if !row.is_older(asks.0) {
            row.asked = Some(asks.clone());
            let asked = asking(at.0.as_str(), asks.0.number(), asks.1);
            self.log.push(Event::RegistrationAsked { gateway: at.1.clone(), asked });
        }
    }

    /// Whoever asked is gone. A renewal leaves the registration as it was.
    fn give_up(&mut self, at: &At) {
        let local = self.local.entry(at.clone()).or_default();
        let Some((id, groups)) = local.asks.take() else { return };
        if local.registered.as_ref().is_none_or(|(registered, _)| *registered != id) {
            self.tell_ended(at, id, groups);
        }
    }

    fn end(&mut self, at: &At) {
        let local = self.local.entry(at.clone()).or_default();
        if let Some((id, groups)) = local.registered.take() {
            // With the registration ends the asking that was to renew it.
            local.asks = local.asks.take().filter(|(asks, _)| *asks != id);
            self.tell_ended(at, id, groups);
        }
    }

    fn tell_ended(&mut self, at: &At, registration: RegistrationId, groups: BTreeSet<GroupId>) {
        let row = self.on_record.entry(at.clone()).or_default();
        if row.is_older(registration) {
            return;
        }
        row.registered.take_if(|(registered, _)| *registered == registration);
        row.settle_asking(registration);
        let (peripheral, gateway) = at.clone();
        let (cause, at) = (EndCause::Peripheral, Time::ZERO);
        let ended = Deregistered { peripheral, registration, groups, cause, at };
        self.log.push(Event::Deregistered { gateway, ended });
    }

    fn tell_presence(&mut self, at: &At, presence: Presence) {
        let Some((registration, groups)) = self.local.entry(at.clone()).or_default().registered.clone() else { return };
        let row = self.on_record.entry(at.clone()).or_default();
        if row.is_older(registration) {
            return;
        }
        let is_new = row.registered.as_ref().is_none_or(|(registered, _)| *registered != registration);
        if is_new {
            row.settle_asking(registration);
        }
        row.registered = Some((registration, groups.clone()));
        let (peripheral, gateway) = at.clone();
        let changed = PresenceChanged { peripheral, registration, groups, presence, at: Time::ZERO };
        self.log.push(Event::PresenceChanged { gateway, changed });
        if is_new {
            self.end_elsewhere(at);
        }
    }

    /// The platform ends the registrations of a peripheral at other gateways, each once.
    fn end_elsewhere(&mut self, (peripheral, here): &At) {
        for ((_, gateway), row) in self.on_record.iter_mut().filter(|((p, g), _)| p == peripheral && g != here) {
            let Some(id) = row.registered.as_ref().map(|(id, _)| *id).filter(|id| row.roamed != Some(*id)) else {
                continue;
            };
            row.roamed = Some(id);
            let roamed = Down::Deregister(peripheral.clone(), id);
            self.down.entry(gateway.clone()).or_default().push_back(roamed);
        }
    }

    /// A gateway takes one entry of its down log, as `core::gateway` does.
    fn take_down(&mut self, gateway: &GatewayId) {
        match self.down.entry(gateway.clone()).or_default().pop_front() {
            None => {}
            Some(Down::Deregister(peripheral, id)) => {
                let at = (peripheral, gateway.clone());
                if self.local.get(&at).and_then(|local| local.registered.as_ref()).is_some_and(|known| known.0 == id) {
                    self.end(&at);
                }
            }
            Some(Down::Decision(peripheral, id, verdict)) => self.decide(&(peripheral, gateway.clone()), id, verdict),
        }
    }

    fn decide(&mut self, at: &At, id: RegistrationId, verdict: Verdict) {
        let local = self.local.entry(at.clone()).or_default();
        let is_asked = local.asks.as_ref().is_some_and(|(asks, _)| *asks == id);
        match verdict {
            Verdict::Authorized { groups, .. } if is_asked => {
                local.asks = None;
                local.registered = Some((id, groups));
                self.tell_presence(at, Presence::Active);
            }
            Verdict::Refused { .. } if is_asked => {
                local.asks = None;
                if local.registered.as_ref().is_some_and(|(registered, _)| *registered == id) {
                    self.end(at);
                }
            }
            Verdict::Authorized { .. } => {
                let is_older = local.registered.as_ref().is_some_and(|(registered, _)| *registered < id);
                if is_older && local.asks.is_none() {
                    self.end(at);
                }
            }
            Verdict::Refused { .. } => {}
        }
    }

    fn take(&mut self, count: usize) {
        let mut changes = Vec::new();
        let cursor = self.configurations.cursor() as usize;
        for (event, sequence) in self.log.iter().skip(cursor).take(count).zip(cursor as u64 + 1..) {
            let now = Time::from_millis(sequence);
            self.configurations.handle_event(now, sequence, event, &ByLetter, &mut changes);
        }
        self.commit(changes);
    }

    fn rebuild(&mut self, now: Time, changes: &mut Vec<Change>) {
        let mut snapshot = Vec::new();
        for ((peripheral, gateway), row) in &self.on_record {
            if let Some((registration, groups)) = row.registered.clone() {
                let (peripheral, presence) = (peripheral.clone(), Presence::Active);
                let changed = PresenceChanged { peripheral, registration, groups, presence, at: Time::ZERO };
                snapshot.push(Event::PresenceChanged { gateway: gateway.clone(), changed });
            }
            if let Some((id, groups)) = row.asked.clone() {
                let asked = asking(peripheral.as_str(), id.number(), groups);
                snapshot.push(Event::RegistrationAsked { gateway: gateway.clone(), asked });
            }
        }
        self.configurations.rebuild(now, self.log.len() as u64, &snapshot, &ByLetter, changes);
    }

    /// Stores the changes, and passes the answers on as the platform does.
    fn commit(&mut self, changes: Vec<Change>) {
        self.disk.cursor = self.configurations.cursor();
        for change in changes {
            let Some(Answer { gateway, peripheral, registration, verdict }) = self.disk.apply(change) else { continue };
            let at = (peripheral.clone(), gateway.clone());
            let row = self.on_record.entry(at.clone()).or_default();
            if row.asked.take_if(|(asked, _)| *asked == registration).is_none() {
                continue;
            }
            let is_yes = matches!(verdict, Verdict::Authorized { .. });
            let decision = Down::Decision(peripheral, registration, verdict);
            self.down.entry(gateway).or_default().push_back(decision);
            if is_yes {
                self.end_elsewhere(&at);
            }
        }
    }

    /// Lets every word arrive, and everybody who still asks give up.
    fn settle(&mut self) {
        loop {
            let before = self.log.len();
            self.take(usize::MAX);
            for id in GATEWAYS {
                while !self.down.entry(gateway(id)).or_default().is_empty() {
                    self.take_down(&gateway(id));
                }
            }
            if self.log.len() == before {
                for at in self.local.keys().cloned().collect::<Vec<_>>() {
                    self.give_up(&at);
                }
                if self.log.len() == before {
                    return;
                }
            }
        }
    }

    fn check_index(&self) {
        let mut expected: BTreeMap<&GroupId, BTreeSet<&PeripheralId>> = BTreeMap::new();
        for (peripheral, all) in &self.configurations.registrations {
            let members = all.iter().filter_map(|known| match &known.standing {
                Standing::Member(member) => Some(member),
                _ => None,
            });
            assert!(members.clone().count() <= 1, "a peripheral is a member through one registration");
            for group in members.flat_map(|member| &member.groups) {
                expected.entry(group).or_default().insert(peripheral);
            }
        }
        let found = self.configurations.groups();
        let found: BTreeMap<_, BTreeSet<_>> =
            found.iter().map(|(group, known)| (group, known.members().iter().collect())).collect();
        assert_eq!(found, expected);
    }
}

impl Disk {
    fn apply(&mut self, change: Change) -> Option<Answer> {
        match change {
            Change::Recorded { peripheral, registration } => {
                self.registrations.insert(registration.slot, (peripheral, registration));
            }
            Change::Dropped { slot } => {
                self.registrations.remove(&slot).expect("only what is recorded is dropped");
            }
            Change::GroupCreated { group, since } => {
                assert_eq!(self.groups.insert(group, since), None, "a group is created once");
            }
            Change::GroupEnded { group } => {
                self.groups.remove(&group).expect("only what was created ends");
            }
            Change::ApprovalRecorded { peripheral, approval } => {
                self.approvals.insert(peripheral, approval);
            }
            Change::ApprovalDropped { peripheral } => {
                self.approvals.remove(&peripheral).expect("only what is recorded is dropped");
            }
            Change::Answered(answer) => return Some(answer),
        }
        None
    }

    fn restore(&self) -> GroupConfigurations {
        GroupConfigurations::restore(Recorded {
            cursor: self.cursor,
            registrations: self.registrations.values().cloned().collect(),
            groups: self.groups.clone().into_iter().collect(),
            approvals: self.approvals.clone().into_iter().collect(),
        })
    }
}

/// The same whatever order registrations of a peripheral are kept in, and wherever the next one goes.
fn sorted(mut configurations: GroupConfigurations) -> GroupConfigurations {
    configurations.slots = 0;
    for all in configurations.registrations.values_mut() {
        all.sort_by_key(|known| known.slot);
    }
    configurations
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn whatever_happened_the_members_are_in_the_end_who_is_registered(
        ops in prop::collection::vec(op(), 0..60),
    ) {
        let mut world = World::default();
        for op in &ops {
            world.apply(op);
            world.check_index();
            prop_assert_eq!(sorted(world.disk.restore()), sorted(world.configurations.clone()));
        }
        world.settle();
        let registered: BTreeMap<_, _> = world
            .local
            .iter()
            .filter_map(|((peripheral, gateway), local)| {
                let (id, groups) = local.registered.clone()?;
                Some((peripheral.clone(), (gateway.clone(), id, groups)))
            })
            .collect();
        let members: BTreeMap<_, _> = PERIPHERALS
            .into_iter()
            .filter_map(|id| {
                let (known, member) = world.configurations.member(&peripheral(id))?;
                Some((peripheral(id), (known.gateway.clone(), known.id, member.groups.clone())))
            })
            .collect();
        prop_assert_eq!(members, registered);
    }
}
