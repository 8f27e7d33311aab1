//! Every row of what a group request may say, and every outcome that it may have.

use std::collections::BTreeSet;
use std::time::Duration;

use super::world::{HOUR, World, allocation, request};
use crate::gateway::Rejection;
use crate::{
    Abort, Activation, Allocation, DownEntry, FailuresMax, GroupRequest, OutcomeKind, Receipt, RequestId, Sleepers,
    State, StopCause, Time,
};

/// Request 1, for members `p0` and `p1`.
fn first(world: &World) -> GroupRequest {
    request(1, world.now + HOUR)
}

fn reject(world: &mut World, id: &str) {
    let delivery = world.deliveries(id).last().expect("there was a delivery").1;
    let no = Rejection { code: "4.05".into(), reason: "cannot".into() };
    world.gateway.handle_rejected(world.now, world.slot(id), delivery, no);
    world.run();
}

type Story = fn(&mut World);

/// What leads to each outcome for `p0`.
const STORIES: [(OutcomeKind, Story); 10] = [
    (OutcomeKind::Executed, |world| {
        world.send(GroupRequest { receipt: Receipt::Executed, ..first(world) });
        world.acknowledge("p0");
        world.answer("p0", 1, "done");
    }),
    (OutcomeKind::Delivered, |world| {
        world.send(first(world));
        world.acknowledge("p0");
    }),
    (OutcomeKind::Refused, |world| {
        world.send(first(world));
        reject(world, "p0");
    }),
    (OutcomeKind::Failed, |world| {
        world.send(GroupRequest { receipt: Receipt::Executed, ..first(world) });
        world.acknowledge("p0");
        world.pass(Duration::from_secs(30));
    }),
    (OutcomeKind::Expired, |world| {
        world.sleep("p0");
        world.send(request(1, world.now + Duration::from_secs(5)));
        world.pass(Duration::from_secs(5));
    }),
    (OutcomeKind::Skipped, |world| {
        world.sleep("p0");
        world.send(GroupRequest { activation: Activation::None, sleepers: Sleepers::Skip, ..first(world) });
    }),
    (OutcomeKind::Left, |world| {
        world.send(first(world));
        world.gateway.handle_deregistration(world.now, world.slot("p0"));
        world.run();
    }),
    (OutcomeKind::Cancelled, |world| {
        world.sleep("p0");
        world.send(first(world));
        let request = RequestId::from_number(1).expect("a request id");
        world.down(DownEntry::Cancel { request, cause: StopCause::Cancelled });
    }),
    (OutcomeKind::Aborted, |world| {
        world.sleep("p0");
        let abort = Some(Abort { failures: FailuresMax::Count(0), minimum: 1 });
        world.send(GroupRequest { abort, ..first(world) });
        reject(world, "p1");
    }),
    (OutcomeKind::Replaced, |world| {
        world.sleep("p0");
        let collapse_key = || Some("switch".parse().expect("a collapse key"));
        world.send(GroupRequest { collapse_key: collapse_key(), ..first(world) });
        world.send(GroupRequest { collapse_key: collapse_key(), ..request(2, world.now + HOUR) });
    }),
];

#[test]
fn every_outcome_has_its_story_and_the_request_ends_for_both_members() {
    let told: BTreeSet<OutcomeKind> = STORIES.iter().map(|(kind, _)| *kind).collect();
    assert_eq!(told, OutcomeKind::ALL.iter().copied().collect());
    for (kind, story) in STORIES {
        let mut world = World::with_members(2);
        story(&mut world);
        world.gather();
        assert_eq!(world.outcome(1, "p0").map(|outcome| outcome.kind()), Some(kind));
        world.pass(2 * HOUR);
        assert_eq!(world.receipts(1).len(), 2, "{kind}");
        assert_eq!(world.gateway.census().requests, 0, "{kind}");
    }
}

/// Five members in standby of which one told when it wakes, each labelled with its number.
fn sleepers() -> World {
    let labelled = |number: usize| Allocation {
        labels: [("number".to_owned(), number.to_string())].into(),
        ..allocation(&format!("p{number}"), &["g"])
    };
    let mut world = World::new((0..5).map(labelled).collect());
    for number in 0..5 {
        let id = format!("p{number}");
        world.register(&id);
        world.sleep(&id);
    }
    world.gateway.handle_standby(world.now, world.slot("p3"), Some(Duration::from_secs(60)));
    world.run();
    world
}

#[test]
fn activation_says_which_sleepers_are_activated_and_sleepers_what_becomes_of_the_rest() {
    for (activation, activated) in [
        ("all", &["p0", "p1", "p2", "p3", "p4"][..]),
        ("none", &[]),
        ("2", &["p0", "p3"]),
        ("9", &["p0", "p1", "p2", "p3", "p4"]),
        ("40%", &["p0", "p3"]),
        ("1%", &["p3"]),
        ("number in (1,2)", &["p1", "p2"]),
        ("number!=4,!spare", &["p0", "p1", "p2", "p3"]),
        ("spare=yes", &[]),
    ] {
        for sleepers_word in [Sleepers::Queue, Sleepers::Skip] {
            let mut world = sleepers();
            let activation: Activation = activation.parse().expect("an activation");
            world.send(GroupRequest { activation: activation.clone(), sleepers: sleepers_word, ..first(&world) });
            for number in 0..5 {
                let id = format!("p{number}");
                let is_activated = activated.contains(&id.as_str());
                let state = if is_activated { State::Activating } else { State::Standby };
                assert_eq!(world.state(&id), state, "{id} {activation}");
                let is_skipped = !is_activated && sleepers_word == Sleepers::Skip;
                let outcome = world.outcome(1, &id).map(|outcome| outcome.kind());
                assert_eq!(outcome, is_skipped.then_some(OutcomeKind::Skipped), "{id} {activation}");
            }
        }
    }
}

#[test]
fn the_deadline_ends_a_request_and_not_before() {
    let mut world = World::with_members(1);
    let deadline: Time = world.now + Duration::from_secs(9);
    world.send(GroupRequest { deadline, ..first(&world) });
    world.pass(Duration::from_secs(8));
    assert_eq!(world.outcome(1, "p0"), None);
    world.pass(Duration::from_secs(1));
    assert_eq!(world.outcome(1, "p0").map(|outcome| outcome.kind()), Some(OutcomeKind::Expired));
}
