//! `bugle group send`: the status is 0 only if every member was served.

use std::sync::Arc;
use std::time::Duration;

use bugle_load::mqtt::{Announcing, Behaviour, Sleeping};
use bugle_load::{Command, MqttVersion, Options, Peripherals};
use serde_json::Value;

use super::program::run_as_operator;
use super::system::{System, allocations, fleet};

#[tokio::test(flavor = "multi_thread")]
async fn the_status_is_zero_only_if_every_member_was_served() {
    let ids = || ["one", "two"].into_iter().map(str::to_owned);
    let system = System::start(&[("north", allocations("lamps", ids()))]).await;
    // They sleep when they are told to, and wake when they are told to.
    let long = Duration::from_secs(3600);
    let sleeping = Sleeping { awake: long, asleep: long, jitter: Duration::ZERO, announcing: Announcing::NextWake };
    let behaviour = Behaviour { sleeping: Some(sleeping), ..Behaviour::steady(MqttVersion::Mqtt5) };
    let lamps = fleet(system.gateways["north"].mqtt, ids(), &Arc::new(behaviour));
    let lamps = Peripherals::start(lamps, Options::default()).expect("they start");
    system.members("lamps", 2).await;
    for id in ids() {
        system.configured("lamps", &id, Some("active")).await;
    }

    let send = ["group", "send", "lamps", "--message", "on", "--receipt", "executed"];
    let ran = run_as_operator(&system, &[&send[..], &["--json"]].concat());
    let ended: Value = serde_json::from_str(&ran.into_output()).expect("JSON");
    assert_eq!(ended["totals"]["executed"], 2, "{ended}");
    let table = run_as_operator(&system, &["group", "list"]).into_output();
    assert!(table.contains("lamps"), "{table}");

    lamps.command(1, Command::Sleep(long));
    system.configured("lamps", "two", Some("standby")).await;
    let ran = run_as_operator(&system, &[&send[..], &["--deadline", "2s"]].concat());
    assert_eq!(ran.status, 1, "{ran:?}");
    assert!(ran.output.contains("expired"), "{ran:?}");
    let ran = run_as_operator(&system, &[&send[..], &["--sleepers", "skip", "--activation", "none"]].concat());
    assert_eq!(ran.status, 1, "one was skipped: {ran:?}");

    // Not awaited, it is none of the status's business.
    run_as_operator(&system, &[&send[..], &["--deadline", "2s", "--no-wait"]].concat()).into_output();
    let _ = lamps.stop();
}
