//! What a platform's store keeps, in memory: the model that every real store is held against.

use std::collections::{BTreeMap, BTreeSet};

use super::rows::{
    ApplicationGroup, GatewayRow, GroupCount, IdempotencyRow, MemberKey, MemberRow, PartKey, PeripheralKey,
    PeripheralRow, RequestGatewayRow, RequestRow, RequestState,
};
use super::{
    Changes, Closing, IdempotencyKey, Membership, Needs, NestingKey, Procedure, Put, ScheduleKey, ScheduleRow,
    Submitted, Work,
};
use crate::{ApplicationId, DownEntry, Event, GatewayId, GroupId, LateJoiners, PeripheralId, RequestId, Time};

/// Keeps the rows that procedures read and change, and the logs that they append to.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Memory {
    pub(super) gateways: BTreeMap<GatewayId, GatewayRow>,
    /// The applications, with the number of the last event of each.
    pub(super) applications: BTreeMap<ApplicationId, u64>,
    pub(super) peripherals: BTreeMap<PeripheralKey, PeripheralRow>,
    pub(super) places: BTreeMap<(ApplicationGroup, PeripheralKey), GroupCount>,
    pub(super) counts: BTreeMap<(ApplicationGroup, GatewayId), GroupCount>,
    pub(super) requests: BTreeMap<RequestId, RequestRow>,
    pub(super) submitted: BTreeMap<RequestId, Submitted>,
    pub(super) request_gateways: BTreeMap<PartKey, RequestGatewayRow>,
    pub(super) members: BTreeMap<MemberKey, MemberRow>,
    pub(super) idempotency: BTreeMap<(ApplicationId, IdempotencyKey), IdempotencyRow>,
    pub(super) schedules: BTreeMap<ScheduleKey, ScheduleRow>,
    pub(super) nestings: BTreeMap<NestingKey, ()>,
    pub(super) strangers: Vec<(GatewayId, PeripheralId)>,
    pub(super) events: BTreeMap<(ApplicationId, u64), Event>,
    pub(super) down: BTreeMap<(GatewayId, u64), DownEntry>,
}

/// How a store is used.
impl Memory {
    /// Adds a gateway if it is not there.
    pub fn add_gateway(&mut self, gateway: GatewayId) {
        self.gateways.entry(gateway).or_default();
    }

    /// Performs a procedure, whose changes are written at once.
    ///
    /// # Errors
    /// If the rules refuse it; nothing has changed then.
    pub fn perform<P: Procedure>(&mut self, procedure: &P, now: Time) -> Result<P::Answer, P::Refusal> {
        let mut work = self.load(&procedure.needs());
        let answer = procedure.decide(&mut work, now)?;
        self.write(&work.into_changes(), now);
        Ok(answer)
    }

    /// A gateway has its down log on disk up to `through`; that part of it goes.
    pub fn acknowledge_down(&mut self, gateway: &GatewayId, through: u64) {
        let Some(row) = self.gateways.get_mut(gateway) else { return };
        row.down_acknowledged = row.down_acknowledged.max(through.min(row.down_last));
        let acknowledged = row.down_acknowledged;
        self.down.retain(|(of, sequence), _| of != gateway || *sequence > acknowledged);
    }

    /// Forgets the events of an application up to `through`.
    pub fn trim_events(&mut self, application: &ApplicationId, through: u64) {
        self.events.retain(|(of, sequence), _| of != application || *sequence > through);
    }
}

/// What is in it.
impl Memory {
    /// The gateways.
    #[must_use]
    pub const fn gateways(&self) -> &BTreeMap<GatewayId, GatewayRow> {
        &self.gateways
    }

    /// The peripherals.
    #[must_use]
    pub const fn peripherals(&self) -> &BTreeMap<PeripheralKey, PeripheralRow> {
        &self.peripherals
    }

