//! Peripherals, groups and strangers.

use bugle_core::platform::{Decide, Decision, GroupCount, UpError};
use bugle_core::{State, Stranger, Verdict, limits};

use super::*;
use crate::platform::{Belonging, PeripheralFilter};

fn count(allocated: u64, members: u64, active: u64) -> GroupCount {
    GroupCount { allocated, members, active }
}

pub(super) fn a_peripheral_is_kept_with_all_that_is_known_of_it(store: &PlatformStore) {
    add_gateway(store, "gw1");
    let wake = NOW + Duration::from_secs(900);
    let entries = vec![
        allocated("m1", &["east", "all"]),
        asked("m1", 3),
        present("m1", 3, Presence::Active),
        present("m1", 3, Presence::Standby { next_wake: Some(wake) }),
        asked("m1", 4),
    ];
    assert_eq!(up(store, "gw1", 1, entries), Applied { up_applied: 5, ignored: 0 });
    let verdict = Verdict::Authorized { groups: groups(&["east"]), lease: Duration::from_secs(60) };
    let decision = Decision {
        gateway: gateway("gw1"),
        peripheral: peripheral("m1"),
        registration: RegistrationId::new(4),
        verdict,
    };
    perform(store, Decide { application: application(), decisions: vec![decision] }, NOW);
    let row = store.peripheral((gateway("gw1"), peripheral("m1"))).wait().expect("read").expect("there");
    assert_eq!(row.application, application());
    assert_eq!(row.groups, groups(&["east", "all"]));
    assert_eq!(row.labels.get("floor").map(String::as_str), Some("3"));
    assert_eq!(row.origin, Origin::Platform);
    assert_eq!(row.registration, Some(RegistrationId::new(3)));
    assert_eq!(row.member_of, groups(&["east"]));
    assert_eq!((row.state(), row.next_wake), (State::Standby, Some(wake)));
    assert_eq!((row.asked, row.decided), (None, Some(RegistrationId::new(4))));
    assert_eq!(row.description.map(|description| description.address).as_deref(), Some("192.0.2.1:5000"));
    let removed = UpEntry::Removed { peripheral: peripheral("m1"), application: application() };
    up(store, "gw1", 6, vec![deregistered("m1", 4), removed]);
    assert_eq!(store.peripheral((gateway("gw1"), peripheral("m1"))).wait(), Ok(None));
}

pub(super) fn a_snapshot_holds_who_is_registered_and_who_awaits_a_decision(store: &PlatformStore) {
    add_gateway(store, "gw1");
    let entries = vec![
        allocated("m1", &["east"]),
        allocated("m2", &["east"]),
        allocated("m3", &["east"]),
        asked("m1", 1),
        present("m2", 2, Presence::Active),
    ];
    up(store, "gw1", 1, entries);
    let (sequence, first) = store.snapshot(&application(), 0, 1).wait().expect("read").expect("known");
    assert_eq!(sequence, 2);
    let (_, second) = store.snapshot(&application(), first[0].0, 5).wait().expect("read").expect("known");
    let names: Vec<_> = first.iter().chain(&second).map(|(_, (key, _))| key.1.as_str()).collect();
    assert_eq!(names, ["m1", "m2"]);
    let unknown = "other".parse().expect("an application id");
    assert_eq!(store.snapshot(&unknown, 0, 5).wait(), Ok(None));
}

pub(super) fn peripherals_are_listed_by_every_filter_in_pages(store: &PlatformStore) {
    add_gateway(store, "gw1");
    add_gateway(store, "gw2");
    up(store, "gw1", 1, vec![allocated("m1", &["east"]), allocated("m2", &["west"]), allocated("m3", &["east"])]);
    up(store, "gw2", 1, vec![allocated("m4", &["east"]), present("m4", 1, Presence::Active)]);
    let list = |filter: PeripheralFilter, after| -> Vec<(i64, String)> {
        let page = store.peripherals(filter, after, 2).wait().expect("read");
        page.into_iter().map(|(number, (key, _))| (number, key.1.to_string())).collect()
    };
    let names = |page: Vec<(i64, String)>| page.into_iter().map(|(_, name)| name).collect::<Vec<_>>();
    let first = list(PeripheralFilter::default(), 0);
    let after = first[1].0;
    assert_eq!(names(first), ["m1", "m2"]);
    assert_eq!(names(list(PeripheralFilter::default(), after)), ["m3", "m4"]);
    let of = PeripheralFilter { application: Some(application()), ..PeripheralFilter::default() };
    assert_eq!(names(list(of.clone(), after)), ["m3", "m4"]);
    let at = PeripheralFilter { gateway: Some(gateway("gw2")), ..PeripheralFilter::default() };
    assert_eq!(names(list(at.clone(), 0)), ["m4"]);
    let active = PeripheralFilter { state: Some(State::Active), ..of };
    assert_eq!(names(list(active, 0)), ["m4"]);
    let of_group = |belonging, filter| {
        let page = store.peripherals_of_group(&application(), &group("east"), belonging, filter, 0, 9);
        names(page.wait().expect("read").into_iter().map(|(number, (key, _))| (number, key.1.to_string())).collect())
    };
    assert_eq!(of_group(Belonging::Allocated, PeripheralFilter::default()), ["m1", "m3", "m4"]);
    assert_eq!(of_group(Belonging::Member, PeripheralFilter::default()), ["m4"]);
    assert_eq!(of_group(Belonging::Allocated, at), ["m4"]);
}

