//! A person has the last word.

use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::platform::{Platform, asks, leaves};
use crate::service::{ANYBODY, Disk, Service};

fn manual() -> Disk {
    Disk::new(&ANYBODY.replace("lease", "approval = \"manual\"\nlease"))
}

#[test]
fn who_is_approved_is_answered_and_the_next_time_at_once() {
    let (platform, disk) = (Platform::start(), manual());
    let service = Service::start(&disk, &platform);
    platform.tell([asks("m1", 1)]);
    let list = service.get_until("/v1/approvals", |list| list["items"][0]["state"] == "waiting");
    assert_eq!(list["items"][0]["is_asking"], true);
    assert_eq!(list["items"][0]["groups"], json!(["g"]));
    assert!(platform.known().decisions.is_empty());
    let approve = json!({"decision": "approve"});
    let (status, approval) = service.call(Method::POST, "/v1/approvals/m1", Some(approve));
    assert_eq!((status, &approval["state"]), (StatusCode::OK, &json!("approved")));
    assert_eq!(platform.answers(1), [("m1".into(), 1, true)]);
    drop(service);
    let service = Service::start(&disk, &platform);
    platform.tell([leaves("m1", 1), asks("m1", 2)]);
    assert_eq!(platform.answers(2)[1], ("m1".into(), 2, true));
    assert_eq!(service.members("g"), ["m1"]);
}

#[test]
fn who_is_refused_stays_out_until_that_is_taken_back() {
    let (platform, disk) = (Platform::start(), Disk::new(ANYBODY));
    let service = Service::start(&disk, &platform);
    let (status, _) = service.call(Method::POST, "/v1/approvals/m1", Some(json!({"decision": "refuse"})));
    assert_eq!(status, StatusCode::OK);
    platform.tell([asks("m1", 1)]);
    assert_eq!(platform.answers(1), [("m1".into(), 1, false)]);
    assert_eq!(service.call(Method::DELETE, "/v1/approvals/m1", None).0, StatusCode::NO_CONTENT);
    assert_eq!(service.call(Method::DELETE, "/v1/approvals/m1", None).0, StatusCode::NOT_FOUND);
    platform.tell([asks("m1", 2)]);
    assert_eq!(platform.answers(2)[1], ("m1".into(), 2, true));
}

#[test]
fn who_has_gone_before_the_approval_is_not_answered_but_remembered() {
    let (platform, disk) = (Platform::start(), manual());
    let service = Service::start(&disk, &platform);
    platform.tell([asks("m1", 1), leaves("m1", 1)]);
    service.get_until("/v1/approvals", |list| list["items"][0]["is_asking"] == false);
    service.call(Method::POST, "/v1/approvals/m1", Some(json!({"decision": "approve"})));
    platform.tell([asks("m1", 2)]);
    assert_eq!(platform.answers(1), [("m1".into(), 2, true)]);
}

#[test]
fn a_decision_that_makes_no_sense_is_a_problem() {
    let (platform, disk) = (Platform::start(), manual());
    let service = Service::start(&disk, &platform);
    for (body, code) in [
        (Some(json!({"decision": "approve"})), "invalid"),
        (Some(json!({"decision": "perhaps"})), "invalid"),
        (Some(json!({"decision": "refuse", "why": "?"})), "invalid"),
        (None, "unsupported-media-type"),
    ] {
        let (_, problem) = service.call(Method::POST, "/v1/approvals/m1", body.clone());
        assert_eq!(problem["type"], format!("urn:bugle:problem:{code}"), "{body:?}");
    }
}
