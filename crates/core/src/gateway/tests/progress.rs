//! Where members are seen on the way to their outcomes.

use super::world::{HOUR, World, request};
use crate::gateway::Effect;
use crate::{Activation, GroupRequest, MemberProgress, Stage, UpEntry, limits};

/// What the platform was told on the way, entry by entry: who, and the stages.
fn told(world: &World) -> Vec<Vec<(String, Vec<Stage>)>> {
    let stages = |member: MemberProgress| {
        (member.peripheral.to_string(), member.seen.iter().map(|sighting| sighting.stage).collect())
    };
    let progress = |entry| match entry {
        UpEntry::Progress { members, .. } => Some(members.into_iter().map(stages).collect()),
        _ => None,
    };
    world.up().into_iter().filter_map(progress).collect()
}

fn member(id: &str, stages: &[Stage]) -> (String, Vec<Stage>) {
    (id.to_owned(), stages.to_vec())
}

#[test]
fn where_members_are_is_told_together_after_a_while() {
    let mut world = World::with_members(3);
    world.sleep("p1");
    world.send(request(1, world.now + HOUR));
    assert_eq!(told(&world), [] as [Vec<_>; 0]);
    world.pass(limits::PROGRESS_INTERVAL);
    let sent = [Stage::Sent];
    let woken = [Stage::Asleep, Stage::Activating];
    assert_eq!(told(&world), [vec![member("p0", &sent), member("p1", &woken), member("p2", &sent)]]);
    world.pass(limits::PROGRESS_INTERVAL);
    assert_eq!(told(&world).len(), 1, "nothing is told twice");
}

#[test]
fn a_member_that_is_served_at_once_takes_its_progress_along_in_its_receipt() {
    let mut world = World::with_members(1);
    world.send(request(1, world.now + HOUR));
    world.acknowledge("p0");
    world.pass(limits::PROGRESS_INTERVAL);
    assert_eq!(told(&world), [] as [Vec<_>; 0]);
    let stages: Vec<Stage> = world.receipts(1)[0].seen.iter().map(|sighting| sighting.stage).collect();
    assert_eq!(stages, [Stage::Sent]);
}

#[test]
fn a_sleeper_that_is_not_woken_is_asleep_until_its_own_wake() {
    let mut world = World::with_members(1);
    world.sleep("p0");
    world.send(GroupRequest { activation: Activation::None, ..request(1, world.now + HOUR) });
    world.pass(limits::PROGRESS_INTERVAL);
    world.register("p0");
    world.pass(limits::PROGRESS_INTERVAL);
    let woke = [Stage::AtGateway, Stage::Sent];
    assert_eq!(told(&world), [vec![member("p0", &[Stage::Asleep])], vec![member("p0", &woke)]]);
}

#[test]
fn a_second_request_waits_at_the_gateway_while_the_first_is_with_the_member() {
    let mut world = World::with_members(1);
    world.send(request(1, world.now + HOUR));
    world.send(request(2, world.now + HOUR));
    world.pass(limits::PROGRESS_INTERVAL);
    assert_eq!(told(&world), [vec![member("p0", &[Stage::Sent])]]);
    world.acknowledge("p0");
    world.pass(limits::PROGRESS_INTERVAL);
    assert_eq!(told(&world)[1..], [vec![member("p0", &[Stage::Sent])]]);
}

#[test]
fn a_restless_member_is_told_with_each_stage_once() {
    let mut world = World::with_members(1);
    world.sleep("p0");
    world.send(GroupRequest { activation: Activation::None, ..request(1, world.now + HOUR) });
    for _ in 0..5 {
        world.gateway.handle_word(world.now, world.slot("p0"));
        world.sleep("p0");
    }
    world.pass(limits::PROGRESS_INTERVAL);
    assert_eq!(told(&world), [vec![member("p0", &[Stage::AtGateway, Stage::Asleep])]]);
}

#[test]
fn a_delivery_does_not_wait_for_what_is_noted_of_it() {
    let mut world = World::with_members(1);
    world.gateway.handle_reach(world.now, world.slot("p0"), crate::gateway::Reach::Closed);
    world.send(request(1, world.now + HOUR));
    world.gateway.handle_reach(world.now, world.slot("p0"), crate::gateway::Reach::Open);
    world.drain();
    assert!(matches!(world.effects.last(), Some(Effect::Deliver { .. })));
    assert_eq!(world.gateway.unpersisted(), 0);
}

#[test]
fn after_a_crash_it_is_told_where_members_are_then() {
    let mut world = World::with_members(1);
    world.sleep("p0");
    world.send(request(1, world.now + HOUR));
    world.crash();
    world.pass(limits::PROGRESS_INTERVAL);
    assert_eq!(told(&world), [vec![member("p0", &[Stage::Activating])]]);
}
