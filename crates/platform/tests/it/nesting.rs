//! Groups that contain groups, and requests for those that come later.

use bugle_core::Outcome;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::world::{Answer, World, active, answer, id, members_fixed, message, receipts};

const GROUPS: &str = "/v1/applications/metering/groups";

async fn nest(world: &World, outer: &str, inner: &str) -> Answer {
    answer(world.request(Method::PUT, &format!("{GROUPS}/{outer}/groups/{inner}"))).await
}

async fn unnest(world: &World, outer: &str, inner: &str) -> Answer {
    answer(world.request(Method::DELETE, &format!("{GROUPS}/{outer}/groups/{inner}"))).await
}

#[tokio::test]
async fn a_group_takes_others_in_and_is_shown_with_them() {
    let world = World::furnished().await;
    world.up("gw1", 3, vec![active("m1", 1)]).await;
    for (outer, inner) in [("site", "building"), ("building", "east"), ("building", "empty")] {
        assert_eq!(nest(&world, outer, inner).await.status, StatusCode::NO_CONTENT);
    }
    let site = world.get(&format!("{GROUPS}/site")).await.body;
    assert_eq!((&site["contains"], &site["allocated"]), (&json!(["building"]), &json!(0)));
    assert_eq!(site["whole"], json!({"groups": 3, "allocated": 3, "members": 1, "active": 1}));
    assert_eq!(world.get(&format!("{GROUPS}/east")).await.body["contained_in"], json!(["building"]));
    let members = world.get(&format!("{GROUPS}/site/members")).await.body;
    assert_eq!(
        (members["items"].as_array().map(Vec::len), &members["items"][0]["peripheral"]),
        (Some(1), &json!("m1"))
    );
    assert_eq!(unnest(&world, "building", "east").await.status, StatusCode::NO_CONTENT);
    assert_eq!(unnest(&world, "building", "east").await.problem(), "not-nested");
    assert_eq!(world.get(&format!("{GROUPS}/east")).await.body.get("contained_in"), None);
}

#[tokio::test]
async fn what_cannot_lie_in_each_other_is_refused_with_the_path() {
    let world = World::furnished().await;
    nest(&world, "site", "east").await;
    let circle = nest(&world, "east", "site").await;
    assert_eq!((circle.status, circle.problem()), (StatusCode::CONFLICT, "group-nesting"));
    let detail = circle.body["detail"].as_str().expect("a detail");
    assert!(detail.contains("east > site > east"), "{detail}");
    let unknown = answer(world.request(Method::PUT, "/v1/applications/none/groups/a/groups/b")).await;
    assert_eq!(unknown.problem(), "unknown-application");
}

#[tokio::test]
async fn a_request_for_a_group_of_groups_reaches_the_gateways_of_all() {
    let world = World::furnished().await;
    world.up("gw1", 3, vec![active("m1", 1)]).await;
    nest(&world, "site", "east").await;
    let foresight = answer(world.request(Method::POST, &format!("{GROUPS}/site/foresight")).json(&message())).await;
    assert_eq!(foresight.body["active"], 1);
    let sent = world.post(&format!("{GROUPS}/site/requests"), message()).await;
    assert_eq!(
        (sent.status, &sent.body["contained"], &sent.body["gateways"]),
        (StatusCode::ACCEPTED, &json!(["east"]), &json!(2))
    );
    for gateway in ["gw1", "gw2"] {
        let down = world.platform().down_entries(&id(gateway), 0, 10).await.expect("read");
        assert_eq!(down.len(), 1, "{gateway}");
    }
    let unknown = world.post(&format!("{GROUPS}/west/requests"), message()).await;
    assert_eq!(unknown.problem(), "unknown-group");
}

#[tokio::test]
async fn a_request_that_includes_late_joiners_goes_on_until_its_gateways_say_so() {
    let world = World::furnished().await;
    let mut body = message();
    body["late_joiners"] = json!("include");
    let sent = world.post(&format!("{GROUPS}/east/requests"), body).await;
    assert_eq!(sent.body["late_joiners"], "include");
    let request = sent.body["id"].as_str().expect("an id").parse().expect("a request id");
    let path = format!("/v1/applications/metering/requests/{request}");
    let open = |member: &str| {
        let bugle_core::UpEntry::MembersFixed { request, members, .. } = members_fixed(request, &[member]) else {
            panic!("members")
        };
        bugle_core::UpEntry::MembersFixed { request, members, is_last: false }
    };
    world.up("gw1", 3, vec![open("m1"), receipts(request, vec![("m1", Outcome::Delivered)])]).await;
    world.up("gw2", 2, vec![members_fixed(request, &[])]).await;
    let before: Value = world.get(&path).await.body;
    assert_eq!((&before["state"], &before["totals"]["members"]), (&json!("open"), &json!(1)));
    world.up("gw1", 5, vec![open("m2"), receipts(request, vec![("m2", Outcome::Delivered)])]).await;
    world.up("gw1", 7, vec![members_fixed(request, &[])]).await;
    let after: Value = world.get(&path).await.body;
    assert_eq!((&after["state"], &after["totals"]["delivered"]), (&json!("complete"), &json!(2)));
}
