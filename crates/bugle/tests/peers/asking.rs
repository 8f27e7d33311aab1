//! What the tests ask of LwM2M peripherals in the group `sensors`, and what must become of it.

use bugle_core::{Content, GatewayId, Outcome, PeripheralId, RequestId, ResourcePath};
use serde_json::{Value, json};

use super::script::Script;
use super::system::System;

/// After so many seconds without a word the peripheral counts as in standby.
pub(crate) const IDLE: u64 = 3;

/// A system with one allocation, for plain CoAP.
pub(crate) async fn system_for(peripheral: &str) -> System {
    let allocations = format!(
        "[defaults]\napplication = \"metering\"\ngroups = [\"sensors\"]\nidle = {IDLE}\n\
         [[peripheral]]\nid = {peripheral:?}\n"
    );
    System::start(&[("north", allocations)]).await
}

pub(crate) fn read(path: &str) -> Value {
    request(json!({"do": "read", "path": path}))
}

pub(crate) fn write(path: &str, text: &str) -> Value {
    request(json!({"do": "write", "path": path, "content": {"text": text}}))
}

pub(crate) fn execute(path: &str, arguments: &str) -> Value {
    request(json!({"do": "execute", "path": path, "arguments": arguments}))
}

pub(crate) fn message(text: &str) -> Value {
    request(json!({"do": "message", "content": {"text": text}}))
}

fn request(operation: Value) -> Value {
    json!({"operation": operation, "receipt": "executed", "deadline_seconds": 60})
}

pub(crate) async fn ask(system: &System, submission: Value) -> RequestId {
    system.submit("sensors", submission).await
}

/// Waits for the one member of a request to have executed it.
pub(crate) async fn executed(system: &System, request: RequestId) -> Content {
    match system.outcome(request).await.outcome {
        Some(Outcome::Executed { answer }) => answer,
        other => panic!("it was executed: {other:?}"),
    }
}

/// Waits for the one member of a request to have refused it with this code.
pub(crate) async fn refused(system: &System, request: RequestId, code: &str) {
    let outcome = system.outcome(request).await.outcome;
    assert!(matches!(&outcome, Some(Outcome::Refused { code: said, .. }) if said == code), "{outcome:?}");
}

/// What is observed.
pub(crate) const TEMPERATURE: &str = "/3303/0/5700";

fn thermometer() -> (GatewayId, PeripheralId, ResourcePath) {
    let gateway = "north".parse().expect("a gateway id");
    (gateway, "thermometer".parse().expect("a peripheral id"), TEMPERATURE.parse().expect("a path"))
}

/// Observes the thermometer, and has it grow warmer: both are reported.
pub(crate) async fn is_observed(system: &System, peripheral: &mut Script) {
    let (gateway, id, path) = thermometer();
    system.client.observe(&gateway, &id, path).await.expect("it is observed");
    assert_eq!(system.reports(TEMPERATURE, 1).await[0].content.as_text(), Some("21.5"));
    peripheral.tell("warm");
    assert_eq!(system.reports(TEMPERATURE, 2).await[1].content.as_text(), Some("22.5"));
}

pub(crate) async fn observe_no_more(system: &System) {
    let (gateway, id, path) = thermometer();
    system.client.observe_no_more(&gateway, &id, path).await.expect("it is observed no more");
}
