//! Allocations from the gateway's own command line, at the gateway that runs.

use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use bugle_load::mqtt::Behaviour;
use bugle_load::{MqttVersion, Options, Peripherals};
use serde_json::Value;

use super::program::{Ran, bugle};
use super::system::{System, allocations, fleet, until};

/// `bugle gateway …` with the configuration of gateway north.
fn at_north(system: &System, arguments: &[&str]) -> Ran {
    let mut command = bugle(system.folder.path());
    command.arg("gateway").args(arguments).args(["--config", "north.toml", "--application", "metering"]);
    command.output().expect("the program starts").into()
}

async fn shown(system: &System) -> Vec<(String, String, String)> {
    let listed = at_north(system, &["allocations", "--json"]).into_output();
    let listed: Vec<Value> = serde_json::from_str(&listed).expect("JSON");
    let text = |known: &Value, name: &str| known[name].as_str().expect("a text").to_owned();
    listed.iter().map(|known| (text(known, "peripheral"), text(known, "origin"), text(known, "state"))).collect()
}

fn row(peripheral: &str, origin: &str, state: &str) -> (String, String, String) {
    (peripheral.to_owned(), origin.to_owned(), state.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_allocation_from_the_command_line_counts_at_once_and_survives_a_kill() {
    let mut system = System::start(&[("north", allocations("lamps", ["filed".to_owned()].into_iter()))]).await;
    let allocate = ["allocate", "new", "--group", "lamps", "--label", "street=Mill"];
    assert_eq!(at_north(&system, &allocate).into_output(), "new: allocated.\n");
    system.gateway("north").part.restart();
    system.linked().await;
    assert_eq!(shown(&system).await, [row("filed", "file", "allocated"), row("new", "gateway", "allocated")]);

    // It registers as any other, and the platform knows where it was allocated.
    let steady = Arc::new(Behaviour::steady(MqttVersion::Mqtt5));
    let new = fleet(system.gateways["north"].mqtt, ["new".to_owned()].into_iter(), &steady);
    let new = Peripherals::start(new, Options::default()).expect("it starts");
    system.configured("lamps", "new", Some("active")).await;
    let place = ["north", "new"].map(|id| id.to_owned());
    let known = system.client.peripheral(&place[0].parse().expect("an id"), &place[1].parse().expect("an id")).await;
    assert_eq!(known.expect("it is known").origin, bugle_core::Origin::Gateway);

    // Blocked it is out, whatever it tries; released it comes back by itself.
    assert_eq!(at_north(&system, &["block", "new"]).into_output(), "new: blocked.\n");
    system.configured("lamps", "new", None).await;
    assert_eq!(shown(&system).await[1], row("new", "gateway", "blocked"));
    at_north(&system, &["release", "new"]).into_output();
    assert_eq!(shown(&system).await[1].2, "allocated");
    let _ = new.stop();

    at_north(&system, &["remove", "new"]).into_output();
    assert_eq!(shown(&system).await, [row("filed", "file", "allocated")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_allocated_elsewhere_is_changed_there_and_only_the_owner_may_speak_to_a_gateway() {
    let mut system = System::start(&[("north", allocations("lamps", ["filed".to_owned()].into_iter()))]).await;
    until("the file to be read", async || (shown(&system).await.len() == 1).then_some(())).await;
    at_north(&system, &["remove", "filed"]).assert_refused(3, &["filed", "in the gateway's own file"]);
    at_north(&system, &["allocate", "filed", "--group", "x"]).assert_refused(3, &["in the gateway's own file"]);
    at_north(&system, &["block", "nobody"]).assert_refused(3, &["nobody is not allocated"]);
    at_north(&system, &["block", "filed"]).into_output();
    assert_eq!(shown(&system).await, [row("filed", "file", "blocked")]);
    at_north(&system, &["allocate", "a/b", "--group", "x"]).assert_refused(2, &["peripheral id"]);

    let socket = system.folder.path().join("north-data/control.sock");
    let mode = socket.metadata().expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    // The platform is not needed.
    system.platform.kill();
    at_north(&system, &["release", "filed"]).into_output();
    system.gateway("north").part.kill();
    at_north(&system, &["allocations"]).assert_refused(3, &["no gateway runs in", "north-data", "`bugle gateway"]);
    at_north(&system, &["block", "filed"]).assert_refused(3, &["no gateway runs in"]);
}
