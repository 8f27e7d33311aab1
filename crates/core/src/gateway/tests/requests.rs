//! Group requests.

use std::collections::BTreeSet;
use std::time::Duration;

use super::world::{HOUR, World, allocation, group, peripheral, request, yes};
use crate::gateway::{Effect, Output, Presented, Reach, Rejection};
use crate::{
    Activation, Content, DownEntry, ExpiryCause, GroupRequest, Outcome, Presence, Receipt, RequestId, Sleepers, State,
    StopCause, UpEntry, limits,
};

fn executed(text: &str) -> Outcome {
    Outcome::Executed { answer: Content::text(text) }
}

fn expired(cause: ExpiryCause) -> Outcome {
    Outcome::Expired { cause }
}

#[test]
fn active_members_get_a_request_at_once_and_each_has_one_outcome() {
    let mut world = World::with_members(3);
    world.send(request(1, world.now + HOUR));
    assert_eq!(world.members(1).len(), 3);
    for id in ["p0", "p1", "p2"] {
        assert_eq!(world.deliveries(id).len(), 1);
        assert_eq!(world.outcome(1, id), None);
        world.acknowledge(id);
        world.gather();
        assert_eq!(world.outcome(1, id), Some(Outcome::Delivered));
    }
    assert_eq!(world.gateway.census().requests, 0);
    assert!(world.disk.restored().requests.is_empty());
}

#[test]
fn a_request_for_a_group_without_members_says_so() {
    let mut world = World::new(vec![allocation("p", &["g"])]);
    world.send(request(1, world.now + HOUR));
    let told = world
        .up()
        .into_iter()
        .any(|entry| matches!(entry, UpEntry::MembersFixed { members, is_last: true, .. } if members.is_empty()));
    assert!(told);
}

#[test]
fn a_member_of_several_groups_that_a_group_contains_gets_one_delivery() {
    let mut world = World::new(vec![allocation("p", &["g", "h"]), allocation("q", &["h"]), allocation("r", &["i"])]);
    for (id, groups) in [("p", &["g", "h"][..]), ("q", &["h"]), ("r", &["i"])] {
        world.ask(id);
        world.decide(id, yes(groups));
        world.open(id);
    }
    let contained = BTreeSet::from(["floor", "g", "h"].map(group));
    world.send(GroupRequest { group: group("site"), contained, ..request(1, world.now + HOUR) });
    assert_eq!(world.members(1).len(), 2);
    assert_eq!(["p", "q", "r"].map(|id| world.deliveries(id).len()), [1, 1, 0]);
    world.sleep("p");
    world.ask_with("p", Presented { password: Some(b"other".to_vec()), ..Presented::default() });
    world.decide("p", yes(&["h"]));
    world.open("p");
    world.acknowledge("p");
    world.gather();
    assert_eq!(world.outcome(1, "p"), Some(Outcome::Delivered), "it is still in one of the groups");
}

#[test]
fn sleeping_member_receives_the_request_at_its_next_wake() {
    let mut world = World::with_members(1);
    world.sleep("p0");
    world.send(request(1, world.now + HOUR));
    assert_eq!(world.state("p0"), State::Activating);
    assert_eq!(world.deliveries("p0"), []);
    world.register("p0");
    assert_eq!(world.state("p0"), State::Active);
    assert_eq!(world.deliveries("p0").len(), 1);
    world.acknowledge("p0");
    assert_eq!(world.outcome(1, "p0"), Some(Outcome::Delivered));
}

#[test]
fn requests_reach_a_peripheral_in_order_of_acceptance_one_in_flight() {
    let mut world = World::with_members(1);
    for number in 1..=3 {
        world.send(request(number, world.now + HOUR));
    }
    for number in 1..=3 {
        let requests: Vec<u64> = world.deliveries("p0").iter().map(|delivery| delivery.0).collect();
        assert_eq!(requests, (1..=number).collect::<Vec<_>>());
        world.acknowledge("p0");
    }
}

#[test]
fn part_of_the_sleepers_is_activated_and_the_rest_skipped_if_the_request_says_so() {
    let mut world = World::with_members(4);
    for id in ["p0", "p1", "p2"] {
        world.sleep(id);
    }
    let part = Activation::Percentage(34);
    world.send(GroupRequest { activation: part, sleepers: Sleepers::Skip, ..request(1, world.now + HOUR) });
    let states = ["p0", "p1", "p2"].map(|id| world.state(id));
    assert_eq!(states.iter().filter(|state| **state == State::Activating).count(), 2);
    let skipped = ["p0", "p1", "p2"].map(|id| world.outcome(1, id));
    assert_eq!(skipped.iter().filter(|outcome| **outcome == Some(Outcome::Skipped)).count(), 1);
    assert_eq!(world.deliveries("p3").len(), 1);
}

