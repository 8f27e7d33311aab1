//! Registering, deregistering and standby.

use super::world::{HOUR, World, allocation, application, group, peripheral, yes};
use crate::credential::PasswordVerifier;
use crate::gateway::{AllocationConflict, Direction, DirectionRefusal, Effect, FileContents, Link, Presented, Refusal};
use crate::{
    Allocation, Credential, DownEntry, EndCause, InitialState, Origin, Presence, State, UpEntry, Verdict, limits,
};
use std::time::Duration;

fn refusal(world: &World, asker: u64) -> Option<&Refusal> {
    world.effects.iter().find_map(|effect| match effect {
        Effect::Refused { asker: refused, refusal } if *refused == asker => Some(refusal),
        _ => None,
    })
}

fn is_admitted(world: &World, asker: u64) -> bool {
    world.effects.iter().any(|effect| matches!(effect, Effect::Admitted { asker: admitted, .. } if *admitted == asker))
}

#[test]
fn a_peripheral_is_active_once_the_application_has_said_yes() {
    let mut world = World::new(vec![allocation("p", &["g", "h"])]);
    let asker = world.ask("p");
    assert_eq!(world.state("p"), State::Registering);
    assert!(!is_admitted(&world, asker));
    world.decide("p", yes(&["g"]));
    assert_eq!(world.state("p"), State::Active);
    assert!(is_admitted(&world, asker));
    let joined = world.up().into_iter().find_map(|entry| match entry {
        UpEntry::PresenceChanged { changed, .. } => Some((changed.groups, changed.presence)),
        _ => None,
    });
    assert_eq!(joined, Some(([group("g")].into(), Presence::Active)));
}

#[test]
fn nothing_is_promised_before_it_is_durable() {
    let mut world = World::new(vec![allocation("p", &["g"])]);
    world.ask("p");
    let registration = world.last_asked("p");
    let decision = DownEntry::Decision { peripheral: peripheral("p"), registration, verdict: yes(&["g"]) };
    world.effects.clear();
    world.gateway.handle_down(world.now, 1, decision);
    world.drain();
    assert_eq!(world.effects, []);
    world.persist();
    world.drain();
    assert!(world.effects.contains(&Effect::DownAcknowledged { through: 1 }));
    assert!(world.effects.iter().any(|effect| matches!(effect, Effect::Admitted { .. })));
}

#[test]
fn a_refused_peripheral_is_back_in_its_initial_state_and_told_why() {
    let mut world = World::new(vec![allocation("p", &["g"])]);
    let asker = world.ask("p");
    world.decide("p", Verdict::Refused { reason: "unpaid".into() });
    assert_eq!(world.state("p"), State::Allocated);
    assert_eq!(refusal(&world, asker), Some(&Refusal::ByApplication { reason: "unpaid".into() }));
}

#[test]
fn a_stranger_is_refused_and_reported_once() {
    let mut world = World::new(vec![]);
    let strangers = |world: &World| world.up().iter().filter(|entry| matches!(entry, UpEntry::Stranger(_))).count();
    let first = world.ask("nobody");
    let second = world.ask("nobody");
    assert_eq!(refusal(&world, first), Some(&Refusal::Unknown));
    assert_eq!(refusal(&world, second), Some(&Refusal::Unknown));
    assert_eq!(strangers(&world), 1);
    world.now += limits::STRANGER_REPORT_INTERVAL;
    world.ask("nobody");
    assert_eq!(strangers(&world), 2);
}

#[test]
fn strangers_are_remembered_up_to_a_bound() {
    let mut world = World::new(vec![]);
    for number in 0..=limits::STRANGERS_MAX {
        world.ask(&format!("stranger-{number}"));
    }
    world.ask("stranger-0");
    let reported = world.up().iter().filter(|entry| matches!(entry, UpEntry::Stranger(_))).count();
    assert_eq!(reported, limits::STRANGERS_MAX + 2);
}

