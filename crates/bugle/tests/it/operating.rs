//! What whoever operates it needs: readiness, metrics, and an end in good order while there is load.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bugle_core::{OutcomeKind, RequestId};
use bugle_load::mqtt::{Behaviour, Reconnecting};
use bugle_load::{Delivery, Happening, MqttVersion, Options, Peripherals};
use serde_json::json;

use super::system::{System, allocations, fleet, ids, until};

const MEMBERS: usize = 50;
/// What whoever operates it is told.
const OPERATIONS: &str = include_str!("../../../../docs/OPERATIONS.md");
/// How long a part may take to end under load.
const ENDING_TIME: Duration = Duration::from_secs(10);

/// Peripherals that come back at once whatever happens to the gateway.
fn members(system: &System) -> Peripherals {
    let reconnecting = Reconnecting { first: Duration::from_millis(20), most: Duration::from_millis(200), tries: None };
    let behaviour = Behaviour { reconnecting, ..Behaviour::steady(MqttVersion::Mqtt5) };
    let fleet = fleet(system.gateways["north"].mqtt, ids("m", MEMBERS), &Arc::new(behaviour));
    Peripherals::start(fleet, Options { events_max: 100_000, ..Options::default() }).expect("they start")
}

async fn system() -> System {
    System::start(&[("north", allocations("meters", ids("m", MEMBERS)))]).await
}

/// The status of a GET, and what it brings.
async fn fetch(url: &str, token: Option<&str>) -> Option<(u16, String)> {
    let mut request = reqwest::Client::new().get(url);
    if let Some(token) = token {
        request = request.bearer_auth(token.trim());
    }
    let answer = request.send().await.ok()?;
    let status = answer.status().as_u16();
    Some((status, answer.text().await.ok()?))
}

/// The values of a page of metrics, each of which has its help and its type.
async fn metrics(url: &str, token: Option<&str>) -> BTreeMap<String, u64> {
    let (status, page) = fetch(&format!("{url}/metrics"), token).await.expect("it answers");
    assert_eq!(status, 200, "{page}");
    let mut values = BTreeMap::new();
    for line in page.lines().filter(|line| !line.starts_with('#')) {
        let (name, value) = line.rsplit_once(' ').expect("a name and a value");
        let family = name.split('{').next().expect("a name");
        assert!(page.contains(&format!("# HELP {family} ")) && page.contains(&format!("# TYPE {family} ")), "{line}");
        let (_, own) = family.split_once('_').and_then(|(_, rest)| rest.split_once('_')).expect("a prefix");
        assert!(
            OPERATIONS.contains(&format!("`{own}`")) || OPERATIONS.contains(&format!("`{own}{{")),
            "{own} is explained"
        );
        assert!(values.insert(name.to_owned(), value.parse().expect("a number")).is_none(), "{name} twice");
    }
    values
}

fn message() -> serde_json::Value {
    json!({"operation": {"do": "message", "content": {"text": "on"}}, "receipt": "executed", "deadline_seconds": 60})
}

