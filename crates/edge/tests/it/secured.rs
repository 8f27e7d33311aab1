//! LwM2M peripherals that speak DTLS, in virtual time over real datagrams.

use std::time::Duration;

use bugle_core::credential::PreSharedKey;
use bugle_core::{Allocation, Content, Credential, Operation, Outcome, Receipt, State};
use bugle_dtls::KeepingKey;
use bugle_lwm2m::client::{Input, Settings, WakesWith};

use super::devices::{Link, Site, settings, sleeper};
use super::world::{self, allocation};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

fn key() -> PreSharedKey {
    PreSharedKey::new(&[7; 16]).expect("a key")
}

fn message(text: &str) -> Operation {
    Operation::Message { content: Content::text(text) }
}

/// Allocates devices with a key.
fn allocate(site: &mut Site, ids: &[&str], key: &PreSharedKey) {
    let credential = Some(Credential::PreSharedKey { identity: None, key: key.clone() });
    let allocations = ids.iter().map(|id| Allocation { credential: credential.clone(), ..allocation(id) }).collect();
    assert!(site.world.edge.handle_allocations(site.world.now, allocations).is_empty());
}

/// Allocates all devices of a site with the same key, and gives it to them.
fn share_key(site: &mut Site, ids: &[&str]) {
    allocate(site, ids, &key());
    for (device, id) in ids.iter().enumerate() {
        site.secure(device, id, &key());
    }
}

#[test]
fn a_client_registers_obeys_and_leaves_under_its_key() {
    let mut site = Site::good(vec![settings("lamp")]);
    share_key(&mut site, &["lamp"]);
    site.start();
    assert_eq!(site.world.state("lamp"), Some(State::Active));
    assert_eq!(site.world.edge.counters().sessions, 1);
    let request = site.world.operation(1, message("on"), Receipt::Executed);
    site.pass(SECOND);
    assert_eq!(site.world.only_outcome(request), Outcome::Executed { answer: Content::default() });
    site.pass(HOUR);
    assert_eq!(site.world.state("lamp"), Some(State::Active), "it updates");
    site.tell(0, Input::Leave);
    site.pass(SECOND);
    assert_eq!(site.world.state("lamp"), Some(State::Allocated));
}

#[test]
fn a_client_cannot_register_as_another_nor_without_its_key() {
    let mut site = Site::good(vec![settings("meter"), settings("lamp"), settings("valve")]);
    share_key(&mut site, &["meter", "lamp", "valve"]);
    site.secure(0, "lamp", &key());
    site.clients[1].dtls = None;
    site.secure(2, "valve", &PreSharedKey::new(&[8; 16]).expect("a key"));
    site.start();
    site.pass(10 * SECOND);
    for id in ["meter", "lamp", "valve"] {
        assert_eq!(site.world.state(id), Some(State::Allocated), "{id}");
    }
    let counters = site.world.edge.counters();
    assert!(counters.handshakes_failed >= 1 && counters.refused >= 2, "{counters:?}");
}

#[test]
fn whoever_has_a_session_under_a_former_key_registers_in_it_no_more() {
    let mut site = Site::good(vec![settings("lamp")]);
    share_key(&mut site, &["lamp"]);
    site.start();
    let other = PreSharedKey::new(&[8; 16]).expect("a key");
    allocate(&mut site, &["lamp"], &other);
    site.pass(SECOND);
    site.tell(0, Input::Start);
    site.pass(SECOND);
    assert_eq!(site.world.state("lamp"), Some(State::Allocated));
    site.world.crash();
    site.tell(0, Input::Start);
    site.pass(SECOND);
    assert_eq!(site.world.state("lamp"), Some(State::Allocated));
    site.secure(0, "lamp", &other);
    site.tell(0, Input::Start);
    site.pass(300 * SECOND);
    assert_eq!(site.world.state("lamp"), Some(State::Active), "the new key is as good as the former was");
}

#[test]
fn a_sleeper_comes_back_with_a_handshake_from_the_same_port_and_gets_what_waits() {
    for wakes_with in [WakesWith::Update, WakesWith::Register] {
        let mut site = Site::good(vec![sleeper("meter", HOUR, wakes_with)]);
        share_key(&mut site, &["meter"]);
        site.start();
        site.pass(100 * SECOND);
        assert_eq!(site.world.state("meter"), Some(State::Standby));
        let requests =
            [1, 2, 3].map(|number| site.world.operation(number, message(&number.to_string()), Receipt::Executed));
        site.pass(HOUR);
        for request in requests {
            assert_eq!(site.world.only_outcome(request), Outcome::Executed { answer: Content::default() });
        }
        assert_eq!(site.clients[0].done.len(), 3);
    }
}