#[test]
fn a_wrong_password_is_refused_without_asking_the_application() {
    let verifier = PasswordVerifier::derive(&peripheral("p"), b"right");
    let credential = Some(Credential::Password { username: None, verifier });
    let mut world = World::new(vec![crate::Allocation { credential, ..allocation("p", &["g"]) }]);
    let presented =
        |password: &str| Presented { username: Some("p".into()), password: Some(password.into()), transport: None };
    let wrong = world.ask_with("p", presented("wrong"));
    assert_eq!(refusal(&world, wrong), Some(&Refusal::Credential));
    let none = world.ask("p");
    assert_eq!(refusal(&world, none), Some(&Refusal::Credential));
    assert!(!world.up().iter().any(|entry| matches!(entry, UpEntry::RegistrationAsked { .. })));
    world.ask_with("p", presented("right"));
    let evidence = world.up().into_iter().find_map(|entry| match entry {
        UpEntry::RegistrationAsked { asked, .. } => Some(asked.evidence),
        _ => None,
    });
    assert!(evidence.is_some_and(|evidence| evidence.attested && evidence.password.is_some()));
}

#[test]
fn a_blocked_peripheral_registers_once_it_is_released() {
    let blocked = crate::Allocation { initial_state: InitialState::Blocked, ..allocation("p", &["g"]) };
    let mut world = World::new(vec![blocked]);
    let asker = world.ask("p");
    assert_eq!(refusal(&world, asker), Some(&Refusal::Blocked));
    world.down(DownEntry::Release { peripheral: peripheral("p") });
    world.register("p");
    world.gateway.handle_deregistration(world.now, world.slot("p"));
    world.run();
    assert_eq!(world.state("p"), State::Blocked);
}

#[test]
fn blocking_ends_a_registration_and_tells_the_peripheral() {
    let mut world = World::with_members(1);
    world.down(DownEntry::Block { peripheral: peripheral("p0") });
    assert_eq!(world.state("p0"), State::Blocked);
    assert!(world.effects.contains(&Effect::Dismissed { slot: world.slot("p0"), cause: EndCause::User }));
}

#[test]
fn an_application_that_does_not_decide_in_time_costs_a_retry() {
    let mut world = World::new(vec![allocation("p", &["g"])]);
    let asker = world.ask("p");
    world.pass(Duration::from_secs(10));
    assert_eq!(world.state("p"), State::Registering);
    assert!(matches!(refusal(&world, asker), Some(Refusal::Undecided { .. })));
    assert_eq!(askings(&world), 1);
    let second = world.ask("p");
    assert_eq!(askings(&world), 1, "the application is asked already");
    world.decide("p", yes(&["g"]));
    assert!(is_admitted(&world, second));
    assert!(!is_admitted(&world, asker));
}

fn askings(world: &World) -> usize {
    world.up().iter().filter(|entry| matches!(entry, UpEntry::RegistrationAsked { .. })).count()
}

fn is_told_unanswered(world: &World) -> bool {
    let is_unanswered =
        |entry: &UpEntry| matches!(entry, UpEntry::Deregistered { ended, .. } if ended.cause == EndCause::Unanswered);
    world.up().iter().any(is_unanswered)
}

#[test]
fn an_application_that_is_always_too_slow_lets_everybody_in_at_the_second_try() {
    let mut world = World::new((0..20).map(|number| allocation(&format!("p{number}"), &["g"])).collect());
    let ids: Vec<String> = (0..20).map(|number| format!("p{number}")).collect();
    for id in &ids {
        world.ask(id);
    }
    world.pass(Duration::from_secs(11));
    let no_lease = Verdict::Authorized { groups: [group("g")].into(), lease: Duration::ZERO };
    ids.iter().for_each(|id| world.decide(id, no_lease.clone()));
    assert!(ids.iter().all(|id| world.state(id) == State::Registering), "nobody is told what is not true");
    assert!(!world.up().iter().any(|entry| matches!(entry, UpEntry::PresenceChanged { .. })));
    world.pass(Duration::from_secs(30));
    for id in &ids {
        let asker = world.ask(id);
        assert!(is_admitted(&world, asker));
        assert_eq!(world.state(id), State::Active);
    }
    assert_eq!(askings(&world), 20);
}

