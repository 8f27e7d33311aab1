//! LwM2M peripherals, in virtual time over real datagrams.

use std::time::Duration;

use bugle_core::{Content, DownEntry, EndCause, Operation, Outcome, Receipt, State};
use bugle_lwm2m::client::{Input, Offer, Output, Settings, WakesWith};
use bugle_lwm2m::{ContentFormat, Path, Value};

use super::devices::{Link, Site, settings, sleeper};
use super::world::peripheral;

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

fn message(text: &str) -> Operation {
    Operation::Message { content: Content::text(text) }
}

fn states(site: &Site, ids: &[&str]) -> Vec<State> {
    ids.iter().map(|id| site.world.state(id).expect("it is allocated")).collect()
}

/// How often the device was written each message.
fn messages(site: &Site, device: usize) -> Vec<String> {
    let written = site.clients[device].done.iter().filter_map(|done| match done {
        Output::Written { records } => Some(records),
        _ => None,
    });
    let texts = written.flatten().map(|record| match &record.value {
        bugle_lwm2m::Value::Opaque(bytes) => String::from_utf8(bytes.clone()).expect("a text"),
        other => panic!("{other:?}"),
    });
    texts.collect()
}

#[test]
fn a_client_registers_obeys_and_leaves() {
    let mut site = Site::good(vec![settings("lamp")]);
    site.start();
    assert_eq!(states(&site, &["lamp"]), [State::Active]);
    assert!(site.clients[0].is_registered());
    let write = Operation::Write { path: "/3311/0/5850".parse().expect("a path"), content: Content::text("true") };
    let (written, read, executed) = (
        site.world.operation(1, write, Receipt::Executed),
        site.world.operation(2, Operation::Read { path: "/3311/0/5850".parse().expect("a path") }, Receipt::Executed),
        site.world.operation(
            3,
            Operation::Execute { path: "/3/0/4".parse().expect("a path"), arguments: String::new() },
            Receipt::Executed,
        ),
    );
    site.pass(SECOND);
    assert_eq!(site.world.only_outcome(written), Outcome::Executed { answer: Content::default() });
    assert_eq!(site.world.only_outcome(read), Outcome::Executed { answer: Content::text("1") });
    assert_eq!(site.world.only_outcome(executed), Outcome::Executed { answer: Content::default() });
    assert!(site.clients[0].device.device().value(&Path::of_resource(3311, 0, 5850)).is_some());
    // A reboot is a fresh Register, and no new peripheral.
    site.pass(10 * SECOND);
    assert_eq!(states(&site, &["lamp"]), [State::Active]);
    site.tell(0, Input::Leave);
    site.pass(SECOND);
    assert_eq!(states(&site, &["lamp"]), [State::Allocated]);
    assert!(!site.clients[0].is_registered());
}

#[test]
fn a_client_stays_registered_for_as_long_as_it_updates() {
    let mut site = Site::good(vec![settings("lamp")]);
    site.start();
    site.pass(24 * HOUR);
    assert_eq!(states(&site, &["lamp"]), [State::Active]);
    site.clients[0].address = "127.0.0.1:1".parse().expect("an address");
    site.pass(HOUR);
    assert_eq!(states(&site, &["lamp"]), [State::Active], "it goes on from another address");
    site.clients.clear();
    site.pass(Duration::from_secs(301));
    assert_eq!(states(&site, &["lamp"]), [State::Allocated]);
}

#[test]
fn a_sleeper_is_in_standby_and_gets_what_waits_in_order_at_its_next_wake() {
    for wakes_with in [WakesWith::Update, WakesWith::Register] {
        let mut site = Site::good(vec![sleeper("meter", HOUR, wakes_with)]);
        site.start();
        site.pass(94 * SECOND);
        assert_eq!(states(&site, &["meter"]), [State::Standby]);
        let requests: Vec<_> = (1..=5)
            .map(|number| site.world.operation(number, message(&number.to_string()), Receipt::Executed))
            .collect();
        site.pass(10 * SECOND);
        assert_eq!(states(&site, &["meter"]), [State::Activating]);
        assert!(messages(&site, 0).is_empty(), "nothing is sent to a sleeper");
        site.pass(HOUR);
        assert_eq!(messages(&site, 0), ["1", "2", "3", "4", "5"]);
        for request in requests {
            assert_eq!(site.world.only_outcome(request), Outcome::Executed { answer: Content::default() });
        }
    }
}

