//! Priorities, pacing, aborting, replacing.

use std::num::NonZeroU32;
use std::time::Duration;

use super::world::{HOUR, World, allocation, group, request};
use crate::gateway::{Effect, Rejection};
use crate::{Abort, DownEntry, FailuresMax, GroupRequest, Outcome, Pacing, Priority, RequestId, StopCause};

const SECOND: Duration = Duration::from_secs(1);

fn delivered(world: &World) -> Vec<(String, u64)> {
    let delivery = |effect: &Effect| match effect {
        Effect::Deliver { slot, request, .. } => {
            Some((world.gateway.peripheral(*slot)?.to_string(), request.id.number()))
        }
        _ => None,
    };
    world.effects.iter().filter_map(delivery).collect()
}

fn requests_to(world: &World, id: &str) -> Vec<u64> {
    world.deliveries(id).into_iter().map(|(number, ..)| number).collect()
}

fn with_priority(priority: Priority, number: u64, world: &World) -> GroupRequest {
    GroupRequest { priority, ..request(number, world.now + HOUR) }
}

fn refuse(world: &mut World, id: &str) {
    let delivery = world.deliveries(id).last().expect("there was a delivery").1;
    let no = Rejection { code: "0x83".into(), reason: "cannot".into() };
    world.gateway.handle_rejected(world.now, world.slot(id), delivery, no);
    world.run();
}

fn bearing(failures: FailuresMax, number: u64, world: &World) -> GroupRequest {
    GroupRequest { abort: Some(Abort { failures, minimum: 0 }), ..request(number, world.now + HOUR) }
}

#[test]
fn urgent_overtakes_what_waits_and_not_what_is_in_flight() {
    let mut world = World::with_members(1);
    let priorities = [Priority::Normal, Priority::Background, Priority::Normal, Priority::Urgent, Priority::Urgent];
    for (number, priority) in (1..).zip(priorities) {
        world.send(with_priority(priority, number, &world));
    }
    for _ in priorities {
        world.acknowledge("p0");
    }
    assert_eq!(requests_to(&world, "p0"), [1, 4, 5, 3, 2]);
}

#[test]
fn urgent_does_not_overtake_what_is_to_be_put_again() {
    let mut world = World::with_members(1);
    world.send(with_priority(Priority::Background, 1, &world));
    world.gateway.handle_connection_lost(world.now, world.slot("p0"), Duration::ZERO, HOUR);
    world.send(with_priority(Priority::Urgent, 2, &world));
    world.register("p0");
    world.acknowledge("p0");
    assert_eq!(requests_to(&world, "p0"), [1, 1, 2]);
}

#[test]
fn priorities_survive_a_crash() {
    let mut world = World::with_members(1);
    world.sleep("p0");
    for (number, priority) in [(1, Priority::Background), (2, Priority::Urgent), (3, Priority::Normal)] {
        world.send(with_priority(priority, number, &world));
    }
    world.crash();
    world.register("p0");
    for _ in 0..3 {
        world.acknowledge("p0");
    }
    assert_eq!(requests_to(&world, "p0"), [2, 3, 1]);
}

#[test]
fn pacing_of_the_gateway_is_kept() {
    let mut world = World::with_members(5);
    world.pace(Pacing {
        members_per_second: NonZeroU32::new(2),
        members_in_flight: NonZeroU32::new(3),
        activations_per_minute: None,
    });
    world.send(request(1, world.now + HOUR));
    assert_eq!(delivered(&world).len(), 2);
    world.pass(SECOND);
    assert_eq!(delivered(&world).len(), 3, "no more may be in flight");
    world.acknowledge("p0");
    assert_eq!(delivered(&world).len(), 4);
    world.acknowledge("p1");
    world.pass(SECOND);
    assert_eq!(delivered(&world).len(), 5);
}

#[test]
fn pacing_of_a_request_does_not_hold_up_the_others() {
    let mut world = World::with_members(3);
    let pacing = Pacing { members_in_flight: NonZeroU32::new(1), ..Pacing::default() };
    world.send(GroupRequest { pacing, ..request(1, world.now + HOUR) });
    assert_eq!(delivered(&world).len(), 1);
    world.send(with_priority(Priority::Urgent, 2, &world));
    assert_eq!(delivered(&world).len(), 3);
}