#[test]
fn a_yes_that_came_too_late_is_for_whoever_shows_what_was_shown() {
    let mut world = World::new(vec![allocation("p", &["g"])]);
    world.ask("p");
    world.pass(Duration::from_secs(10));
    world.decide("p", yes(&["g"]));
    let presented = Presented { password: Some(b"guess".to_vec()), ..Presented::default() };
    let impostor = world.ask_with("p", presented);
    assert!(!is_admitted(&world, impostor));
    assert_eq!(askings(&world), 2);
    assert!(is_told_unanswered(&world), "the application must not believe in the first registration");
}

#[test]
fn a_yes_that_nobody_comes_for_is_over_with_the_lease() {
    let mut world = World::new(vec![allocation("p", &["g"])]);
    world.ask("p");
    world.pass(Duration::from_secs(10));
    world.decide("p", yes(&["g"]));
    world.pass(HOUR - Duration::from_secs(1));
    assert!(!is_told_unanswered(&world));
    world.pass(Duration::from_secs(1));
    assert_eq!(world.state("p"), State::Allocated);
    assert!(is_told_unanswered(&world), "the application must not believe in a registration that is not");
}

#[test]
fn an_asking_that_nobody_waits_for_is_over_after_a_while() {
    let mut world = World::new(vec![allocation("p", &["g"])]);
    world.ask("p");
    world.pass(Duration::from_secs(10));
    world.pass(limits::ASKING_KEPT);
    assert_eq!(world.state("p"), State::Allocated);
    assert!(is_told_unanswered(&world), "the application must not believe in a registration that is not");
}

#[test]
fn a_late_no_is_no_matter_of_the_next_try() {
    let mut world = World::new(vec![allocation("p", &["g"])]);
    world.ask("p");
    world.pass(Duration::from_secs(10));
    world.decide("p", Verdict::Refused { reason: "unpaid".into() });
    assert_eq!(world.state("p"), State::Allocated);
    world.ask("p");
    assert_eq!(askings(&world), 2);
}

#[test]
fn an_application_that_does_not_answer_leaves_room_for_the_others() {
    let silent = |number: usize| allocation(&format!("p{number}"), &["g"]);
    let mut allocations: Vec<_> = (0..=limits::REGISTERING_PER_APPLICATION_MAX).map(silent).collect();
    let other = crate::ApplicationId::new("heating").expect("an application id");
    allocations.push(crate::Allocation { application: other, ..allocation("q", &["h"]) });
    let mut world = World::new(allocations);
    for number in 0..limits::REGISTERING_PER_APPLICATION_MAX {
        world.ask(&format!("p{number}"));
    }
    let one_more = world.ask(&format!("p{}", limits::REGISTERING_PER_APPLICATION_MAX));
    assert!(matches!(refusal(&world, one_more), Some(Refusal::Busy { .. })));
    let asker = world.ask("q");
    assert_eq!(refusal(&world, asker), None);
    world.decide("q", yes(&["h"]));
    assert!(is_admitted(&world, asker));
}

#[test]
fn no_more_peripherals_ask_an_application_at_once_than_it_is_to_be_asked_by() {
    let mut world = World::new((0..10).map(|number| allocation(&format!("p{number}"), &["g"])).collect());
    world.admit(4);
    let mut waits = Vec::new();
    for number in 0..10 {
        let asker = world.ask(&format!("p{number}"));
        waits.extend(refusal(&world, asker).map(|refusal| match refusal {
            Refusal::Busy { retry_after } => retry_after.as_secs(),
            other => panic!("{other:?}"),
        }));
    }
    assert_eq!(askings(&world), 4);
    assert_eq!(waits, [2, 2, 2, 2, 3, 3], "they come back one after the other");
    world.pass(Duration::from_secs(2));
    for number in 4..8 {
        world.ask(&format!("p{number}"));
    }
    assert_eq!(askings(&world), 8);
    // A lease asks nobody.
    world.decide("p0", yes(&["g"]));
    world.sleep("p0");
    let asker = world.ask("p0");
    assert!(is_admitted(&world, asker));
}

#[test]
fn a_lease_re_admits_while_the_platform_is_out_of_reach() {
    let mut world = World::with_members(1);
    world.sleep("p0");
    assert_eq!(world.state("p0"), State::Standby);
    world.gateway.handle_link(Link::Down);
    let asker = world.ask("p0");
    assert!(is_admitted(&world, asker));
    assert_eq!(world.state("p0"), State::Active);
}

