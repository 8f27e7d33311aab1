//! A procedure at work: the rows it has, and what it does to them.

use std::collections::{BTreeMap, BTreeSet};

use super::members::Members;
use super::nesting::NestingKey;
use super::rows::{
    ApplicationGroup, GatewayRow, GroupCount, IdempotencyRow, MemberRow, PartKey, PeripheralKey, PeripheralRow,
    RequestGatewayRow, RequestRow,
};
use super::scheduling::{ScheduleKey, ScheduleRow};
use super::submission::{IdempotencyKey, Submitted};
use crate::{ApplicationId, DownEntry, Event, GatewayId, GroupId, PeripheralId, RequestId, Stranger};

/// The rows that were loaded for a procedure, and what it has changed.
#[derive(Debug, Default)]
pub struct Work {
    /// Gateways. Not changed here: appending to a log is.
    pub(super) gateways: Table<GatewayId, GatewayRow>,
    pub(super) applications: Table<ApplicationId, ()>,
    pub(super) peripherals: Table<PeripheralKey, PeripheralRow>,
    pub(super) namesakes: BTreeMap<(ApplicationId, PeripheralId), Vec<GatewayId>>,
    pub(super) groups: BTreeMap<ApplicationGroup, BTreeMap<GatewayId, GroupCount>>,
    pub(super) contained: BTreeMap<ApplicationGroup, BTreeSet<GroupId>>,
    pub(super) nestings: Table<NestingKey, ()>,
    pub(super) requests: Table<RequestId, RequestRow>,
    pub(super) request_gateways: Table<PartKey, RequestGatewayRow>,
    /// By the part that they are of: there are many, and few parts.
    pub(super) members: BTreeMap<PartKey, Members>,
    pub(super) joinable: BTreeMap<(ApplicationId, GatewayId), Vec<(RequestId, Submitted)>>,
    pub(super) idempotency: Option<IdempotencyRow>,
    pub(super) schedules: Table<ScheduleKey, ScheduleRow>,
    pub(super) schedules_of: u64,
    pub(super) unsettled: Vec<(GatewayId, PeripheralId)>,
    pub(super) on_record: Option<(GatewayId, Vec<PeripheralId>)>,
    changes: Changes,
    down_added: BTreeMap<GatewayId, u64>,
}

/// What a procedure has decided, for the store to write.
#[derive(Debug, Default)]
pub struct Changes {
    /// The gateway of which entries of the up log were applied, and the last of them.
    pub up_applied: Option<(GatewayId, u64)>,
    /// Applications that are to be there, whether or not they were.
    pub applications: BTreeSet<ApplicationId>,
    /// Peripherals, with all that is known of them.
    pub peripherals: Vec<Put<PeripheralKey, PeripheralRow>>,
    /// Peripherals that came into or left groups, or became or ceased to be members.
    pub memberships: Vec<Membership>,
    /// What to add to the counts of groups at gateways.
    pub groups: BTreeMap<(ApplicationGroup, GatewayId), GroupDelta>,
    /// Groups that lie in groups.
    pub nestings: Vec<Put<NestingKey, ()>>,
    /// New group requests, with what they ask.
    pub submitted: Vec<(RequestId, Submitted)>,
    /// Group requests.
    pub requests: Vec<Put<RequestId, RequestRow>>,
    /// Parts of group requests at gateways.
    pub request_gateways: Vec<Put<PartKey, RequestGatewayRow>>,
    /// Members of group requests, by the part that they are of.
    pub members: Vec<(PartKey, Vec<Put<PeripheralId, MemberRow>>)>,
    /// An idempotency key and the group request that it stands for from now on.
    pub idempotency: Option<(ApplicationId, IdempotencyKey, RequestId)>,
    /// Schedules.
    pub schedules: Vec<Put<ScheduleKey, ScheduleRow>>,
    /// Strangers, to be put on the waiting list or moved to its front.
    pub strangers: Vec<(GatewayId, Stranger)>,
    /// Peripherals that are no strangers any more.
    pub adopted: BTreeSet<PeripheralKey>,
    /// What to append to the event logs.
    pub events: Vec<(ApplicationId, Event)>,
    /// What to append to the down logs.
    pub down: Vec<(GatewayId, DownEntry)>,
}