    /// How many peripherals of a group are at a gateway.
    #[must_use]
    pub const fn counts(&self) -> &BTreeMap<(ApplicationGroup, GatewayId), GroupCount> {
        &self.counts
    }

    /// The group requests.
    #[must_use]
    pub const fn requests(&self) -> &BTreeMap<RequestId, RequestRow> {
        &self.requests
    }

    /// The schedules.
    #[must_use]
    pub const fn schedules(&self) -> &BTreeMap<ScheduleKey, ScheduleRow> {
        &self.schedules
    }

    /// The members of group requests.
    #[must_use]
    pub const fn members(&self) -> &BTreeMap<MemberKey, MemberRow> {
        &self.members
    }

    /// The number of the last event of an application; 0 before the first.
    #[must_use]
    pub fn event_last(&self, application: &ApplicationId) -> u64 {
        self.applications.get(application).copied().unwrap_or_default()
    }

    /// The events of an application after `after`, in order.
    pub fn events_after(&self, application: &ApplicationId, after: u64) -> impl Iterator<Item = (u64, &Event)> {
        let of_application = (application.clone(), after + 1)..=(application.clone(), u64::MAX);
        self.events.range(of_application).map(|((_, sequence), event)| (*sequence, event))
    }

    /// The entries of a gateway's down log after `after`, in order.
    pub fn down_after(&self, gateway: &GatewayId, after: u64) -> impl Iterator<Item = (u64, &DownEntry)> {
        let of_gateway = (gateway.clone(), after + 1)..=(gateway.clone(), u64::MAX);
        self.down.range(of_gateway).map(|((_, sequence), entry)| (*sequence, entry))
    }
}

/// What a procedure reads and decides.
impl Memory {
    /// The rows that a procedure needs.
    #[must_use]
    pub fn load(&self, needs: &Needs) -> Work {
        let mut work = Work::default();
        for key in &needs.gateways {
            work.load_gateway(key.clone(), self.gateways.get(key).copied());
        }
        for key in &needs.applications {
            work.load_application(key.clone(), self.applications.contains_key(key));
        }
        for key in &needs.peripherals {
            work.load_peripheral(key.clone(), self.peripherals.get(key).cloned());
        }
        for (application, peripheral) in &needs.namesakes {
            let same =
                |(key, row): &(&PeripheralKey, &PeripheralRow)| key.1 == *peripheral && row.application == *application;
            let found: Vec<_> = self.peripherals.iter().filter(same).collect();
            let gateways = found.iter().map(|(key, _)| key.0.clone()).collect();
            work.load_namesakes((application.clone(), peripheral.clone()), gateways);
            for (key, row) in found {
                work.load_peripheral(key.clone(), Some(row.clone()));
            }
        }
        self.load_groups(needs, &mut work);
        self.load_requests(needs, &mut work);
        for key in &needs.schedules {
            work.load_schedule(key.clone(), self.schedules.get(key).cloned());
        }
        if let Some(application) = &needs.schedules_of {
            work.load_schedules_of(self.schedules.keys().filter(|(of, _)| of == application).count() as u64);
        }
        work
    }

    fn load_groups(&self, needs: &Needs, work: &mut Work) {
        for key in &needs.groups {
            self.load_group(key, work);
        }
        for key in &needs.whole_groups {
            let contained = self.contained(key);
            for group in contained.iter().chain([&key.1]) {
                self.load_group(&(key.0.clone(), group.clone()), work);
            }
            work.load_contained(key.clone(), contained);
        }
        for key in self.nestings.keys().filter(|(of, ..)| needs.nestings_of.as_ref() == Some(of)) {
            work.load_nesting(key.clone());
        }
    }

    fn load_group(&self, key: &ApplicationGroup, work: &mut Work) {
        let of_group = self.counts.iter().filter(|((group, _), _)| group == key);
        let counts: BTreeMap<_, _> = of_group.map(|((_, at), count)| (at.clone(), *count)).collect();
        for gateway in counts.keys() {
            work.load_gateway(gateway.clone(), self.gateways.get(gateway).copied());
        }
        work.load_group(key.clone(), counts);
    }

