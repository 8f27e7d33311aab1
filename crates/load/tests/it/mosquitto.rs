//! Against a mosquitto that the test starts.

use std::num::NonZeroUsize;
use std::time::Duration;

use bugle_core::Protocol;
use bugle_load::measure::{Admission, Bare, FanOut, Mosquitto, Registrations, Target, unwatched};
use bugle_load::mqtt::{Answering, Behaviour, Subscription};
use bugle_load::{Command, Ending, Happening, Options, Peripherals, Session};
use bugle_mqtt::Version;

use crate::{PATIENCE, alike, wait_for};

fn mosquitto() -> Mosquitto {
    Mosquitto::start().unwrap_or_else(|error| panic!("{error}"))
}

fn options(events_max: usize) -> Options {
    // Fewer at once than the hundred that mosquitto lets wait.
    Options { connecting_max: NonZeroUsize::new(50).expect("not zero"), events_max, ..Options::default() }
}

fn publish(topic: &str, payload: &'static str) -> Command {
    Command::Publish { topic: topic.into(), payload: payload.into() }
}

#[test]
fn every_subscriber_receives_and_acknowledges_one_message() {
    for version in [Version::Mqtt5, Version::Mqtt311] {
        let mosquitto = mosquitto();
        let behaviour = Behaviour::subscriber(version, Subscription::Topic("everybody".into()));
        let peripherals = alike(200, mosquitto.address(), behaviour);
        let options = Options { workers: NonZeroUsize::new(3).expect("not zero"), ..options(4_000) };
        let peripherals = Peripherals::start(peripherals, options).expect("they start");
        wait_for(&peripherals, 200, |what| matches!(what, Happening::Subscribed));
        peripherals.command(17, publish("everybody", "now"));
        let acknowledged = wait_for(&peripherals, 200, |what| matches!(what, Happening::Acknowledged));
        let mut who: Vec<usize> = acknowledged.iter().map(|event| event.peripheral).collect();
        who.sort_unstable();
        assert_eq!(who, (0..200).collect::<Vec<_>>());
        let counts = peripherals.stop();
        assert_eq!((counts.connected, counts.received, counts.broken, counts.events_lost), (200, 200, 0, 0));
    }
}

#[test]
fn a_sleeper_gets_what_was_published_in_its_sleep_when_it_wakes() {
    for version in [Version::Mqtt5, Version::Mqtt311] {
        let mosquitto = mosquitto();
        let behaviour = Behaviour { answering: Answering::Refusing("no".into()), ..Behaviour::steady(version) };
        let peripherals =
            Peripherals::start(alike(2, mosquitto.address(), behaviour), options(100)).expect("they start");
        wait_for(&peripherals, 2, |what| matches!(what, Happening::Subscribed));
        peripherals.command(0, Command::Sleep(Duration::from_secs(3_600)));
        wait_for(&peripherals, 1, |what| *what == Happening::Disconnected(Ending::Slept));
        let request = r#"{"request":"01M8QZ4T7B0XK","do":"read","path":"/3/0/0"}"#;
        peripherals.command(1, publish("bugle/m0/requests", request));
        wait_for(&peripherals, 1, |what| *what == Happening::Published);
        assert_eq!(peripherals.counts().received, 0);
        peripherals.command(0, Command::Connect);
        wait_for(&peripherals, 1, |what| *what == Happening::Connected { session: Session::Resumed });
        let answered = wait_for(&peripherals, 1, |what| matches!(what, Happening::Answered { .. }));
        assert_eq!(answered[0].peripheral, 0);
    }
}

#[test]
fn they_come_back_when_their_server_does_and_deregister_when_told() {
    let mosquitto = mosquitto();
    let peripherals = alike(20, mosquitto.address(), Behaviour::steady(Version::Mqtt5));
    let peripherals = Peripherals::start(peripherals, options(1_000)).expect("they start");
    wait_for(&peripherals, 20, |what| matches!(what, Happening::Subscribed));
    peripherals.command_all(&Command::Vanish);
    wait_for(&peripherals, 20, |what| *what == Happening::Disconnected(Ending::Vanished));
    assert_eq!(peripherals.counts().connected_now(), 0);
    peripherals.command_all(&Command::Connect);
    wait_for(&peripherals, 20, |what| *what == Happening::Connected { session: Session::Resumed });
    peripherals.command_all(&Command::Deregister);
    wait_for(&peripherals, 20, |what| *what == Happening::Disconnected(Ending::Left));
    peripherals.command_all(&Command::Connect);
    wait_for(&peripherals, 20, |what| *what == Happening::Connected { session: Session::New });
    drop(mosquitto);
    wait_for(&peripherals, 20, |what| {
        matches!(what, Happening::Disconnected(Ending::ByServer { .. } | Ending::Broken { .. }))
    });
}

#[test]
fn both_measurements_reach_every_peripheral() {
    let mut targets = [Target::Mosquitto(mosquitto())];
    let registrations = Registrations {
        peripherals: 100,
        repetitions: 2,
        protocol: Protocol::Mqtt5,
        admission: Admission::Application,
        patience: PATIENCE,
    };
    let results = registrations.run(&targets, &unwatched).expect("all register");
    assert!(results.0[0].per_second() > 0.0);
    for (version, protocol) in [(Version::Mqtt5, Protocol::Mqtt5), (Version::Mqtt311, Protocol::Mqtt311)] {
        let mut bare = [Target::Bare(Bare::start(version).expect("a free port"))];
        let fan_out =
            FanOut { members: 100, repetitions: 3, payload_bytes: 64, protocol, patience: PATIENCE, raw: None };
        for targets in [&mut targets, &mut bare] {
            let results = fan_out.run(targets, &unwatched).expect("all are reached");
            let (received, acknowledged) = (results.0[0].received.median(), results.0[0].acknowledged.median());
            assert!(Duration::ZERO < received && received <= acknowledged, "{received:?} {acknowledged:?}");
            assert_eq!(results.0[0].settled, None);
            assert_eq!(results.0[0].memory > 0, results.0[0].target == "mosquitto");
        }
    }
}