/// A row that is to be as it is here, or to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Put<K, V> {
    /// Which row.
    pub key: K,
    /// Whether there was none.
    pub is_new: bool,
    /// What it is to be; it is to go if there is nothing here.
    pub row: Option<V>,
}

/// A peripheral's place in a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    /// Which peripheral.
    pub peripheral: PeripheralKey,
    /// Which group.
    pub group: ApplicationGroup,
    /// Whether it is allocated to it and a member of it, each 0 or 1; it has left it if there is
    /// nothing here. That a member became active or ceased to be changes no place.
    pub share: Option<GroupCount>,
}

/// What to add to a [`GroupCount`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct GroupDelta {
    /// To the allocated.
    pub allocated: i64,
    /// To the members.
    pub members: i64,
    /// To the active members.
    pub active: i64,
}

impl GroupDelta {
    fn add(&mut self, share: GroupCount, sign: i64) {
        self.allocated += sign * share.allocated as i64;
        self.members += sign * share.members as i64;
        self.active += sign * share.active as i64;
    }
}

/// How a store fills in what was loaded.
impl Work {
    /// A gateway, or that there is none.
    pub fn load_gateway(&mut self, key: GatewayId, row: Option<GatewayRow>) {
        self.gateways.load(key, row);
    }

    /// Whether there is an application.
    pub fn load_application(&mut self, key: ApplicationId, is_there: bool) {
        self.applications.load(key, is_there.then_some(()));
    }

    /// A peripheral, or that there is none.
    pub fn load_peripheral(&mut self, key: PeripheralKey, row: Option<PeripheralRow>) {
        self.peripherals.load(key, row);
    }

    /// The gateways at which a peripheral is allocated to an application; their rows are loaded with
    /// [`load_peripheral`](Self::load_peripheral).
    pub fn load_namesakes(&mut self, key: (ApplicationId, PeripheralId), gateways: Vec<GatewayId>) {
        self.namesakes.insert(key, gateways);
    }

    /// The counts of a group; the gateways are loaded with [`load_gateway`](Self::load_gateway).
    pub fn load_group(&mut self, key: ApplicationGroup, counts: BTreeMap<GatewayId, GroupCount>) {
        self.groups.insert(key, counts);
    }

    /// The groups that a group contains, near and far; each of them and the group itself are loaded with
    /// [`load_group`](Self::load_group) too.
    pub fn load_contained(&mut self, key: ApplicationGroup, contained: BTreeSet<GroupId>) {
        self.contained.insert(key, contained);
    }

    /// A group that lies in another.
    pub fn load_nesting(&mut self, key: NestingKey) {
        self.nestings.load(key, Some(()));
    }

    /// A group request, or that there is none.
    pub fn load_request(&mut self, key: RequestId, row: Option<RequestRow>) {
        self.requests.load(key, row);
    }

    /// The part of a group request at a gateway, or that there is none.
    pub fn load_request_gateway(&mut self, key: PartKey, row: Option<RequestGatewayRow>) {
        self.request_gateways.load(key, row);
    }

    /// An open group request of an application that includes late joiners, and of which a gateway has no part. Its
    /// row is loaded with [`load_request`](Self::load_request) too.
    pub fn load_joinable(&mut self, key: (ApplicationId, GatewayId), request: RequestId, submitted: Submitted) {
        self.load_request_gateway((request, key.1.clone()), None);
        self.joinable.entry(key).or_default().push((request, submitted));
    }

    /// Members of a part of a group request, or that they are none.
    pub fn load_members(&mut self, part: PartKey, rows: impl IntoIterator<Item = (PeripheralId, Option<MemberRow>)>) {
        self.members.entry(part).or_default().load(rows);
    }