#[test]
fn those_that_wake_soonest_are_activated_first() {
    let mut world = World::with_members(2);
    for (id, seconds) in [("p0", 500), ("p1", 100)] {
        world.gateway.handle_standby(world.now, world.slot(id), Some(Duration::from_secs(seconds)));
    }
    world.send(GroupRequest { activation: Activation::Count(1), ..request(1, world.now + HOUR) });
    assert_eq!((world.state("p0"), world.state("p1")), (State::Standby, State::Activating));
}

#[test]
fn who_is_woken_for_nothing_any_more_is_in_standby_until_the_wake_it_told() {
    let mut world = World::with_members(1);
    world.gateway.handle_standby(world.now, world.slot("p0"), Some(Duration::from_secs(500)));
    let next_wake = Some(world.now + Duration::from_secs(500));
    let last_told = |world: &World| {
        world.up().into_iter().rev().find_map(|entry| match entry {
            UpEntry::PresenceChanged { changed, .. } => Some(changed.presence),
            _ => None,
        })
    };
    world.send(request(1, world.now + HOUR));
    assert_eq!(last_told(&world), Some(Presence::Activating { next_wake }));
    world.down(DownEntry::Cancel {
        request: RequestId::from_number(1).expect("a request id"),
        cause: StopCause::Cancelled,
    });
    assert_eq!(last_told(&world), Some(Presence::Standby { next_wake }));
}

#[test]
fn a_sleeper_that_is_not_activated_waits_all_the_same() {
    let mut world = World::with_members(1);
    world.sleep("p0");
    world.send(GroupRequest { activation: Activation::None, ..request(1, world.now + HOUR) });
    assert_eq!(world.state("p0"), State::Standby);
    world.register("p0");
    assert_eq!(world.deliveries("p0").len(), 1);
}

#[test]
fn at_the_deadline_the_rest_expires_as_what_it_was() {
    let mut world = World::with_members(3);
    world.sleep("p0");
    world.send(request(1, world.now + Duration::from_secs(20)));
    world.acknowledge("p2");
    world.pass(Duration::from_secs(20));
    assert_eq!(world.outcome(1, "p0"), Some(expired(ExpiryCause::Asleep)));
    assert_eq!(world.outcome(1, "p1"), Some(expired(ExpiryCause::Unreachable)));
    assert_eq!(world.outcome(1, "p2"), Some(Outcome::Delivered));
    assert_eq!(world.state("p0"), State::Standby, "it is not being woken any more");
    world.register("p0");
    assert_eq!(world.deliveries("p0"), []);
}

#[test]
fn an_executed_receipt_waits_for_the_answer() {
    let mut world = World::with_members(1);
    world.send(GroupRequest { receipt: Receipt::Executed, ..request(1, world.now + HOUR) });
    world.acknowledge("p0");
    assert_eq!(world.outcome(1, "p0"), None);
    world.answer("p0", 1, "done");
    assert_eq!(world.outcome(1, "p0"), Some(executed("done")));
    assert!(world.effects.contains(&Effect::Taken { slot: world.slot("p0"), token: 1 }));
}

#[test]
fn an_answer_before_the_acknowledgement_counts_and_is_taken_with_it() {
    let mut world = World::with_members(1);
    world.send(GroupRequest { receipt: Receipt::Executed, ..request(1, world.now + HOUR) });
    world.send(request(2, world.now + HOUR));
    world.answer("p0", 1, "done");
    assert!(!world.effects.iter().any(|effect| matches!(effect, Effect::Taken { .. })));
    assert_eq!(world.deliveries("p0").len(), 1);
    world.acknowledge("p0");
    assert_eq!(world.outcome(1, "p0"), Some(executed("done")));
    assert!(world.effects.iter().any(|effect| matches!(effect, Effect::Taken { .. })));
    assert_eq!(world.deliveries("p0").len(), 2);
}

