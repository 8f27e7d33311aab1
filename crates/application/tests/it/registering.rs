//! Who asks is answered, and the groups are shown.

use reqwest::{Method, StatusCode};

use crate::platform::{Platform, asks, is_active, leaves};
use crate::service::{ANYBODY, Disk, NOBODY, Service};

#[test]
fn who_asks_is_answered_and_is_a_member_until_it_leaves() {
    let (platform, disk) = (Platform::start(), Disk::new(ANYBODY));
    let service = Service::start(&disk, &platform);
    platform.tell([asks("m1", 1), asks("m2", 2)]);
    assert_eq!(platform.answers(2), [("m1".into(), 1, true), ("m2".into(), 2, true)]);
    assert_eq!(service.get("/v1/groups")["items"][0]["members"], 2);
    let group = service.get("/v1/groups/g?limit=1");
    assert_eq!((&group["items"][0]["peripheral"], &group["items"][0]["state"]), (&"m1".into(), &"registering".into()));
    let cursor = group["next_cursor"].as_str().expect("there is more");
    let rest = service.get(&format!("/v1/groups/g?limit=1&cursor={cursor}"));
    assert_eq!((rest["items"][0]["peripheral"].as_str(), rest.get("next_cursor")), (Some("m2"), None));
    platform.tell([is_active("m1", 1), leaves("m2", 2)]);
    service.get_until("/v1/groups/g", |group| group["items"][0]["state"] == "active");
    service.get_until("/v1/groups/g", |group| group["members"] == 1);
    platform.tell([leaves("m1", 1)]);
    service.get_until("/v1/groups", |groups| groups["items"].as_array().is_some_and(Vec::is_empty));
    assert_eq!(service.call(Method::GET, "/v1/groups/g", None).0, StatusCode::NOT_FOUND);
}

#[test]
fn whom_no_rule_is_for_is_refused_with_a_reason() {
    let (platform, disk) = (Platform::start(), Disk::new(NOBODY));
    let service = Service::start(&disk, &platform);
    platform.tell([asks("m1", 1)]);
    assert_eq!(platform.answers(1), [("m1".into(), 1, false)]);
    let verdict = format!("{:?}", platform.known().decisions[0].verdict);
    assert!(verdict.contains("no rule"), "{verdict}");
    assert!(service.members("g").is_empty());
}

#[test]
fn events_that_are_told_again_are_not_answered_again() {
    let (platform, disk) = (Platform::start(), Disk::new(ANYBODY));
    platform.known().repeats_itself = true;
    let service = Service::start(&disk, &platform);
    platform.tell([asks("m1", 1)]);
    platform.answers(1);
    service.end();
    let service = Service::start(&disk, &platform);
    platform.tell([asks("m2", 2)]);
    assert_eq!(platform.answers(2), [("m1".into(), 1, true), ("m2".into(), 2, true)]);
    assert_eq!(service.members("g"), ["m1", "m2"]);
}

#[test]
fn a_storm_is_answered_in_batches() {
    const PERIPHERALS: usize = 5_000;
    let (platform, disk) = (Platform::start(), Disk::new(ANYBODY));
    let service = Service::start(&disk, &platform);
    let begun = std::time::Instant::now();
    platform.tell((0..PERIPHERALS).map(|number| asks(&format!("m{number}"), number as u64)));
    assert_eq!(platform.answers(PERIPHERALS).len(), PERIPHERALS);
    println!("{PERIPHERALS} askings answered in {:?}", begun.elapsed());
    let calls = platform.known().calls;
    assert!(calls <= PERIPHERALS / 20, "{calls} calls for {PERIPHERALS} answers");
    assert_eq!(service.get("/v1/groups")["items"][0]["members"], PERIPHERALS);
}

#[test]
fn the_api_shows_nothing_without_the_token_and_tells_problems_as_documents() {
    let (platform, disk) = (Platform::start(), Disk::new(ANYBODY));
    let service = Service::start(&disk, &platform);
    for (path, method) in [("/v1/groups", Method::GET), ("/v1/approvals/m1", Method::POST), ("/v1/status", Method::GET)]
    {
        let (status, problem) = service.call_with("guessed", method, path, None);
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{path}");
        assert_eq!(problem["type"], "urn:bugle:problem:unauthenticated", "{path}");
    }
    assert_eq!(service.call_with("", Method::GET, "/healthz", None).0, StatusCode::OK);
    for (path, code) in [
        ("/v1/groups/g", "unknown-group"),
        ("/v1/groups/a%20b", "invalid"),
        ("/v1/groups?limit=0", "invalid"),
        ("/v1/groups?limt=5", "malformed"),
        ("/v1/groups?cursor=%2F", "invalid"),
        ("/v2/groups", "not-found"),
        ("/v1/approvals/m1", "method-not-allowed"),
    ] {
        let (status, problem) = service.call(Method::GET, path, None);
        assert_eq!(problem["type"], format!("urn:bugle:problem:{code}"), "{path}");
        assert_eq!(problem["status"], status.as_u16(), "{path}");
    }
}

#[test]
fn it_is_ready_once_it_follows_the_event_log() {
    let (platform, disk) = (Platform::start(), Disk::new(ANYBODY));
    platform.tell([asks("m1", 1)]);
    let service = Service::start(&disk, &platform);
    platform.answers(1);
    assert_eq!(service.call(Method::GET, "/readyz", None).0, StatusCode::OK);
    drop(platform);
    service.get_until("/v1/status", |status| status["out_of_reach"].is_string());
    assert_eq!(service.call(Method::GET, "/readyz", None).0, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(service.members("g"), ["m1"], "what it holds is shown all the same");
}