#[test]
fn a_lease_does_not_admit_who_presents_something_else() {
    let mut world = World::with_members(1);
    world.sleep("p0");
    let presented = Presented { password: Some(b"guess".to_vec()), ..Presented::default() };
    let asker = world.ask_with("p0", presented);
    assert!(!is_admitted(&world, asker));
    world.decide("p0", Verdict::Refused { reason: "no".into() });
    assert_eq!(world.state("p0"), State::Standby, "a no to an impostor ends nothing");
}

#[test]
fn after_the_lease_the_application_is_asked_again() {
    let mut world = World::with_members(1);
    world.gateway.handle_connection_lost(world.now, world.slot("p0"), Duration::ZERO, 48 * HOUR);
    world.pass(2 * HOUR);
    let before = world.last_asked("p0");
    let asker = world.ask("p0");
    assert!(!is_admitted(&world, asker));
    assert_eq!(world.last_asked("p0"), before, "it renews the registration");
    world.decide("p0", yes(&["g"]));
    assert!(is_admitted(&world, asker));
}

#[test]
fn a_renewal_of_a_registration_that_ended_meanwhile_does_not_revive_it() {
    let mut world = World::with_members(1);
    world.gateway.handle_connection_lost(world.now, world.slot("p0"), Duration::ZERO, 48 * HOUR);
    world.pass(2 * HOUR);
    let asker = world.ask("p0");
    let registration = None;
    world.down(DownEntry::Deregister { peripheral: peripheral("p0"), registration, cause: EndCause::Application });
    assert!(matches!(refusal(&world, asker), Some(Refusal::Undecided { .. })));
    world.decide("p0", yes(&["g"]));
    assert_eq!(world.state("p0"), State::Allocated);
}

#[test]
fn without_the_platform_and_without_a_lease_there_is_a_retry_hint() {
    let mut world = World::new(vec![allocation("p", &["g"])]);
    world.gateway.handle_link(Link::Down);
    let asker = world.ask("p");
    assert!(matches!(refusal(&world, asker), Some(Refusal::Undecided { .. })));
    assert!(!world.up().iter().any(|entry| matches!(entry, UpEntry::RegistrationAsked { .. })));
}

#[test]
fn who_asks_twice_is_answered_once() {
    let mut world = World::new(vec![allocation("p", &["g"])]);
    let first = world.ask("p");
    let second = world.ask("p");
    assert_eq!(refusal(&world, first), Some(&Refusal::Superseded));
    world.decide("p", yes(&["g"]));
    assert!(is_admitted(&world, second));
    assert!(!is_admitted(&world, first));
}

#[test]
fn an_asker_that_is_gone_is_no_member() {
    let mut world = World::new(vec![allocation("p", &["g"])]);
    let asker = world.ask("p");
    assert!(world.gateway.handle_asker_gone(world.now, &peripheral("p"), asker));
    world.run();
    world.decide("p", yes(&["g"]));
    assert_eq!(world.state("p"), State::Allocated);
    let ends = world.up().iter().filter(|entry| matches!(entry, UpEntry::Deregistered { .. })).count();
    assert_eq!(ends, 1);
}

#[test]
fn a_connection_that_breaks_is_standby_after_the_grace_and_over_after_the_lifetime() {
    let mut world = World::with_members(1);
    let slot = world.slot("p0");
    world.gateway.handle_connection_lost(world.now, slot, Duration::from_secs(90), HOUR);
    world.pass(Duration::from_secs(89));
    assert_eq!(world.state("p0"), State::Active);
    world.pass(Duration::from_secs(1));
    assert_eq!(world.state("p0"), State::Standby);
    world.pass(HOUR);
    assert_eq!(world.state("p0"), State::Allocated);
    assert!(world.effects.contains(&Effect::Dismissed { slot, cause: EndCause::LifetimeOver }));
}

