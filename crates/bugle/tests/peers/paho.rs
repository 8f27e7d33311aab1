//! Python's paho-mqtt as a peripheral: what MQTT 5 says beside the payload.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};

use bugle_core::Outcome;
use serde_json::{Value, json};

use super::system::{SOON, System, allocations};

pub(crate) struct Paho {
    process: Child,
    input: ChildStdin,
    said: Receiver<Value>,
}

impl Paho {
    fn start(port: u16, id: &str, task: &str) -> Self {
        Self::start_with(&[&port.to_string(), id, task])
    }

    /// Over TLS, trusting this authority.
    pub(crate) fn start_tls(port: u16, id: &str, task: &str, authority: &Path) -> Self {
        Self::start_with(&[&port.to_string(), id, task, &authority.display().to_string()])
    }

    fn start_with(arguments: &[&str]) -> Self {
        let python = std::env::var("BUGLE_TEST_PYTHON")
            .expect("BUGLE_TEST_PYTHON names a Python with paho-mqtt; `cargo xtask test` makes one and sets it");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/paho_peripheral.py");
        let mut process = Command::new(python)
            .arg(script)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("Python starts");
        let output = process.stdout.take().expect("it is piped");
        let input = process.stdin.take().expect("it is piped");
        let (sender, said) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                let what = serde_json::from_str(&line).expect("it says JSON");
                if sender.send(what).is_err() {
                    return;
                }
            }
        });
        Self { process, input, said }
    }

    pub(crate) fn next(&self, what: &str) -> Value {
        let said = self.said.recv_timeout(SOON).unwrap_or_else(|_| panic!("paho says {what}"));
        assert_eq!(said["what"], what, "{said}");
        said
    }

    fn tell(&mut self, what: &str) {
        writeln!(self.input, "{what}").expect("it listens");
    }
}

impl Drop for Paho {
    fn drop(&mut self) {
        // It has ended already, perhaps.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn read_request() -> Value {
    json!({"operation": {"do": "read", "path": "/3303/0/5700"}, "receipt": "executed", "deadline_seconds": 60})
}

async fn system() -> System {
    let ids = ["one", "two", "three", "four"].map(str::to_owned).into_iter();
    System::start(&[("north", allocations("sensors", ids))]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_says_where_to_answer_and_an_answer_keeps_its_type() {
    let system = system().await;
    let mut paho = Paho::start(system.gateways["north"].mqtt, "one", "answer");
    let connected = paho.next("connected");
    assert_eq!((&connected["code"], &connected["present"]), (&json!(0), &json!(false)));
    assert_eq!(connected["properties"]["RetainAvailable"], 0);
    assert_eq!(paho.next("subscribed")["codes"], json!([1]));
    system.configured("sensors", "one", Some("active")).await;

    let sent = system.submit("sensors", read_request()).await;
    let request = paho.next("request");
    assert_eq!(request["payload"], json!({"request": sent, "do": "read", "path": "/3303/0/5700"}));
    assert_eq!(request["response_topic"], format!("bugle/one/responses/{sent}"));
    assert_eq!(request["correlation"], sent.to_string());
    assert_eq!(request["content_type"], "application/json");
    assert!(request["expiry"].as_u64().is_some_and(|seconds| (50..=60).contains(&seconds)));
    assert_eq!(paho.next("published")["code"], 0);
    let Some(Outcome::Executed { answer }) = system.outcome(sent).await.outcome else { panic!("it was answered") };
    assert_eq!((answer.content_type.as_str(), answer.as_text()), ("application/json", Some(r#"{"ok":true}"#)));

    // The session outlives the connection for as long as it asked for, and no longer than it says.
    paho.tell("sleep");
    assert_eq!(paho.next("disconnected")["code"], 0);
    system.configured("sensors", "one", Some("standby")).await;
    paho.tell("wake");
    assert_eq!(paho.next("connected")["present"], true);
    paho.next("subscribed");
    system.configured("sensors", "one", Some("active")).await;
    paho.tell("leave");
    paho.next("disconnected");
    system.configured("sensors", "one", None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reason_codes_say_what_was_wrong() {
    let system = system().await;
    let port = system.gateways["north"].mqtt;

    let stranger = Paho::start(port, "nobody", "answer");
    let refused = stranger.next("connected");
    assert_eq!(refused["code"], 0x87);
    assert!(refused["properties"]["ReasonString"].as_str().is_some_and(|reason| reason.contains("not allocated")));

    let careless = Paho::start(port, "two", "qos0");
    careless.next("connected");
    let subscribed = careless.next("subscribed");
    assert_eq!(subscribed["codes"], json!([0x83]));
    assert!(subscribed["properties"]["ReasonString"].as_str().is_some_and(|reason| reason.contains("QoS 1")));

    let curious = Paho::start(port, "three", "foreign");
    curious.next("connected");
    curious.next("subscribed");
    assert_eq!(curious.next("published")["code"], 0x87);
    system.configured("sensors", "three", Some("active")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_may_refuse_and_may_be_sent_exactly_once() {
    let system = system().await;
    let port = system.gateways["north"].mqtt;
    let mut stuck = Paho::start(port, "four", "refuse");
    stuck.next("connected");
    stuck.next("subscribed");
    system.configured("sensors", "four", Some("active")).await;
    let sent = system.submit("sensors", read_request()).await;
    stuck.next("request");
    let refused = Outcome::Refused { code: "refused".into(), reason: "the valve is stuck".into() };
    assert_eq!(system.outcome(sent).await.outcome, Some(refused));
    stuck.tell("leave");
    stuck.next("published");
    stuck.next("disconnected");
    system.configured("sensors", "four", None).await;

    let mut careful = Paho::start(port, "two", "qos2");
    careful.next("connected");
    careful.next("subscribed");
    system.configured("sensors", "two", Some("active")).await;
    let sent = system.submit("sensors", read_request()).await;
    careful.next("request");
    assert_eq!(careful.next("published")["code"], 0);
    assert!(matches!(system.outcome(sent).await.outcome, Some(Outcome::Executed { .. })));
    careful.tell("leave");
    careful.next("disconnected");
}
