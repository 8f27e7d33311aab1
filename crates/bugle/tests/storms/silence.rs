//! An application that answers nothing.

use std::sync::Arc;
use std::time::Duration;

use bugle_api::{EventQuery, PAGE_MAX};
use bugle_core::platform::Decision;
use bugle_core::{ApplicationId, Event, GatewayId, RegistrationAsked, Verdict};
use bugle_load::mqtt::{Behaviour, Reconnecting};
use bugle_load::{Happening, MqttVersion, Options, Peripherals};

use super::served;
use super::system::{More, SOON, System, allocations, fleet, group, ids, until};

const MEMBERS: usize = 5;
const UNANSWERED: usize = 50;
/// How often each of those is to have tried in vain.
const TRIES: usize = 3;

fn silent() -> ApplicationId {
    "silent".parse().expect("an application id")
}

/// What is asked of the application that does not answer.
async fn asked(system: &System) -> Vec<(GatewayId, RegistrationAsked)> {
    let query = EventQuery { after: Some(0), kinds: None, limit: Some(PAGE_MAX) };
    let events = system.client.events(&silent(), &query).await.expect("the events are listed").items.into_iter();
    let asked = events.filter_map(|record| match record.event {
        Event::RegistrationAsked { gateway, asked } => Some((gateway, asked)),
        _ => None,
    });
    asked.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_application_that_answers_nothing_harms_no_other_and_its_late_yes_lets_everybody_in() {
    let mut system = System::start(&[]).await;
    system.client.add_application(&silent()).await.expect("the application is added");
    let mut file = allocations("meters", ids("m", MEMBERS + 1));
    for id in ids("s", UNANSWERED) {
        file += &format!("\n[[peripheral]]\nid = {id:?}\napplication = \"silent\"\ngroups = [\"valves\"]\n");
    }
    let registration = "decision_seconds = 1\nretry_after_seconds = 30\n";
    system.add_gateway_with("north", &file, More { registration, ..More::default() }).await;
    system.linked().await;
    let port = system.gateways["north"].mqtt;
    let soon = Duration::from_millis(200);
    let reconnecting = Reconnecting { first: soon, most: soon, tries: None };
    let impatient = Arc::new(Behaviour { reconnecting, ..Behaviour::steady(MqttVersion::Mqtt5) });
    let options = Options { events_max: 100_000, ..Options::default() };
    let unanswered = Peripherals::start(fleet(port, ids("s", UNANSWERED), &impatient), options).expect("they start");
    let members = fleet(port, ids("m", MEMBERS), &impatient);
    let members = Peripherals::start(members, Options::default()).expect("they start");
    system.members("meters", MEMBERS as u64).await;

    // Whoever is refused tries again, and is asked for no more than once.
    let mut refused = vec![0; UNANSWERED];
    while refused.iter().any(|count| *count < TRIES) {
        let event = unanswered.next_event(SOON).expect("they go on trying");
        assert!(!matches!(event.what, Happening::Connected { .. }), "nobody has said yes");
        refused[event.peripheral] += usize::from(matches!(event.what, Happening::Refused { .. }));
    }
    let late = fleet(port, ids("m", MEMBERS + 1).skip(MEMBERS), &impatient);
    let late = Peripherals::start(late, Options::default()).expect("it starts");
    system.members("meters", MEMBERS as u64 + 1).await;
    let took = served(&system, "meters", MEMBERS as u64 + 1).await;
    let asked = asked(&system).await;
    println!(
        "{UNANSWERED} peripherals were refused {} times, and their application was asked {} times; a message to \
         {} of another application took {took:.0?}",
        refused.iter().sum::<usize>(),
        asked.len(),
        MEMBERS + 1,
    );
    assert_eq!(asked.len(), UNANSWERED, "each is asked for once, however often it tries");

    let yes = |(gateway, asked): (GatewayId, RegistrationAsked)| Decision {
        gateway,
        peripheral: asked.peripheral,
        registration: asked.registration,
        verdict: Verdict::Authorized { groups: [group("valves")].into(), lease: Duration::ZERO },
    };
    system.client.decide(&silent(), asked.into_iter().map(yes).collect()).await.expect("the decisions are taken");
    until("all of them to be registered", async || {
        let detail = system.client.group(&silent(), &group("valves")).await.ok()?;
        (detail.group.members == UNANSWERED as u64).then_some(())
    })
    .await;
    for peripherals in [unanswered, members, late] {
        let _ = peripherals.stop();
    }
}
