//! Allocating, registering, roaming, standby, deregistering.

use super::*;
use crate::{State, Stranger};

fn state(memory: &Memory, at: &str, name: &str) -> State {
    memory.peripherals[&(gateway(at), peripheral(name))].state()
}

#[test]
fn an_entry_is_applied_once_however_often_it_comes() {
    let mut memory = world();
    let before = memory.clone();
    let again = ApplyUp {
        gateway: gateway("gw1"),
        entries: vec![(1, allocated("m1", &["east"])), (2, allocated("m2", &["east", "all"]))],
    };
    assert_eq!(memory.perform(&again, at(5)), Ok(Applied { up_applied: 2, ignored: 0 }));
    assert_eq!(memory, before);
}

#[test]
fn a_gap_in_the_up_log_is_refused_and_nothing_of_the_batch_counts() {
    let mut memory = world();
    let before = memory.clone();
    let entries = vec![(3, allocated("m9", &["east"])), (5, allocated("m8", &["east"]))];
    let result = memory.perform(&ApplyUp { gateway: gateway("gw1"), entries }, at(5));
    assert_eq!(result, Err(UpError::Gap { expected: 4, found: 5 }));
    assert_eq!(memory, before);
}

#[test]
fn groups_are_counted_by_gateway_as_peripherals_come_and_go() {
    let mut memory = registered_world();
    assert_eq!(memory.count("east", "gw1"), (2, 2, 2));
    assert_eq!(memory.count("east", "gw2"), (1, 1, 1));
    memory.up("gw1", vec![present("m1", 1, &["east"], Presence::Standby { next_wake: None })]);
    assert_eq!(memory.count("east", "gw1"), (2, 2, 1));
    memory.up("gw1", vec![deregistered("m1", 1, EndCause::Peripheral)]);
    assert_eq!(memory.count("east", "gw1"), (2, 1, 1));
    memory.up("gw1", vec![allocated("m1", &["west"])]);
    assert_eq!(memory.count("east", "gw1"), (1, 1, 1));
    assert_eq!(memory.count("west", "gw1"), (1, 0, 0));
    memory.up("gw1", vec![UpEntry::Removed { peripheral: peripheral("m1"), application: application() }]);
    assert_eq!(memory.count("west", "gw1"), (0, 0, 0));
}

#[test]
fn a_registration_goes_to_the_application_and_its_decision_back_to_the_gateway_once() {
    let mut memory = world();
    memory.up("gw1", vec![asked("m1", 7, &["east"])]);
    assert_eq!(state(&memory, "gw1", "m1"), State::Registering);
    assert!(matches!(memory.events().as_slice(), [Event::RegistrationAsked { .. }]));
    let decide = decision("gw1", "m1", 7, yes(&["east"]));
    assert_eq!(memory.perform(&decide, at(4)), Ok(vec![DecisionResult::Passed]));
    assert_eq!(memory.perform(&decide, at(4)), Ok(vec![DecisionResult::Stale]));
    assert!(matches!(memory.sent_to("gw1").as_slice(), [DownEntry::Decision { .. }]));
    assert_eq!(state(&memory, "gw1", "m1"), State::Registering);
    memory.up("gw1", vec![present("m1", 7, &["east"], Presence::Active)]);
    assert_eq!(state(&memory, "gw1", "m1"), State::Active);
}

#[test]
fn a_decision_about_what_nobody_asked_is_not_passed_on() {
    let mut memory = world();
    memory.up("gw1", vec![asked("m1", 7, &["east"]), asked("m1", 8, &["east"])]);
    let old = decision("gw1", "m1", 7, yes(&["east"]));
    assert_eq!(memory.perform(&old, at(4)), Ok(vec![DecisionResult::Stale]));
    let unknown = decision("gw1", "m9", 7, yes(&["east"]));
    assert_eq!(memory.perform(&unknown, at(4)), Ok(vec![DecisionResult::Unknown]));
    let nowhere = decision("gw9", "m1", 7, yes(&["east"]));
    assert_eq!(memory.perform(&nowhere, at(4)), Ok(vec![DecisionResult::Unknown]));
    for groups in [&["west"][..], &[]] {
        let wide = decision("gw1", "m1", 8, yes(groups));
        assert_eq!(memory.perform(&wide, at(4)), Ok(vec![DecisionResult::Invalid]));
    }
    assert!(memory.down.is_empty());
}

#[test]
fn a_refused_registration_leaves_the_peripheral_in_its_initial_state() {
    let mut memory = world();
    memory.up("gw1", vec![asked("m1", 7, &["east"])]);
    let no = decision("gw1", "m1", 7, Verdict::Refused { reason: "unknown meter".into() });
    assert_eq!(memory.perform(&no, at(4)), Ok(vec![DecisionResult::Passed]));
    // The gateway has nothing to tell of a registration that never was.
    assert_eq!(state(&memory, "gw1", "m1"), State::Allocated);
    memory.up("gw1", vec![deregistered("m1", 7, EndCause::Refused)]);
    assert_eq!(state(&memory, "gw1", "m1"), State::Allocated);
}

