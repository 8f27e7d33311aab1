//! `mosquitto_sub` and `mosquitto_pub` as the only peripherals: no Bugle code in them.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};

use bugle_core::{Outcome, RequestId};
use serde_json::{Value, json};

use super::system::{SOON, System, app, until};

pub(crate) const PASSWORD: &str = "a long random text";

/// How a version is asked for, and how a session is to outlive the connection.
#[derive(Clone, Copy)]
pub(crate) struct Version {
    name: &'static str,
    session: &'static [&'static str],
}

pub(crate) const MQTT_311: Version = Version { name: "mqttv311", session: &["-c"] };
pub(crate) const MQTT_5: Version = Version { name: "mqttv5", session: &["-c", "-x", "3600"] };

pub(crate) fn program(name: &str, version: Version, port: u16, id: &str, password: &str) -> Command {
    let mut command = Command::new(name);
    command.args(["-V", version.name, "-h", "127.0.0.1", "-p"]).arg(port.to_string());
    command.args(["-i", id, "-u", id, "-P", password, "-q", "1"]).args(version.session);
    command
}

pub(crate) fn spawn(mut command: Command) -> Child {
    let name = command.get_program().to_string_lossy().into_owned();
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{name}: {error}; `cargo xtask test` installs Debian's mosquitto-clients"))
}

/// A subscriber, and what it prints.
pub(crate) struct Subscriber {
    process: Child,
    lines: Receiver<String>,
}

impl Subscriber {
    /// Subscribes to its requests, and goes after `count` of them if that is given.
    fn start(version: Version, port: u16, id: &str, count: Option<u32>) -> Self {
        let mut command = program("mosquitto_sub", version, port, id, PASSWORD);
        command.args(["-t", &format!("bugle/{id}/requests")]);
        if let Some(count) = count {
            command.args(["-C", &count.to_string()]);
        }
        Self::of(command)
    }

    /// Whatever this command is.
    pub(crate) fn of(command: Command) -> Self {
        let mut process = spawn(command);
        let output = process.stdout.take().expect("it is piped");
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Self { process, lines }
    }

    pub(crate) fn request(&self) -> Value {
        let line = self.lines.recv_timeout(SOON).expect("a request comes");
        serde_json::from_str(&line).expect("a request is JSON")
    }

    /// Tells it to go, as a person does with Ctrl-C: it disconnects.
    fn interrupt(mut self) {
        let id = self.process.id().to_string();
        let told = Command::new("kill").args(["-INT", &id]).status().expect("kill is there");
        assert!(told.success());
        self.process.wait().expect("it has ended");
    }

