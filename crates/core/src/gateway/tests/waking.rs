//! Activation: wakers, tries, pauses, and what shares a wake-up.

use std::num::NonZeroU32;
use std::time::Duration;

use super::world::{HOUR, World, allocation, application, group, peripheral, request, yes};
use crate::gateway::{Effect, WakeUp};
use crate::{
    Activation, Allocation, DownEntry, GroupRequest, Outcome, Pacing, Presence, RequestId, Sleepers, State, StopCause,
    UpEntry, Waker, Wakes,
};

const SECOND: Duration = Duration::from_secs(1);

/// A waker that tries twice for 10 s each, with a pause of 20 s between.
fn waker() -> Waker {
    let json = r#"{"exec":{"program":"wake","effort":{"time_limit":10,"tries":2,"back_off":20}}}"#;
    json.parse().expect("a waker")
}

/// With `count` members `p0`, `p1`, … in standby, each with this waker and the label `number`.
fn asleep_with(count: usize, waker: &Waker) -> World {
    let allocation = |number: usize| Allocation {
        waker: waker.clone(),
        labels: [("number".to_owned(), number.to_string())].into(),
        ..allocation(&format!("p{number}"), &["g"])
    };
    let mut world = World::new((0..count).map(allocation).collect());
    for number in 0..count {
        let id = format!("p{number}");
        world.register(&id);
        world.sleep(&id);
    }
    world.effects.clear();
    world
}

fn asleep(count: usize) -> World {
    asleep_with(count, &waker())
}

/// The wake-ups that were sent: to whom, and which try.
fn wake_ups(world: &World) -> Vec<(String, u8)> {
    let wake_up = |effect: &Effect| match effect {
        Effect::Wake { slot, tries, .. } => Some((world.gateway.peripheral(*slot)?.to_string(), *tries)),
        _ => None,
    };
    world.effects.iter().filter_map(wake_up).collect()
}

fn last_wake_up(world: &World) -> WakeUp {
    let number = |effect: &Effect| match effect {
        Effect::Wake { wake_up, .. } => Some(*wake_up),
        _ => None,
    };
    world.effects.iter().rev().find_map(number).expect("a wake-up was sent")
}

fn tried(id: &str, tries: u8) -> (String, u8) {
    (id.to_owned(), tries)
}

fn cancel(world: &mut World, number: u64) {
    let request = RequestId::from_number(number).expect("a request id");
    world.down(DownEntry::Cancel { request, cause: StopCause::Cancelled });
}

#[test]
fn several_requests_share_one_wake_up() {
    let mut world = asleep(1);
    for number in 1..=3 {
        world.send(request(number, world.now + HOUR));
    }
    assert_eq!(wake_ups(&world), [tried("p0", 1)]);
    assert_eq!(world.state("p0"), State::Activating);
    world.register("p0");
    for number in 1..=3 {
        world.acknowledge("p0");
        assert_eq!(world.outcome(number, "p0"), Some(Outcome::Delivered));
    }
    world.pass(HOUR);
    assert_eq!(wake_ups(&world).len(), 1);
}

#[test]
fn a_peripheral_that_wakes_by_itself_is_waited_for() {
    let mut world = asleep_with(1, &Waker::Window);
    world.send(request(1, world.now + HOUR));
    world.pass(HOUR / 2);
    assert_eq!((wake_ups(&world), world.state("p0")), (vec![], State::Activating));
}

#[test]
fn a_try_that_takes_its_time_is_followed_by_another_after_a_pause() {
    let mut world = asleep(1);
    world.send(request(1, world.now + HOUR));
    world.pass(10 * SECOND);
    world.pass(19 * SECOND);
    assert_eq!(wake_ups(&world).len(), 1);
    world.pass(SECOND);
    assert_eq!(wake_ups(&world), [tried("p0", 1), tried("p0", 2)]);
}