#[test]
fn a_session_that_ends_with_its_connection_is_over_after_the_grace() {
    let mut world = World::with_members(1);
    world.gateway.handle_connection_lost(world.now, world.slot("p0"), Duration::from_secs(90), Duration::ZERO);
    world.pass(Duration::from_secs(90));
    assert_eq!(world.state("p0"), State::Allocated);
    let was_standby = world
        .up()
        .iter()
        .any(|entry| matches!(entry, UpEntry::PresenceChanged { changed, .. } if changed.presence != Presence::Active));
    assert!(!was_standby);
}

#[test]
fn an_idle_peripheral_counts_as_in_standby_until_its_next_word() {
    let idle = Some(Duration::from_secs(60));
    let mut world = World::new(vec![crate::Allocation { idle, ..allocation("p", &["g"]) }]);
    world.register("p");
    world.pass(Duration::from_secs(30));
    world.gateway.handle_word(world.now, world.slot("p"));
    world.pass(Duration::from_secs(45));
    assert_eq!(world.state("p"), State::Active);
    world.pass(Duration::from_secs(15));
    assert_eq!(world.state("p"), State::Standby);
    world.gateway.handle_word(world.now, world.slot("p"));
    assert_eq!(world.state("p"), State::Active);
}

#[test]
fn the_application_may_put_a_peripheral_into_standby() {
    let mut world = World::with_members(1);
    world.down(DownEntry::Standby { peripheral: peripheral("p0") });
    assert_eq!(world.state("p0"), State::Standby);
    assert!(world.effects.contains(&Effect::PutIntoStandby { slot: world.slot("p0") }));
}

#[test]
fn roaming_ends_the_registration_that_is_meant_and_no_later_one() {
    let mut world = World::with_members(1);
    let registration = Some(world.last_asked("p0"));
    world.gateway.handle_deregistration(world.now, world.slot("p0"));
    world.run();
    world.register("p0");
    let roamed = DownEntry::Deregister { peripheral: peripheral("p0"), registration, cause: EndCause::Roamed };
    world.down(roamed);
    assert_eq!(world.state("p0"), State::Active);
}

#[test]
fn the_file_is_the_whole_truth_about_its_own_allocations() {
    let mut world = World::with_members(2);
    world.down(DownEntry::Allocate(allocation("q", &["g"])));
    let conflicts =
        world.gateway.handle_allocations(world.now, vec![allocation("p1", &["g"]), allocation("q", &["h"])]);
    world.run();
    assert_eq!(conflicts.len(), 1);
    assert_eq!(world.gateway.slot(&peripheral("p0")), None);
    assert_eq!(world.state("p1"), State::Active, "what did not change goes on");
    assert!(world.up().contains(&UpEntry::Removed { peripheral: peripheral("p0"), application: application() }));
    assert_eq!(world.state("q"), State::Allocated);
}

#[test]
fn a_file_that_comes_in_parts_ends_only_what_is_in_none_of_them() {
    let mut world = World::with_members(3);
    let mut file = FileContents::default();
    for name in ["p0", "q", "p2"] {
        let conflicts = world.gateway.handle_allocations_part(world.now, &mut file, vec![allocation(name, &["g"])]);
        assert!(conflicts.is_empty(), "{conflicts:?}");
        assert_eq!(world.state("p1"), State::Active, "it may be in a part that is still to come");
    }
    world.gateway.handle_allocations_end(world.now, &file);
    world.run();
    assert_eq!(["p0", "p2", "q"].map(|name| world.state(name)), [State::Active, State::Active, State::Allocated]);
    assert_eq!(world.gateway.slot(&peripheral("p1")), None);
}

