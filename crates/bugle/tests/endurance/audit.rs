//! What was promised is held against what everybody saw, and against the stores.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use bugle_api::{EventQuery, PAGE_MAX};
use bugle_core::application::Standing;
use bugle_core::{Event, GatewayId, OutcomeKind, PeripheralId, RegistrationId, RequestId};
use bugle_load::Delivery;
use bugle_store::application::ApplicationStore;
use bugle_store::gateway::GatewayStore;
use bugle_store::platform::PlatformStore;
use bugle_store::sqlite::look_through;
use serde_json::Value;
use tokio::runtime::Handle;

use super::fleet::Fleet;
use super::ledger::{Entry, Ledger};
use super::system::{System, app};
use super::trouble::Toll;
use super::witness::Seen;
use super::work::Accepted;

/// A member of a request.
type MemberKey = (RequestId, PeripheralId);

/// What the platform says, and what the application was told.
#[derive(Debug, Default)]
pub(crate) struct Books {
    /// The outcomes of every member of every request, as they are listed.
    members: BTreeMap<MemberKey, Vec<Option<OutcomeKind>>>,
    /// How often the event log says that a request was accepted, and that it has ended.
    accepted: BTreeMap<RequestId, u64>,
    completed: BTreeMap<RequestId, u64>,
    /// How often it tells of the outcome of a member.
    receipts: BTreeMap<MemberKey, u64>,
    /// How often it has a report.
    reports: BTreeMap<(PeripheralId, u32), u64>,
}

impl Books {
    pub(crate) async fn read(system: &System, accepted: &[Accepted]) -> Self {
        let mut books = Self::default();
        for request in accepted {
            for member in system.outcomes(request.id).await {
                let outcome = member.outcome.as_ref().map(bugle_core::Outcome::kind);
                books.members.entry((request.id, member.peripheral)).or_default().push(outcome);
            }
        }
        let mut after = 0;
        loop {
            let query = EventQuery { after: Some(after), kinds: None, limit: Some(PAGE_MAX) };
            let page = system.client.events(&app(), &query).await.expect("the events are listed");
            if page.items.is_empty() {
                return books;
            }
            after = page.next_after;
            page.items.into_iter().for_each(|record| books.enter(record.event));
        }
    }

    fn enter(&mut self, event: Event) {
        match event {
            Event::RequestAccepted { request, .. } => *self.accepted.entry(request).or_default() += 1,
            Event::RequestCompleted { request, .. } => *self.completed.entry(request).or_default() += 1,
            Event::Receipts { request, receipts, .. } => {
                for receipt in receipts {
                    *self.receipts.entry((request, receipt.peripheral)).or_default() += 1;
                }
            }
            Event::Report { report, .. } => {
                let number = number_in(&report.content.bytes).expect("every report has a number");
                *self.reports.entry((report.peripheral, number)).or_default() += 1;
            }
            _ => {}
        }
    }
}

/// The number that a report carries: by itself, or as the value of a SenML record (RFC 8428 §4).
fn number_in(bytes: &[u8]) -> Option<u32> {
    match serde_json::from_slice(bytes).ok()? {
        Value::Array(records) => records.iter().find_map(|record| record["v"].as_f64()).map(|value| value as u32),
        number => number.as_u64().and_then(|number| number.try_into().ok()),
    }
}

/// All that is compared.
pub(crate) struct Evidence<'e> {
    pub(crate) fleet: &'e Fleet,
    pub(crate) accepted: &'e [Accepted],
    pub(crate) seen: &'e [Seen],
    pub(crate) toll: &'e Toll,
    pub(crate) books: &'e Books,
}

pub(crate) fn compare(evidence: &Evidence<'_>) -> Ledger {
    let mut ledger = Ledger::default();
    ledger.enter(evidence.requests());
    ledger.enter(evidence.members());
    ledger.enter(evidence.receipts());
    ledger.enter(evidence.served());
    ledger.enter(evidence.answers());
    ledger.enter(evidence.novelty());
    ledger.enter(evidence.order());
    evidence.reports(&mut ledger);
    let kinds: BTreeMap<_, _> = evidence.fleet.members.iter().map(|member| (&member.id, member.kind)).collect();
    for ((_, peripheral), outcomes) in &evidence.books.members {
        outcomes.iter().flatten().for_each(|outcome| ledger.count(kinds[peripheral], *outcome));
    }
    let total = |count: fn(&Seen) -> u64| evidence.seen.iter().map(count).sum::<u64>();
    ledger.tell("peripherals", evidence.seen.len());
    ledger.tell("retransmissions that MQTT peripherals recognised", total(|seen| seen.retransmissions));
    ledger.tell("reports made", total(|seen| seen.reports_made.into()));
    for (fault, count) in &evidence.toll.faults {
        ledger.tell(*fault, count);
    }
    for (victim, count) in &evidence.toll.ended {
        ledger.tell(format!("ended by itself and started again: {victim:?}"), count);
    }
    ledger
}