#[test]
fn who_answers_and_leaves_before_it_acknowledges_has_answered() {
    let mut world = World::with_members(1);
    world.send(GroupRequest { receipt: Receipt::Executed, ..request(1, world.now + HOUR) });
    world.send(request(2, world.now + HOUR));
    world.answer("p0", 1, "done");
    let slot = world.slot("p0");
    world.gateway.handle_deregistration(world.now, slot);
    world.run();
    assert_eq!(world.outcome(1, "p0"), Some(executed("done")));
    assert!(world.effects.contains(&Effect::Taken { slot, token: 1 }), "it would keep its answer for ever");
    assert_eq!(world.outcome(2, "p0"), Some(Outcome::Left));
}

#[test]
fn an_answer_that_does_not_come_is_a_failure_and_the_next_request_goes_on() {
    let mut world = World::with_members(1);
    world.send(GroupRequest { receipt: Receipt::Executed, ..request(1, world.now + HOUR) });
    world.send(request(2, world.now + HOUR));
    world.acknowledge("p0");
    world.pass(Duration::from_secs(30));
    assert!(matches!(world.outcome(1, "p0"), Some(Outcome::Failed { .. })));
    assert_eq!(world.deliveries("p0").len(), 2);
}

#[test]
fn an_answer_to_a_request_that_ended_is_taken_and_changes_nothing() {
    let mut world = World::with_members(1);
    world.send(request(1, world.now + HOUR));
    world.acknowledge("p0");
    world.answer("p0", 1, "late");
    assert_eq!(world.outcome(1, "p0"), Some(Outcome::Delivered));
    assert!(world.effects.iter().any(|effect| matches!(effect, Effect::Taken { .. })));
}

#[test]
fn a_peripheral_that_says_no_has_refused() {
    let mut world = World::with_members(2);
    world.send(GroupRequest { receipt: Receipt::Executed, ..request(1, world.now + HOUR) });
    let no = || Rejection { code: "0x83".into(), reason: "cannot".into() };
    let delivery = world.deliveries("p0")[0].1;
    world.gateway.handle_rejected(world.now, world.slot("p0"), delivery, no());
    let id = RequestId::from_number(1).expect("a request id");
    world.gateway.handle_refusing_answer(world.now, world.slot("p1"), id, no(), 9);
    world.run();
    for member in ["p0", "p1"] {
        assert_eq!(world.outcome(1, member), Some(no().into()));
    }
}

#[test]
fn a_delivery_that_stays_unacknowledged_is_put_again_after_reconnecting_and_fails_after_all_tries() {
    let mut world = World::with_members(1);
    world.send(request(1, world.now + 24 * HOUR));
    for attempt in 1..=limits::DELIVERY_TRIES_MAX {
        let deliveries = world.deliveries("p0");
        assert_eq!(deliveries.len(), usize::from(attempt));
        assert_eq!(deliveries.last().map(|delivery| delivery.2), Some(attempt > 1), "a repetition is marked");
        assert!(deliveries.iter().all(|delivery| delivery.1 == deliveries[0].1), "it keeps its number");
        world.pass(Duration::from_secs(30));
        assert!(world.effects.contains(&Effect::Stalled { slot: world.slot("p0") }));
        world.gateway.handle_connection_lost(world.now, world.slot("p0"), Duration::ZERO, HOUR);
        world.register("p0");
    }
    assert!(matches!(world.outcome(1, "p0"), Some(Outcome::Failed { .. })));
}

#[test]
fn who_leaves_has_left() {
    let mut world = World::with_members(1);
    world.sleep("p0");
    world.send(request(1, world.now + HOUR));
    world.gateway.handle_deregistration(world.now, world.slot("p0"));
    world.run();
    assert_eq!(world.outcome(1, "p0"), Some(Outcome::Left));
    world.register("p0");
    assert_eq!(world.deliveries("p0"), []);
}

#[test]
fn cancelling_stops_what_was_not_sent_and_nothing_else() {
    let mut world = World::with_members(2);
    world.sleep("p0");
    world.send(request(1, world.now + HOUR));
    world.down(DownEntry::Cancel {
        request: RequestId::from_number(1).expect("a request id"),
        cause: StopCause::Cancelled,
    });
    assert_eq!(world.outcome(1, "p0"), Some(Outcome::Cancelled));
    assert_eq!(world.outcome(1, "p1"), None);
    world.acknowledge("p1");
    assert_eq!(world.outcome(1, "p1"), Some(Outcome::Delivered));
}