#[test]
fn what_is_directed_at_the_gateway_is_told_once_it_is_durable_and_survives_a_restart() {
    let mut world = World::new(vec![]);
    let directed = world.gateway.handle_direction(world.now, Direction::Allocate(Box::new(allocation("p", &["g"]))), 7);
    assert_eq!(directed, Ok(()));
    world.drain();
    assert!(!world.effects.contains(&Effect::Directed { token: 7 }));
    world.run();
    assert!(world.effects.contains(&Effect::Directed { token: 7 }));
    let told = world
        .up()
        .into_iter()
        .any(|entry| matches!(entry, UpEntry::Allocated(notice) if notice.origin == Origin::Gateway));
    assert!(told);
    world.crash();
    world.register("p");
    let blocked = world.gateway.handle_direction(world.now, Direction::Block(peripheral("p")), 8);
    assert_eq!(blocked, Ok(()));
    world.run();
    assert_eq!(world.state("p"), State::Blocked);
    // The file, which never held it, and the platform leave it alone.
    assert!(world.gateway.handle_allocations(world.now, vec![]).is_empty());
    world.down(DownEntry::Remove { peripheral: peripheral("p") });
    assert_eq!(world.state("p"), State::Blocked);
    assert_eq!(world.gateway.handle_direction(world.now, Direction::Release(peripheral("p")), 9), Ok(()));
    assert_eq!(world.state("p"), State::Allocated);
    assert_eq!(world.gateway.handle_direction(world.now, Direction::Remove(peripheral("p")), 10), Ok(()));
    world.run();
    world.crash();
    assert_eq!(world.gateway.slot(&peripheral("p")), None);
}

#[test]
fn what_cannot_be_directed_changes_nothing() {
    let mut world = World::with_members(1);
    let mut direct = |direction| world.gateway.handle_direction(world.now, direction, 1);
    let elsewhere = |origin| Err(AllocationConflict::Elsewhere { peripheral: peripheral("p0"), origin }.into());
    assert_eq!(direct(Direction::Allocate(Box::new(allocation("p0", &["h"])))), elsewhere(Origin::File));
    assert_eq!(direct(Direction::Remove(peripheral("p0"))), elsewhere(Origin::File));
    let unknown = Err(DirectionRefusal::Unknown(peripheral("q")));
    for direction in [Direction::Remove, Direction::Release, Direction::Block] {
        assert_eq!(direct(direction(peripheral("q"))), unknown);
    }
    assert!(matches!(direct(Direction::Allocate(Box::new(allocation("q", &[])))), Err(DirectionRefusal::Invalid(_))));
    world.run();
    assert_eq!(world.effects, []);
    assert_eq!(world.state("p0"), State::Active);
}

#[test]
fn allocations_are_shown_in_pages() {
    let world = World::new((0..5).map(|number| allocation(&format!("p{number}"), &["g"])).collect());
    let first = world.gateway.allocations(None, 3);
    let second = world.gateway.allocations(first.last().map(|(slot, _)| *slot), 3);
    let names: Vec<_> = first.iter().chain(&second).map(|(_, shown)| shown.peripheral.to_string()).collect();
    assert_eq!(names, ["p0", "p1", "p2", "p3", "p4"]);
}

#[test]
fn a_change_of_groups_ends_the_registration() {
    let mut world = World::with_members(1);
    assert!(world.gateway.handle_allocations(world.now, vec![allocation("p0", &["g", "h"])]).is_empty());
    world.run();
    assert_eq!(world.state("p0"), State::Allocated);
    assert!(world.effects.contains(&Effect::Dismissed { slot: world.slot("p0"), cause: EndCause::User }));
}

#[test]
fn registrations_that_await_a_decision_are_bounded() {
    let allocations = (0..=limits::REGISTERING_MAX).map(|number| allocation(&format!("p{number}"), &["g"])).collect();
    let mut world = World::new(allocations);
    for number in 0..limits::REGISTERING_MAX {
        world.ask(&format!("p{number}"));
    }
    let asker = world.ask(&format!("p{}", limits::REGISTERING_MAX));
    assert!(matches!(refusal(&world, asker), Some(Refusal::Busy { .. })));
}

#[test]
fn an_allocation_that_comes_to_start_blocked_refuses_who_is_asking() {
    let mut world = World::new(vec![allocation("p0", &["g"])]);
    world.ask("p0");
    let blocked = Allocation { initial_state: InitialState::Blocked, ..allocation("p0", &["g"]) };
    assert!(world.gateway.handle_allocations(world.now, vec![blocked]).is_empty());
    world.run();
    assert!(world.effects.iter().any(|effect| matches!(effect, Effect::Refused { .. })));
    world.decide("p0", yes(&["g"]));
    assert_eq!(world.state("p0"), State::Blocked);
}
