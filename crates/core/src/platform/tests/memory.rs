//! A store of rows in memory, which the rules are tested on.

use std::collections::BTreeMap;

use super::*;
use crate::platform::rows::{GroupCount, IdempotencyRow, MemberRow};

#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Memory {
    pub(super) gateways: BTreeMap<GatewayId, GatewayRow>,
    pub(super) applications: BTreeMap<ApplicationId, ()>,
    pub(super) peripherals: BTreeMap<PeripheralKey, PeripheralRow>,
    pub(super) places: BTreeMap<(ApplicationGroup, PeripheralKey), GroupCount>,
    pub(super) counts: BTreeMap<(ApplicationGroup, GatewayId), GroupCount>,
    pub(super) requests: BTreeMap<RequestId, RequestRow>,
    pub(super) submitted: BTreeMap<RequestId, Submitted>,
    pub(super) request_gateways: BTreeMap<(RequestId, GatewayId), RequestGatewayRow>,
    pub(super) members: BTreeMap<MemberKey, MemberRow>,
    pub(super) idempotency: BTreeMap<(ApplicationId, IdempotencyKey), IdempotencyRow>,
    pub(super) schedules: BTreeMap<ScheduleKey, ScheduleRow>,
    pub(super) strangers: Vec<(GatewayId, PeripheralId)>,
    pub(super) events: Vec<Event>,
    pub(super) down: Vec<(GatewayId, DownEntry)>,
}

impl Memory {
    pub(super) fn add_gateway(&mut self, gateway: GatewayId) {
        self.gateways.insert(gateway, GatewayRow::default());
    }

    /// Applies entries that follow on what was applied before.
    pub(super) fn up(&mut self, gateway: &str, entries: Vec<UpEntry>) -> Applied {
        let gateway = super::gateway(gateway);
        let next = self.gateways[&gateway].up_applied + 1;
        let entries = (next..).zip(entries).collect();
        self.perform(&ApplyUp { gateway, entries }, at(1)).expect("the entries are in order")
    }

    pub(super) fn perform<P: Procedure>(&mut self, procedure: &P, now: Time) -> Result<P::Answer, P::Refusal> {
        let mut work = self.load(&procedure.needs());
        let answer = procedure.decide(&mut work, now)?;
        self.write(work.into_changes(), now);
        Ok(answer)
    }

    pub(super) fn forget_logs(&mut self) {
        self.events.clear();
        self.down.clear();
    }

    pub(super) fn sent_to(&self, gateway: &str) -> Vec<&DownEntry> {
        self.down.iter().filter(|(to, _)| to.as_str() == gateway).map(|(_, entry)| entry).collect()
    }

    pub(super) fn count(&self, group: &str, gateway: &str) -> (u64, u64, u64) {
        let key = ((application(), super::group(group)), super::gateway(gateway));
        let count = self.counts.get(&key).copied().unwrap_or_default();
        (count.allocated, count.members, count.active)
    }

    fn load(&self, needs: &Needs) -> Work {
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
        for key in &needs.groups {
            let of_group = self.counts.iter().filter(|((group, _), _)| group == key);
            let counts: BTreeMap<_, _> = of_group.map(|((_, at), count)| (at.clone(), *count)).collect();
            for gateway in counts.keys() {
                work.load_gateway(gateway.clone(), self.gateways.get(gateway).copied());
            }
            work.load_group(key.clone(), counts);
        }
        self.load_requests(needs, &mut work);
        for key in &needs.schedules {
            work.load_schedule(key.clone(), self.schedules.get(key).cloned());
        }
        if let Some(application) = &needs.schedules_of {
            work.load_schedules_of(self.schedules.keys().filter(|(of, _)| of == application).count() as u64);
        }
        work
    }

