//! Group requests.

use std::pin::pin;
use std::time::Duration;

use bugle_core::{
    AllocationNotice, Content, DownEntry, MemberProgress, Outcome, Presence, RequestId, Sighting, Stage, StopCause,
    UpEntry, Wakes,
};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::world::{AT, World, active, allocated, answer, gateway, id, members_fixed, message, present, receipts};

const SUBMIT: &str = "/v1/applications/metering/groups/east/requests";

fn id_of(request: &Value) -> RequestId {
    id(request["id"].as_str().expect("an id"))
}

async fn shown(world: &World, request: RequestId) -> Value {
    world.get(&format!("/v1/applications/metering/requests/{request}")).await.body
}

#[tokio::test]
async fn a_request_reaches_every_gateway_and_completes_with_the_last_receipt() {
    let world = World::furnished().await;
    let accepted = world.post(SUBMIT, message()).await;
    assert_eq!(accepted.status, StatusCode::ACCEPTED);
    assert_eq!((&accepted.body["state"], &accepted.body["gateways"]), (&json!("open"), &json!(2)));
    let request = id_of(&accepted.body);
    for name in ["gw1", "gw2"] {
        let down = world.platform().down_entries(&gateway(name), 0, 10).await.expect("read");
        assert!(matches!(&down[..], [(1, DownEntry::Request(sent))] if sent.id == request));
    }
    let answered = Outcome::Executed { answer: Content::text("7") };
    let outcomes = vec![("m1", answered), ("m2", Outcome::Failed { reason: "silent".into() })];
    world.up("gw1", 3, vec![members_fixed(request, &["m1", "m2"]), receipts(request, outcomes)]).await;
    let open = shown(&world, request).await;
    assert_eq!((&open["state"], &open["gateways_fixed"]), (&json!("open"), &json!(1)));
    world.up("gw2", 2, vec![members_fixed(request, &["m3"]), receipts(request, vec![("m3", Outcome::Left)])]).await;
    let complete = shown(&world, request).await;
    assert_eq!(complete["state"], "complete");
    assert_eq!(complete["totals"]["members"], 3);
    let members = format!("/v1/applications/metering/requests/{request}/members");
    let first = world.get(&format!("{members}?limit=2")).await;
    assert_eq!(first.body["items"][0]["outcome"], "executed");
    assert_eq!(first.body["items"][0]["answer"]["text"], "7");
    let cursor = first.body["next_cursor"].as_str().expect("another page");
    let second = answer(world.request(Method::GET, &members).query(&[("limit", "2"), ("cursor", cursor)])).await;
    assert_eq!(second.body["items"][0]["peripheral"], "m3");
    assert_eq!(second.body.get("next_cursor"), None);
    let failed = world.get(&format!("{members}?outcome=failed")).await;
    assert_eq!(failed.body["items"][0]["reason"], "silent");
    assert_eq!(world.get(&format!("{members}?outcome=waiting")).await.body["items"], json!([]));
}

#[tokio::test]
async fn whoever_waits_for_a_request_is_answered_when_it_is_complete() {
    let world = World::furnished().await;
    let request = id_of(&world.post(SUBMIT, message()).await.body);
    let path = format!("/v1/applications/metering/requests/{request}?wait_seconds=60");
    let mut waiting = pin!(world.get(&path));
    world.up("gw1", 3, vec![members_fixed(request, &["m1"]), receipts(request, vec![("m1", Outcome::Left)])]).await;
    // It is open still: there is nothing to answer yet.
    assert!(timeout(Duration::from_millis(300), &mut waiting).await.is_err());
    world.up("gw2", 2, vec![members_fixed(request, &[])]).await;
    let complete = timeout(Duration::from_secs(20), waiting).await.expect("it is answered long before the minute ends");
    assert_eq!((&complete.body["state"], &complete.body["totals"]["members"]), (&json!("complete"), &json!(1)));
    assert_eq!(world.get(&path).await.body, complete.body, "what is complete is waited for no more");
}