#[test]
fn a_try_that_could_not_be_sent_need_not_take_its_time() {
    let mut world = asleep(1);
    world.send(request(1, world.now + HOUR));
    let first = last_wake_up(&world);
    world.gateway.handle_wake_failed(world.now, world.slot("p0"), first);
    world.pass(20 * SECOND);
    assert_eq!(wake_ups(&world).len(), 2);
    // What failed long ago is not what is under way.
    world.gateway.handle_wake_failed(world.now, world.slot("p0"), first);
    world.run();
    assert_eq!(world.state("p0"), State::Activating);
}

#[test]
fn giving_up_leaves_it_in_standby_with_its_queue_and_the_wake_it_told() {
    let mut world = asleep(1);
    world.gateway.handle_standby(world.now, world.slot("p0"), Some(HOUR));
    let next_wake = Some(world.now + HOUR);
    world.send(request(1, world.now + 2 * HOUR));
    world.pass(10 * SECOND);
    world.pass(20 * SECOND);
    world.pass(10 * SECOND);
    assert_eq!((wake_ups(&world).len(), world.state("p0")), (2, State::Standby));
    let told = world.up().into_iter().rev().find_map(|entry| match entry {
        UpEntry::PresenceChanged { changed, .. } => Some(changed.presence),
        _ => None,
    });
    assert_eq!(told, Some(Presence::Standby { next_wake }));
    world.pass(HOUR - 60 * SECOND);
    assert_eq!(wake_ups(&world).len(), 2, "the request was given up to sleep on");
    world.register("p0");
    assert_eq!(world.deliveries("p0").len(), 1);
}

#[test]
fn after_giving_up_it_is_left_alone_for_a_while() {
    let mut world = asleep(1);
    world.send(request(1, world.now + HOUR));
    world.pass(10 * SECOND);
    world.pass(20 * SECOND);
    world.pass(10 * SECOND);
    world.effects.clear();
    world.send(request(2, world.now + HOUR));
    world.pass(39 * SECOND);
    assert_eq!(wake_ups(&world), []);
    world.pass(SECOND);
    assert_eq!(wake_ups(&world), [tried("p0", 1)]);
}

#[test]
fn a_wake_up_for_a_request_that_was_cancelled_may_yet_wake_and_none_follows_before() {
    let mut world = asleep(1);
    world.send(request(1, world.now + HOUR));
    cancel(&mut world, 1);
    assert_eq!(world.state("p0"), State::Standby);
    world.send(request(2, world.now + HOUR));
    world.pass(9 * SECOND);
    assert_eq!(wake_ups(&world).len(), 1);
    world.pass(SECOND);
    assert_eq!(wake_ups(&world), [tried("p0", 1), tried("p0", 1)]);
}

#[test]
fn a_member_that_sleeps_again_before_its_turn_is_not_woken_twice_for_one_request() {
    let mut world = asleep(1);
    world.send(request(1, world.now + HOUR));
    world.ask("p0");
    assert_eq!(world.state("p0"), State::Active, "awake, and not reachable for deliveries");
    world.sleep("p0");
    world.pass(HOUR / 2);
    assert_eq!((wake_ups(&world).len(), world.state("p0")), (1, State::Standby));
}

#[test]
fn a_member_that_falls_asleep_before_its_turn_is_woken_for_it() {
    let mut world = asleep(1);
    world.ask("p0");
    world.send(request(1, world.now + HOUR));
    world.sleep("p0");
    assert_eq!(wake_ups(&world), [tried("p0", 1)]);
}

#[test]
fn a_label_selector_says_who_is_woken() {
    let mut world = asleep(4);
    let selector = Activation::Labels("number in (1,3)".parse().expect("a selector"));
    world.send(GroupRequest { activation: selector, sleepers: Sleepers::Skip, ..request(1, world.now + HOUR) });
    assert_eq!(wake_ups(&world), [tried("p1", 1), tried("p3", 1)]);
    assert_eq!(["p0", "p2"].map(|id| world.outcome(1, id)), [Some(Outcome::Skipped), Some(Outcome::Skipped)]);
}

