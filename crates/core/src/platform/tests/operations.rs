//! Any order of procedures keeps the rows in step with each other.

use proptest::prelude::*;

use super::*;
use crate::platform::rows::GroupCount;

#[derive(Debug, Clone)]
enum Step {
    Up { gateway: &'static str, entries: Vec<Small> },
    Decide { gateway: &'static str, name: &'static str, registration: u64, verdict: Verdict },
    Submit { group: &'static str },
    Cancel { request: usize },
    Close { request: usize, seconds: u64 },
}

/// An up entry, of which the request is named by the order of submission.
#[derive(Debug, Clone)]
enum Small {
    Entry(UpEntry),
    Fixed { request: usize, names: Vec<&'static str>, is_last: bool },
    Receipts { request: usize, names: Vec<&'static str>, outcome: Outcome },
}

const GATEWAYS: [&str; 2] = ["gw1", "gw2"];
const NAMES: [&str; 3] = ["m1", "m2", "m3"];
const GROUPS: [&str; 2] = ["east", "all"];
const REQUESTS: usize = 3;

fn name() -> impl Strategy<Value = &'static str> {
    prop::sample::select(&NAMES[..])
}

fn some_groups() -> impl Strategy<Value = Vec<&'static str>> {
    prop::sample::subsequence(&GROUPS[..], 1..=GROUPS.len())
}

fn presence() -> impl Strategy<Value = Presence> {
    prop_oneof![
        Just(Presence::Active),
        Just(Presence::Activating { next_wake: None }),
        Just(Presence::Standby { next_wake: None })
    ]
}

fn small() -> impl Strategy<Value = Small> {
    let names = || prop::collection::vec(name(), 0..4);
    let outcome = prop_oneof![Just(Outcome::Delivered), Just(Outcome::Left), Just(Outcome::Cancelled)];
    prop_oneof![
        3 => (name(), some_groups()).prop_map(|(name, groups)| Small::Entry(allocated(name, &groups))),
        1 => name().prop_map(|name| {
            Small::Entry(UpEntry::Removed { peripheral: peripheral(name), application: application() })
        }),
        2 => (name(), 1_u64..6, some_groups()).prop_map(|(name, id, groups)| Small::Entry(asked(name, id, &groups))),
        4 => (name(), 1_u64..6, some_groups(), presence())
            .prop_map(|(name, id, groups, presence)| Small::Entry(present(name, id, &groups, presence))),
        2 => (name(), 1_u64..6).prop_map(|(name, id)| Small::Entry(deregistered(name, id, EndCause::Peripheral))),
        2 => (0..REQUESTS, names(), any::<bool>())
            .prop_map(|(request, names, is_last)| Small::Fixed { request, names, is_last }),
        3 => (0..REQUESTS, names(), outcome)
            .prop_map(|(request, names, outcome)| Small::Receipts { request, names, outcome }),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let gateway = || prop::sample::select(&GATEWAYS[..]);
    let verdict = prop_oneof![Just(yes(&["east"])), Just(Verdict::Refused { reason: String::new() })];
    prop_oneof![
        6 => (gateway(), prop::collection::vec(small(), 1..5))
            .prop_map(|(gateway, entries)| Step::Up { gateway, entries }),
        2 => (gateway(), name(), 1_u64..6, verdict)
            .prop_map(|(gateway, name, registration, verdict)| Step::Decide { gateway, name, registration, verdict }),
        2 => prop::sample::select(&GROUPS[..]).prop_map(|group| Step::Submit { group }),
        1 => (0..REQUESTS).prop_map(|request| Step::Cancel { request }),
        2 => (0..REQUESTS, 60_u64..90).prop_map(|(request, seconds)| Step::Close { request, seconds }),
    ]
}

/// The id of the request that was submitted in this place, or would be.
fn id(request: usize) -> RequestId {
    RequestId::compose(at(10), request as u32)
}

fn entry(small: &Small) -> UpEntry {
    match small {
        Small::Entry(entry) => entry.clone(),
        Small::Fixed { request, names, is_last } => members_fixed(id(*request), names, *is_last),
        Small::Receipts { request, names, outcome } => {
            let outcomes: Vec<_> = names.iter().map(|name| (*name, outcome.clone())).collect();
            receipts(id(*request), &outcomes)
        }
    }
}

#[derive(Debug, Default)]
struct Run {
    memory: Memory,
    up: BTreeMap<&'static str, Vec<UpEntry>>,
    submitted: usize,
}

impl Run {
    fn perform(&mut self, step: &Step) {
        match step {
            Step::Up { gateway, entries } => {
                let entries: Vec<_> = entries.iter().map(entry).collect();
                self.memory.up(gateway, entries.clone());
                self.up.entry(gateway).or_default().extend(entries);
            }
            Step::Decide { gateway, name, registration, verdict } => {
                let decide = decision(gateway, name, *registration, verdict.clone());
                // Refused as long as no allocation names the application.
                let _ = self.memory.perform(&decide, at(4));
            }
            Step::Submit { group } if self.submitted < REQUESTS => {
                let submit = Submit { id: id(self.submitted), ..submission(group, 0) };
                if self.memory.perform(&submit, at(10)).is_ok() {
                    self.submitted += 1;
                }
            }
            Step::Submit { .. } => {}
            Step::Cancel { request } => {
                let _ = self.memory.perform(&Cancel { application: application(), request: id(*request) }, at(11));
            }
            Step::Close { request, seconds } => {
                let Ok(_) = self.memory.perform(&Close { request: id(*request), after: None }, at(*seconds));
            }
        }
    }

    fn check_counts(&self) {
        let mut counts: BTreeMap<_, GroupCount> = BTreeMap::new();
        for (key, row) in &self.memory.peripherals {
            assert!(row.registration.is_some() || row.member_of.is_empty());
            for (group, share) in row.shares() {
                let group = (row.application.clone(), group.clone());
                let count = counts.entry((group, key.0.clone())).or_default();
                count.allocated += share.allocated;
                count.members += share.members;
                count.active += share.active;
            }
        }
        let kept = self.memory.counts.iter().filter(|(_, count)| **count != GroupCount::default());
        assert_eq!(kept.map(|(key, count)| (key.clone(), *count)).collect::<BTreeMap<_, _>>(), counts);
    }

    fn check_requests(&self) {
        for (request, row) in &self.memory.requests {
            let members = self.memory.members.iter().filter(|((of, ..), _)| of == request);
            let (ended, waiting): (Vec<_>, Vec<_>) = members.partition(|(_, member)| member.outcome.is_some());
            assert_eq!(row.totals.members as usize, ended.len() + waiting.len());
            assert_eq!(row.totals.settled() as usize, ended.len());
            let parts = self.memory.request_gateways.iter().filter(|((of, _), part)| of == request && part.is_fixed);
            assert_eq!(row.gateways_fixed as usize, parts.count());
            assert_eq!(row.state == RequestState::Complete, row.is_settled());
            let is_end = |event: &&Event| matches!(event, Event::RequestCompleted { request: of, .. } if of == request);
            let ends = self.memory.events().iter().filter(is_end).count();
            assert_eq!(ends, usize::from(row.state == RequestState::Complete));
        }
    }

    /// A log that is sent again from the start changes nothing.
    fn check_replay(&mut self) {
        let before = self.memory.clone();
        for (gateway, entries) in &self.up {
            let entries = (1..).zip(entries.iter().cloned()).collect();
            let again = ApplyUp { gateway: super::gateway(gateway), entries };
            self.memory.perform(&again, at(50)).expect("there is no gap");
        }
        assert_eq!(self.memory, before);
    }
}

proptest! {
    #[test]
    fn rows_stay_in_step_whatever_happens(steps in prop::collection::vec(step(), 1..60)) {
        let mut run = Run::default();
        for gateway in GATEWAYS {
            run.memory.add_gateway(super::gateway(gateway));
        }
        for step in &steps {
            run.perform(step);
            run.check_counts();
            run.check_requests();
        }
        run.check_replay();
    }

    #[test]
    fn every_accepted_request_ends(steps in prop::collection::vec(step(), 1..60)) {
        let mut run = Run::default();
        for gateway in GATEWAYS {
            run.memory.add_gateway(super::gateway(gateway));
        }
        steps.iter().for_each(|step| run.perform(step));
        for request in 0..run.submitted {
            // One for each gateway that was silent, one for the members, and not one more.
            for _ in 0..=GATEWAYS.len() {
                let Ok(_) = run.memory.perform(&Close { request: id(request), after: None }, at(90));
            }
            prop_assert_eq!(run.memory.requests[&id(request)].state, RequestState::Complete);
        }
        run.check_requests();
    }
}