#[test]
fn what_was_with_a_peripheral_before_it_was_cut_off_does_not_count_as_never_sent() {
    let mut world = World::with_members(1);
    world.send(request(1, world.now + HOUR));
    assert_eq!(world.deliveries("p0").len(), 1);
    world.sleep("p0");
    world.down(DownEntry::Cancel {
        request: RequestId::from_number(1).expect("a request id"),
        cause: StopCause::Cancelled,
    });
    assert!(matches!(world.outcome(1, "p0"), Some(Outcome::Failed { .. })));
}

#[test]
fn an_answer_that_waits_for_the_acknowledgement_is_taken_when_the_request_expires() {
    let mut world = World::with_members(1);
    world.send(request(1, world.now + HOUR));
    world.answer("p0", 1, "done");
    let taken = Effect::Taken { slot: world.slot("p0"), token: 1 };
    assert!(!world.effects.contains(&taken), "it would overtake the acknowledgement");
    world.pass(HOUR);
    assert_eq!(world.outcome(1, "p0"), Some(expired(ExpiryCause::Unreachable)));
    assert!(world.effects.contains(&taken), "or the peripheral would send it for ever");
}

#[test]
fn what_expires_while_it_is_with_a_peripheral_is_withdrawn() {
    let mut world = World::with_members(2);
    world.sleep("p1");
    world.send(request(1, world.now + HOUR));
    world.pass(HOUR);
    assert_eq!(world.outcome(1, "p0"), Some(expired(ExpiryCause::Unreachable)));
    let withdrawn = |effect: &&Effect| matches!(effect, Effect::Withdrawn { .. });
    let withdrawn: Vec<_> = world.effects.iter().filter(withdrawn).collect();
    assert_eq!(withdrawn, [&Effect::Withdrawn { slot: world.slot("p0") }], "nothing is with who is asleep");
}

#[test]
fn what_is_cancelled_while_it_waits_for_the_disk_is_not_sent() {
    let mut world = World::with_members(1);
    let deadline = world.now + HOUR;
    let id = RequestId::from_number(1).expect("a request id");
    world.gateway.handle_down(world.now, 100, DownEntry::Request(request(1, deadline)));
    world.gateway.handle_down(world.now, 101, DownEntry::Cancel { request: id, cause: StopCause::Cancelled });
    world.run();
    assert_eq!(world.deliveries("p0"), []);
    assert_eq!(world.outcome(1, "p0"), Some(Outcome::Cancelled));
}

#[test]
fn what_is_settled_while_it_waits_for_the_disk_is_not_sent() {
    let mut world = World::with_members(1);
    let deadline = world.now + HOUR;
    world.gateway.handle_down(world.now, 100, DownEntry::Request(request(1, deadline)));
    world.gateway.handle_down(world.now, 101, DownEntry::Block { peripheral: peripheral("p0") });
    world.run();
    assert_eq!(world.deliveries("p0"), []);
    assert_eq!(world.outcome(1, "p0"), Some(Outcome::Left));
}

#[test]
fn a_cancelled_request_is_not_put_again_to_a_peripheral_that_was_cut_off() {
    let mut world = World::with_members(1);
    world.send(request(1, world.now + HOUR));
    world.down(DownEntry::Cancel {
        request: RequestId::from_number(1).expect("a request id"),
        cause: StopCause::Cancelled,
    });
    world.gateway.handle_connection_lost(world.now, world.slot("p0"), Duration::ZERO, HOUR);
    world.register("p0");
    assert_eq!(world.deliveries("p0").len(), 1);
    assert!(matches!(world.outcome(1, "p0"), Some(Outcome::Failed { .. })));
}

#[test]
fn a_renewed_registration_keeps_what_waits_for_its_groups_alone() {
    let mut world = World::new(vec![allocation("p", &["g", "h"])]);
    world.ask("p");
    world.decide("p", yes(&["g", "h"]));
    world.gateway.handle_connection_lost(world.now, world.slot("p"), Duration::ZERO, 48 * HOUR);
    world.send(request(1, world.now + 24 * HOUR));
    world.send(GroupRequest { group: group("h"), ..request(2, world.now + 24 * HOUR) });
    world.pass(2 * HOUR);
    world.ask("p");
    world.decide("p", yes(&["g"]));
    world.open("p");
    assert_eq!(world.outcome(2, "p"), Some(Outcome::Left));
    assert_eq!(world.deliveries("p").len(), 1);
}