    /// What the idempotency key asked for stands for.
    pub fn load_idempotency(&mut self, row: IdempotencyRow) {
        self.idempotency = Some(row);
    }

    /// A schedule, or that there is none.
    pub fn load_schedule(&mut self, key: ScheduleKey, row: Option<ScheduleRow>) {
        self.schedules.load(key, row);
    }

    /// How many schedules the application has whose were to be counted.
    pub fn load_schedules_of(&mut self, count: u64) {
        self.schedules_of = count;
    }

    /// For closing: members without outcome, at most a page of them. They are loaded with
    /// [`load_members`](Self::load_members) too.
    pub fn load_unsettled(&mut self, members: Vec<(GatewayId, PeripheralId)>) {
        self.unsettled = members;
    }

    /// For closing: a gateway that is not fixed, if there is one, and members of the group on record
    /// there, by id from where the last page ended, at most a page of them. They are loaded with
    /// [`load_members`](Self::load_members) too, as far as they are members of the request.
    pub fn load_on_record(&mut self, gateway: GatewayId, peripherals: Vec<PeripheralId>) {
        self.on_record = Some((gateway, peripherals));
    }

    /// What was decided.
    #[must_use]
    pub fn into_changes(self) -> Changes {
        let mut changes = self.changes;
        for (key, before, now) in self.peripherals.into_changed() {
            changes.place(&key, before.as_ref(), now.as_ref());
            changes.peripherals.push(Put { key, is_new: before.is_none(), row: now });
        }
        changes.groups.retain(|_, delta| *delta != GroupDelta::default());
        changes.requests = puts(self.requests);
        changes.request_gateways = puts(self.request_gateways);
        let members = self.members.into_iter().map(|(part, members)| (part, members.into_puts()));
        changes.members = members.filter(|(_, puts)| !puts.is_empty()).collect();
        changes.schedules = puts(self.schedules);
        changes.nestings = puts(self.nestings);
        changes
    }
}

/// What procedures do.
impl Work {
    pub(super) fn changes(&mut self) -> &mut Changes {
        &mut self.changes
    }

    pub(super) fn tell(&mut self, application: &ApplicationId, event: Event) {
        self.changes.events.push((application.clone(), event));
    }

    pub(super) fn send(&mut self, gateway: &GatewayId, entry: DownEntry) {
        *self.down_added.entry(gateway.clone()).or_default() += 1;
        self.changes.down.push((gateway.clone(), entry));
    }

    /// The groups that a group contains.
    pub(super) fn contained(&self, application: &ApplicationId, group: &GroupId) -> BTreeSet<GroupId> {
        self.contained.get(&(application.clone(), group.clone())).cloned().unwrap_or_default()
    }

    /// The gateways with allocations in a group or in one that it contains.
    pub(super) fn gateways_of(&self, application: &ApplicationId, group: &GroupId) -> BTreeSet<GatewayId> {
        let contained = self.contained(application, group);
        let whole = std::iter::once(group).chain(&contained);
        whole.flat_map(|group| self.gateways_in(application, group)).cloned().collect()
    }

    /// The gateways with allocations in a group itself.
    pub(super) fn gateways_in(&self, application: &ApplicationId, group: &GroupId) -> impl Iterator<Item = &GatewayId> {
        let counts = self.groups.get(&(application.clone(), group.clone())).into_iter().flatten();
        counts.filter(|(_, count)| count.allocated > 0).map(|(gateway, _)| gateway)
    }

    /// Whether the down log of a gateway that is there takes one more entry.
    pub(super) fn has_room(&self, gateway: &GatewayId) -> bool {
        let added = self.down_added.get(gateway).copied().unwrap_or_default();
        self.gateways.get(gateway).is_some_and(|row| row.has_room(added))
    }
}