/// Who is not there although nothing is in the way any more, and what it has seen last.
pub(crate) fn attendance(evidence: &Evidence<'_>, missing: &[String], ledger: &mut Ledger) {
    let mut entry = Entry::new("who may be registered is");
    for (member, seen) in evidence.fleet.members.iter().zip(evidence.seen) {
        entry.made += 1;
        if missing.iter().any(|id| id == member.id.as_str()) {
            entry.lost.add(format_args!("{}: {:?}", member.id, seen.last_happenings));
        }
    }
    ledger.enter(entry);
}

impl Evidence<'_> {
    fn requests(&self) -> Entry {
        let mut entry = Entry::new("a submission that was accepted is one request, which ends");
        for request in self.accepted {
            entry.made += 1;
            match self.books.completed.get(&request.id) {
                None => entry.lost.add(format_args!("{} has not ended", request.id)),
                Some(1) => {}
                Some(count) => entry.twice.add(format_args!("{} has ended {count} times", request.id)),
            }
        }
        let known: BTreeSet<RequestId> = self.accepted.iter().map(|request| request.id).collect();
        for (id, count) in &self.books.accepted {
            if !known.contains(id) || *count > 1 {
                entry.twice.add(format_args!("{id} came of a submission that was sent again"));
            }
        }
        entry
    }

    fn members(&self) -> Entry {
        let mut entry = Entry::new("a member of a request has one outcome");
        for ((request, peripheral), outcomes) in &self.books.members {
            entry.made += 1;
            match outcomes[..] {
                [Some(_)] => {}
                [None] => entry.lost.add(format_args!("{peripheral} has no outcome of {request}")),
                _ => entry.twice.add(format_args!("{peripheral} is a member of {request} more than once")),
            }
        }
        entry
    }

    fn receipts(&self) -> Entry {
        let mut entry = Entry::new("an outcome is told to the application once");
        for (request, peripheral) in self.books.members.keys() {
            entry.made += 1;
            match self.books.receipts.get(&(*request, peripheral.clone())) {
                None => entry.lost.add(format_args!("{request}, {peripheral}")),
                Some(1) => {}
                Some(count) => entry.twice.add(format_args!("{request}, {peripheral}: {count} times")),
            }
        }
        entry
    }

    fn served(&self) -> Entry {
        let mut entry = Entry::new("who counts as served has seen the request");
        let saw: BTreeSet<(RequestId, &PeripheralId)> = self.sightings().collect();
        for ((request, peripheral), outcomes) in &self.books.members {
            if is_served(outcomes) {
                entry.made += 1;
                if !saw.contains(&(*request, peripheral)) {
                    entry.lost.add(format_args!("{peripheral} has never seen {request}"));
                }
            }
        }
        entry
    }

    /// An answer counts if it came well before the deadline of a request that nobody tried to stop, unless the
    /// peripheral has left: it may have said so before it answered.
    fn answers(&self) -> Entry {
        let mut entry = Entry::new("who was told that its answer is taken counts as served");
        let requests: BTreeMap<RequestId, &Accepted> =
            self.accepted.iter().map(|request| (request.id, request)).collect();
        for (member, seen) in self.fleet.members.iter().zip(self.seen) {
            for (id, at) in &seen.answered {
                let Some(request) = requests.get(id).filter(|request| !request.is_cancelled) else { continue };
                if *at > request.at + request.deadline / 2 {
                    continue;
                }
                entry.made += 1;
                let outcomes = self.books.members.get(&(*id, member.id.clone()));
                if !outcomes.is_some_and(|outcomes| is_served(outcomes) || *outcomes == [Some(OutcomeKind::Left)]) {
                    entry.lost.add(format_args!("{} has answered {id}, which is {outcomes:?}", member.id));
                }
            }
        }
        entry
    }

    fn novelty(&self) -> Entry {
        let mut entry = Entry::new("a request is new to a peripheral once");
        for (member, seen) in self.fleet.members.iter().zip(self.seen) {
            let mut known = BTreeSet::new();
            for (request, delivery) in &seen.requests {
                entry.made += u64::from(*delivery == Delivery::First);
                if !known.insert(request) {
                    entry.twice.add(format_args!("{} got {request} again, {delivery:?}", member.id));
                }
            }
        }
        entry
    }

    fn order(&self) -> Entry {
        let mut entry = Entry::new("requests come in the order of acceptance");
        let places: BTreeMap<RequestId, usize> =
            self.accepted.iter().enumerate().map(|(place, request)| (request.id, place)).collect();
        for (member, seen) in self.fleet.members.iter().zip(self.seen) {
            let mut latest = None;
            for (request, delivery) in &seen.requests {
                let place = places.get(request);
                entry.made += 1;
                if *delivery == Delivery::First && place < latest {
                    entry.lost.add(format_args!("{} got {request} after a later one", member.id));
                }
                latest = latest.max(place);
            }
        }
        entry
    }

    /// Quality of service 1 and CoAP both let a sender that has heard nothing send again, and a gateway that died
    /// meanwhile cannot know.
    fn reports(&self, ledger: &mut Ledger) {
        let mut entry = Entry::new("a report that a gateway has taken is told to the application once");
        let mut sent_again = 0;
        for (member, seen) in self.fleet.members.iter().zip(self.seen) {
            for report in &seen.reports {
                entry.made += 1;
                let count = self.books.reports.get(&(member.id.clone(), report.number)).copied().unwrap_or_default();
                let may_repeat =
                    report.is_interrupted || self.toll.has_lapsed(member.gateway, report.made, report.taken);
                match count {
                    0 => entry.lost.add(format_args!("report {} of {}", report.number, member.id)),
                    1 => {}
                    _ if may_repeat => sent_again += 1,
                    _ => entry.twice.add(format_args!("report {} of {}: {count} times", report.number, member.id)),
                }
            }
        }
        ledger.enter(entry);
        ledger.tell("reports that came again because their acknowledgement was lost", sent_again);
    }

    fn sightings(&self) -> impl Iterator<Item = (RequestId, &PeripheralId)> {
        let members = self.fleet.members.iter().zip(self.seen);
        members.flat_map(|(member, seen)| seen.requests.iter().map(move |(request, _)| (*request, &member.id)))
    }
}

