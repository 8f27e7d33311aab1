//! npm's coap-node: LwM2M 1.0 in TLV.
//!
//! It is made for a server of its own kind, and takes part here as any client does, with these limits of
//! its own:
//! - Its way to sleep, `PUT /rd/…?chk=out`, is not LwM2M's and is refused with 4.05. It does not know
//!   queue mode, so it sleeps by the idle time of its allocation.
//! - It does not know of blocks that come to it, and takes the first one for the whole body.
//! - An Execute with arguments, which are text, looks to it like a Create, and ends its process.

use bugle_core::Outcome;
use serde_json::json;

use super::asking::{ask, execute, executed, is_observed, message, read, refused, system_for, write};
use super::script::Script;
use super::system::System;

async fn registered() -> (System, Script) {
    let system = system_for("thermometer").await;
    let port = system.gateways["north"].coap.to_string();
    let mut peripheral = Script::node("coap_node_peripheral.js", &[&port, "thermometer"]);
    peripheral.tell("register");
    assert_eq!(peripheral.next("registered")["status"], "2.01");
    system.members("sensors", 1).await;
    (system, peripheral)
}

async fn leaves(system: &System, mut peripheral: Script) {
    peripheral.tell("leave");
    assert_eq!(peripheral.next("left")["status"], "2.02");
    system.configured("sensors", "thermometer", None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_read_written_and_executed() {
    let (system, peripheral) = registered().await;
    let sent = ask(&system, read("/3303/0/5700")).await;
    assert_eq!(executed(&system, sent).await.as_text(), Some("21.5"));

    let sent = ask(&system, write("/3303/0/5750", "cellar")).await;
    assert_eq!(peripheral.next("written")["value"], "cellar");
    executed(&system, sent).await;
    let sent = ask(&system, read("/3303/0/5750")).await;
    assert_eq!(executed(&system, sent).await.as_text(), Some("cellar"));

    let sent = ask(&system, execute("/3303/0/5605", "")).await;
    assert_eq!(peripheral.next("executed")["arguments"], json!([]));
    executed(&system, sent).await;

    let sent = ask(&system, read("/3303/0/5702")).await;
    refused(&system, sent, "4.04").await;
    // It has not said that it has such an object.
    let sent = ask(&system, message("hello")).await;
    refused(&system, sent, "4.04").await;
    leaves(&system, peripheral).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_it_takes_a_part_of_has_failed() {
    let (system, peripheral) = registered().await;
    let sent = ask(&system, write("/3303/0/5750", &"long ".repeat(1_000))).await;
    assert_eq!(peripheral.next("written")["value"].as_str().map(str::len), Some(1024));
    let outcome = system.outcome(sent).await.outcome;
    assert!(matches!(&outcome, Some(Outcome::Failed { reason }) if reason.contains("part")), "{outcome:?}");
    leaves(&system, peripheral).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_sleeps_and_gets_its_queue_in_order() {
    let (system, mut peripheral) = registered().await;
    peripheral.tell("checkout");
    assert_eq!(peripheral.next("checked out")["status"], "4.05");
    peripheral.stop();
    system.configured("sensors", "thermometer", Some("standby")).await;
    let mut queue = Vec::new();
    for place in ["cellar", "attic", "garden"] {
        queue.push(ask(&system, write("/3303/0/5750", place)).await);
    }
    peripheral.go_on();
    peripheral.tell("update");
    assert_eq!(peripheral.next("updated")["status"], "2.04");
    for place in ["cellar", "attic", "garden"] {
        assert_eq!(peripheral.next("written")["value"], place);
    }
    for request in queue {
        executed(&system, request).await;
    }
    leaves(&system, peripheral).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_observed() {
    let (system, mut peripheral) = registered().await;
    is_observed(&system, &mut peripheral).await;
    leaves(&system, peripheral).await;
}