#[test]
fn a_client_that_is_not_ready_is_asked_again_a_little_later_but_not_for_ever() {
    let mut site = Site::good(vec![settings("lamp")]);
    site.start();
    site.clients[0].resets = 2;
    let first = site.world.operation(1, message("first"), Receipt::Executed);
    let second = site.world.operation(2, message("second"), Receipt::Executed);
    site.pass(3 * SECOND);
    assert!(messages(&site, 0).is_empty(), "it has reset twice");
    site.pass(2 * SECOND);
    assert_eq!(messages(&site, 0), ["first", "second"]);
    for request in [first, second] {
        assert_eq!(site.world.only_outcome(request), Outcome::Executed { answer: Content::default() });
    }
    site.clients[0].resets = 3;
    let hopeless = site.world.operation(3, message("hopeless"), Receipt::Executed);
    site.pass(5 * SECOND);
    assert!(matches!(site.world.only_outcome(hopeless), Outcome::Failed { .. }));
    assert_eq!(messages(&site, 0).len(), 2);
}

#[test]
fn a_client_that_was_dismissed_in_its_sleep_and_registers_again_is_asked_at_once() {
    let mut site = Site::good(vec![sleeper("meter", HOUR, WakesWith::Update)]);
    site.start();
    site.pass(94 * SECOND);
    let (id, cause) = (peripheral("meter"), EndCause::Application);
    site.world.down(DownEntry::Deregister { peripheral: id, registration: None, cause });
    site.pass(SECOND);
    assert_eq!(states(&site, &["meter"]), [State::Allocated]);
    site.tell(0, Input::Wake);
    site.pass(SECOND);
    assert_eq!(states(&site, &["meter"]), [State::Active]);
    let request = site.world.operation(1, message("hello"), Receipt::Executed);
    site.pass(SECOND);
    assert_eq!(site.world.only_outcome(request), Outcome::Executed { answer: Content::default() });
    site.pass(60 * SECOND);
    assert_eq!(states(&site, &["meter"]), [State::Active], "what was said to it before holds no more");
}

#[test]
fn what_a_client_cannot_do_is_refused_in_its_own_words() {
    let mut site = Site::good(vec![settings("lamp")]);
    site.start();
    let path = "/3/0/9".parse().expect("a path");
    let write = site.world.operation(1, Operation::Write { path, content: Content::text("50") }, Receipt::Executed);
    let absent =
        site.world.operation(2, Operation::Read { path: "/42/0/1".parse().expect("a path") }, Receipt::Executed);
    let path = "/3".parse().expect("a path");
    let nothing = site.world.operation(3, Operation::Execute { path, arguments: String::new() }, Receipt::Executed);
    site.pass(SECOND);
    let code = |outcome| match outcome {
        Outcome::Refused { code, .. } => code,
        other => panic!("{other:?}"),
    };
    let codes = [write, absent, nothing].map(|request| code(site.world.only_outcome(request)));
    assert_eq!(codes, ["4.05", "4.04", "4.05"]);
}

#[test]
fn a_stranger_is_told_that_it_may_not_register() {
    let mut site = Site::good(vec![settings("lamp")]);
    assert!(site.world.edge.handle_allocations(site.world.now, Vec::new()).is_empty());
    site.start();
    site.pass(SECOND);
    assert!(!site.clients[0].is_registered());
    assert_eq!(site.world.edge.counters().refused, 1);
}

#[test]
fn a_restart_of_the_gateway_costs_a_client_nothing() {
    let mut site = Site::good(vec![settings("lamp"), sleeper("meter", HOUR, WakesWith::Update)]);
    site.start();
    site.pass(100 * SECOND);
    assert_eq!(states(&site, &["lamp", "meter"]), [State::Active, State::Standby]);
    site.world.crash();
    assert_eq!(states(&site, &["lamp", "meter"]), [State::Active, State::Standby]);
    let request = site.world.operation(1, message("on"), Receipt::Executed);
    site.pass(2 * HOUR);
    assert_eq!((messages(&site, 0).len(), messages(&site, 1).len()), (1, 1));
    assert_eq!(site.world.outcomes(request).len(), 2);
    assert!(site.clients.iter().all(|client| client.is_registered()));
}

#[test]
fn a_delivery_that_a_crash_cut_off_reaches_the_client_once() {
    let mut site = Site::good(vec![settings("lamp")]);
    site.start();
    // The datagram is out, the answer is not in.
    let request = site.world.operation(1, message("on"), Receipt::Executed);
    site.world.crash();
    site.pass(HOUR);
    assert_eq!(messages(&site, 0), ["on"]);
    assert_eq!(site.world.only_outcome(request), Outcome::Executed { answer: Content::default() });
}

#[test]
fn what_was_under_way_to_a_client_that_registers_anew_is_not_sent_to_it_before_it_is_admitted() {
    let mut site = Site::good(vec![settings("lamp")]);
    site.start();
    let address = site.clients[0].address;
    site.clients[0].address = "127.0.0.1:9".parse().expect("an address that nobody sends to");
    let request = site.world.operation(1, message("on"), Receipt::Executed);
    site.pass(SECOND);
    site.clients[0].address = address;
    site.world.is_disk_slow = true;
    site.tell(0, Input::Start);
    // CoAP would have sent it again by now.
    site.pass(10 * SECOND);
    assert_eq!(messages(&site, 0), [""; 0]);
    site.world.is_disk_slow = false;
    site.pass(SECOND);
    assert_eq!(messages(&site, 0), ["on"]);
    assert_eq!(site.world.only_outcome(request), Outcome::Executed { answer: Content::default() });
}