fn is_served(outcomes: &[Option<OutcomeKind>]) -> bool {
    outcomes.iter().flatten().any(|kind| matches!(kind, OutcomeKind::Executed | OutcomeKind::Delivered))
}

/// A registration: where, whose, and its number.
type Registered = BTreeSet<(GatewayId, PeripheralId, RegistrationId)>;

/// Opens the stores of all parts, none of which runs any more, and holds them against each other.
pub(crate) fn stores(system: &System, ledger: &mut Ledger) {
    let file = |name: &str| system.folder.path().join(name);
    let platform_file = file("platform/platform.db");
    let application_file = file("application/application.db");
    let gateway_files: BTreeMap<GatewayId, PathBuf> = system
        .gateways
        .keys()
        .map(|id| (id.parse().expect("a gateway id"), file(&format!("{id}-data/gateway.db"))))
        .collect();
    let mut sound = Entry::new("a store is sound");
    for path in [&platform_file, &application_file].into_iter().chain(gateway_files.values()) {
        sound.made += 1;
        if let Err(error) = look_through(path) {
            sound.lost.add(error);
        }
    }
    ledger.enter(sound);

    let platform = PlatformStore::open(&platform_file).expect("the platform's store opens");
    let application = ApplicationStore::open(&application_file, &app()).expect("the application's store opens");
    let restored = Handle::current().block_on(application.restore());
    let recorded = restored.expect("the application's store is read").recorded;
    let mut logs = Entry::new("what a part has applied, the part before has on disk; nothing is left over");
    let mut at_gateways = Registered::new();
    for (id, path) in &gateway_files {
        let (_store, kept) = GatewayStore::open(path).expect("the gateway's store opens");
        let record = platform.gateway(id).wait().expect("the platform's store is read").expect("it is known");
        logs.made += 3;
        if record.logs.up_applied > kept.up_last {
            logs.lost.add(format_args!("{id}: up log {} of {}", kept.up_last, record.logs.up_applied));
        }
        if kept.down_applied > record.logs.down_last {
            logs.lost.add(format_args!("{id}: down log {} of {}", record.logs.down_last, kept.down_applied));
        }
        for left in &kept.requests {
            logs.lost.add(format_args!("{id} still has request {}", left.request.id));
        }
        let names: BTreeMap<_, _> =
            kept.allocations.iter().map(|stored| (stored.slot, &stored.allocation.peripheral)).collect();
        let registered = kept.registrations.iter();
        at_gateways.extend(registered.map(|(slot, stored)| (id.clone(), names[slot].clone(), stored.id)));
    }
    let events = platform.application(&app()).wait().expect("it is read").expect("the application is known");
    logs.made += 1;
    if recorded.cursor > events.event_last {
        logs.lost.add(format_args!("event log {} of {}", events.event_last, recorded.cursor));
    }
    ledger.enter(logs);

    let members = recorded.registrations.into_iter().filter_map(|(peripheral, registration)| {
        matches!(registration.standing, Standing::Member(_)).then_some((
            registration.gateway,
            peripheral,
            registration.id,
        ))
    });
    let at_application: Registered = members.collect();
    let present = platform.snapshot(&app(), 0, u32::MAX).wait().expect("it is read").expect("it is known").1;
    let at_platform: Registered = present
        .into_iter()
        .filter_map(|(_, ((gateway, peripheral), row))| Some((gateway, peripheral, row.registration?)))
        .collect();
    ledger.enter(agreement("gateway and platform have the same registrations", &at_gateways, &at_platform));
    ledger.enter(agreement("gateway and group configuration have the same members", &at_gateways, &at_application));
}

fn agreement(promise: &'static str, at_gateways: &Registered, elsewhere: &Registered) -> Entry {
    let mut entry = Entry::new(promise);
    entry.made = at_gateways.len() as u64;
    at_gateways.difference(elsewhere).for_each(|known| entry.lost.add(format_args!("{known:?}, only at the gateway")));
    elsewhere.difference(at_gateways).for_each(|known| entry.twice.add(format_args!("{known:?}, not at the gateway")));
    entry
}