#[test]
fn after_a_crash_pacing_is_kept_too() {
    let mut world = World::with_members(2);
    let pacing = Pacing { members_per_second: NonZeroU32::new(1), ..Pacing::default() };
    world.send(GroupRequest { pacing, ..request(1, world.now + HOUR) });
    world.crash();
    world.register("p0");
    world.register("p1");
    assert_eq!(delivered(&world), []);
    world.pass(SECOND);
    assert_eq!(delivered(&world).len(), 1);
}

#[test]
fn a_sleeper_that_is_awake_goes_before_those_that_always_are() {
    let mut world = World::with_members(3);
    world.sleep("p2");
    let pacing = Pacing { members_per_second: NonZeroU32::new(1), ..Pacing::default() };
    world.send(GroupRequest { pacing, ..request(1, world.now + HOUR) });
    world.register("p2");
    world.pass(SECOND);
    assert_eq!(delivered(&world), [("p0".to_owned(), 1), ("p2".to_owned(), 1)]);
}

#[test]
fn more_failures_than_are_borne_abort_what_was_not_sent() {
    let mut world = World::with_members(4);
    world.sleep("p3");
    world.send(bearing(FailuresMax::Count(1), 1, &world));
    refuse(&mut world, "p0");
    assert_eq!(world.outcome(1, "p3"), None);
    refuse(&mut world, "p1");
    assert_eq!(world.outcome(1, "p3"), Some(Outcome::Aborted));
    world.acknowledge("p2");
    assert_eq!(world.outcome(1, "p2"), Some(Outcome::Delivered), "what was with it came to its own end");
}

#[test]
fn a_share_of_failures_is_the_platforms_to_count() {
    let mut world = World::with_members(3);
    world.sleep("p2");
    world.send(bearing(FailuresMax::Percentage(10), 1, &world));
    refuse(&mut world, "p0");
    refuse(&mut world, "p1");
    assert_eq!(world.outcome(1, "p2"), None);
    let id = RequestId::from_number(1).expect("a request id");
    world.down(DownEntry::Cancel { request: id, cause: StopCause::Aborted });
    assert_eq!(world.outcome(1, "p2"), Some(Outcome::Aborted));
}

#[test]
fn a_newer_request_with_the_same_key_replaces_what_waits() {
    let mut world = World::with_members(2);
    world.sleep("p0");
    let keyed = |number, key: &str, world: &World| GroupRequest {
        collapse_key: Some(key.parse().expect("a collapse key")),
        ..request(number, world.now + HOUR)
    };
    world.send(keyed(1, "brightness", &world));
    world.send(keyed(2, "colour", &world));
    world.send(GroupRequest { group: group("other"), ..keyed(3, "brightness", &world) });
    assert_eq!(world.outcome(1, "p0"), None);
    world.send(keyed(4, "brightness", &world));
    assert_eq!(world.outcome(1, "p0"), Some(Outcome::Replaced));
    assert_eq!(world.outcome(1, "p1"), None, "it is with it already");
    world.crash();
    world.send(keyed(5, "brightness", &world));
    assert_eq!(world.outcome(4, "p0"), Some(Outcome::Replaced), "also after a crash");
    assert_eq!(world.outcome(2, "p0"), None);
}

#[test]
fn what_waits_for_the_disk_counts_when_it_leaves() {
    let mut world = World::with_members(4);
    let pacing = Pacing { members_per_second: NonZeroU32::new(2), ..Pacing::default() };
    world.down_without_disk(DownEntry::Request(GroupRequest { pacing, ..request(1, world.now + HOUR) }));
    for _ in 0..5 {
        world.pass_without_disk(SECOND);
    }
    world.run();
    assert_eq!(delivered(&world).len(), 2);
    world.pass(SECOND - Duration::from_millis(1));
    assert_eq!(delivered(&world).len(), 2);
    world.pass(Duration::from_millis(1));
    assert_eq!(delivered(&world).len(), 4);
}

#[test]
fn pacing_outlives_a_crash_also_when_everybody_served_before_it_has_left() {
    let pacing = Pacing { members_per_second: NonZeroU32::new(1), ..Pacing::default() };
    let mut world = World::paced(vec![allocation("p0", &["g"]), allocation("p1", &["g"])], pacing);
    world.register("p0");
    world.send(request(1, world.now + HOUR));
    world.acknowledge("p0");
    world.gateway.handle_deregistration(world.now, world.slot("p0"));
    world.run();
    world.crash();
    world.register("p1");
    world.send(request(2, world.now + HOUR));
    assert!(requests_to(&world, "p1").is_empty());
    world.pass(SECOND);
    assert_eq!(requests_to(&world, "p1"), [2]);
}