#[test]
fn a_delivery_in_another_format_that_a_crash_cut_off_is_carried_out_once() {
    // It is asked in TLV first, then in CBOR.
    for formats in [&[ContentFormat::SENML_CBOR][..], &[ContentFormat::SENML_JSON]] {
        let formats = formats.iter().copied().collect();
        let mut site = Site::good(vec![Settings { formats, offer: Offer::Nothing, ..settings("lamp") }]);
        site.start();
        let request = site.world.operation(1, message("on"), Receipt::Executed);
        // The client has refused one format or both, and done it in the next; none of that gets to the disk.
        site.world.is_disk_slow = true;
        site.pass(SECOND);
        assert_eq!(messages(&site, 0), ["on"]);
        site.world.crash();
        site.world.is_disk_slow = false;
        site.pass(HOUR);
        assert_eq!(messages(&site, 0), ["on"], "{formats:?}");
        assert_eq!(site.world.only_outcome(request), Outcome::Executed { answer: Content::default() });
    }
}

#[test]
fn what_a_client_sends_reaches_the_application_as_a_report() {
    let mut site = Site::good(vec![settings("lamp")]);
    site.start();
    site.tell(0, Input::Send { paths: vec![Path::of_resource(3303, 0, 5700)] });
    site.pass(SECOND);
    let reports = site.world.reports();
    let [(name, content)] = &reports[..] else { panic!("{reports:?}") };
    assert_eq!((name.as_str(), content.content_type.as_str()), ("send", "application/senml+json"));
    assert!(content.as_text().is_some_and(|text| text.contains("/3303/0/5700")));
}

fn observe(site: &mut Site, id: &str, path: &str) {
    let path = path.parse().expect("a path");
    site.world.down(DownEntry::Observe { peripheral: peripheral(id), path });
    site.pass(SECOND);
}

fn set_temperature(site: &mut Site, celsius: f64) {
    site.tell(0, Input::Set { path: Path::of_resource(3303, 0, 5700), value: Value::Float(celsius) });
    site.pass(10 * SECOND);
}

/// What was reported of the temperature.
fn temperatures(site: &Site) -> Vec<String> {
    let reports = site.world.reports().into_iter().filter(|(name, _)| name == "/3303/0/5700");
    reports.map(|(_, content)| content.as_text().expect("a text").to_owned()).collect()
}

#[test]
fn a_value_that_is_observed_is_reported_whenever_it_changes() {
    let mut site = Site::good(vec![settings("meter")]);
    site.start();
    observe(&mut site, "meter", "/3303/0/5700");
    let first = temperatures(&site);
    assert_eq!(first.len(), 1);
    set_temperature(&mut site, 30.5);
    set_temperature(&mut site, 31.5);
    assert_eq!(temperatures(&site)[1..], ["30.5", "31.5"]);
    let path = "/3303/0/5700".parse().expect("a path");
    site.world.down(DownEntry::ObserveNoMore { peripheral: peripheral("meter"), path });
    site.pass(SECOND);
    set_temperature(&mut site, 32.5);
    assert_eq!(temperatures(&site).len(), 3);
}

#[test]
fn an_observation_outlives_sleep_registrations_and_restarts() {
    let meter = Settings { lifetime: 24 * HOUR, ..sleeper("meter", HOUR, WakesWith::Register) };
    let mut site = Site::good(vec![meter]);
    site.start();
    site.pass(100 * SECOND);
    observe(&mut site, "meter", "/3303/0/5700");
    assert!(temperatures(&site).is_empty(), "it sleeps");
    site.world.crash();
    site.pass(HOUR);
    assert_eq!(temperatures(&site).len(), 1);
    let before = temperatures(&site).len();
    site.pass(2 * HOUR);
    assert!(temperatures(&site).len() > before, "it has registered anew");
}

/// A meter that sleeps, and so many temperatures of it that are to be observed.
fn site_with_probes(count: u16) -> (Site, Vec<Path>) {
    let mut site = Site::good(vec![sleeper("meter", HOUR, WakesWith::Update)]);
    site.start();
    let probes: Vec<Path> = (0..count).map(|probe| Path::of_resource(3303, probe, 5700)).collect();
    for path in &probes {
        site.tell(0, Input::Set { path: *path, value: Value::Float(20.5) });
    }
    site.pass(100 * SECOND);
    for path in &probes {
        observe(&mut site, "meter", &path.to_string());
    }
    (site, probes)
}

