//! What is sent wrong is answered with a problem that says what to do.

use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::world::{World, answer, message};

const SUBMIT: &str = "/v1/applications/metering/groups/east/requests";

#[tokio::test]
async fn a_body_that_is_no_json_is_malformed() {
    let world = World::furnished().await;
    let json =
        |text: &'static str| world.request(Method::POST, SUBMIT).header("content-type", "application/json").body(text);
    for text in ["", "{", "{\"operation\": nothing}"] {
        let refused = answer(json(text)).await;
        assert_eq!((refused.status, refused.problem()), (StatusCode::BAD_REQUEST, "malformed"), "{text}");
    }
    let untyped = answer(world.request(Method::POST, SUBMIT).body("{}")).await;
    assert_eq!((untyped.status.as_u16(), untyped.problem()), (415, "unsupported-media-type"));
}

#[tokio::test]
async fn unknown_fields_and_values_out_of_range_are_named() {
    let world = World::furnished().await;
    let with = |field: &str, value: serde_json::Value| {
        let mut body = message();
        body[field] = value;
        body
    };
    for (body, named) in [
        (with("sleeper", json!("queue")), "sleeper"),
        (with("sleepers", json!("wake")), "wake"),
        (with("activation", json!("0%")), "activation"),
        (with("deadline_seconds", json!(0)), "deadline"),
        (with("deadline_seconds", json!(41 * 86_400)), "deadline"),
        (json!({}), "operation"),
        (json!({"operation": {"do": "read", "path": "3"}}), "path"),
        (json!({"operation": {"do": "message", "content": {"text": "x".repeat(64 * 1024 + 1)}}}), "65536"),
    ] {
        let refused = world.post(SUBMIT, body).await;
        assert_eq!((refused.status.as_u16(), refused.problem()), (422, "invalid"), "{refused:?}");
        assert!(refused.body["detail"].as_str().expect("a detail").contains(named), "{refused:?}");
    }
}

#[tokio::test]
async fn an_oversized_body_is_refused_unread() {
    let world = World::furnished().await;
    let body = json!({"operation": {"do": "message", "content": {"text": "x".repeat(2 * 1024 * 1024)}}});
    let refused = world.post(SUBMIT, body).await;
    assert_eq!((refused.status.as_u16(), refused.problem()), (413, "too-large"));
}

#[tokio::test]
async fn what_is_not_there_is_told_by_kind() {
    let world = World::furnished().await;
    let request = "1M8QZ4T7B0XKC";
    for (path, code) in [
        ("/v1/nothing".to_owned(), "not-found"),
        ("/v1/applications/other/groups".to_owned(), "unknown-application"),
        ("/v1/applications/other/groups/east".to_owned(), "unknown-application"),
        ("/v1/applications/other/requests".to_owned(), "unknown-application"),
        ("/v1/applications/other/events".to_owned(), "unknown-application"),
        ("/v1/applications/other/snapshot".to_owned(), "unknown-application"),
        ("/v1/applications/metering/groups/west".to_owned(), "unknown-group"),
        ("/v1/applications/metering/groups/west/members".to_owned(), "unknown-group"),
        (format!("/v1/applications/metering/requests/{request}"), "unknown-request"),
        (format!("/v1/applications/metering/requests/{request}/members"), "unknown-request"),
        ("/v1/gateways/gw1/peripherals/m9".to_owned(), "unknown-peripheral"),
    ] {
        let refused = world.get(&path).await;
        assert_eq!((refused.status, refused.problem()), (StatusCode::NOT_FOUND, code), "{path}");
    }
    for (path, code) in [
        ("/v1/applications/metering/groups/west/requests".to_owned(), "unknown-group"),
        ("/v1/applications/other/groups/east/requests".to_owned(), "unknown-application"),
    ] {
        let refused = world.post(&path, message()).await;
        assert_eq!((refused.status, refused.problem()), (StatusCode::NOT_FOUND, code), "{path}");
    }
    for (path, code) in [
        (format!("/v1/applications/metering/requests/{request}/cancel"), "unknown-request"),
        ("/v1/gateways/gw9/peripherals/m1/block".to_owned(), "unknown-gateway"),
        ("/v1/gateways/gw1/peripherals/m9/block".to_owned(), "unknown-peripheral"),
    ] {
        let refused = answer(world.request(Method::POST, &path)).await;
        assert_eq!((refused.status, refused.problem()), (StatusCode::NOT_FOUND, code), "{path}");
    }
    let revoked = answer(world.request(Method::DELETE, "/v1/tokens/99")).await;
    assert_eq!(revoked.problem(), "unknown-token");
}

#[tokio::test]
async fn paths_and_queries_that_make_no_sense_are_invalid() {
    let world = World::furnished().await;
    for path in [
        "/v1/applications/metering/groups/ea%2Fst",
        "/v1/applications/metering/requests/short",
        "/v1/peripherals?group=east",
        "/v1/peripherals?state=asleep",
        "/v1/peripherals?colour=red",
        "/v1/gateways?limit=0",
        "/v1/gateways?limit=1001",
        "/v1/gateways?cursor=x",
        "/v1/applications/metering/events?after=-1",
    ] {
        let refused = world.get(path).await;
        assert_eq!((refused.status.as_u16(), refused.problem()), (422, "invalid"), "{path}");
    }
    let wrong = world.request(Method::GET, "/v1/applications/metering/events").header("last-event-id", "x");
    assert_eq!(answer(wrong).await.problem(), "invalid");
    let key = world.request(Method::POST, SUBMIT).header("idempotency-key", "two words").json(&message());
    assert_eq!(answer(key).await.problem(), "invalid");
}

#[tokio::test]
async fn the_wrong_method_is_told_apart_from_the_wrong_path() {
    let world = World::start().await;
    let refused = answer(world.request(Method::DELETE, "/v1/gateways")).await;
    assert_eq!((refused.status, refused.problem()), (StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed"));
}

#[tokio::test]
async fn an_allocation_that_is_not_valid_is_refused() {
    let world = World::furnished().await;
    let put = |path: &str, body| answer(world.request(Method::PUT, path).json(&body));
    let path = "/v1/gateways/gw1/peripherals/m5";
    let good = json!({"application": "metering", "groups": ["east"], "lifetime": 60});
    for (body, code) in [
        (json!({"application": "metering", "groups": []}), "invalid"),
        (json!({"application": "metering", "groups": ["east"], "lifetime": 0}), "invalid"),
        (json!({"application": "metering", "groups": ["ea/st"]}), "invalid"),
        (json!({"application": "other", "groups": ["east"]}), "unknown-application"),
    ] {
        assert_eq!(put(path, body).await.problem(), code);
    }
    let nowhere = put("/v1/gateways/gw9/peripherals/m5", good.clone()).await;
    assert_eq!(nowhere.problem(), "unknown-gateway");
    assert_eq!(put(path, good).await.status, StatusCode::ACCEPTED);
}

#[tokio::test]
async fn more_decisions_than_are_taken_at_once_are_refused() {
    let world = World::furnished().await;
    let decision = json!({"gateway": "gw1", "peripheral": "m1", "registration": 1, "verdict": "refused", "reason": ""});
    let refused = world.post("/v1/applications/metering/decisions", json!({"decisions": vec![decision; 1_001]})).await;
    assert_eq!((refused.status.as_u16(), refused.problem()), (422, "invalid"));
}
