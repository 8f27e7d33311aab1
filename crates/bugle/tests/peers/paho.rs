//! Python's paho-mqtt as a peripheral: what MQTT 5 says beside the payload.

use std::path::Path;

use bugle_core::Outcome;
use serde_json::{Value, json};

use super::script::Script;
use super::system::{System, allocations};

fn paho(port: u16, id: &str, task: &str) -> Script {
    Script::python("paho_peripheral.py", &[&port.to_string(), id, task])
}

/// Over TLS, trusting this authority.
pub(crate) fn paho_over_tls(port: u16, id: &str, task: &str, authority: &Path) -> Script {
    Script::python("paho_peripheral.py", &[&port.to_string(), id, task, &authority.display().to_string()])
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
    let mut answering = paho(system.gateways["north"].mqtt, "one", "answer");
    let connected = answering.next("connected");
    assert_eq!((&connected["code"], &connected["present"]), (&json!(0), &json!(false)));
    assert_eq!(connected["properties"]["RetainAvailable"], 0);
    assert_eq!(answering.next("subscribed")["codes"], json!([1]));
    system.configured("sensors", "one", Some("active")).await;

    let sent = system.submit("sensors", read_request()).await;
    let request = answering.next("request");
    assert_eq!(request["payload"], json!({"request": sent, "do": "read", "path": "/3303/0/5700"}));
    assert_eq!(request["response_topic"], format!("bugle/one/responses/{sent}"));
    assert_eq!(request["correlation"], sent.to_string());
    assert_eq!(request["content_type"], "application/json");
    assert!(request["expiry"].as_u64().is_some_and(|seconds| (50..=60).contains(&seconds)));
    assert_eq!(answering.next("published")["code"], 0);
    let Some(Outcome::Executed { answer }) = system.outcome(sent).await.outcome else { panic!("it was answered") };
    assert_eq!((answer.content_type.as_str(), answer.as_text()), ("application/json", Some(r#"{"ok":true}"#)));

    // The session outlives the connection for as long as it asked for, and no longer than it says.
    answering.tell("sleep");
    assert_eq!(answering.next("disconnected")["code"], 0);
    system.configured("sensors", "one", Some("standby")).await;
    answering.tell("wake");
    assert_eq!(answering.next("connected")["present"], true);
    answering.next("subscribed");
    system.configured("sensors", "one", Some("active")).await;
    answering.tell("leave");
    answering.next("disconnected");
    system.configured("sensors", "one", None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reason_codes_say_what_was_wrong() {
    let system = system().await;
    let port = system.gateways["north"].mqtt;

    let stranger = paho(port, "nobody", "answer");
    let refused = stranger.next("connected");
    assert_eq!(refused["code"], 0x87);
    assert!(refused["properties"]["ReasonString"].as_str().is_some_and(|reason| reason.contains("not allocated")));

    let careless = paho(port, "two", "qos0");
    careless.next("connected");
    let subscribed = careless.next("subscribed");
    assert_eq!(subscribed["codes"], json!([0x83]));
    assert!(subscribed["properties"]["ReasonString"].as_str().is_some_and(|reason| reason.contains("QoS 1")));

    let curious = paho(port, "three", "foreign");
    curious.next("connected");
    curious.next("subscribed");
    assert_eq!(curious.next("published")["code"], 0x87);
    system.configured("sensors", "three", Some("active")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_may_refuse_and_may_be_sent_exactly_once() {
    let system = system().await;
    let port = system.gateways["north"].mqtt;
    let mut stuck = paho(port, "four", "refuse");
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

    let mut careful = paho(port, "two", "qos2");
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