#[tokio::test(flavor = "multi_thread")]
async fn every_part_measures_what_it_does() {
    let system = system().await;
    let members = members(&system);
    system.members("meters", MEMBERS as u64).await;
    let sent = system.submit("meters", message()).await;
    system.completed(sent).await;

    let gateway = format!("http://127.0.0.1:{}", system.gateways["north"].http);
    let found = metrics(&gateway, None).await;
    let many = MEMBERS as u64;
    assert_eq!(found["bugle_gateway_registered"], many);
    assert_eq!(found["bugle_gateway_connections"], many);
    assert_eq!(found["bugle_gateway_link_up"], 1);
    assert_eq!(found["bugle_gateway_requests"], 0);
    assert_eq!(found["bugle_gateway_outcomes_total{outcome=\"executed\"}"], many);
    assert!(found["bugle_gateway_store_commits_total"] > 0 && found["bugle_gateway_store_file_bytes"] > 0);

    let secret = |file: &str| fs::read_to_string(system.folder.path().join(file)).expect("it is there");
    let operator = secret("platform/operator.token");
    let found = metrics(&system.url, Some(&operator)).await;
    assert_eq!(found["bugle_platform_link_up{gateway=\"north\"}"], 1);
    assert_eq!(found["bugle_platform_outcomes_total{outcome=\"executed\"}"], many);
    assert_eq!(found["bugle_platform_requests_accepted_total"], 1);
    assert_eq!(found["bugle_platform_registrations_asked_total"], many);
    assert_eq!(found["bugle_platform_requests"], 0);
    assert_eq!(found["bugle_platform_event_streams"], 1);
    assert_eq!(fetch(&format!("{}/metrics", system.url), None).await.expect("it answers").0, 401);
    let applications = secret("application.token");
    assert_eq!(fetch(&format!("{}/metrics", system.url), Some(&applications)).await.expect("it answers").0, 403);

    let own = secret("application/application.token");
    let found = metrics(&system.application_url, Some(&own)).await;
    assert_eq!(found["bugle_application_members"], many);
    assert_eq!(found["bugle_application_platform_reached"], 1);
    assert_eq!(found["bugle_application_decisions_total"], many);
    assert_eq!(fetch(&format!("{}/metrics", system.application_url), None).await.expect("it answers").0, 401);
    let _ = members.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_that_lives_without_what_it_needs_is_alive_and_not_ready() {
    let mut system = system().await;
    let gateway = format!("http://127.0.0.1:{}", system.gateways["north"].http);
    let urls = [system.url.clone(), gateway.clone(), system.application_url.clone()];
    for url in &urls {
        until("it to be ready", async || {
            let (status, _) = fetch(&format!("{url}/readyz"), None).await?;
            (status < 300).then_some(())
        })
        .await;
    }
    system.platform.kill();
    for url in &urls[1..] {
        let reason = until("it not to be ready", async || {
            let (status, reason) = fetch(&format!("{url}/readyz"), None).await?;
            (status == 503).then_some(reason)
        })
        .await;
        assert!(!reason.trim().is_empty());
        assert!(fetch(&format!("{url}/healthz"), None).await.expect("it lives").0 < 300);
    }
}

/// Ends a part in good order while requests are under way, and starts it again.
async fn drains(which: impl Fn(&mut System) -> &mut super::system::Part) {
    let mut system = system().await;
    let members = members(&system);
    system.members("meters", MEMBERS as u64).await;
    let mut sent: Vec<RequestId> = Vec::new();
    for _ in 0..3 {
        for _ in 0..5 {
            sent.push(system.submit("meters", message()).await);
        }
        let began = Instant::now();
        which(&mut system).terminate();
        assert!(which(&mut system).ended().await, "it ends well");
        assert!(began.elapsed() < ENDING_TIME, "it took {:?}", began.elapsed());
        which(&mut system).start();
        system.linked().await;
        until("the platform to take requests", async || system.client.ready().await.ok()).await;
    }
    for request in &sent {
        let ended = system.completed(*request).await;
        assert_eq!(ended.totals.count(OutcomeKind::Executed), MEMBERS as u64, "{ended:?}");
    }
    let mut first: BTreeMap<(usize, RequestId), u32> = BTreeMap::new();
    while let Some(event) = members.next_event(Duration::from_millis(200)) {
        if let Happening::Received { request: Some(request), delivery: Delivery::First } = event.what {
            *first.entry((event.peripheral, request)).or_default() += 1;
        }
    }
    assert_eq!(first.len(), MEMBERS * sent.len());
    assert!(first.values().all(|times| *times == 1), "something was delivered as new twice");
    let _ = members.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_ends_in_good_order_under_load() {
    drains(|system| &mut system.gateway("north").part).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_platform_ends_in_good_order_under_load() {
    drains(|system| &mut system.platform).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_application_ends_in_good_order_under_load() {
    drains(|system| &mut system.application).await;
}