#[test]
fn the_soonest_expected_wake_goes_first_then_the_least_recently_activated() {
    let mut world = asleep(4);
    for (id, seconds) in [("p3", 100), ("p2", 50)] {
        world.gateway.handle_standby(world.now, world.slot(id), Some(seconds * SECOND));
    }
    let one =
        |number, world: &World| GroupRequest { activation: Activation::Count(1), ..request(number, world.now + HOUR) };
    world.send(one(1, &world));
    assert_eq!(wake_ups(&world), [tried("p2", 1)]);
    for id in ["p2", "p3"] {
        world.register(id);
        world.acknowledge(id);
        world.sleep(id);
    }
    world.effects.clear();
    world.now += SECOND;
    let three = Activation::Count(3);
    world.send(GroupRequest { activation: three, ..request(2, world.now + HOUR) });
    let woken: Vec<String> = wake_ups(&world).into_iter().map(|(id, _)| id).collect();
    assert_eq!(woken, ["p0", "p1", "p3"], "p2 was activated last");
}

#[test]
fn the_wake_budget_of_the_gateway_is_kept() {
    let mut world = asleep(5);
    world.pace(Pacing { activations_per_minute: NonZeroU32::new(2), ..Pacing::default() });
    world.send(request(1, world.now + 3 * HOUR));
    assert_eq!(wake_ups(&world).len(), 2);
    for id in ["p0", "p1"] {
        world.register(id);
    }
    world.pass(59 * SECOND);
    assert_eq!(wake_ups(&world).len(), 2);
    assert_eq!(world.state("p4"), State::Standby, "its turn has not come");
    world.pass(SECOND);
    assert_eq!(wake_ups(&world).len(), 4);
}

#[test]
fn the_wake_budget_of_a_request_leaves_the_gateways_to_others() {
    let mut world = asleep(4);
    let pacing = Pacing { activations_per_minute: NonZeroU32::new(1), ..Pacing::default() };
    let some = |selector: &str| Activation::Labels(selector.parse().expect("a selector"));
    world.send(GroupRequest { pacing, activation: some("number in (0,1)"), ..request(1, world.now + HOUR) });
    world.send(GroupRequest { activation: some("number in (2,3)"), ..request(2, world.now + HOUR) });
    assert_eq!(wake_ups(&world), [tried("p0", 1), tried("p2", 1), tried("p3", 1)]);
}

#[test]
fn a_peripheral_or_a_whole_group_is_activated_when_asked_for() {
    let mut world = asleep(3);
    world.down(DownEntry::Activate { peripheral: peripheral("p1") });
    assert_eq!(wake_ups(&world), [tried("p1", 1)]);
    world.down(DownEntry::ActivateGroup { application: application(), group: group("g") });
    assert_eq!(wake_ups(&world), [tried("p1", 1), tried("p0", 1), tried("p2", 1)]);
    for id in ["p0", "p1", "p2"] {
        world.register(id);
    }
    world.down(DownEntry::StandbyGroup { application: application(), group: group("g") });
    assert!(["p0", "p1", "p2"].iter().all(|id| world.state(id) == State::Standby));
}

#[test]
fn a_crash_counts_the_try_that_was_under_way() {
    let mut world = asleep(1);
    world.send(request(1, world.now + HOUR));
    world.crash();
    assert_eq!((wake_ups(&world), world.state("p0")), (vec![], State::Activating));
    world.pass(10 * SECOND);
    world.pass(20 * SECOND);
    assert_eq!(wake_ups(&world), [tried("p0", 2)]);
}

#[test]
fn who_leaves_is_woken_no_more() {
    let mut world = asleep(1);
    world.send(request(1, world.now + HOUR));
    world.gateway.handle_deregistration(world.now, world.slot("p0"));
    world.run();
    world.pass(HOUR);
    assert_eq!(wake_ups(&world).len(), 1);
    world.ask("p0");
    world.decide("p0", yes(&["g"]));
    assert_eq!(world.state("p0"), State::Active);
}