#[tokio::test]
async fn who_waits_for_what_does_not_end_is_told_how_it_stands() {
    let world = World::furnished().await;
    let request = id_of(&world.post(SUBMIT, message()).await.body);
    let path = |seconds: u32| format!("/v1/applications/metering/requests/{request}?wait_seconds={seconds}");
    assert_eq!(world.get(&path(0)).await.body["state"], "open");
    assert_eq!(world.get(&path(1)).await.body["state"], "open");
    let refused = world.get(&path(61)).await;
    assert_eq!((refused.status.as_u16(), refused.problem()), (422, "invalid"));
    // A platform that stops lets nobody wait for it.
    let long = path(60);
    let mut waiting = pin!(world.get(&long));
    assert!(timeout(Duration::from_millis(300), &mut waiting).await.is_err());
    world.shutdown.request();
    assert_eq!(timeout(Duration::from_secs(20), waiting).await.expect("it is answered").body["state"], "open");
}

#[tokio::test]
async fn the_same_idempotency_key_is_the_same_request() {
    let world = World::furnished().await;
    let submit = |body: Value| answer(world.request(Method::POST, SUBMIT).header("idempotency-key", "k1").json(&body));
    let first = submit(message()).await;
    let again = submit(message()).await;
    assert_eq!(first.body, again.body);
    let mut other = message();
    other["receipt"] = json!("executed");
    let refused = submit(other).await;
    assert_eq!((refused.status.as_u16(), refused.problem()), (422, "idempotency-key-reused"));
    let list = world.get("/v1/applications/metering/requests").await;
    assert_eq!(list.body["items"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn many_requests_at_once_each_get_an_id_of_their_own() {
    let world = World::furnished().await;
    let answers = futures_util::future::join_all((0..200).map(|_| world.post(SUBMIT, message()))).await;
    let ids: std::collections::BTreeSet<_> = answers.iter().map(|answer| id_of(&answer.body)).collect();
    assert_eq!(ids.len(), 200);
    let mut listed = Vec::new();
    let mut path = "/v1/applications/metering/requests?group=east&state=open&limit=60".to_owned();
    loop {
        let page = world.get(&path).await;
        listed.extend(page.body["items"].as_array().expect("items").iter().map(id_of));
        let Some(cursor) = page.body["next_cursor"].as_str() else { break };
        path = format!("/v1/applications/metering/requests?group=east&state=open&limit=60&cursor={cursor}");
    }
    assert_eq!(listed, ids.into_iter().rev().collect::<Vec<_>>());
}

#[tokio::test]
async fn a_cancelled_request_ends_as_its_gateways_report() {
    let world = World::furnished().await;
    let request = id_of(&world.post(SUBMIT, message()).await.body);
    let path = format!("/v1/applications/metering/requests/{request}/cancel");
    let cancelled = answer(world.request(Method::POST, &path)).await;
    assert_eq!((cancelled.status, &cancelled.body["state"]), (StatusCode::ACCEPTED, &json!("cancelling")));
    let down = world.platform().down_entries(&gateway("gw2"), 1, 10).await.expect("read");
    assert_eq!(down, [(2, DownEntry::Cancel { request, cause: StopCause::Cancelled })]);
    for (name, first) in [("gw1", 3), ("gw2", 2)] {
        world.up(name, first, vec![members_fixed(request, &[])]).await;
    }
    assert_eq!(shown(&world, request).await["state"], "complete");
    assert_eq!(answer(world.request(Method::POST, &path)).await.body["state"], "complete");
}

#[tokio::test]
async fn a_request_ends_at_its_deadline_though_a_gateway_stays_away() {
    let world = World::furnished().await;
    world.up("gw1", 3, vec![active("m1", 1)]).await;
    let mut body = message();
    body["deadline_seconds"] = json!(1);
    let mut news = world.platform().watch_application(&id("metering"));
    let request = id_of(&world.post(SUBMIT, body).await.body);
    let ended = loop {
        let shown = shown(&world, request).await;
        if shown["state"] == "complete" {
            break shown;
        }
        news.changed().await.expect("the platform runs");
    };
    assert_eq!(ended["totals"]["members"], 1);
    assert_eq!(ended["totals"]["expired"], 1);
    let members = world.get(&format!("/v1/applications/metering/requests/{request}/members")).await;
    assert_eq!(members.body["items"][0]["cause"], "gateway_offline");
}

#[tokio::test]
async fn what_a_request_would_meet_is_foreseen_and_told_with_its_acceptance() {
    let world = World::furnished().await;
    let asleep = Presence::Standby { next_wake: Some(world.platform().now() + Duration::from_secs(7_200)) };
    world.up("gw1", 3, vec![active("m1", 1), present("m2", 1, asleep)]).await;
    world.up("gw2", 2, vec![present("m3", 1, Presence::Standby { next_wake: None })]).await;
    let foresight = world.post("/v1/applications/metering/groups/east/foresight", message()).await;
    assert_eq!(foresight.status, StatusCode::OK);
    let late = foresight.body["late_members"].as_array().expect("a list");
    assert_eq!((late.len(), &late[0]["peripheral"]), (1, &json!("m2")));
    for (field, count) in [("members", 3), ("active", 1), ("woken", 2), ("waiting", 0), ("skipped", 0), ("late", 1)] {
        assert_eq!(foresight.body[field], count, "{field}");
    }
    let nothing = world.get("/v1/applications/metering/requests").await;
    assert_eq!(nothing.body["items"], json!([]), "a look ahead sends nothing");
    let accepted = world.post(SUBMIT, message()).await;
    assert_eq!(accepted.body["foresight"], foresight.body);
    assert_eq!(accepted.body["stages"]["accepted"], 3);
}

#[tokio::test]
async fn one_that_its_gateway_wakes_does_not_miss_a_request() {
    let world = World::furnished().await;
    let asleep = Presence::Standby { next_wake: Some(world.platform().now() + Duration::from_secs(7_200)) };
    let UpEntry::Allocated(notice) = allocated("m2", &["east"]) else { panic!("an allocation") };
    let notice = UpEntry::Allocated(AllocationNotice { wakes: Some(Wakes::WhenWoken), ..notice });
    world.up("gw1", 3, vec![notice, present("m1", 1, asleep), present("m2", 1, asleep)]).await;
    let late = async |activation: &str| {
        let mut body = message();
        body["activation"] = json!(activation);
        world.post("/v1/applications/metering/groups/east/foresight", body).await.body["late"].clone()
    };
    assert_eq!((late("all").await, late("none").await), (json!(1), json!(2)));
    let shown = async |name| world.get(&format!("/v1/gateways/gw1/peripherals/{name}")).await.body["wakes"].clone();
    assert_eq!((shown("m1").await, shown("m2").await), (json!(null), json!("when_woken")));
}

#[tokio::test]
async fn nothing_is_foreseen_for_what_would_be_refused() {
    let world = World::furnished().await;
    let unknown = world.post("/v1/applications/metering/groups/west/foresight", message()).await;
    assert_eq!(unknown.problem(), "unknown-group");
    let mut body = message();
    body["deadline_seconds"] = json!(0);
    let invalid = world.post("/v1/applications/metering/groups/east/foresight", body).await;
    assert_eq!(invalid.problem(), "invalid");
}

#[tokio::test]
async fn members_are_shown_where_they_are_on_the_way() {
    let world = World::furnished().await;
    let request = id_of(&world.post(SUBMIT, message()).await.body);
    let seen = |stage| vec![Sighting { stage, at: AT }];
    let member = |name, stage| MemberProgress { peripheral: id(name), seen: seen(stage) };
    let members = vec![member("m1", Stage::Sent), member("m2", Stage::Asleep)];
    let progress = UpEntry::Progress { request, members };
    world.up("gw1", 3, vec![members_fixed(request, &["m1", "m2"]), progress]).await;
    let shown = shown(&world, request).await;
    assert_eq!((&shown["stages"]["sent"], &shown["stages"]["asleep"]), (&json!(1), &json!(1)));
    let members = format!("/v1/applications/metering/requests/{request}/members");
    let asleep = world.get(&format!("{members}?stage=asleep")).await;
    let items = asleep.body["items"].as_array().expect("a list");
    assert_eq!((items.len(), &items[0]["peripheral"], &items[0]["stage"]), (1, &json!("m2"), &json!("asleep")));
    let stages: Vec<_> = items[0]["seen"].as_array().expect("a list").iter().map(|seen| &seen["stage"]).collect();
    assert_eq!(stages, ["accepted", "at_gateway", "asleep"]);
    let both = world.get(&format!("{members}?stage=asleep&outcome=waiting")).await;
    assert_eq!(both.problem(), "invalid");
}
