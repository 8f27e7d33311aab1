//! The rules on rows in memory.

mod foresight;
mod nesting;
mod operations;
mod progress;
mod registering;
mod requesting;
mod scheduling;

use std::collections::BTreeMap;
use std::time::Duration;

use super::*;
use crate::{
    Activation, AllocationNotice, ApplicationId, Content, Deregistered, Description, DownEntry, EndCause, Event,
    Evidence, GatewayId, GroupId, InitialState, LateJoiners, MemberOutcome, Operation, Origin, Outcome, Pacing,
    PeripheralId, Presence, PresenceChanged, Priority, Protocol, Receipt, RegistrationAsked, RegistrationId, RequestId,
    Sleepers, StopCause, Time, UpEntry, Verdict, Wakes,
};

fn at(seconds: u64) -> Time {
    Time::from_millis(1_000_000 + seconds * 1_000)
}

fn gateway(text: &str) -> GatewayId {
    text.parse().expect("a gateway id")
}

fn peripheral(text: &str) -> PeripheralId {
    text.parse().expect("a peripheral id")
}

fn application() -> ApplicationId {
    "metering".parse().expect("an application id")
}

fn group(text: &str) -> GroupId {
    text.parse().expect("a group id")
}

fn groups(texts: &[&str]) -> std::collections::BTreeSet<GroupId> {
    texts.iter().map(|text| group(text)).collect()
}

fn allocated(name: &str, in_groups: &[&str]) -> UpEntry {
    UpEntry::Allocated(AllocationNotice {
        peripheral: peripheral(name),
        application: application(),
        groups: groups(in_groups),
        initial_state: InitialState::Allocated,
        labels: BTreeMap::new(),
        origin: Origin::Platform,
        wakes: None,
    })
}

fn asked(name: &str, registration: u64, in_groups: &[&str]) -> UpEntry {
    let asked = RegistrationAsked {
        peripheral: peripheral(name),
        registration: RegistrationId::new(registration),
        groups: groups(in_groups),
        evidence: Evidence::default(),
        description: Description {
            protocol: Protocol::Mqtt5,
            address: "192.0.2.1:5000".into(),
            lifetime: Duration::from_secs(60),
            objects: String::new(),
        },
    };
    UpEntry::RegistrationAsked { application: application(), asked }
}

fn present(name: &str, registration: u64, in_groups: &[&str], presence: Presence) -> UpEntry {
    let changed = PresenceChanged {
        peripheral: peripheral(name),
        registration: RegistrationId::new(registration),
        groups: groups(in_groups),
        presence,
        at: at(1),
    };
    UpEntry::PresenceChanged { application: application(), changed }
}

fn deregistered(name: &str, registration: u64, cause: EndCause) -> UpEntry {
    let ended = Deregistered {
        peripheral: peripheral(name),
        registration: RegistrationId::new(registration),
        groups: groups(&["east"]),
        cause,
        at: at(2),
    };
    UpEntry::Deregistered { application: application(), ended }
}

fn members_fixed(request: RequestId, names: &[&str], is_last: bool) -> UpEntry {
    UpEntry::MembersFixed { request, members: names.iter().map(|name| peripheral(name)).collect(), is_last }
}

fn receipts(request: RequestId, outcomes: &[(&str, Outcome)]) -> UpEntry {
    let receipt = |(name, outcome): &(&str, Outcome)| MemberOutcome {
        peripheral: peripheral(name),
        outcome: outcome.clone(),
        at: at(3),
        seen: Vec::new(),
    };
    UpEntry::Receipts { request, receipts: outcomes.iter().map(receipt).collect() }
}

fn submission(in_group: &str, id: u32) -> Submit {
    Submit {
        application: application(),
        id: RequestId::compose(at(10), id),
        idempotency_key: None,
        schedule: None,
        submitted: Submitted {
            group: group(in_group),
            operation: Operation::Message { content: Content::text("on") },
            activation: Activation::All,
            sleepers: Sleepers::Queue,
            receipt: Receipt::Delivered,
            late_joiners: LateJoiners::Exclude,
            lifespan: Duration::from_secs(60),
            priority: Priority::Normal,
            pacing: Pacing::default(),
            abort: None,
            collapse_key: None,
        },
    }
}

fn decision(at_gateway: &str, name: &str, registration: u64, verdict: Verdict) -> Decide {
    let decision = Decision {
        gateway: gateway(at_gateway),
        peripheral: peripheral(name),
        registration: RegistrationId::new(registration),
        verdict,
    };
    Decide { application: application(), decisions: vec![decision] }
}

fn yes(in_groups: &[&str]) -> Verdict {
    Verdict::Authorized { groups: groups(in_groups), lease: Duration::from_secs(60) }
}

/// What tests ask of a store besides.
impl Memory {
    /// Applies entries that follow on what was applied before.
    fn up(&mut self, gateway: &str, entries: Vec<UpEntry>) -> Applied {
        let gateway = self::gateway(gateway);
        let next = self.gateways[&gateway].up_applied + 1;
        let entries = (next..).zip(entries).collect();
        self.perform(&ApplyUp { gateway, entries }, at(1)).expect("the entries are in order")
    }

    fn forget_logs(&mut self) {
        self.events.clear();
        self.down.clear();
    }

    fn events(&self) -> Vec<Event> {
        self.events.values().cloned().collect()
    }

    fn sent_to(&self, gateway: &str) -> Vec<&DownEntry> {
        self.down.iter().filter(|((to, _), _)| to.as_str() == gateway).map(|(_, entry)| entry).collect()
    }

    fn count(&self, group: &str, gateway: &str) -> (u64, u64, u64) {
        let key = ((application(), self::group(group)), self::gateway(gateway));
        let count = self.counts.get(&key).copied().unwrap_or_default();
        (count.allocated, count.members, count.active)
    }
}

/// Two gateways; `m1` and `m2` are allocated to `east` at the first, `m3` at the second.
fn world() -> Memory {
    let mut memory = Memory::default();
    memory.add_gateway(gateway("gw1"));
    memory.add_gateway(gateway("gw2"));
    memory.up("gw1", vec![allocated("m1", &["east"]), allocated("m2", &["east", "all"])]);
    memory.up("gw2", vec![allocated("m3", &["east"])]);
    memory
}

/// The same with all three registered and active.
fn registered_world() -> Memory {
    let mut memory = world();
    memory.up("gw1", vec![present("m1", 1, &["east"], Presence::Active)]);
    memory.up("gw1", vec![present("m2", 2, &["east", "all"], Presence::Active)]);
    memory.up("gw2", vec![present("m3", 1, &["east"], Presence::Active)]);
    memory.forget_logs();
    memory
}
