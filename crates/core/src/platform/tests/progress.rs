//! Where members are on the way, and that totals and members agree at all times.

use proptest::prelude::*;

use super::*;
use crate::{MemberProgress, Sighting, Stage, StageTotals, Totals};

fn progress(request: RequestId, members: &[(&str, &[Stage])]) -> UpEntry {
    let member = |(name, stages): &(&str, &[Stage])| MemberProgress {
        peripheral: peripheral(name),
        seen: stages.iter().map(|stage| Sighting { stage: *stage, at: at(4) }).collect(),
    };
    UpEntry::Progress { request, members: members.iter().map(member).collect() }
}

fn assert_agreement(memory: &Memory, request: RequestId) {
    let row = &memory.requests[&request];
    let members = memory.members.iter().filter(|((of, ..), _)| *of == request).map(|(_, member)| member);
    let (mut stages, mut totals) = (StageTotals::default(), Totals::default());
    for member in members {
        totals.members += 1;
        match &member.outcome {
            Some((outcome, _)) => totals.add(outcome.kind(), 1),
            None => stages.enter(member.stage, 1),
        }
    }
    assert_eq!((row.totals, row.stages), (totals, stages));
    let all: u64 = Stage::ALL.iter().map(|stage| stages.count(*stage)).sum();
    assert_eq!(all, totals.waiting());
}

#[test]
fn a_member_is_shown_where_it_was_seen_last_and_when_it_was_where() {
    let mut memory = registered_world();
    let request = memory.perform(&submission("all", 1), at(10)).expect("accepted");
    memory.up("gw1", vec![members_fixed(request, &["m2"], true)]);
    memory.forget_logs();
    memory.up("gw1", vec![progress(request, &[("m2", &[Stage::Asleep, Stage::Activating])])]);
    let key = (request, gateway("gw1"), peripheral("m2"));
    let member = &memory.members[&key];
    assert_eq!(member.stage, Stage::Activating);
    assert_eq!((member.seen.at_gateway, member.seen.asleep, member.seen.sent), (Some(at(1)), Some(at(4)), None));
    assert!(matches!(&memory.events()[..], [Event::Progress { members, .. }] if members.len() == 1));
    let mut delivered = MemberOutcome {
        peripheral: peripheral("m2"),
        outcome: Outcome::Delivered,
        at: at(6),
        seen: vec![Sighting { stage: Stage::Sent, at: at(5) }],
    };
    memory.up("gw1", vec![UpEntry::Receipts { request, receipts: vec![delivered.clone()] }]);
    assert_eq!(memory.members[&key].seen.sent, Some(at(5)));
    assert_agreement(&memory, request);
    delivered.outcome = Outcome::Left;
    let before = memory.members.clone();
    memory.up("gw1", vec![progress(request, &[("m2", &[Stage::Asleep])])]);
    assert_eq!(memory.members, before, "what is over is on the way no more");
}

#[test]
fn progress_of_who_is_no_member_counts_for_nothing() {
    let mut memory = registered_world();
    let request = memory.perform(&submission("all", 1), at(10)).expect("accepted");
    memory.up("gw1", vec![members_fixed(request, &["m2"], true)]);
    memory.forget_logs();
    memory.up("gw1", vec![progress(request, &[("m1", &[Stage::Sent]), ("m2", &[])])]);
    memory.up("gw2", vec![progress(request, &[("m2", &[Stage::Sent])])]);
    assert!(memory.events().is_empty());
    assert_agreement(&memory, request);
}

#[derive(Debug, Clone)]
enum Step {
    Fixed(usize, Vec<usize>, bool),
    Progress(usize, Vec<(usize, Vec<Stage>)>),
    Receipts(usize, Vec<(usize, bool)>),
    Cancel,
    Close,
}

fn step() -> impl Strategy<Value = Step> {
    let stage = prop::sample::select(vec![Stage::AtGateway, Stage::Asleep, Stage::Activating, Stage::Sent]);
    let seen = prop::collection::vec(stage, 0..3);
    let some = |element| prop::collection::vec(element, 0..5);
    prop_oneof![
        3 => (0..2_usize, some(0..6_usize), any::<bool>()).prop_map(|(at, members, last)| Step::Fixed(at, members, last)),
        3 => (0..2_usize, prop::collection::vec((0..6_usize, seen), 0..5)).prop_map(|(at, seen)| Step::Progress(at, seen)),
        3 => (0..2_usize, prop::collection::vec((0..6_usize, any::<bool>()), 0..5)).prop_map(|(at, ends)| Step::Receipts(at, ends)),
        1 => Just(Step::Cancel),
        1 => Just(Step::Close),
    ]
}

proptest! {
    #[test]
    fn totals_and_members_agree_at_all_times(steps in prop::collection::vec(step(), 0..30)) {
        const NAMES: [&str; 6] = ["m1", "m2", "m3", "m4", "m5", "m6"];
        const GATEWAYS: [&str; 2] = ["gw1", "gw2"];
        let mut memory = registered_world();
        let request = memory.perform(&submission("east", 1), at(10)).expect("accepted");
        for step in steps {
            match step {
                Step::Fixed(at, members, is_last) => {
                    let names: Vec<_> = members.iter().map(|member| NAMES[*member]).collect();
                    memory.up(GATEWAYS[at], vec![members_fixed(request, &names, is_last)]);
                }
                Step::Progress(at, seen) => {
                    let seen: Vec<_> = seen.iter().map(|(member, stages)| (NAMES[*member], &stages[..])).collect();
                    memory.up(GATEWAYS[at], vec![progress(request, &seen)]);
                }
                Step::Receipts(at, ends) => {
                    let outcome = |is_well| if is_well { Outcome::Delivered } else { Outcome::Left };
                    let ends: Vec<_> = ends.iter().map(|(member, well)| (NAMES[*member], outcome(*well))).collect();
                    memory.up(GATEWAYS[at], vec![receipts(request, &ends)]);
                }
                Step::Cancel => memory.perform(&Cancel { application: application(), request }, at(11)).expect("it is there"),
                Step::Close => drop(memory.perform(&Close { request, after: None }, at(72))),
            }
            assert_agreement(&memory, request);
        }
    }
}