#[test]
fn a_yes_at_one_gateway_ends_the_registration_at_another_once() {
    let mut memory = registered_world();
    memory.up("gw2", vec![allocated("m1", &["east"]), asked("m1", 5, &["east"])]);
    let decide = decision("gw2", "m1", 5, yes(&["east"]));
    assert_eq!(memory.perform(&decide, at(4)), Ok(vec![DecisionResult::Passed]));
    let ended = DownEntry::Deregister {
        peripheral: peripheral("m1"),
        registration: Some(RegistrationId::new(1)),
        cause: EndCause::Roamed,
    };
    assert_eq!(memory.sent_to("gw1"), [&ended]);
    memory.up("gw2", vec![present("m1", 5, &["east"], Presence::Active)]);
    assert_eq!(memory.sent_to("gw1"), [&ended]);
    memory.up("gw1", vec![deregistered("m1", 1, EndCause::Roamed)]);
    assert_eq!(state(&memory, "gw1", "m1"), State::Allocated);
    assert_eq!(state(&memory, "gw2", "m1"), State::Active);
}

#[test]
fn a_registration_under_a_lease_ends_the_one_at_another_gateway_too() {
    let mut memory = registered_world();
    memory.up("gw2", vec![allocated("m1", &["east"]), present("m1", 5, &["east"], Presence::Active)]);
    assert!(matches!(memory.sent_to("gw1").as_slice(), [DownEntry::Deregister { cause: EndCause::Roamed, .. }]));
}

#[test]
fn the_end_of_an_older_registration_is_told_to_nobody() {
    let mut memory = registered_world();
    memory.up("gw1", vec![present("m1", 9, &["east"], Presence::Active)]);
    memory.forget_logs();
    let applied = memory.up("gw1", vec![deregistered("m1", 1, EndCause::LifetimeOver)]);
    assert_eq!(applied.ignored, 1);
    assert_eq!(state(&memory, "gw1", "m1"), State::Active);
    assert!(memory.events().is_empty());
}

#[test]
fn a_stranger_waits_until_it_is_allocated() {
    let mut memory = world();
    let stranger = Stranger {
        peripheral: peripheral("m9"),
        protocol: Protocol::Mqtt311,
        address: "192.0.2.9:1".into(),
        at: at(1),
    };
    memory.up("gw1", vec![UpEntry::Stranger(stranger.clone())]);
    assert_eq!(memory.strangers.len(), 1);
    memory.up("gw1", vec![allocated("m9", &["east"]), UpEntry::Stranger(stranger)]);
    assert!(memory.strangers.is_empty());
}

#[test]
fn an_allocation_belongs_to_the_place_that_made_it() {
    let mut memory = world();
    let UpEntry::Allocated(mut notice) = allocated("m5", &["east"]) else { unreachable!("it is one") };
    notice.origin = Origin::File;
    memory.up("gw1", vec![UpEntry::Allocated(notice)]);
    let direct = |name: &str, direction| Direct {
        application: Some(application()),
        gateway: gateway("gw1"),
        peripheral: peripheral(name),
        direction,
    };
    let remove = memory.perform(&direct("m5", Direction::Remove), at(4));
    assert!(matches!(remove, Err(DirectRefusal::AllocatedElsewhere(_))));
    assert_eq!(memory.perform(&direct("m5", Direction::Block), at(4)), Ok(()));
    assert_eq!(memory.perform(&direct("m1", Direction::Remove), at(4)), Ok(()));
    assert_eq!(memory.perform(&direct("m9", Direction::Standby), at(4)), Err(DirectRefusal::UnknownPeripheral));
    assert_eq!(memory.sent_to("gw1").len(), 2);
}

#[test]
fn another_applications_peripheral_cannot_be_directed() {
    let mut memory = registered_world();
    let direct = Direct {
        application: Some("other".parse().expect("an application id")),
        gateway: gateway("gw1"),
        peripheral: peripheral("m1"),
        direction: Direction::Deregister,
    };
    assert_eq!(memory.perform(&direct, at(4)), Err(DirectRefusal::UnknownPeripheral));
    assert!(memory.down.is_empty());
}

#[test]
fn a_full_down_log_takes_nothing_more() {
    let mut memory = registered_world();
    let row = memory.gateways.get_mut(&gateway("gw1")).expect("it is there");
    row.down_last = crate::limits::DOWN_LOG_ENTRIES_MAX - 1;
    let standby = Direct {
        application: None,
        gateway: gateway("gw1"),
        peripheral: peripheral("m1"),
        direction: Direction::Standby,
    };
    assert_eq!(memory.perform(&standby, at(4)), Ok(()));
    assert_eq!(memory.perform(&standby, at(4)), Err(DirectRefusal::DownLogFull));
    let request = memory.perform(&submission("east", 1), at(4));
    assert_eq!(request, Err(SubmitRefusal::DownLogFull(gateway("gw1"))));
}

#[test]
fn what_concerns_an_unknown_peripheral_is_passed_over() {
    let mut memory = world();
    let entries = vec![
        asked("m9", 1, &["east"]),
        present("m9", 1, &["east"], Presence::Active),
        deregistered("m9", 1, EndCause::Peripheral),
        UpEntry::Removed { peripheral: peripheral("m9"), application: application() },
        UpEntry::ReportsLost { application: "other".parse().expect("an application id"), count: 3 },
    ];
    assert_eq!(memory.up("gw1", entries).ignored, 5);
    assert!(memory.events().is_empty());
}