    /// The groups that a group contains, near and far.
    fn contained(&self, key: &ApplicationGroup) -> BTreeSet<GroupId> {
        let mut contained = BTreeSet::new();
        let mut open = vec![key.1.clone()];
        while let Some(outer) = open.pop() {
            let inside = self.nestings.keys().filter(|(of, around, _)| *of == key.0 && *around == outer);
            open.extend(inside.map(|(.., inner)| inner.clone()).filter(|inner| contained.insert(inner.clone())));
        }
        contained
    }

    fn load_requests(&self, needs: &Needs, work: &mut Work) {
        for key in &needs.requests {
            work.load_request(*key, self.requests.get(key).cloned());
        }
        for key in &needs.request_gateways {
            work.load_request_gateway(key.clone(), self.request_gateways.get(key).cloned());
        }
        let is_abortable = |id: &&RequestId| self.requests.get(id).is_some_and(RequestRow::is_abortable);
        for request in needs.request_all_gateways.iter().chain(needs.abortable.iter().filter(is_abortable)) {
            for (key, row) in self.request_gateways.iter().filter(|((of, _), _)| of == request) {
                work.load_request_gateway(key.clone(), Some(row.clone()));
                work.load_gateway(key.1.clone(), self.gateways.get(&key.1).copied());
            }
        }
        for key in &needs.joinable {
            self.load_joinable(key, work);
        }
        for (part, peripherals) in &needs.members {
            self.load_members(part, peripherals, work);
        }
        if let Some(row) = needs.idempotency.as_ref().and_then(|key| self.idempotency.get(key)) {
            work.load_idempotency(row.clone());
        }
        if let Some(closing) = &needs.closing {
            self.load_closing(closing, work);
        }
    }