#[test]
fn requests_that_wait_for_one_peripheral_are_bounded() {
    let mut world = World::with_members(1);
    world.sleep("p0");
    let bound = limits::WAITING_PER_PERIPHERAL_MAX as u64;
    for number in 1..=bound + 1 {
        world.send(request(number, world.now + HOUR));
    }
    assert_eq!(world.outcome(bound, "p0"), None);
    assert!(matches!(world.outcome(bound + 1, "p0"), Some(Outcome::Refused { .. })));
}

#[test]
fn requests_that_a_gateway_holds_are_bounded() {
    let count = limits::REQUESTS_PER_GATEWAY_MAX.div_ceil(limits::WAITING_PER_PERIPHERAL_MAX);
    let mut world = World::new((0..=count).map(|n| allocation(&format!("p{n}"), &["g", &format!("g{n}")])).collect());
    for number in 0..=count {
        world.ask(&format!("p{number}"));
        world.decide(&format!("p{number}"), yes(&["g", &format!("g{number}")]));
    }
    let last = limits::REQUESTS_PER_GATEWAY_MAX as u64;
    for number in 0..=last {
        let group = group(&format!("g{}", number as usize / limits::WAITING_PER_PERIPHERAL_MAX));
        world.gateway.handle_down(
            world.now,
            1_000_000 + number,
            DownEntry::Request(GroupRequest { group, ..request(1 + number, world.now + HOUR) }),
        );
    }
    world.run();
    assert_eq!(world.gateway.census().requests, limits::REQUESTS_PER_GATEWAY_MAX);
    let member = format!("p{}", last as usize / limits::WAITING_PER_PERIPHERAL_MAX);
    assert!(matches!(world.outcome(1 + last, &member), Some(Outcome::Refused { .. })));
}

#[test]
fn receipts_of_one_turn_travel_together() {
    let mut world = World::with_members(3);
    world.send(request(1, world.now + Duration::from_secs(5)));
    world.pass(Duration::from_secs(5));
    assert_eq!(told(&world), (1, 3));
}

/// How many entries have told of receipts, and how many of these there are for request 1.
fn told(world: &World) -> (usize, usize) {
    let entries = world.up().into_iter().filter(|entry| matches!(entry, UpEntry::Receipts { .. })).count();
    (entries, world.receipts(1).len())
}

#[test]
fn receipts_that_nobody_waits_for_are_gathered_for_a_little() {
    let mut world = World::with_members(4);
    world.send(request(1, world.now + HOUR));
    ["p0", "p1"].into_iter().for_each(|id| world.acknowledge(id));
    assert_eq!(told(&world), (0, 0));
    world.gather();
    assert_eq!(told(&world), (1, 2));
    ["p2", "p3"].into_iter().for_each(|id| world.acknowledge(id));
    assert_eq!(told(&world), (2, 4), "the last of a request waits for nothing");
}

#[test]
fn receipts_go_up_while_others_are_still_to_be_asked() {
    let mut world = World::with_members(3);
    world.down_without_disk(DownEntry::Request(request(1, world.now + HOUR)));
    world.persist();
    let asked = std::iter::from_fn(|| world.gateway.poll_output(world.now)).find_map(|output| match output {
        Output::Effect(Effect::Deliver { slot, delivery, .. }) => Some((slot, delivery)),
        _ => None,
    });
    let (slot, delivery) = asked.expect("the first of them is asked");
    world.gateway.handle_acknowledged(world.now, slot, delivery);
    world.now += limits::RECEIPTS_GATHERED_FOR;
    let Some(Output::Persist(batch)) = world.gateway.poll_output(world.now) else { panic!("nothing to persist") };
    world.gateway.handle_persisted(batch.ticket);
    let next = world.gateway.poll_output(world.now);
    assert!(matches!(next, Some(Output::Effect(Effect::UpAvailable { .. }))), "{next:?}");
}

#[test]
fn receipts_go_out_with_whatever_else_is_to_be_durable() {
    let mut world = World::with_members(3);
    world.send(request(1, world.now + HOUR));
    world.acknowledge("p0");
    world.sleep("p1");
    assert_eq!(told(&world), (1, 1));
}

#[test]
fn a_receipt_on_which_the_next_delivery_waits_is_not_held_back() {
    let mut world = World::with_members(2);
    world.send(request(1, world.now + HOUR));
    world.send(request(2, world.now + HOUR));
    world.acknowledge("p0");
    assert_eq!((told(&world), world.deliveries("p0").len()), ((1, 1), 2));
}

