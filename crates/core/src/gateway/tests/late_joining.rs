//! Requests that include late joiners.

use std::time::Duration;

use super::world::{HOUR, World, allocation, group, peripheral, request, yes};
use crate::{DownEntry, GroupRequest, LateJoiners, Outcome, RequestId, StopCause, Time, UpEntry, limits};

fn open(number: u64, deadline: Time) -> GroupRequest {
    GroupRequest { late_joiners: LateJoiners::Include, ..request(number, deadline) }
}

/// Whether the platform was told that all members are known.
fn is_fixed(world: &World, number: u64) -> bool {
    world.up().iter().any(
        |entry| matches!(entry, UpEntry::MembersFixed { request, is_last: true, .. } if request.number() == number),
    )
}

#[test]
fn who_registers_before_the_deadline_gets_the_request_too() {
    let mut world = World::new(vec![allocation("p", &["g"]), allocation("q", &["g"])]);
    world.send(open(1, world.now + HOUR));
    world.send(request(2, world.now + HOUR));
    assert!(!is_fixed(&world, 1) && is_fixed(&world, 2));
    world.register("p");
    assert_eq!(world.deliveries("p").iter().map(|delivery| delivery.0).collect::<Vec<_>>(), [1]);
    world.acknowledge("p");
    world.gather();
    assert_eq!(world.outcome(1, "p"), Some(Outcome::Delivered));
    assert!(!is_fixed(&world, 1), "another may come");
    world.pass(HOUR);
    assert!(is_fixed(&world, 1));
    world.register("q");
    assert_eq!(world.deliveries("q"), [], "that was too late");
    assert_eq!(world.members(1).into_iter().collect::<Vec<_>>(), [peripheral("p")]);
    assert!(world.disk.restored().requests.is_empty());
}

#[test]
fn a_late_joiner_waits_behind_what_it_is_given_first_and_in_order() {
    let mut world = World::new(vec![allocation("p", &["g"])]);
    world.send(open(1, world.now + HOUR));
    world.send(open(2, world.now + HOUR));
    world.register("p");
    world.acknowledge("p");
    world.acknowledge("p");
    assert_eq!(world.deliveries("p").iter().map(|delivery| delivery.0).collect::<Vec<_>>(), [1, 2]);
}

#[test]
fn a_late_joiner_gets_what_was_accepted_first_first_whatever_the_numbers() {
    let mut world = World::new(vec![allocation("p", &["g"])]);
    // The platform's clock, from which the numbers are, was set back in between.
    world.send(open(2, world.now + HOUR));
    world.send(open(1, world.now + HOUR));
    world.register("p");
    world.acknowledge("p");
    world.acknowledge("p");
    assert_eq!(world.deliveries("p").iter().map(|delivery| delivery.0).collect::<Vec<_>>(), [2, 1]);
}

#[test]
fn what_was_sent_before_an_older_request_was_joined_is_a_repetition_after_a_crash() {
    let mut world = World::new(vec![allocation("p", &["g", "h"])]);
    let deadline = world.now + 3 * HOUR;
    world.ask("p");
    world.decide("p", yes(&["h"]));
    world.open("p");
    world.send(open(1, deadline));
    world.send(GroupRequest { group: group("h"), ..request(2, deadline) });
    assert_eq!(world.deliveries("p").iter().map(|delivery| (delivery.0, delivery.2)).collect::<Vec<_>>(), [(2, false)]);
    // Its lease is over, and now it may join the other group as well.
    let slot = world.slot("p");
    world.gateway.handle_connection_lost(world.now, slot, Duration::from_secs(60), 3 * HOUR);
    world.now += HOUR;
    world.ask("p");
    world.decide("p", yes(&["g", "h"]));
    assert_eq!(world.members(1).len(), 1);
    world.crash();
    let slot = world.slot("p");
    world.gateway.handle_connection_lost(world.now, slot, Duration::from_secs(60), 3 * HOUR);
    world.register("p");
    world.acknowledge("p");
    world.acknowledge("p");
    let deliveries = world.deliveries("p");
    let second = deliveries.iter().find(|delivery| delivery.0 == 2).expect("it is put to it again");
    assert!(second.2, "it had it before: {deliveries:?}");
}

