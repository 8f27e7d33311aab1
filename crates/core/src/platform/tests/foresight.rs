//! What a request would meet.

use super::*;
use crate::limits;
use crate::platform::{Foresight, Sleeper, Standing, foresee};

fn sleeper(at_gateway: &str, name: &str, next_wake: Option<u64>) -> Sleeper {
    let presence = Presence::Standby { next_wake: next_wake.map(at) };
    let labels = [("name".to_owned(), name.to_owned())].into();
    Sleeper { gateway: gateway(at_gateway), peripheral: peripheral(name), presence, wakes: None, labels }
}

/// Two active; at the first gateway three asleep, one of them for long, at the second one.
fn standing() -> Standing {
    let sleepers = vec![
        sleeper("gw1", "m1", None),
        sleeper("gw1", "m2", Some(500)),
        sleeper("gw1", "m3", Some(20)),
        sleeper("gw2", "m4", Some(71)),
    ];
    Standing { active: 2, sleepers }
}

/// What a request that lives from 10 to 70 would meet.
fn foreseen(activation: Activation, sleepers: Sleepers, standing: Standing) -> Foresight {
    let mut submitted = submission("east", 1).submitted;
    submitted.activation = activation;
    submitted.sleepers = sleepers;
    foresee(&submitted, standing, at(10))
}

fn counts(foresight: &Foresight) -> [u64; 6] {
    let Foresight { members, active, woken, waiting, skipped, late, .. } = *foresight;
    [members, active, woken, waiting, skipped, late]
}

#[test]
fn every_member_is_active_woken_waiting_or_skipped() {
    let counts = |activation, sleepers| counts(&foreseen(activation, sleepers, standing()));
    assert_eq!(counts(Activation::All, Sleepers::Queue), [6, 2, 4, 0, 0, 2]);
    assert_eq!(counts(Activation::None, Sleepers::Queue), [6, 2, 0, 4, 0, 2]);
    assert_eq!(counts(Activation::None, Sleepers::Skip), [6, 2, 0, 0, 4, 0]);
    assert_eq!(counts(Activation::Count(1), Sleepers::Queue), [6, 2, 2, 2, 0, 2]);
    assert_eq!(counts(Activation::Percentage(50), Sleepers::Skip), [6, 2, 3, 0, 1, 2]);
    let some = Activation::Labels("name in (m1,m4)".parse().expect("a selector"));
    assert_eq!(counts(some, Sleepers::Skip), [6, 2, 2, 0, 2, 1]);
}

#[test]
fn those_that_would_miss_it_are_named_by_when_they_are_expected() {
    let foresight = foreseen(Activation::All, Sleepers::Queue, standing());
    let late: Vec<_> = foresight.late_members.iter().map(|late| (late.peripheral.as_str(), late.next_wake)).collect();
    assert_eq!(late, [("m4", at(71)), ("m2", at(500))]);
}

#[test]
fn those_left_out_do_not_miss_anything() {
    let foresight = foreseen(Activation::Count(1), Sleepers::Skip, standing());
    let late: Vec<_> = foresight.late_members.iter().map(|late| late.peripheral.as_str()).collect();
    assert_eq!(late, ["m4"], "at the first gateway the one that wakes soonest is activated");
}

/// Who would miss a request that lives from 10 to 70, of members that are all expected to wake after that.
fn late_of(activation: Activation, presence: fn(Option<Time>) -> Presence) -> Vec<String> {
    let wakers = [("wakeable", Some(Wakes::WhenWoken)), ("window", Some(Wakes::ByItself)), ("unknown", None)];
    let sleepers = wakers.map(|(name, wakes)| {
        let presence = presence(Some(at(500)));
        Sleeper { presence, wakes, ..sleeper("gw1", name, None) }
    });
    let standing = Standing { active: 0, sleepers: sleepers.to_vec() };
    let foresight = foreseen(activation, Sleepers::Queue, standing);
    assert_eq!(foresight.late, foresight.late_members.len() as u64);
    foresight.late_members.iter().map(|late| late.peripheral.to_string()).collect()
}

#[test]
fn one_that_is_woken_does_not_miss_it_however_long_it_would_sleep() {
    let standby = |next_wake| Presence::Standby { next_wake };
    assert_eq!(late_of(Activation::All, standby), ["unknown", "window"]);
    assert_eq!(late_of(Activation::None, standby), ["unknown", "wakeable", "window"], "nobody wakes it");
    let another = Activation::Labels("name=window".parse().expect("a selector"));
    assert_eq!(late_of(another, standby), ["unknown", "wakeable", "window"], "another is woken");
}

#[test]
fn one_that_wakes_by_itself_is_only_waited_for_also_while_it_is_activated() {
    let activating = |next_wake| Presence::Activating { next_wake };
    assert_eq!(late_of(Activation::All, activating), ["window"]);
    assert_eq!(late_of(Activation::None, activating), ["window"], "the others are being woken already");
}

#[test]
fn of_many_that_are_late_all_are_counted_and_some_are_named() {
    let many = limits::LATE_MEMBERS_SHOWN_MAX + 5;
    let sleepers = (0..many).map(|number| sleeper("gw1", &format!("n{number}"), Some(1_000))).collect();
    let foresight = foreseen(Activation::All, Sleepers::Queue, Standing { active: 0, sleepers });
    assert_eq!(foresight.late, many as u64);
    assert_eq!(foresight.late_members.len(), limits::LATE_MEMBERS_SHOWN_MAX);
}