/// More than a client has requests under way at once.
#[test]
fn a_client_that_wakes_is_asked_for_all_that_is_to_be_observed_of_it() {
    let (mut site, probes) = site_with_probes(40);
    let request = site.world.operation(1, message("and this"), Receipt::Executed);
    assert!(site.world.reports().is_empty(), "it sleeps");
    site.pass(HOUR);
    let reports = site.world.reports();
    let values = reports.iter().map(|(name, content)| (name.clone(), content.as_text()));
    assert!(values.eq(probes.iter().map(|path| (path.to_string(), Some("20.5")))), "{reports:?}");
    assert_eq!(site.world.only_outcome(request), Outcome::Executed { answer: Content::default() });
}

#[test]
fn a_path_that_a_client_does_not_answer_for_keeps_none_other_from_being_observed() {
    let (mut site, _) = site_with_probes(3);
    site.clients[0].resets = 3;
    site.pass(HOUR);
    let names: Vec<String> = site.world.reports().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["/3303/1/5700", "/3303/2/5700", "/3303/0/5700"], "the first only after another update");
}

#[test]
fn a_client_that_is_not_ready_to_be_observed_is_asked_again_a_little_later() {
    // More often than it may, and it is asked with its next update.
    for (resets, silence, then) in [(1, 0, 2), (2, 2, 2), (3, 200, 60)] {
        let mut site = Site::good(vec![settings("meter")]);
        site.start();
        site.clients[0].resets = resets;
        observe(&mut site, "meter", "/3303/0/5700");
        site.pass(silence * SECOND);
        assert!(temperatures(&site).is_empty(), "it resets {resets}");
        site.pass(then * SECOND);
        assert_eq!(temperatures(&site).len(), 1, "it resets {resets}");
    }
}

#[test]
fn an_observation_goes_on_from_another_address_as_soon_as_the_client_updates_from_there() {
    let mut site = Site::good(vec![settings("meter")]);
    site.start();
    observe(&mut site, "meter", "/3303/0/5700");
    site.clients[0].address = "127.0.0.1:2".parse().expect("an address");
    // It updates once, with a quarter of its 300 seconds to spare.
    site.pass(230 * SECOND);
    set_temperature(&mut site, 33.5);
    assert_eq!(temperatures(&site).last().map(String::as_str), Some("33.5"));
}

#[test]
fn what_cannot_be_observed_is_told_as_a_problem() {
    let mut site = Site::good(vec![settings("meter")]);
    site.start();
    observe(&mut site, "meter", "/4711/0/1");
    let reports = site.world.reports();
    let [(name, content)] = &reports[..] else { panic!("{reports:?}") };
    assert_eq!((name.as_str(), content.content_type.as_str()), ("/4711/0/1", "application/problem+json"));
    assert!(content.as_text().is_some_and(|text| text.contains("4.04")), "{content:?}");
}

#[test]
fn on_a_bad_link_every_registration_and_every_request_ends_well_and_none_comes_twice() {
    for seed in 0..25 {
        let names: Vec<String> = (0..8).map(|number| format!("p{number}")).collect();
        let devices = names.iter().enumerate().map(|(number, name)| match number % 3 {
            0 => settings(name),
            1 => sleeper(name, HOUR, WakesWith::Update),
            _ => sleeper(name, HOUR, WakesWith::Register),
        });
        let mut site = Site::new(devices.collect(), Link { percent: 20, seed });
        site.start();
        site.pass(600 * SECOND);
        let is_registered = |name: &String| site.world.state(name).is_some_and(State::is_registered);
        assert!(names.iter().all(is_registered), "seed {seed}: {names:?}");
        let request = |site: &mut Site, number: u64| {
            site.world.operation(number, message(&number.to_string()), Receipt::Executed)
        };
        let mut requests = Vec::new();
        for number in 1..=10 {
            requests.push(request(&mut site, number));
            site.pass(7 * SECOND);
        }
        site.pass(4 * HOUR);
        for (device, name) in names.iter().enumerate() {
            let mut seen = messages(&site, device);
            let expected: Vec<String> = (1..=10).map(|number| number.to_string()).collect();
            assert!(seen.is_sorted_by_key(|text| text.parse::<u64>().ok()), "seed {seed}, {name}: {seen:?}");
            seen.dedup();
            assert_eq!((&seen, seen.len()), (&expected, messages(&site, device).len()), "seed {seed}, {name}");
        }
        for request in requests {
            let outcomes = site.world.outcomes(request);
            let is_executed = |outcome: &Outcome| matches!(outcome, Outcome::Executed { .. });
            assert!(outcomes.iter().all(|(_, outcome)| is_executed(outcome)), "seed {seed}: {outcomes:?}");
            assert_eq!(outcomes.len(), names.len(), "seed {seed}");
        }
    }
}
