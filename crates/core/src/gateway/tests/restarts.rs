//! What survives the death of the process.

use std::time::Duration;

use super::world::{HOUR, World, allocation, request};
use crate::gateway::Effect;
use crate::{DownEntry, EndCause, GroupRequest, Outcome, Receipt, RequestId, State, StopCause, UpEntry};

/// After a crash the connections are gone; the edge says so.
fn lose_connections(world: &mut World, ids: &[&str]) {
    for id in ids {
        world.gateway.handle_connection_lost(world.now, world.slot(id), Duration::from_secs(60), HOUR);
    }
    world.run();
}

#[test]
fn registrations_and_queues_survive() {
    let mut world = World::with_members(2);
    world.sleep("p0");
    world.send(request(1, world.now + HOUR));
    world.send(request(2, world.now + HOUR));
    world.acknowledge("p1");
    world.crash();
    lose_connections(&mut world, &["p0", "p1"]);
    assert_eq!((world.state("p0"), world.state("p1")), (State::Activating, State::Active));
    world.register("p0");
    world.acknowledge("p0");
    world.acknowledge("p0");
    world.register("p1");
    assert_eq!(world.deliveries("p1").first().map(|delivery| delivery.0), Some(2), "what was delivered is not again");
    world.acknowledge("p1");
    for (number, id) in [(1, "p0"), (1, "p1"), (2, "p0"), (2, "p1")] {
        assert_eq!(world.outcome(number, id), Some(Outcome::Delivered));
    }
}

#[test]
fn a_delivery_repeated_after_a_crash_carries_the_number_it_had() {
    let mut world = World::with_members(1);
    world.send(request(1, world.now + HOUR));
    let before = world.deliveries("p0");
    world.crash();
    lose_connections(&mut world, &["p0"]);
    world.register("p0");
    let after = world.deliveries("p0");
    assert_eq!((after[0].1, after[0].2), (before[0].1, true));
}

#[test]
fn what_was_not_persisted_was_not_promised() {
    let mut world = World::with_members(1);
    world.effects.clear();
    world.gateway.handle_down(world.now, 100, DownEntry::Request(request(1, world.now + HOUR)));
    world.drain();
    assert_eq!(world.effects, []);
    world.crash();
    assert_eq!(world.gateway.census().requests, 0);
    assert!(world.gateway.census().down_applied < 100, "so the platform sends it again");
}

#[test]
fn an_entry_of_the_down_log_takes_effect_once() {
    let mut world = World::with_members(1);
    let entry = DownEntry::Request(request(1, world.now + HOUR));
    world.gateway.handle_down(world.now, 50, entry.clone());
    world.run();
    world.acknowledge("p0");
    world.crash();
    world.gateway.handle_down(world.now, 50, entry);
    world.run();
    assert_eq!(world.members(1).len(), 1);
    assert_eq!(world.outcome(1, "p0"), Some(Outcome::Delivered));
    assert!(world.effects.contains(&Effect::DownAcknowledged { through: 50 }));
}

#[test]
fn who_was_asking_is_not_believed_to_be_registered() {
    let mut world = World::new(vec![allocation("p", &["g"])]);
    world.ask("p");
    let registration = world.last_asked("p");
    world.crash();
    assert_eq!(world.state("p"), State::Allocated);
    let told = world.up().into_iter().any(|entry| {
        matches!(entry, UpEntry::Deregistered { ended, .. } if ended.registration == registration && ended.cause == EndCause::Unanswered)
    });
    assert!(told);
    world.ask("p");
    assert!(world.last_asked("p") > registration, "no number is given out twice");
}

#[test]
fn a_deadline_that_passed_meanwhile_ends_the_request() {
    let mut world = World::with_members(1);
    world.sleep("p0");
    world.send(request(1, world.now + Duration::from_secs(10)));
    world.now += Duration::from_secs(20);
    world.crash();
    world.pass(Duration::ZERO);
    assert!(matches!(world.outcome(1, "p0"), Some(Outcome::Expired { .. })));
}

#[test]
fn a_cancelled_request_stays_cancelled() {
    let mut world = World::with_members(1);
    world.send(request(1, world.now + HOUR));
    world.down(DownEntry::Cancel {
        request: RequestId::from_number(1).expect("a request id"),
        cause: StopCause::Cancelled,
    });
    world.crash();
    lose_connections(&mut world, &["p0"]);
    world.register("p0");
    assert_eq!(world.deliveries("p0"), []);
    assert!(matches!(world.outcome(1, "p0"), Some(Outcome::Failed { .. })));
}

#[test]
fn an_answer_that_was_not_taken_is_taken_when_it_comes_again() {
    let mut world = World::with_members(1);
    world.send(GroupRequest { receipt: Receipt::Executed, ..request(1, world.now + HOUR) });
    world.acknowledge("p0");
    world.crash();
    lose_connections(&mut world, &["p0"]);
    world.ask("p0");
    world.answer("p0", 1, "done");
    world.open("p0");
    assert!(matches!(world.outcome(1, "p0"), Some(Outcome::Executed { .. })));
    assert_eq!(world.deliveries("p0"), [], "it is not asked again");
}

#[test]
fn a_lease_survives() {
    let mut world = World::with_members(1);
    world.sleep("p0");
    world.crash();
    world.ask("p0");
    assert_eq!(world.state("p0"), State::Active);
}