    fn load_members<'a>(
        &self,
        part: &PartKey,
        peripherals: impl IntoIterator<Item = &'a PeripheralId>,
        work: &mut Work,
    ) {
        let row = |peripheral: &PeripheralId| self.members.get(&(part.0, part.1.clone(), peripheral.clone())).cloned();
        let rows = peripherals.into_iter().map(|peripheral| (peripheral.clone(), row(peripheral)));
        work.load_members(part.clone(), rows);
    }

    fn load_joinable(&self, key: &(ApplicationId, GatewayId), work: &mut Work) {
        for (id, row) in &self.requests {
            let submitted = &self.submitted[id];
            let is_open = row.application == key.0 && row.state == RequestState::Open;
            let has_part = self.request_gateways.contains_key(&(*id, key.1.clone()));
            if is_open && submitted.late_joiners == LateJoiners::Include && !has_part {
                work.load_request(*id, Some(row.clone()));
                work.load_joinable(key.clone(), *id, submitted.clone());
            }
        }
    }

    fn load_closing(&self, closing: &Closing, work: &mut Work) {
        let Closing { request, page: limit, .. } = *closing;
        let is_next = |gateway: &GatewayId, name: &PeripheralId| {
            closing.after.as_ref().is_none_or(|(at, after)| (gateway, name) > (at, after))
        };
        let of_request = self.members.iter().filter(|((of, ..), _)| *of == request);
        let next = of_request.filter(|((_, gateway, name), _)| is_next(gateway, name));
        let waiting = next.filter(|(_, member)| member.outcome.is_none()).take(limit);
        let mut page = Vec::new();
        for (key, row) in waiting {
            let (_, gateway, peripheral) = key.clone();
            work.load_members((request, gateway.clone()), [(peripheral.clone(), Some(row.clone()))]);
            page.push((gateway, peripheral));
        }
        work.load_unsettled(page);
        let mut parts = self.request_gateways.iter().filter(|((of, _), _)| *of == request);
        let Some(((_, gateway), part)) = parts.find(|(_, part)| !part.is_fixed) else { return };
        let Some(row) = self.requests.get(&request) else { return };
        let recorded = self.places.iter().filter(|(((of, group), key), count)| {
            *of == row.application
                && (*group == row.group || row.contained.contains(group))
                && key.0 == *gateway
                && count.members > 0
                && part.recorded_to.as_ref().is_none_or(|to| key.1 > *to)
        });
        let recorded: BTreeSet<_> = recorded.map(|((_, key), _)| key.1.clone()).collect();
        let page: Vec<_> = recorded.into_iter().take(limit).collect();
        self.load_members(&(request, gateway.clone()), &page, work);
        work.load_on_record(gateway.clone(), page);
    }

    /// Writes what a procedure decided.
    pub fn write(&mut self, changes: &Changes, now: Time) {
        if let Some((gateway, applied)) = &changes.up_applied {
            self.gateways.get_mut(gateway).expect("the gateway is there").up_applied = *applied;
        }
        for application in &changes.applications {
            self.applications.entry(application.clone()).or_default();
        }
        put_all(&mut self.peripherals, &changes.peripherals);
        put_all(&mut self.schedules, &changes.schedules);
        put_all(&mut self.nestings, &changes.nestings);
        for Membership { peripheral, group, share } in &changes.memberships {
            let place = (group.clone(), peripheral.clone());
            match share {
                Some(share) => drop(self.places.insert(place, *share)),
                None => drop(self.places.remove(&place)),
            }
        }
        for (key, delta) in &changes.groups {
            let count = self.counts.entry(key.clone()).or_default();
            let add = |to: u64, delta: i64| to.checked_add_signed(delta).expect("counts never go below zero");
            count.allocated = add(count.allocated, delta.allocated);
            count.members = add(count.members, delta.members);
            count.active = add(count.active, delta.active);
        }
        self.submitted.extend(changes.submitted.iter().cloned());
        put_all(&mut self.requests, &changes.requests);
        put_all(&mut self.request_gateways, &changes.request_gateways);
        for ((request, gateway), puts) in &changes.members {
            let key = |peripheral: &PeripheralId| (*request, gateway.clone(), peripheral.clone());
            let puts = puts.iter().map(|Put { key: peripheral, is_new, row }| Put {
                key: key(peripheral),
                is_new: *is_new,
                row: row.clone(),
            });
            put_all(&mut self.members, &puts.collect::<Vec<_>>());
        }
        if let Some((application, key, request)) = &changes.idempotency {
            let row = IdempotencyRow { request: *request, at: now, submitted: self.submitted[request].clone() };
            self.idempotency.insert((application.clone(), key.clone()), row);
        }
        for (gateway, stranger) in &changes.strangers {
            self.strangers.push((gateway.clone(), stranger.peripheral.clone()));
        }
        self.strangers.retain(|stranger| !changes.adopted.contains(stranger));
        self.append(changes);
    }

    fn append(&mut self, changes: &Changes) {
        for (application, event) in &changes.events {
            let last = self.applications.get_mut(application).expect("the application is there");
            *last += 1;
            self.events.insert((application.clone(), *last), event.clone());
        }
        for (gateway, entry) in &changes.down {
            let row = self.gateways.get_mut(gateway).expect("the gateway is there");
            row.down_last += 1;
            self.down.insert((gateway.clone(), row.down_last), entry.clone());
        }
    }
}

fn put_all<K: Ord + Clone, V: Clone>(rows: &mut BTreeMap<K, V>, puts: &[Put<K, V>]) {
    for Put { key, row, is_new } in puts {
        assert_eq!(*is_new, !rows.contains_key(key), "what was loaded is what is there");
        match row {
            Some(row) => drop(rows.insert(key.clone(), row.clone())),
            None => drop(rows.remove(key)),
        }
    }
}