impl Changes {
    /// Whether there is nothing to write.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.up_applied.is_none()
            && self.applications.is_empty()
            && self.peripherals.is_empty()
            && self.submitted.is_empty()
            && self.requests.is_empty()
            && self.request_gateways.is_empty()
            && self.members.is_empty()
            && self.idempotency.is_none()
            && self.schedules.is_empty()
            && self.nestings.is_empty()
            && self.strangers.is_empty()
            && self.adopted.is_empty()
            && self.events.is_empty()
            && self.down.is_empty()
    }

    /// Works out what a changed peripheral means for the groups.
    fn place(&mut self, key: &PeripheralKey, before: Option<&PeripheralRow>, now: Option<&PeripheralRow>) {
        let mut places: BTreeMap<ApplicationGroup, (Option<GroupCount>, Option<GroupCount>)> = BTreeMap::new();
        for (group, share) in shares(before) {
            places.entry(group).or_default().0 = Some(share);
        }
        for (group, share) in shares(now) {
            places.entry(group).or_default().1 = Some(share);
        }
        for (group, (before, now)) in places {
            if before == now {
                continue;
            }
            let delta = self.groups.entry((group.clone(), key.0.clone())).or_default();
            delta.add(before.unwrap_or_default(), -1);
            delta.add(now.unwrap_or_default(), 1);
            let place = |share: Option<GroupCount>| share.map(|share| (share.allocated, share.members));
            if place(before) != place(now) {
                self.memberships.push(Membership { peripheral: key.clone(), group, share: now });
            }
        }
    }
}

fn shares(row: Option<&PeripheralRow>) -> Vec<(ApplicationGroup, GroupCount)> {
    let of = |row: &PeripheralRow| {
        let shares = row.shares().into_iter();
        shares.map(|(group, share)| ((row.application.clone(), group.clone()), share)).collect()
    };
    row.map(of).unwrap_or_default()
}

fn puts<K: Ord, V: Clone + PartialEq>(table: Table<K, V>) -> Vec<Put<K, V>> {
    table.into_changed().map(|(key, before, now)| Put { key, is_new: before.is_none(), row: now }).collect()
}

/// Rows by key: those that were loaded, as they were and as they are to be.
#[derive(Debug)]
pub(super) struct Table<K, V>(BTreeMap<K, Slot<V>>);

#[derive(Debug)]
struct Slot<V> {
    now: Option<V>,
    /// What it was, from the first change on.
    before: Option<Option<V>>,
}

impl<K, V> Default for Table<K, V> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<K: Ord, V: Clone + PartialEq> Table<K, V> {
    fn load(&mut self, key: K, row: Option<V>) {
        self.0.insert(key, Slot { now: row, before: None });
    }

    pub(super) fn get(&self, key: &K) -> Option<&V> {
        self.0.get(key).expect("a procedure's needs name every row that it reads").now.as_ref()
    }

    /// The row, to be changed.
    pub(super) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        let slot = self.0.get_mut(key).expect("a procedure's needs name every row that it changes");
        let row = slot.now.as_mut()?;
        slot.before.get_or_insert_with(|| Some(row.clone()));
        Some(row)
    }

    pub(super) fn put(&mut self, key: K, row: V) {
        self.set(key, Some(row));
    }

    pub(super) fn remove(&mut self, key: K) {
        self.set(key, None);
    }

    fn set(&mut self, key: K, row: Option<V>) {
        let slot = self.0.entry(key).or_insert(Slot { now: None, before: None });
        slot.before.get_or_insert_with(|| slot.now.take());
        slot.now = row;
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.0.iter().filter_map(|(key, slot)| Some((key, slot.now.as_ref()?)))
    }

    /// What is not as it was: the key, the row as it was, and as it is to be.
    fn into_changed(self) -> impl Iterator<Item = (K, Option<V>, Option<V>)> {
        self.0.into_iter().filter_map(|(key, slot)| {
            let before = slot.before?;
            (before != slot.now).then_some((key, before, slot.now))
        })
    }
}
