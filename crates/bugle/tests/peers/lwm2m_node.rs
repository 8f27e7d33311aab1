//! The client of npm's lwm2m-node-lib: LwM2M 1.0 in plain text, without content formats.
//!
//! It does not know queue mode, so it sleeps by the idle time of its allocation.

use serde_json::json;

use super::asking::{ask, execute, executed, is_observed, read, refused, system_for, write};
use super::script::Script;
use super::system::System;

async fn registered() -> (System, Script) {
    let system = system_for("thermometer").await;
    let port = system.gateways["north"].coap.to_string();
    let mut peripheral = Script::node("lwm2m_node_peripheral.js", &[&port, "thermometer"]);
    peripheral.tell("register");
    assert_eq!(peripheral.next("registered")["error"], json!(null));
    system.members("sensors", 1).await;
    (system, peripheral)
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_read_written_and_executed() {
    let (system, mut peripheral) = registered().await;
    let sent = ask(&system, read("/3303/0/5700")).await;
    assert_eq!(peripheral.next("read")["path"], "/3303/0/5700");
    assert_eq!(executed(&system, sent).await.as_text(), Some("21.5"));

    let sent = ask(&system, write("/3303/0/5750", "cellar")).await;
    assert_eq!(peripheral.next("written")["value"], "cellar");
    executed(&system, sent).await;
    let sent = ask(&system, read("/3303/0/5750")).await;
    peripheral.next("read");
    assert_eq!(executed(&system, sent).await.as_text(), Some("cellar"));

    let sent = ask(&system, execute("/3303/0/5605", "0='now'")).await;
    assert_eq!(peripheral.next("executed")["arguments"], "0='now'");
    executed(&system, sent).await;

    let sent = ask(&system, read("/3303/0/5702")).await;
    refused(&system, sent, "4.04").await;
    peripheral.tell("leave");
    assert_eq!(peripheral.next("left")["error"], json!(null));
    system.configured("sensors", "thermometer", None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_sleeps_and_gets_its_queue_in_order() {
    let (system, mut peripheral) = registered().await;
    peripheral.tell("sleep");
    peripheral.next("asleep");
    system.configured("sensors", "thermometer", Some("standby")).await;
    let mut queue = Vec::new();
    for place in ["cellar", "attic", "garden"] {
        queue.push(ask(&system, write("/3303/0/5750", place)).await);
    }
    peripheral.tell("update");
    assert_eq!(peripheral.next("updated")["error"], json!(null));
    for place in ["cellar", "attic", "garden"] {
        assert_eq!(peripheral.next("written")["value"], place);
    }
    for request in queue {
        executed(&system, request).await;
    }
    peripheral.tell("leave");
    assert_eq!(peripheral.next("left")["error"], json!(null));
    system.configured("sensors", "thermometer", None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_observed() {
    let (system, mut peripheral) = registered().await;
    is_observed(&system, &mut peripheral).await;
}