#[test]
fn a_session_goes_on_from_another_address() {
    let mut site = Site::good(vec![settings("lamp")]);
    share_key(&mut site, &["lamp"]);
    site.start();
    site.clients[0].address = "127.0.0.2:7777".parse().expect("an address");
    // Its next update comes from there; then it is reached there.
    site.pass(300 * SECOND);
    let request = site.world.operation(1, message("on"), Receipt::Executed);
    site.pass(SECOND);
    assert_eq!(site.world.only_outcome(request), Outcome::Executed { answer: Content::default() });
    assert_eq!(site.world.edge.counters().sessions, 1);
}

#[test]
fn a_session_outlives_the_gateway() {
    let mut site = Site::good(vec![settings("lamp"), settings("meter")]);
    share_key(&mut site, &["lamp", "meter"]);
    site.start();
    for number in 1..5 {
        site.world.crash();
        assert_eq!(site.world.state("lamp"), Some(State::Active));
        assert_eq!(site.world.edge.counters().sessions, 2);
        let request = site.world.operation(number, message("on"), Receipt::Executed);
        site.pass(SECOND);
        assert_eq!(site.world.outcomes(request).len(), 2, "at once, in the sessions that they have");
        site.pass(HOUR);
        assert_eq!(site.world.state("lamp"), Some(State::Active), "it updates");
    }
    assert_eq!(site.clients[0].done.len(), 4);
    assert_eq!(site.world.edge.counters().handshakes_failed, 0);
}

#[test]
fn whoever_was_told_that_it_is_registered_has_a_session_that_outlives_the_gateway() {
    let mut site = Site::good(vec![settings("lamp")]);
    share_key(&mut site, &["lamp"]);
    site.world.is_disk_slow = true;
    site.start();
    let mut commits = 0;
    while !site.clients[0].is_registered() {
        site.world.persist();
        site.pass(Duration::from_millis(10));
        commits += 1;
        assert!(commits < 20, "it is let in at last");
    }
    site.world.is_disk_slow = false;
    site.world.crash();
    assert_eq!((site.world.state("lamp"), site.world.edge.counters().sessions), (Some(State::Active), 1));
}

#[test]
fn a_session_outlives_a_gateway_that_stops() {
    let mut site = Site::good(vec![settings("lamp")]);
    share_key(&mut site, &["lamp"]);
    site.start();
    site.world.edge.handle_shutdown(site.world.now);
    site.pass(SECOND);
    site.world.crash();
    let request = site.world.operation(1, message("on"), Receipt::Executed);
    site.pass(SECOND);
    assert_eq!(site.world.only_outcome(request), Outcome::Executed { answer: Content::default() });
}

#[test]
fn a_session_that_began_at_an_update_outlives_the_gateway_too() {
    let mut site = Site::good(vec![sleeper("meter", HOUR, WakesWith::Update)]);
    share_key(&mut site, &["meter"]);
    site.start();
    // It wakes, shakes hands, and is awake for a while.
    site.pass(HOUR + SECOND);
    assert_eq!(site.world.state("meter"), Some(State::Active));
    site.world.crash();
    let request = site.world.operation(1, message("on"), Receipt::Executed);
    site.pass(SECOND);
    assert_eq!(site.world.only_outcome(request), Outcome::Executed { answer: Content::default() });
}

#[test]
fn a_session_outlives_the_gateway_where_its_client_has_moved() {
    let mut site = Site::good(vec![settings("lamp")]);
    share_key(&mut site, &["lamp"]);
    site.start();
    for port in [7777, 8888] {
        site.clients[0].address.set_port(port);
        site.tell(0, Input::Send { paths: Vec::new() });
        site.pass(300 * SECOND);
        site.world.crash();
        let request = site.world.operation(port.into(), message("on"), Receipt::Executed);
        site.pass(SECOND);
        assert_eq!(site.world.only_outcome(request), Outcome::Executed { answer: Content::default() });
    }
    assert_eq!(site.world.edge.counters().sessions, 1);
}

#[test]
fn a_session_that_its_client_has_closed_is_over_after_a_restart_too() {
    let mut site = Site::good(vec![settings("lamp")]);
    share_key(&mut site, &["lamp"]);
    site.start();
    site.clients[0].dtls.as_mut().expect("it speaks DTLS").close();
    site.pass(SECOND);
    assert_eq!(site.world.edge.counters().sessions, 0);
    site.world.crash();
    assert_eq!(site.world.edge.counters().sessions, 0);
}

