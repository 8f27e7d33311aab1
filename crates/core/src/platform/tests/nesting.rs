//! Groups that contain groups.

use super::*;
use crate::limits;

fn nest(outer: &str, inner: &str) -> Nest {
    Nest { application: application(), outer: group(outer), inner: group(inner) }
}

fn nested(memory: &mut Memory, pairs: &[(&str, &str)]) {
    for (outer, inner) in pairs {
        memory.perform(&nest(outer, inner), at(1)).expect("it is in order");
    }
}

#[test]
fn a_request_goes_to_every_gateway_of_every_group_that_its_group_contains() {
    let mut memory = registered_world();
    nested(&mut memory, &[("site", "building"), ("building", "east"), ("site", "all"), ("building", "empty")]);
    memory.forget_logs();
    let request = memory.perform(&submission("site", 1), at(10)).expect("accepted");
    for gateway in ["gw1", "gw2"] {
        let [DownEntry::Request(sent)] = memory.sent_to(gateway)[..] else { panic!("one request for {gateway}") };
        assert_eq!((sent.group.as_str(), &sent.contained), ("site", &groups(&["building", "east", "all", "empty"])));
    }
    assert_eq!((memory.requests[&request].gateways, memory.requests[&request].contained.len()), (2, 4));
}

#[test]
fn activating_a_group_reaches_the_members_of_the_groups_that_it_contains() {
    let mut memory = registered_world();
    nested(&mut memory, &[("site", "building"), ("building", "east"), ("site", "all"), ("building", "empty")]);
    memory.forget_logs();
    let direct = |outer: &str, direction| DirectGroup { application: application(), group: group(outer), direction };
    assert_eq!(memory.perform(&direct("site", GroupDirection::Activate), at(10)), Ok(()));
    assert_eq!(memory.perform(&direct("building", GroupDirection::Standby), at(11)), Ok(()));
    let activate = |of: &str| DownEntry::ActivateGroup { application: application(), group: group(of) };
    let standby = |of: &str| DownEntry::StandbyGroup { application: application(), group: group(of) };
    assert_eq!(memory.sent_to("gw1"), [&activate("all"), &activate("east"), &standby("east")]);
    assert_eq!(memory.sent_to("gw2"), [&activate("east"), &standby("east")]);
    let empty = memory.perform(&direct("empty", GroupDirection::Activate), at(12));
    assert_eq!(empty, Err(DirectGroupRefusal::UnknownGroup));
}

#[test]
fn a_group_that_contains_none_that_an_allocation_names_is_unknown() {
    let mut memory = registered_world();
    nested(&mut memory, &[("site", "empty")]);
    assert_eq!(memory.perform(&submission("site", 1), at(10)), Err(SubmitRefusal::UnknownGroup));
}

#[test]
fn what_is_nested_later_does_not_change_a_request_that_was_accepted() {
    let mut memory = registered_world();
    nested(&mut memory, &[("site", "east")]);
    let request = memory.perform(&submission("site", 1), at(10)).expect("accepted");
    nested(&mut memory, &[("site", "all")]);
    let unnest = Unnest { application: application(), outer: group("site"), inner: group("east") };
    assert_eq!(memory.perform(&unnest, at(11)), Ok(()));
    assert_eq!(memory.perform(&unnest, at(11)), Err(NotNested));
    assert_eq!(memory.requests[&request].contained, groups(&["east"]));
    let next = memory.perform(&submission("site", 2), at(12)).expect("accepted");
    assert_eq!(memory.requests[&next].contained, groups(&["all"]));
}

#[test]
fn a_member_on_record_in_several_groups_is_closed_once() {
    let mut memory = registered_world();
    nested(&mut memory, &[("site", "east"), ("site", "all")]);
    let request = memory.perform(&submission("site", 1), at(10)).expect("accepted");
    while let Ok(Closed::Partly { .. }) = memory.perform(&Close { request, after: None }, at(1_000)) {}
    let names: Vec<_> = memory.members.keys().map(|(_, gateway, name)| format!("{gateway}/{name}")).collect();
    assert_eq!(memory.requests[&request].totals.members, names.len() as u64);
    assert_eq!(memory.requests[&request].state, RequestState::Complete);
}

#[test]
fn a_group_never_lies_in_itself() {
    let mut memory = registered_world();
    let refused = |memory: &mut Memory, outer, inner| {
        memory.perform(&nest(outer, inner), at(1)).expect_err("a circle").to_string()
    };
    assert_eq!(refused(&mut memory, "a", "a"), "a group would lie in itself: a > a");
    nested(&mut memory, &[("a", "b"), ("a", "b"), ("b", "c"), ("b", "d"), ("d", "e")]);
    assert_eq!(refused(&mut memory, "e", "a"), "a group would lie in itself: e > a > b > d > e");
    assert_eq!(memory.nestings.len(), 4);
}

#[test]
fn groups_lie_only_so_deep_in_each_other() {
    let mut memory = registered_world();
    let name = |number: usize| format!("g{number}");
    let half = limits::GROUP_DEPTH_MAX / 2;
    for number in (1..limits::GROUP_DEPTH_MAX).filter(|number| *number != half) {
        nested(&mut memory, &[(&name(number), &name(number + 1))]);
    }
    nested(&mut memory, &[(&name(half), &name(half + 1))]);
    let deeper = memory.perform(&nest("g0", "g1"), at(1)).expect_err("too deep").to_string();
    assert!(
        deeper.starts_with("groups lie at most 8 deep")
            && deeper.ends_with(": g0 > g1 > g2 > g3 > g4 > g5 > g6 > g7 > g8"),
        "{deeper}"
    );
    let last = name(limits::GROUP_DEPTH_MAX);
    assert!(matches!(memory.perform(&nest(&last, "g9"), at(1)), Err(NestRefusal::TooDeep(_))));
    nested(&mut memory, &[("g1", "g9"), ("g0", &last)]);
}

#[test]
fn an_application_nests_only_so_many_groups() {
    let mut memory = registered_world();
    for number in 0..limits::NESTINGS_PER_APPLICATION_MAX {
        memory.nestings.insert((application(), group("site"), group(&format!("g{number}"))), ());
    }
    assert_eq!(memory.perform(&nest("site", "one-more"), at(1)), Err(NestRefusal::TooMany));
    assert_eq!(memory.perform(&nest("site", "g7"), at(1)), Ok(()));
    let other = Nest { application: "other".parse().expect("an application id"), ..nest("site", "g") };
    assert_eq!(memory.perform(&other, at(1)), Err(NestRefusal::UnknownApplication));
}

#[test]
fn a_schedule_may_be_for_a_group_that_contains_groups() {
    let mut memory = registered_world();
    nested(&mut memory, &[("site", "east")]);
    let key = (application(), "nightly".parse().expect("a schedule id"));
    let Submit { submitted, id, .. } = submission("site", 1);
    let put =
        PutSchedule { key: key.clone(), submitted: submitted.clone(), timing: Timing::Once(at(50)), first_due: at(50) };
    assert_eq!(memory.perform(&put, at(10)), Ok(()));
    let fire = Fire { key, due: at(50), submitted, id, next_due: None };
    assert_eq!(memory.perform(&fire, at(50)), Ok(Fired::Accepted(id)));
    assert_eq!(memory.requests[&id].contained, groups(&["east"]));
}
