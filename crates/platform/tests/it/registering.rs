//! Registering, and directing peripherals.

use bugle_core::{DownEntry, EndCause, RegistrationId, Verdict};
use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::world::{World, active, allocated, answer, asked, gateway, id, left};

const PERIPHERAL: &str = "/v1/gateways/gw1/peripherals/m1";

#[tokio::test]
async fn a_registration_is_asked_decided_and_put_in_force() {
    let world = World::furnished().await;
    world.up("gw1", 3, vec![asked("m1", 7)]).await;
    assert_eq!(world.get(PERIPHERAL).await.body["state"], "registering");
    let events = world.get("/v1/applications/metering/events").await;
    assert_eq!(events.body["items"][0]["event"], "registration_asked");
    let decide = |registration: u64, groups| {
        let decision = json!({"gateway": "gw1", "peripheral": "m1", "registration": registration,
            "verdict": "authorized", "groups": groups, "lease": 600});
        world.post("/v1/applications/metering/decisions", json!({"decisions": [decision]}))
    };
    assert_eq!(decide(7, json!(["west"])).await.body["results"], json!(["invalid"]));
    assert_eq!(decide(7, json!(["east"])).await.body["results"], json!(["passed"]));
    assert_eq!(decide(7, json!(["east"])).await.body["results"], json!(["stale"]));
    let down = world.platform().down_entries(&gateway("gw1"), 0, 10).await.expect("read");
    let [(1, DownEntry::Decision { verdict: Verdict::Authorized { .. }, .. })] = &down[..] else {
        panic!("one decision: {down:?}");
    };
    world.up("gw1", 4, vec![active("m1", 7)]).await;
    let shown = world.get(PERIPHERAL).await;
    assert_eq!(shown.body["state"], "active");
    assert_eq!(shown.body["member_of"], json!(["east"]));
    let group = world.get("/v1/applications/metering/groups/east").await;
    assert_eq!(group.body["members"], 1);
    assert_eq!(group.body["gateways"][0], json!({"gateway": "gw1", "allocated": 2, "members": 1, "active": 1}));
    let members = world.get("/v1/applications/metering/groups/east/members").await;
    assert_eq!(members.body["items"][0]["peripheral"], "m1");
    world.up("gw1", 5, vec![left("m1", 7)]).await;
    assert_eq!(world.get(PERIPHERAL).await.body["state"], "allocated");
}

#[tokio::test]
async fn what_a_peripheral_is_directed_to_goes_into_its_gateways_down_log() {
    let world = World::furnished().await;
    world.up("gw1", 3, vec![active("m1", 7)]).await;
    for direction in ["release", "block", "deregister", "standby"] {
        let path = format!("{PERIPHERAL}/{direction}");
        assert_eq!(answer(world.request(Method::POST, &path)).await.status, StatusCode::ACCEPTED);
    }
    assert_eq!(answer(world.request(Method::DELETE, PERIPHERAL)).await.status, StatusCode::ACCEPTED);
    let down = world.platform().down_entries(&gateway("gw1"), 0, 10).await.expect("read");
    let peripheral = id::<bugle_core::PeripheralId>("m1");
    let registration = Some(RegistrationId::new(7));
    let expected = [
        DownEntry::Release { peripheral: peripheral.clone() },
        DownEntry::Block { peripheral: peripheral.clone() },
        DownEntry::Deregister { peripheral: peripheral.clone(), registration, cause: EndCause::User },
        DownEntry::Standby { peripheral: peripheral.clone() },
        DownEntry::Remove { peripheral },
    ];
    let entries: Vec<_> = down.into_iter().map(|(_, entry)| entry).collect();
    assert_eq!(entries, expected);
}

#[tokio::test]
async fn lists_come_in_pages_that_lead_to_the_end() {
    let world = World::furnished().await;
    let names: Vec<String> = (0..25).map(|number| format!("n{number:02}")).collect();
    let entries = names.iter().map(|name| allocated(name, &["north"])).collect();
    world.up("gw1", 3, entries).await;
    let mut seen = Vec::new();
    let mut path = "/v1/peripherals?application=metering&group=north&limit=10".to_owned();
    loop {
        let page = world.get(&path).await;
        let items = page.body["items"].as_array().expect("items").clone();
        seen.extend(items.iter().map(|item| item["peripheral"].as_str().expect("a name").to_owned()));
        let Some(cursor) = page.body["next_cursor"].as_str() else { break };
        path = format!("/v1/peripherals?application=metering&group=north&limit=10&cursor={cursor}");
    }
    assert_eq!(seen, names);
    let groups = world.get("/v1/applications/metering/groups?limit=1").await;
    assert_eq!(groups.body["items"][0]["group"], "east");
    assert!(groups.body["next_cursor"].is_string());
}