    pub(crate) fn wait(mut self) -> ExitStatus {
        self.process.wait().expect("it has ended")
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        // It has ended already, mostly.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Publishes one message; what it says on standard error, and whether it ended well.
fn publish(version: Version, port: u16, id: &str, topic: &str, message: &str) -> (String, bool) {
    let mut command = program("mosquitto_pub", version, port, id, PASSWORD);
    command.args(["-t", topic, "-m", message]);
    let output = spawn(command).wait_with_output().expect("it has ended");
    (String::from_utf8_lossy(&output.stderr).into_owned(), output.status.success())
}

fn allocations() -> String {
    let one = |id| format!("\n[[peripheral]]\nid = \"{id}\"\npassword = \"{PASSWORD}\"\n");
    format!("[defaults]\napplication = \"metering\"\ngroups = [\"meters\"]\n{}{}", one("meter-1"), one("meter-2"))
}

pub(crate) fn message(text: &str, receipt: &str) -> Value {
    json!({"operation": {"do": "message", "content": {"text": text}}, "receipt": receipt, "deadline_seconds": 60})
}

pub(crate) fn id_of(request: &Value) -> RequestId {
    request["request"].as_str().expect("a request names itself").parse().expect("a request id")
}

async fn a_life_in_all_procedures(version: Version) {
    let system = System::start(&[("north", allocations())]).await;
    let port = system.gateways["north"].mqtt;

    // Connecting is registering.
    let subscriber = Subscriber::start(version, port, "meter-1", None);
    system.configured("meters", "meter-1", Some("active")).await;

    // A request comes as JSON, and its delivery is acknowledged.
    let sent = system.submit("meters", message("hello", "delivered")).await;
    let request = subscriber.request();
    assert_eq!(
        (id_of(&request), &request["do"], &request["content"]["text"]),
        (sent, &json!("message"), &json!("hello"))
    );
    assert_eq!(system.outcome(sent).await.outcome, Some(Outcome::Delivered));

    // Leaving the session behind is standby.
    subscriber.interrupt();
    system.configured("meters", "meter-1", Some("standby")).await;

    // What is meant for it waits, and comes in order when it wakes.
    let first = system.submit("meters", message("one", "delivered")).await;
    let second = system.submit("meters", message("two", "delivered")).await;
    system.configured("meters", "meter-1", Some("activating")).await;
    let subscriber = Subscriber::start(version, port, "meter-1", Some(2));
    assert_eq!([id_of(&subscriber.request()), id_of(&subscriber.request())], [first, second]);
    for request in [first, second] {
        assert_eq!(system.outcome(request).await.outcome, Some(Outcome::Delivered));
    }
    assert!(subscriber.wait().success());
    system.configured("meters", "meter-1", Some("standby")).await;

    // An answer executes. The subscriber takes the request and goes; the publisher answers it.
    let asked = system.submit("meters", message("well?", "executed")).await;
    let subscriber = Subscriber::start(version, port, "meter-1", Some(1));
    assert_eq!(id_of(&subscriber.request()), asked);
    assert!(subscriber.wait().success());
    let (complaint, is_well) = publish(version, port, "meter-1", &format!("bugle/meter-1/responses/{asked}"), "fine");
    assert!(is_well, "{complaint}");
    let Some(Outcome::Executed { answer }) = system.outcome(asked).await.outcome else { panic!("it was answered") };
    assert_eq!(answer.as_text(), Some("fine"));

    // Saying so is deregistering.
    let (complaint, is_well) = publish(version, port, "meter-1", "bugle/meter-1/deregister", "now");
    assert!(is_well, "{complaint}");
    system.configured("meters", "meter-1", None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mqtt_311_clients_live_through_all_procedures() {
    a_life_in_all_procedures(MQTT_311).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mqtt_5_clients_live_through_all_procedures() {
    a_life_in_all_procedures(MQTT_5).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_wrong_passwords_and_foreign_topics_are_refused() {
    let system = System::start(&[("north", allocations())]).await;
    let port = system.gateways["north"].mqtt;
    for version in [MQTT_311, MQTT_5] {
        let (complaint, is_well) = publish(version, port, "nobody", "bugle/nobody/reports/x", "1");
        assert!(!is_well, "{complaint}");
        let mut wrong = program("mosquitto_pub", version, port, "meter-1", "wrong");
        wrong.args(["-t", "bugle/meter-1/reports/x", "-m", "1"]);
        let output = spawn(wrong).wait_with_output().expect("it has ended");
        assert!(!output.status.success());

        // The neighbour is there, and stays.
        let neighbour = Subscriber::start(version, port, "meter-2", None);
        system.configured("meters", "meter-2", Some("active")).await;
        publish(version, port, "meter-1", "bugle/meter-2/reports/forged", "1");
        let sent = system.submit("meters", message("still there?", "delivered")).await;
        assert_eq!(id_of(&neighbour.request()), sent);
        neighbour.interrupt();
        system.configured("meters", "meter-2", Some("standby")).await;
    }
    until("the stranger on the waiting list", async || {
        system.strangers().await.contains(&"nobody".to_owned()).then_some(())
    })
    .await;
    let events = system.client.events(&app(), &bugle_api::EventQuery { limit: Some(1000), ..Default::default() }).await;
    let forged = |event: &bugle_api::EventRecord| matches!(&event.event, bugle_core::Event::Report { report, .. } if report.name == "forged");
    assert!(!events.expect("the events are read").items.iter().any(forged));
}