#[test]
fn a_session_that_was_another_client_s_at_the_same_address_goes_on_for_nobody() {
    let ids = ["lamp", "meter"];
    for ([former, later], closes) in [([0, 1], false), ([0, 1], true), ([1, 0], false), ([1, 0], true)] {
        let mut site = Site::good(ids.map(settings).to_vec());
        share_key(&mut site, &ids);
        let (dtls, address) = (site.clients[later].dtls.take(), site.clients[former].address);
        site.tell(former, Input::Start);
        site.pass(SECOND);
        assert_eq!(site.world.state(ids[former]), Some(State::Active));
        if closes {
            site.clients[former].dtls.as_mut().expect("it speaks DTLS").close();
            site.pass(SECOND);
        }
        // The address is given to somebody else, who has another name and may have other keys.
        site.clients[former].address = "127.0.0.9:9".parse().expect("an address");
        site.clients[later].address = address;
        site.clients[later].dtls = dtls;
        site.tell(later, Input::Start);
        site.pass(SECOND);
        assert_eq!(site.world.state(ids[later]), Some(State::Active));
        for number in 1..4 {
            site.world.crash();
            assert_eq!(site.world.edge.counters().sessions, 1);
            assert_ne!(site.world.state(ids[former]), Some(State::Active));
            let request = site.world.operation(number, message("on"), Receipt::Executed);
            site.pass(SECOND);
            let served: Vec<_> = site.world.outcomes(request).into_iter().map(|(id, _)| id.to_string()).collect();
            assert_eq!(served, [ids[later]]);
        }
        assert_eq!((site.clients[former].done.len(), site.clients[later].done.len()), (0, 3));
    }
}

#[test]
fn who_leaves_first_thing_after_a_restart_comes_back_in_the_same_session() {
    let mut site = Site::good(vec![settings("lamp")]);
    share_key(&mut site, &["lamp"]);
    site.start();
    site.world.crash();
    site.tell(0, Input::Leave);
    site.pass(SECOND);
    assert_eq!(site.world.state("lamp"), Some(State::Allocated));
    site.tell(0, Input::Start);
    site.pass(SECOND);
    assert_eq!((site.world.state("lamp"), site.world.edge.counters().sessions), (Some(State::Active), 1));
    // It is kept again.
    site.world.crash();
    let request = site.world.operation(1, message("on"), Receipt::Executed);
    site.pass(SECOND);
    assert_eq!(site.world.only_outcome(request), Outcome::Executed { answer: Content::default() });
}

#[test]
fn who_has_left_has_no_session_after_a_restart() {
    let mut site = Site::good(vec![settings("lamp")]);
    share_key(&mut site, &["lamp"]);
    site.start();
    site.tell(0, Input::Leave);
    site.pass(SECOND);
    site.world.crash();
    assert_eq!(site.world.edge.counters().sessions, 0);
}

#[test]
fn after_a_restart_that_ends_its_session_a_client_is_served_in_its_next() {
    // Its update finds no session, and is given up before the lifetime is over.
    let mut site = Site::good(vec![Settings { lifetime: HOUR, ..settings("lamp") }]);
    share_key(&mut site, &["lamp"]);
    site.start();
    // As where the store was put back from a copy.
    let mut others = world::settings();
    others.dtls.as_mut().expect("DTLS is spoken").keeping_key = KeepingKey::new([6; KeepingKey::BYTES]);
    site.world.crash_to(others);
    assert_eq!(site.world.state("lamp"), Some(State::Standby), "its session is gone");
    let request = site.world.operation(1, message("on"), Receipt::Executed);
    site.pass(2 * HOUR);
    assert_eq!(site.world.only_outcome(request), Outcome::Executed { answer: Content::default() });
    assert_eq!((site.world.state("lamp"), site.clients[0].done.len()), (Some(State::Active), 1));
}

#[test]
fn on_a_bad_link_everybody_is_served_once() {
    for seed in 0..10 {
        let ids = ["a", "b", "c", "d"];
        let devices = ids.iter().enumerate().map(|(number, id)| match number % 2 {
            0 => settings(id),
            _ => sleeper(id, HOUR, WakesWith::Update),
        });
        let mut site = Site::new(devices.collect(), Link { percent: 20, seed });
        share_key(&mut site, &ids);
        site.start();
        site.pass(1_200 * SECOND);
        assert!(ids.iter().all(|id| site.world.state(id).is_some_and(State::is_registered)), "seed {seed}");
        let request = site.world.operation(1, message("on"), Receipt::Executed);
        site.pass(4 * HOUR);
        let outcomes = site.world.outcomes(request);
        let is_executed = outcomes.iter().all(|(_, outcome)| matches!(outcome, Outcome::Executed { .. }));
        assert!(is_executed && outcomes.len() == ids.len(), "seed {seed}: {outcomes:?}");
        assert!(site.clients.iter().all(|client| client.done.len() == 1), "seed {seed}");
    }
}
