//! Schedules.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::world::{Answer, World, answer, id, message};

const SCHEDULES: &str = "/v1/applications/metering/schedules";

async fn put(world: &World, name: &str, when: Value) -> Answer {
    let mut body = json!({"group": "east", "request": message()});
    body.as_object_mut().expect("an object").extend(when.as_object().expect("an object").clone());
    answer(world.request(Method::PUT, &format!("{SCHEDULES}/{name}")).json(&body)).await
}

async fn requests(world: &World) -> Vec<Value> {
    let list = world.get("/v1/applications/metering/requests").await;
    list.body["items"].as_array().expect("a list").clone()
}

/// Waits until so many requests were sent.
async fn requests_sent(world: &World, count: usize) -> Vec<Value> {
    let mut news = world.platform().watch_application(&id("metering"));
    loop {
        let sent = requests(world).await;
        if sent.len() >= count {
            return sent;
        }
        news.changed().await.expect("the platform runs");
    }
}

fn ahead(world: &World, time: Duration) -> u64 {
    (world.platform().now() + time).as_millis()
}

#[tokio::test]
async fn a_schedule_sends_its_request_at_its_time_and_is_over() {
    let world = World::furnished().await;
    let due = ahead(&world, Duration::from_millis(300));
    let kept = put(&world, "soon", json!({"not_before": due})).await;
    assert_eq!((kept.status, &kept.body["next_due"]), (StatusCode::OK, &json!(due)));
    let sent = requests_sent(&world, 1).await;
    assert_eq!(sent[0]["schedule"], "soon");
    assert!(sent[0]["accepted_at"].as_u64().is_some_and(|at| at >= due));
    let shown = world.get(&format!("{SCHEDULES}/soon")).await.body;
    assert_eq!((shown.get("next_due"), &shown["last"]["request"]), (None, &sent[0]["id"]));
    assert_eq!(shown["request"]["operation"], message()["operation"]);
}

#[tokio::test]
async fn a_platform_that_was_down_makes_up_for_what_was_due_once() {
    let world = World::furnished().await;
    let due = ahead(&world, Duration::from_millis(400));
    put(&world, "missed", json!({"not_before": due})).await;
    put(&world, "hourly", json!({"cron": "0 * * * *", "time_zone": "Europe/Vienna"})).await;
    let folder = world.end().await;
    tokio::time::sleep(Duration::from_millis(600)).await;
    let world = World::start_in(folder).await;
    let sent = requests_sent(&world, 1).await;
    assert_eq!((sent.len(), &sent[0]["schedule"]), (1, &json!("missed")));
    let folder = world.end().await;
    let world = World::start_in(folder).await;
    assert_eq!(requests(&world).await.len(), 1, "once is once");
    let hourly = world.get(&format!("{SCHEDULES}/hourly")).await.body;
    let next_due = hourly["next_due"].as_u64().expect("it is due again");
    assert_eq!(next_due % 3_600_000, 0);
    assert!(next_due > world.platform().now().as_millis());
}

#[tokio::test]
async fn schedules_are_listed_in_pages_and_cancelled() {
    let world = World::furnished().await;
    for name in ["a", "b", "c"] {
        put(&world, name, json!({"cron": "0 0 1 1 *"})).await;
    }
    let first = world.get(&format!("{SCHEDULES}?limit=2")).await.body;
    assert_eq!((&first["items"][1]["id"], &first["next_cursor"]), (&json!("b"), &json!("b")));
    assert_eq!((&first["items"][0]["cron"], &first["items"][0]["time_zone"]), (&json!("0 0 1 1 *"), &json!("UTC")));
    let cancel = || answer(world.request(Method::DELETE, &format!("{SCHEDULES}/c")));
    assert_eq!(cancel().await.status, StatusCode::NO_CONTENT);
    assert_eq!(cancel().await.problem(), "unknown-schedule");
    assert_eq!(world.get(&format!("{SCHEDULES}/c")).await.problem(), "unknown-schedule");
    let rest = world.get(&format!("{SCHEDULES}?cursor=b")).await.body;
    assert_eq!(rest["items"], json!([]));
}

#[tokio::test]
async fn a_schedule_that_cannot_be_kept_is_refused_with_the_reason() {
    let world = World::furnished().await;
    for when in [
        json!({}),
        json!({"cron": "61 * * * *"}),
        json!({"cron": "0 0 30 2 *"}),
        json!({"cron": "0 0 * * *", "time_zone": "Mars/Base"}),
        json!({"not_before": 1, "time_zone": "UTC"}),
        json!({"cron": "0 0 * * *", "group": "east", "request": {"operation": message()["operation"], "deadline_seconds": 0}}),
    ] {
        assert_eq!(put(&world, "s", when.clone()).await.problem(), "invalid", "{when}");
    }
    let unknown = put(&world, "s", json!({"cron": "0 0 * * *", "group": "west"})).await;
    assert_eq!(unknown.problem(), "unknown-group");
}