#[test]
fn a_gateway_that_stops_gathers_no_receipts() {
    let mut world = World::with_members(2);
    world.send(request(1, world.now + HOUR));
    world.acknowledge("p0");
    world.gateway.handle_shutdown();
    world.run();
    assert_eq!(told(&world), (1, 1));
}

#[test]
fn receipts_with_large_answers_travel_in_several_entries() {
    const MEMBERS: usize = 40;
    let mut world = World::with_members(MEMBERS);
    world.send(GroupRequest { receipt: Receipt::Executed, ..request(1, world.now + HOUR) });
    let answer = "x".repeat(limits::PERIPHERAL_PAYLOAD_BYTES_MAX);
    let id = RequestId::from_number(1).expect("a request id");
    for member in (0..MEMBERS).map(|number| format!("p{number}")) {
        let (slot, delivery) = (world.slot(&member), world.deliveries(&member)[0].1);
        world.gateway.handle_acknowledged(world.now, slot, delivery);
        world.gateway.handle_answer(world.now, slot, id, Content::text(answer.clone()), 1);
    }
    world.run();
    let sizes = world.up().into_iter().filter_map(|entry| match entry {
        UpEntry::Receipts { receipts, .. } => Some(receipts.len()),
        _ => None,
    });
    let fits = limits::ANSWER_BYTES_PER_ENTRY_MAX / limits::PERIPHERAL_PAYLOAD_BYTES_MAX;
    assert_eq!(sizes.collect::<Vec<_>>(), [fits, fits, MEMBERS - 2 * fits]);
}

#[test]
fn reports_are_bounded_and_their_loss_is_reported() {
    let mut world = World::with_members(1);
    let slot = world.slot("p0");
    let before = world.up().len();
    for number in 0..=limits::UP_LOG_REPORTS_MAX as u64 {
        world.gateway.handle_report(world.now, slot, "temperature".into(), Content::text("21"), number);
    }
    world.run();
    let up = world.up();
    assert!(matches!(up[before], UpEntry::ReportsLost { count: 1, .. }));
    assert!(matches!(up.last(), Some(UpEntry::Report { report, .. }) if report.peripheral == peripheral("p0")));
}

#[test]
fn what_waits_for_the_disk_is_not_sent_to_who_goes_to_standby() {
    let mut world = World::with_members(1);
    world.down_without_disk(DownEntry::Request(request(1, world.now + HOUR)));
    world.gateway.handle_standby(world.now, world.slot("p0"), None);
    world.run();
    assert!(world.deliveries("p0").is_empty());
    world.gateway.handle_word(world.now, world.slot("p0"));
    world.run();
    assert!(matches!(world.deliveries("p0")[..], [(1, _, false)]));
    world.acknowledge("p0");
    assert_eq!(world.outcome(1, "p0"), Some(Outcome::Delivered));
}

#[test]
fn who_answers_what_waits_for_the_disk_and_goes_to_standby_has_answered() {
    let mut world = World::with_members(1);
    let slot = world.slot("p0");
    world.send(request(1, world.now + HOUR));
    world.gateway.handle_connection_lost(world.now, slot, HOUR, HOUR);
    world.down_without_disk(DownEntry::Request(request(2, world.now + HOUR)));
    world.gateway.handle_reach(world.now, slot, Reach::Open);
    let answer = Content::text("done");
    world.gateway.handle_answer(world.now, slot, request(1, world.now).id, answer.clone(), 1);
    world.gateway.handle_standby(world.now, slot, None);
    world.run();
    assert_eq!(world.outcome(1, "p0"), Some(Outcome::Executed { answer }));
    assert!(world.effects.contains(&Effect::Taken { slot, token: 1 }), "or the peripheral would wait for ever");
    assert_eq!(world.deliveries("p0").len(), 1, "it was put to it once, and the other waits");
    assert_eq!(world.gateway.census().requests, 1);
}

#[test]
fn what_is_begun_again_while_it_waits_for_the_disk_leaves_once() {
    let mut world = World::with_members(1);
    let slot = world.slot("p0");
    world.down_without_disk(DownEntry::Request(request(1, world.now + HOUR)));
    world.gateway.handle_connection_lost(world.now, slot, HOUR, HOUR);
    world.gateway.handle_reach(world.now, slot, Reach::Open);
    world.run();
    assert_eq!(world.deliveries("p0").len(), 1);
}