#[test]
fn a_wake_up_that_waits_for_the_disk_is_followed_by_no_other() {
    let mut world = asleep(1);
    world.down_without_disk(DownEntry::Request(request(1, world.now + HOUR)));
    for _ in 0..60 {
        world.pass_without_disk(SECOND);
    }
    world.run();
    assert_eq!(wake_ups(&world), [tried("p0", 1)]);
    // The first may work for ten seconds after it has left, and a pause of twenty follows.
    world.pass(10 * SECOND);
    world.pass(19 * SECOND);
    assert_eq!(wake_ups(&world).len(), 1);
    world.pass(SECOND);
    assert_eq!(wake_ups(&world), [tried("p0", 1), tried("p0", 2)]);
}

#[test]
fn who_wakes_while_its_wake_up_waits_for_the_disk_is_not_woken() {
    let mut world = asleep(1);
    world.down_without_disk(DownEntry::Request(request(1, world.now + HOUR)));
    world.gateway.handle_word(world.now, world.slot("p0"));
    world.run();
    assert_eq!((wake_ups(&world), world.state("p0")), (vec![], State::Active));
}

#[test]
fn the_wake_budget_counts_wake_ups_when_they_leave() {
    let pacing = Pacing { activations_per_minute: NonZeroU32::new(1), ..Pacing::default() };
    let mut world = asleep(3);
    world.down_without_disk(DownEntry::Request(GroupRequest { pacing, ..request(1, world.now + HOUR) }));
    for _ in 0..3 {
        world.pass_without_disk(60 * SECOND);
    }
    world.run();
    assert_eq!(wake_ups(&world).len(), 1);
    world.pass(59 * SECOND);
    assert_eq!(wake_ups(&world).len(), 1);
    world.pass(SECOND);
    assert_eq!(wake_ups(&world).len(), 2);
}

#[test]
fn an_allocation_that_comes_to_allow_fewer_tries_ends_the_activation() {
    let mut world = asleep(1);
    world.send(request(1, world.now + HOUR));
    world.pass(10 * SECOND);
    let once = r#"{"exec":{"program":"wake","effort":{"time_limit":10,"tries":1,"back_off":20}}}"#;
    let allocation = Allocation { waker: once.parse().expect("a waker"), ..allocation("p0", &["g"]) };
    assert!(world.gateway.handle_allocations(world.now, vec![allocation]).is_empty());
    world.pass(HOUR / 2);
    assert_eq!((wake_ups(&world), world.state("p0")), (vec![tried("p0", 1)], State::Standby));
}

/// What the platform was told of what wakes a peripheral, in order.
fn told_of(world: &World, id: &str) -> Vec<Option<Wakes>> {
    let told = |entry: UpEntry| match entry {
        UpEntry::Allocated(notice) if notice.peripheral == peripheral(id) => Some(notice.wakes),
        _ => None,
    };
    world.up().into_iter().filter_map(told).collect()
}

#[test]
fn the_platform_is_told_what_wakes_a_peripheral_wherever_it_is_allocated() {
    let with = |id: &str, waker: Waker| Allocation { waker, ..allocation(id, &["g"]) };
    let mut world = World::new(vec![with("file", waker()), with("itself", Waker::Window)]);
    world.down(DownEntry::Allocate(with("platform", waker())));
    let (woken, by_itself) = (Some(Wakes::WhenWoken), Some(Wakes::ByItself));
    assert_eq!(
        ["file", "platform", "itself"].map(|id| told_of(&world, id)),
        [vec![woken], vec![woken], vec![by_itself]]
    );
    // Nothing else of it changes.
    world.down(DownEntry::Allocate(with("platform", Waker::Window)));
    assert_eq!(told_of(&world, "platform"), [woken, by_itself]);
    // What the platform wants does not count where the gateway's file holds it.
    world.down(DownEntry::Allocate(with("itself", waker())));
    assert_eq!(told_of(&world, "itself"), [by_itself, by_itself]);
}
