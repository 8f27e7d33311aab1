//! Python's aiocoap as a LwM2M peripheral in queue mode: SenML-JSON, and bodies of many blocks both ways.

use serde_json::{Value, json};

use super::asking::{
    TEMPERATURE, ask, execute, executed, is_observed, message, observe_no_more, read, refused, system_for, write,
};
use super::script::Script;
use super::system::System;

/// More than one block, and more than one datagram.
const LONG: usize = 5_000;

/// A thermometer that has registered.
async fn registered() -> (System, Script, String) {
    let system = system_for("thermometer").await;
    let port = system.gateways["north"].coap.to_string();
    let mut peripheral = Script::python("aiocoap_peripheral.py", &[&port, "thermometer"]);
    peripheral.tell("register");
    let answer = peripheral.next("registered");
    assert_eq!(answer["code"], "2.01");
    let location = answer["location"].as_str().expect("it has a location").to_owned();
    system.members("sensors", 1).await;
    (system, peripheral, location)
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_read_written_and_executed() {
    let (system, peripheral, _) = registered().await;
    let sent = ask(&system, read("/3303/0/5700")).await;
    let get = peripheral.next("get");
    assert_eq!((&get["path"], &get["accept"]), (&json!("/3303/0/5700"), &json!(110)));
    assert_eq!(executed(&system, sent).await.as_text(), Some("21.5"));

    // A whole instance comes as it is called in SenML.
    let sent = ask(&system, read("/3303/0")).await;
    peripheral.next("get");
    let answer = executed(&system, sent).await;
    assert_eq!(answer.content_type, "application/senml+json");
    let answer: Value = serde_json::from_slice(&answer.bytes).expect("it is JSON");
    assert_eq!(answer.as_array().map(Vec::len), Some(3), "{answer}");

    let sent = ask(&system, write("/3303/0/5750", "kitchen")).await;
    assert_eq!(peripheral.next("put")["format"], 110);
    assert_eq!(peripheral.next("written")["length"], 7);
    executed(&system, sent).await;
    let sent = ask(&system, read("/3303/0/5750")).await;
    peripheral.next("get");
    assert_eq!(executed(&system, sent).await.as_text(), Some("kitchen"));

    let sent = ask(&system, execute("/3303/0/5605", "0='now'")).await;
    peripheral.next("post");
    assert_eq!(peripheral.next("executed")["arguments"], "0='now'");
    executed(&system, sent).await;

    // What it says no to is refused with its code.
    for (submission, code, what) in [(read("/3303/1/5700"), "4.04", "get"), (write("/3303/0/5700", "3"), "4.05", "put")]
    {
        let sent = ask(&system, submission).await;
        peripheral.next(what);
        refused(&system, sent, code).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_of_many_blocks_go_both_ways() {
    let (system, peripheral, _) = registered().await;
    let sent = ask(&system, read("/3/0/1")).await;
    let answer = executed(&system, sent).await;
    assert_eq!(answer.as_text(), Some("a model with a long name ".repeat(200).as_str()));

    let text = "x".repeat(LONG) + "the end.";
    let sent = ask(&system, write("/3303/0/5750", &text)).await;
    executed(&system, sent).await;
    let sent = ask(&system, message(&text)).await;
    executed(&system, sent).await;

    // The library asks for the answer once, or once a block, as it likes; each body comes whole and once.
    let mut said = peripheral.next("get");
    while said["what"] == "get" {
        said = peripheral.any();
    }
    assert!(said["bytes"].as_u64().is_some_and(|bytes| bytes > LONG as u64), "{said}");
    let expected = |path: &str, end: &str| json!({"what": "written", "path": path, "length": LONG + 8, "end": end});
    assert_eq!(peripheral.next("written"), expected("/3303/0/5750", "the end."));
    assert_eq!(peripheral.next("put")["path"], "/19/0/0");
    assert_eq!(peripheral.next("written"), expected("/19/0/0", "b'the end.'"));
    assert!(peripheral.is_silent());
}

#[tokio::test(flavor = "multi_thread")]
async fn it_sleeps_gets_its_queue_in_order_reports_and_leaves() {
    let (system, mut peripheral, location) = registered().await;
    peripheral.tell("sleep");
    peripheral.next("asleep");
    system.configured("sensors", "thermometer", Some("standby")).await;

    let mut queue = Vec::new();
    for submission in [write("/3303/0/5750", "cellar"), read("/3303/0/5750"), write("/3303/0/5750", "attic")] {
        queue.push(ask(&system, submission).await);
    }
    system.configured("sensors", "thermometer", Some("activating")).await;
    peripheral.tell("update");
    // Its answer is on the way while the queue comes.
    let mut came = Vec::new();
    while came.len() < 6 {
        let said = peripheral.any();
        if said["what"] == "updated" {
            assert_eq!(said["code"], "2.04");
        }
        came.push(said["what"].as_str().unwrap_or_default().to_owned());
    }
    came.retain(|what| what != "updated");
    assert_eq!(came, ["put", "written", "get", "put", "written"]);
    executed(&system, queue[0]).await;
    assert_eq!(executed(&system, queue[1]).await.as_text(), Some("cellar"));
    executed(&system, queue[2]).await;

    peripheral.tell("send");
    assert_eq!(peripheral.next("sent")["code"], "2.04");
    let report = &system.reports("send", 1).await[0];
    assert_eq!(report.content.content_type, "application/senml+json");
    let values: Value = serde_json::from_slice(&report.content.bytes).expect("it is JSON");
    assert_eq!(values.as_array().map(Vec::len), Some(2), "{values}");

    // A Register of whoever sleeps is a wake-up.
    peripheral.tell("sleep");
    peripheral.next("asleep");
    system.configured("sensors", "thermometer", Some("standby")).await;
    let sent = ask(&system, read("/3303/0/5701")).await;
    peripheral.tell("register");
    let mut came = [peripheral.any(), peripheral.any()];
    came.sort_by_key(|said| said["what"] == "registered");
    assert_eq!((&came[0]["what"], &came[1]["location"]), (&json!("get"), &json!(location)));
    assert_eq!(executed(&system, sent).await.as_text(), Some("Cel"));

    peripheral.tell("leave");
    assert_eq!(peripheral.next("left")["code"], "2.02");
    system.configured("sensors", "thermometer", None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_observed_until_that_is_taken_back_and_again_when_it_registers_anew() {
    let (system, mut peripheral, _) = registered().await;
    is_observed(&system, &mut peripheral).await;
    peripheral.after("observed");
    peripheral.tell("sleep");
    peripheral.after("asleep");
    system.configured("sensors", "thermometer", Some("standby")).await;
    peripheral.tell("register");
    peripheral.after("observed");
    let again = &system.reports(TEMPERATURE, 3).await[2];
    assert_eq!(again.content.as_text(), Some("22.5"));

    observe_no_more(&system).await;
    peripheral.after("observed no more");
}