    fn load_requests(&self, needs: &Needs, work: &mut Work) {
        for key in &needs.requests {
            work.load_request(*key, self.requests.get(key).cloned());
        }
        for key in &needs.request_gateways {
            work.load_request_gateway(key.clone(), self.request_gateways.get(key).cloned());
        }
        for request in &needs.request_all_gateways {
            for (key, row) in self.request_gateways.iter().filter(|((of, _), _)| of == request) {
                work.load_request_gateway(key.clone(), Some(row.clone()));
                work.load_gateway(key.1.clone(), self.gateways.get(&key.1).copied());
            }
        }
        for key in &needs.members {
            work.load_member(key.clone(), self.members.get(key).cloned());
        }
        if let Some(row) = needs.idempotency.as_ref().and_then(|key| self.idempotency.get(key)) {
            work.load_idempotency(row.clone());
        }
        if let Some(closing) = &needs.closing {
            self.load_closing(closing, work);
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
            work.load_member(key.clone(), Some(row.clone()));
            page.push((key.1.clone(), key.2.clone()));
        }
        work.load_unsettled(page);
        let mut parts = self.request_gateways.iter().filter(|((of, _), _)| *of == request);
        let Some(((_, gateway), part)) = parts.find(|(_, part)| !part.is_fixed) else { return };
        let Some(row) = self.requests.get(&request) else { return };
        let group = (row.application.clone(), row.group.clone());
        let recorded = self.places.iter().filter(|((in_group, key), count)| {
            *in_group == group
                && key.0 == *gateway
                && count.members > 0
                && part.recorded_to.as_ref().is_none_or(|to| key.1 > *to)
        });
        let page: Vec<_> = recorded.map(|((_, key), _)| key.1.clone()).take(limit).collect();
        for member in &page {
            let key = (request, gateway.clone(), member.clone());
            work.load_member(key.clone(), self.members.get(&key).cloned());
        }
        work.load_on_record(gateway.clone(), page);
    }

    fn write(&mut self, changes: Changes, now: Time) {
        if let Some((gateway, applied)) = changes.up_applied {
            self.gateways.get_mut(&gateway).expect("the gateway is there").up_applied = applied;
        }
        self.applications.extend(changes.applications.into_iter().map(|application| (application, ())));
        put_all(&mut self.peripherals, changes.peripherals);
        put_all(&mut self.schedules, changes.schedules);
        for Membership { peripheral, group, share } in changes.memberships {
            match share {
                Some(share) => drop(self.places.insert((group, peripheral), share)),
                None => drop(self.places.remove(&(group, peripheral))),
            }
        }
        for (key, delta) in changes.groups {
            let count = self.counts.entry(key).or_default();
            let add = |to: u64, delta: i64| to.checked_add_signed(delta).expect("counts never go below zero");
            count.allocated = add(count.allocated, delta.allocated);
            count.members = add(count.members, delta.members);
            count.active = add(count.active, delta.active);
        }
        self.submitted.extend(changes.submitted);
        put_all(&mut self.requests, changes.requests);
        put_all(&mut self.request_gateways, changes.request_gateways);
        put_all(&mut self.members, changes.members);
        if let Some((application, key, request)) = changes.idempotency {
            let row = IdempotencyRow { request, at: now, submitted: self.submitted[&request].clone() };
            self.idempotency.insert((application, key), row);
        }
        for (gateway, stranger) in changes.strangers {
            self.strangers.push((gateway, stranger.peripheral));
        }
        self.strangers.retain(|stranger| !changes.adopted.contains(stranger));
        self.events.extend(changes.events.into_iter().map(|(_, event)| event));
        for (gateway, entry) in changes.down {
            self.gateways.get_mut(&gateway).expect("the gateway is there").down_last += 1;
            self.down.push((gateway, entry));
        }
    }
}

fn put_all<K: Ord, V>(rows: &mut BTreeMap<K, V>, puts: Vec<Put<K, V>>) {
    for Put { key, row, is_new } in puts {
        assert_eq!(is_new, !rows.contains_key(&key));
        match row {
            Some(row) => drop(rows.insert(key, row)),
            None => drop(rows.remove(&key)),
        }
    }
}