pub(super) fn groups_are_counted_and_vanish_with_their_last_allocation(store: &PlatformStore) {
    add_gateway(store, "gw1");
    add_gateway(store, "gw2");
    let entries =
        vec![allocated("m1", &["east"]), allocated("m2", &["east", "west"]), present("m1", 1, Presence::Active)];
    up(store, "gw1", 1, entries);
    up(store, "gw2", 1, vec![allocated("m3", &["east"])]);
    let all = store.groups(&application(), 0, 9).wait().expect("read");
    let all: Vec<_> = all.into_iter().map(|(_, (group, count))| (group.to_string(), count)).collect();
    assert_eq!(all, [("east".to_owned(), count(3, 1, 1)), ("west".to_owned(), count(1, 0, 0))]);
    let at = store.group(&application(), &group("east")).wait().expect("read");
    assert_eq!(at, [(gateway("gw1"), count(2, 1, 1)), (gateway("gw2"), count(1, 0, 0))]);
    up(store, "gw1", 4, vec![allocated("m2", &["east"])]);
    assert_eq!(store.groups(&application(), 0, 9).wait().expect("read").len(), 1);
    assert_eq!(store.group(&application(), &group("west")).wait(), Ok(Vec::new()));
}

pub(super) fn a_peripheral_may_go_over_to_another_application(store: &PlatformStore) {
    add_gateway(store, "gw1");
    up(store, "gw1", 1, vec![allocated("m1", &["east"]), present("m1", 1, Presence::Active)]);
    let UpEntry::Allocated(mut notice) = allocated("m1", &["west"]) else { unreachable!("it is one") };
    notice.application = "other".parse().expect("an application id");
    up(store, "gw1", 3, vec![deregistered("m1", 1), UpEntry::Allocated(notice.clone())]);
    let row = store.peripheral((gateway("gw1"), peripheral("m1"))).wait().expect("read").expect("there");
    assert_eq!((row.application, row.groups), (notice.application.clone(), groups(&["west"])));
    assert_eq!(store.group(&application(), &group("east")).wait(), Ok(Vec::new()));
    let west = store.group(&notice.application, &group("west")).wait().expect("read");
    assert_eq!(west, [(gateway("gw1"), count(1, 0, 0))]);
}

pub(super) fn entries_that_are_refused_change_nothing(store: &PlatformStore) {
    add_gateway(store, "gw1");
    let entries = vec![(1, allocated("m1", &["east"])), (3, allocated("m2", &["east"]))];
    let refused = store.perform(ApplyUp { gateway: gateway("gw1"), entries }, NOW).wait();
    assert!(matches!(refused, Err(Failure::Refused(UpError::Gap { expected: 2, found: 3 }))));
    assert_eq!(store.peripheral((gateway("gw1"), peripheral("m1"))).wait(), Ok(None));
    assert_eq!(store.gateway(&gateway("gw1")).wait().expect("read").expect("there").logs.up_applied, 0);
    let unknown = store.perform(ApplyUp { gateway: gateway("gw9"), entries: Vec::new() }, NOW).wait();
    assert!(matches!(unknown, Err(Failure::Refused(UpError::UnknownGateway))));
}

pub(super) fn strangers_are_bounded_and_the_latest_come_first(store: &PlatformStore) {
    add_gateway(store, "gw1");
    let stranger = |number: usize| {
        let peripheral = peripheral(&format!("s{number}"));
        UpEntry::Stranger(Stranger { peripheral, protocol: Protocol::Mqtt311, address: "192.0.2.9:1".into(), at: NOW })
    };
    let more = limits::STRANGERS_MAX + 2;
    up(store, "gw1", 1, (0..more).map(stranger).collect());
    up(store, "gw1", more as u64 + 1, vec![stranger(5)]);
    let mut names = Vec::new();
    let mut before = i64::MAX;
    loop {
        let page = store.strangers(before, 1_000).wait().expect("read");
        let Some((number, _)) = page.last() else { break };
        before = *number;
        names.extend(page.into_iter().map(|(_, (_, stranger))| stranger.peripheral.to_string()));
    }
    assert!(names.len() <= limits::STRANGERS_MAX);
    assert_eq!(names[..2], ["s5".to_owned(), format!("s{}", more - 1)]);
    assert!(!names.contains(&"s1".to_owned()));
}
