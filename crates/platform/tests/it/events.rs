//! The event log, as pages and as a stream.

use bugle_core::UpEntry;
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};

use crate::world::{World, active, answer, application, asked, message};

const EVENTS: &str = "/v1/applications/metering/events";

fn lost(count: u64) -> UpEntry {
    UpEntry::ReportsLost { application: application(), count }
}

/// Server-sent events, as a client reads them.
struct Stream {
    response: Response,
    buffer: String,
}

impl Stream {
    async fn open(world: &World, last_event_id: Option<&str>) -> Self {
        Self::open_at(world, EVENTS, last_event_id).await
    }

    async fn open_at(world: &World, path: &str, last_event_id: Option<&str>) -> Self {
        let mut request = world.request(Method::GET, path).header("accept", "text/event-stream");
        if let Some(id) = last_event_id {
            request = request.header("last-event-id", id);
        }
        let response = request.send().await.expect("an answer");
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self { response, buffer: String::new() }
    }

    /// The next event's id and data, null if it has none; none when the stream has ended.
    async fn next(&mut self) -> Option<(String, Value)> {
        loop {
            if let Some((event, rest)) = self.buffer.split_once("\n\n") {
                let field = |name: &str| event.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned);
                let (id, data) = (field("id: "), field("data: "));
                self.buffer = rest.to_owned();
                match id {
                    Some(id) => {
                        return Some((id, data.map_or(Value::Null, |data| serde_json::from_str(&data).expect("JSON"))));
                    }
                    None => continue,
                }
            }
            let chunk = self.response.chunk().await.expect("the stream goes on")?;
            self.buffer.push_str(std::str::from_utf8(&chunk).expect("UTF-8"));
        }
    }
}

#[tokio::test]
async fn pages_go_on_where_the_last_one_ended() {
    let world = World::furnished().await;
    world.up("gw1", 3, (1..=5).map(lost).collect()).await;
    let first = world.get(&format!("{EVENTS}?limit=3")).await;
    assert_eq!(first.body["next_after"], 3);
    assert_eq!(first.body["items"][2], json!({"sequence": 3, "event": "reports_lost", "gateway": "gw1", "count": 3}));
    let second = world.get(&format!("{EVENTS}?after=3")).await;
    assert_eq!(second.body["items"].as_array().map(Vec::len), Some(2));
    let third = world.get(&format!("{EVENTS}?after=5")).await;
    assert_eq!(third.body, json!({"items": [], "next_after": 5}));
}

#[tokio::test]
async fn a_cursor_that_the_log_does_not_have_must_start_over() {
    let world = World::furnished().await;
    let ahead = world.get(&format!("{EVENTS}?after=9")).await;
    assert_eq!((ahead.status, ahead.problem()), (StatusCode::GONE, "events-gone"));
    let stream = world.request(Method::GET, EVENTS).header("accept", "text/event-stream").header("last-event-id", "9");
    assert_eq!(answer(stream).await.problem(), "events-gone");
}

#[tokio::test]
async fn a_stream_tells_what_is_there_and_then_what_comes() {
    let world = World::furnished().await;
    world.up("gw1", 3, vec![lost(1)]).await;
    let mut stream = Stream::open(&world, None).await;
    let (id, event) = stream.next().await.expect("an event");
    assert_eq!((id.as_str(), &event["count"]), ("1", &json!(1)));
    world.up("gw1", 4, vec![lost(2), lost(3)]).await;
    let (_, second) = stream.next().await.expect("an event");
    let (id, third) = stream.next().await.expect("an event");
    assert_eq!((&second["count"], &third["count"], id.as_str()), (&json!(2), &json!(3), "3"));
}

#[tokio::test]
async fn a_stream_resumes_after_the_last_event_that_its_client_has() {
    let world = World::furnished().await;
    world.up("gw1", 3, (1..=300).map(lost).collect()).await;
    let mut stream = Stream::open(&world, Some("298")).await;
    assert_eq!(stream.next().await.expect("an event").0, "299");
    assert_eq!(stream.next().await.expect("an event").0, "300");
    let mut whole = Stream::open(&world, Some("0")).await;
    for sequence in 1..=300 {
        assert_eq!(whole.next().await.expect("an event").0, sequence.to_string());
    }
}

#[tokio::test]
async fn who_wants_some_kinds_is_told_how_far_the_others_go() {
    let world = World::furnished().await;
    world.up("gw1", 3, vec![lost(1), active("m1", 1), lost(2)]).await;
    let path = format!("{EVENTS}?kinds=presence_changed,registration_asked");
    let page = world.get(&path).await;
    assert_eq!(page.body["items"].as_array().map(Vec::len), Some(1));
    assert_eq!((&page.body["items"][0]["sequence"], &page.body["next_after"]), (&json!(2), &json!(3)));
    let mut stream = Stream::open_at(&world, &path, None).await;
    let (id, event) = stream.next().await.expect("an event");
    assert_eq!((id.as_str(), &event["event"]), ("2", &json!("presence_changed")));
    assert_eq!(stream.next().await, Some(("3".into(), Value::Null)));
    world.up("gw1", 6, vec![lost(3), lost(4)]).await;
    assert_eq!(stream.next().await, Some(("5".into(), Value::Null)));
    world.up("gw1", 8, vec![asked("m2", 2)]).await;
    let (id, event) = stream.next().await.expect("an event");
    assert_eq!((id.as_str(), &event["event"]), ("6", &json!("registration_asked")));
    let unknown = world.get(&format!("{EVENTS}?kinds=births")).await;
    assert_eq!((unknown.status.as_u16(), unknown.problem()), (422, "invalid"));
}

#[tokio::test]
async fn a_stream_ends_with_the_platform() {
    let world = World::furnished().await;
    let mut stream = Stream::open(&world, None).await;
    world.shutdown.request();
    assert!(stream.next().await.is_none());
    world.handle.ended().await;
}

#[tokio::test]
async fn a_snapshot_and_the_events_after_it_miss_nothing() {
    let world = World::furnished().await;
    world.up("gw1", 3, vec![active("m1", 1), asked("m2", 2)]).await;
    world.post("/v1/applications/metering/groups/east/requests", message()).await;
    let first = world.get("/v1/applications/metering/snapshot?limit=1").await;
    assert_eq!(first.body["sequence"], 3);
    assert_eq!(first.body["items"][0]["event"], "presence_changed");
    assert_eq!(first.body["items"][0]["registration"], 1);
    let cursor = first.body["next_cursor"].as_str().expect("another page");
    let second = world.get(&format!("/v1/applications/metering/snapshot?cursor={cursor}")).await;
    assert_eq!(second.body["items"][0]["event"], "registration_asked");
    assert_eq!(second.body.get("next_cursor"), None);
    let after = world.get(&format!("{EVENTS}?after=3")).await;
    assert_eq!(after.body["items"], json!([]));
}