#[test]
fn who_was_a_member_once_is_none_again() {
    let mut world = World::with_members(1);
    world.send(open(1, world.now + HOUR));
    world.acknowledge("p0");
    world.gather();
    world.gateway.handle_deregistration(world.now, world.slot("p0"));
    world.crash();
    world.register("p0");
    assert_eq!(world.deliveries("p0"), []);
    assert_eq!(world.outcome(1, "p0"), Some(Outcome::Delivered));
}

#[test]
fn only_the_request_of_a_group_that_was_joined_is_delivered() {
    let mut world = World::new(vec![allocation("p", &["h"]), allocation("q", &["g"])]);
    world.send(open(1, world.now + HOUR));
    world.ask("p");
    world.decide("p", yes(&["h"]));
    world.open("p");
    assert_eq!(world.deliveries("p"), []);
    world.send(GroupRequest { group: group("h"), ..open(2, world.now + HOUR) });
    assert_eq!(world.members(2).len(), 1);
}

#[test]
fn a_late_joiner_and_the_openness_of_a_request_survive_a_crash() {
    let mut world = World::new(vec![allocation("p", &["g"]), allocation("q", &["g"])]);
    world.send(open(1, world.now + HOUR));
    world.register("p");
    let before = world.deliveries("p");
    world.crash();
    let slot = world.slot("p");
    world.gateway.handle_connection_lost(world.now, slot, Duration::from_secs(60), HOUR);
    world.register("p");
    let after = world.deliveries("p");
    assert_eq!((after[0].0, after[0].1, after[0].2), (1, before[0].1, true));
    world.acknowledge("p");
    world.register("q");
    world.acknowledge("q");
    world.pass(HOUR);
    assert_eq!((world.outcome(1, "p"), world.outcome(1, "q")), (Some(Outcome::Delivered), Some(Outcome::Delivered)));
    assert!(is_fixed(&world, 1) && world.gateway.census().requests == 0);
}

#[test]
fn a_peripheral_in_the_place_of_a_member_that_was_removed_may_join() {
    let mut world = World::with_members(1);
    world.send(open(1, world.now + HOUR));
    let place = world.slot("p0");
    assert!(world.gateway.handle_allocations(world.now, Vec::new()).is_empty());
    world.run();
    assert!(world.gateway.handle_allocations(world.now, vec![allocation("new", &["g"])]).is_empty());
    world.run();
    assert_eq!(world.slot("new"), place);
    world.register("new");
    world.crash();
    world.gateway.handle_connection_lost(world.now, place, Duration::from_secs(60), HOUR);
    world.register("new");
    world.acknowledge("new");
    world.gather();
    assert_eq!(world.outcome(1, "new"), Some(Outcome::Delivered));
    assert_eq!(world.receipts(1).len(), 2);
}

#[test]
fn a_cancelled_request_takes_nobody_more() {
    let mut world = World::new(vec![allocation("p", &["g"])]);
    world.send(open(1, world.now + HOUR));
    world.down(DownEntry::Cancel {
        request: RequestId::from_number(1).expect("a request id"),
        cause: StopCause::Cancelled,
    });
    assert!(is_fixed(&world, 1));
    assert_eq!(world.gateway.census().requests, 0);
    world.register("p");
    assert_eq!(world.deliveries("p"), []);
}

#[test]
fn a_late_joiner_with_too_much_before_it_is_refused() {
    let mut world = World::new(vec![allocation("p", &["g"])]);
    for number in 0..=limits::WAITING_PER_PERIPHERAL_MAX as u64 {
        world.send(open(1 + number, world.now + HOUR));
    }
    world.register("p");
    let last = limits::WAITING_PER_PERIPHERAL_MAX as u64 + 1;
    assert!(matches!(world.outcome(last, "p"), Some(Outcome::Refused { code, .. }) if code == "full"));
    assert_eq!(world.outcome(last - 1, "p"), None);
}
