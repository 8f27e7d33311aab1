//! The examples in the help, run by a shell as they are written against a system that has what they name.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use bugle_api::RequestQuery;
use bugle_core::LateJoiners;
use bugle_core::platform::RequestState;
use bugle_load::mqtt::{Behaviour, Reconnecting};
use bugle_load::{MqttVersion, Options, Peripherals};

use super::program::{bugle, run};
use super::system::{System, app, fleet, until};

/// The commands, in an order in which each finds what it needs.
const COMMANDS: [&str; 21] = [
    "group list",
    "group show",
    "group nest",
    "group send",
    "group activate",
    "group standby",
    "group unnest",
    "schedule put",
    "schedule list",
    "schedule show",
    "schedule cancel",
    "request list",
    "peripheral list",
    "peripheral show",
    "peripheral standby",
    "peripheral activate",
    "peripheral deregister",
    "peripheral block",
    "peripheral release",
    "peripheral allocate",
    "peripheral remove",
];
const ALLOCATIONS: &str = r#"
[defaults]
application = "metering"
groups = ["lamps", "floor-1", "floor-2"]
[[peripheral]]
id = "lamp-01"
"#;

/// The lines of a command's help that are examples.
fn examples(system: &System, command: &str) -> Vec<String> {
    let words: Vec<&str> = command.split(' ').chain(["--help"]).collect();
    let help = run(system.folder.path(), &words).into_output();
    let shown = help.lines().skip_while(|line| !line.starts_with("Example")).skip(1);
    let examples: Vec<String> = shown.filter_map(|line| Some(line.strip_prefix("  ")?.to_owned())).collect();
    assert!(!examples.is_empty(), "{help}");
    examples
}

/// Has a shell begin a line, in which `bugle` is the operator's.
fn begin(system: &System, line: &str) -> Child {
    let program = bugle(system.folder.path());
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("bugle() {{ \"$0\" \"$@\"; }}\n{line}")]).arg(program.get_program());
    shell.env("BUGLE_PLATFORM", &system.url).env("BUGLE_APPLICATION", "metering");
    let token = fs::read_to_string(system.folder.path().join("platform/operator.token"));
    shell.env("BUGLE_TOKEN", token.expect("the operator has one").trim());
    shell.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("there is a shell")
}

/// A request that includes late joiners goes on until its deadline, an hour in the help, or until it is cancelled.
async fn cancel_what_goes_on(system: &System) {
    let query = RequestQuery { state: Some(RequestState::Open), ..RequestQuery::default() };
    let open = system.client.requests(&app(), &query).await.expect("they are listed").items;
    for request in open {
        if request.late_joiners == LateJoiners::Include && request.totals.served() > 0 {
            system.client.cancel(&app(), request.id).await.expect("it is taken");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_example_about_groups_does_what_it_says() {
    let system = System::start(&[("east", ALLOCATIONS.to_owned())]).await;
    let reconnecting = Reconnecting { first: Duration::from_millis(100), ..Reconnecting::default() };
    let steady = Arc::new(Behaviour { reconnecting, ..Behaviour::steady(MqttVersion::Mqtt5) });
    let lamp = fleet(system.gateways["east"].mqtt, ["lamp-01".to_owned()].into_iter(), &steady);
    let lamp = Peripherals::start(lamp, Options::default()).expect("it starts");
    system.configured("lamps", "lamp-01", Some("active")).await;
    for command in COMMANDS {
        for line in examples(&system, command) {
            let mut shell = begin(&system, &line);
            until(&format!("an end of {line:?}"), async || {
                cancel_what_goes_on(&system).await;
                shell.try_wait().expect("its state is known")
            })
            .await;
            let output = shell.wait_with_output().expect("it has ended");
            assert!(output.status.success(), "{line}: {output:?}");
        }
    }
    let _ = lamp.stop();
}
