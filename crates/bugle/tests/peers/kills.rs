//! `kill -9` in the middle of registrations and of group requests.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bugle_core::{OutcomeKind, RequestId};
use bugle_load::mqtt::{Behaviour, Reconnecting};
use bugle_load::{Delivery, Happening, MqttVersion, Options, Peripherals};
use serde_json::json;

use super::system::{System, allocations, fleet, ids};

const MEMBERS: usize = 60;

/// Peripherals that come back soon whatever happens to the gateway.
fn persistent() -> Arc<Behaviour> {
    let reconnecting =
        Reconnecting { first: Duration::from_millis(100), most: Duration::from_millis(500), tries: None };
    Arc::new(Behaviour { reconnecting, ..Behaviour::steady(MqttVersion::Mqtt5) })
}

fn options() -> Options {
    Options { events_max: 100_000, ..Options::default() }
}

/// How often each peripheral got each request as something new.
fn new_deliveries(peripherals: &Peripherals) -> BTreeMap<(usize, RequestId), u32> {
    let mut deliveries = BTreeMap::new();
    while let Some(event) = peripherals.next_event(Duration::from_millis(200)) {
        if let Happening::Received { request: Some(request), delivery: Delivery::First } = event.what {
            *deliveries.entry((event.peripheral, request)).or_default() += 1;
        }
    }
    deliveries
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Victim {
    Gateway,
    Platform,
    Application,
}

fn kill(system: &mut System, victim: Victim) {
    match victim {
        Victim::Gateway => system.gateway("north").part.restart(),
        Victim::Platform => system.platform.restart(),
        Victim::Application => system.application.restart(),
    }
}

async fn survives(victim: Victim) {
    let mut system = System::start(&[("north", allocations("meters", ids("m", MEMBERS)))]).await;
    let port = system.gateways["north"].mqtt;
    let peripherals = Peripherals::start(fleet(port, ids("m", MEMBERS), &persistent()), options()).expect("they start");

    // In the middle of the registrations.
    kill(&mut system, victim);
    system.members("meters", MEMBERS as u64).await;
    for id in ids("m", MEMBERS) {
        system.configured("meters", &id, Some("active")).await;
    }

    // In the middle of group requests, three times.
    let mut sent = Vec::new();
    for round in 0..3 {
        for number in 0..4 {
            let text = format!("round {round}, number {number}");
            let message = json!({
                "operation": {"do": "message", "content": {"text": text}}, "receipt": "executed", "deadline_seconds": 60,
            });
            sent.push(system.submit("meters", message).await);
        }
        kill(&mut system, victim);
        system.linked().await;
    }
    for request in &sent {
        let ended = system.completed(*request).await;
        assert_eq!(ended.totals.members, MEMBERS as u64, "{victim:?}: {ended:?}");
        assert_eq!(ended.totals.count(OutcomeKind::Executed), MEMBERS as u64, "{victim:?}: {ended:?}");
    }
    let deliveries = new_deliveries(&peripherals);
    assert_eq!(deliveries.len(), MEMBERS * sent.len(), "every member got every request");
    let twice: Vec<_> = deliveries.iter().filter(|(_, count)| **count > 1).collect();
    assert!(twice.is_empty(), "delivered as something new more than once: {twice:?}");
    let _ = peripherals.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_gateway_loses_nothing_and_delivers_nothing_twice() {
    survives(Victim::Gateway).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_platform_loses_nothing_and_has_nothing_delivered_twice() {
    survives(Victim::Platform).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_application_loses_nothing() {
    survives(Victim::Application).await;
}
