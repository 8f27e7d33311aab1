//! Peripherals whose registration rests on their word, as with LwM2M over UDP.

use std::time::Duration;

use super::super::*;
use super::world::{HOUR, World, allocation, peripheral, request, yes};
use crate::credential::PreSharedKey;
use crate::{Credential, Outcome, Receipt};

const AWAKE: Duration = Duration::from_secs(93);
const SLEEPER: Hold = Hold::Word { awake: Some(AWAKE) };

fn registered(hold: Hold) -> World {
    let mut world = World::new(vec![allocation("p", &["g"])]);
    world.ask_held("p", Presented::default(), hold);
    world.decide("p", yes(&["g"]));
    world.open("p");
    world
}

fn word(world: &mut World) {
    let slot = world.slot("p");
    world.gateway.handle_word(world.now, slot);
    world.run();
}

#[test]
fn one_that_sleeps_by_itself_is_in_standby_once_it_has_been_silent() {
    let mut world = registered(SLEEPER);
    world.pass(AWAKE - Duration::from_secs(1));
    assert_eq!(world.state("p"), State::Active);
    word(&mut world);
    world.pass(AWAKE - Duration::from_secs(1));
    assert_eq!(world.state("p"), State::Active);
    world.pass(Duration::from_secs(1));
    assert_eq!(world.state("p"), State::Standby);
    word(&mut world);
    assert_eq!(world.state("p"), State::Active);
}

#[test]
fn how_long_it_is_awake_is_for_its_allocation_to_say() {
    let idle = Some(Duration::from_secs(5));
    let mut world = World::new(vec![crate::Allocation { idle, ..allocation("p", &["g"]) }]);
    world.ask_held("p", Presented::default(), SLEEPER);
    world.decide("p", yes(&["g"]));
    world.pass(Duration::from_secs(5));
    assert_eq!(world.state("p"), State::Standby);
}

#[test]
fn one_that_does_not_sleep_stays_active_until_its_lifetime_is_over() {
    let mut world = registered(Hold::Word { awake: None });
    world.pass(23 * HOUR);
    assert_eq!(world.state("p"), State::Active);
    let slot = world.slot("p");
    world.gateway.handle_renewal(world.now, slot, Some(HOUR), 7);
    world.run();
    assert!(world.effects.contains(&Effect::Taken { slot, token: 7 }));
    world.pass(HOUR - Duration::from_secs(1));
    assert_eq!(world.state("p"), State::Active);
    world.pass(Duration::from_secs(1));
    assert_eq!(world.state("p"), State::Allocated);
    assert!(world.effects.contains(&Effect::Dismissed { slot, cause: crate::EndCause::LifetimeOver }));
}

#[test]
fn a_renewal_outlives_the_process() {
    let mut world = registered(Hold::Word { awake: None });
    world.pass(23 * HOUR);
    let slot = world.slot("p");
    world.gateway.handle_renewal(world.now, slot, None, 7);
    world.run();
    world.crash();
    world.gateway.handle_held(world.now, slot, Hold::Word { awake: None });
    world.pass(23 * HOUR);
    assert_eq!(world.state("p"), State::Active);
}

#[test]
fn what_did_not_reach_it_is_put_to_it_at_its_next_word() {
    let mut world = registered(SLEEPER);
    let deadline = world.now + HOUR;
    world.send(crate::GroupRequest { receipt: Receipt::Delivered, ..request(1, deadline) });
    assert_eq!(world.deliveries("p").len(), 1);
    let slot = world.slot("p");
    world.gateway.handle_unreachable(world.now, slot);
    world.run();
    assert_eq!((world.state("p"), world.outcome(1, "p")), (State::Standby, None));
    word(&mut world);
    let deliveries = world.deliveries("p");
    assert_eq!((deliveries.len(), deliveries[1].2), (2, true));
    assert_eq!(deliveries[0].1, deliveries[1].1);
    world.acknowledge("p");
    assert_eq!(world.outcome(1, "p"), Some(Outcome::Delivered));
}

#[test]
fn whoever_has_another_key_is_not_taken_for_it() {
    let key = PreSharedKey::new(&[7; 16]).expect("a key");
    let credential = Some(Credential::PreSharedKey { identity: None, key: key.clone() });
    let mut world =
        World::new(vec![crate::Allocation { credential, ..allocation("p", &["g"]) }, allocation("q", &["g"])]);
    let shown_with = |identity: &str, key: &PreSharedKey| Presented {
        transport: Some(TransportIdentity::PreSharedKey { identity: identity.into(), key: key.clone() }),
        ..Presented::default()
    };
    let shown = |identity| shown_with(identity, &key);
    let former = shown_with("p", &PreSharedKey::new(&[8; 16]).expect("a key"));
    for (id, presented) in [("p", shown("q")), ("p", Presented::default()), ("q", shown("p")), ("p", former)] {
        let asker = world.ask_with(id, presented);
        assert!(world.effects.contains(&Effect::Refused { asker, refusal: Refusal::Credential }), "{id}");
    }
    world.ask_with("p", shown("p"));
    assert_eq!(world.gateway.pre_shared_key("p").map(PreSharedKey::as_bytes), Some(&[7; 16][..]));
    assert_eq!(world.gateway.pre_shared_key("q"), None);
    assert_eq!(world.gateway.state(world.gateway.slot(&peripheral("p")).expect("allocated")), Some(State::Registering));
}

#[test]
fn an_identity_is_of_whoever_is_allocated_with_it_or_is_called_the_same() {
    let key = PreSharedKey::new(&[7; 16]).expect("a key");
    let credential = Some(Credential::PreSharedKey { identity: Some("alias".into()), key: key.clone() });
    let world = World::new(vec![crate::Allocation { credential, ..allocation("p", &["g"]) }, allocation("q", &["g"])]);
    let name = |identity: &str| {
        let shown = TransportIdentity::PreSharedKey { identity: identity.into(), key: key.clone() };
        world.gateway.name_by_transport(&shown)
    };
    assert_eq!(name("alias"), Some(peripheral("p")));
    assert_eq!(name("q"), Some(peripheral("q")));
    assert_eq!(name("stranger"), Some(peripheral("stranger")));
    assert_eq!(name("no / name"), None);
}
