//! One group across two gateways.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bugle_core::OutcomeKind;
use bugle_load::mqtt::{Announcing, Behaviour, Sleeping};
use bugle_load::{Command, MqttVersion, Options, Peripherals};
use serde_json::json;

use super::system::{System, allocations, fleet, ids, until};

#[tokio::test(flavor = "multi_thread")]
async fn part_of_the_sleepers_of_two_gateways_is_activated_and_every_member_ends_once() {
    const AWAKE: usize = 10;
    const ASLEEP: usize = 10;
    let file = |gateway| allocations("lamps", ids(gateway, AWAKE + ASLEEP));
    let system = System::start(&[("north", file("n")), ("south", file("s"))]).await;
    let steady = Arc::new(Behaviour::steady(MqttVersion::Mqtt5));
    // These connect, sleep soon, and do not wake by themselves while the test lasts.
    let long = Sleeping {
        awake: Duration::from_millis(500),
        asleep: Duration::from_secs(3600),
        jitter: Duration::ZERO,
        announcing: Announcing::NextWake,
    };
    let sleeper = Arc::new(Behaviour { sleeping: Some(long), ..Behaviour::steady(MqttVersion::Mqtt311) });
    let mut peripherals = Vec::new();
    for (gateway, prefix) in [("north", "n"), ("south", "s")] {
        let port = system.gateways[gateway].mqtt;
        peripherals.extend(fleet(port, ids(prefix, AWAKE), &steady));
        peripherals.extend(fleet(port, ids(prefix, AWAKE + ASLEEP).skip(AWAKE), &sleeper));
    }
    let peripherals = Peripherals::start(peripherals, Options::default()).expect("they start");
    let total = 2 * (AWAKE + ASLEEP) as u64;
    system.members("lamps", total).await;
    until("half of them to sleep", async || {
        (system.group("lamps").await.group.active == 2 * AWAKE as u64).then_some(())
    })
    .await;

    let request = json!({
        "operation": {"do": "message", "content": {"text": "on"}},
        "activation": "40%", "sleepers": "skip", "receipt": "executed", "deadline_seconds": 8,
    });
    let sent = system.submit("lamps", request).await;
    let activating = 2 * ASLEEP * 4 / 10;
    until("part of the sleepers to be activating", async || {
        let states = system.configuration("lamps").await;
        (states.values().filter(|state| *state == "activating").count() == activating).then_some(())
    })
    .await;
    // Half of those that are activated wake in time: the first at each gateway.
    let woken: BTreeSet<String> = system
        .configuration("lamps")
        .await
        .into_iter()
        .filter(|(_, state)| state == "activating")
        .map(|(id, _)| id)
        .enumerate()
        .filter(|(position, _)| position % 2 == 0)
        .map(|(_, id)| id)
        .collect();
    let all: Vec<String> = ids("n", AWAKE + ASLEEP).chain(ids("s", AWAKE + ASLEEP)).collect();
    for id in &woken {
        let place = all.iter().position(|known| known == id).expect("it is one of them");
        peripherals.command(place, Command::Connect);
    }

    let ended = system.completed(sent).await;
    let mut expected: BTreeMap<OutcomeKind, u64> = BTreeMap::new();
    expected.insert(OutcomeKind::Executed, (2 * AWAKE + woken.len()) as u64);
    expected.insert(OutcomeKind::Expired, (activating - woken.len()) as u64);
    expected.insert(OutcomeKind::Skipped, (2 * ASLEEP - activating) as u64);
    for kind in OutcomeKind::ALL {
        assert_eq!(ended.totals.count(*kind), expected.get(kind).copied().unwrap_or(0), "{kind}");
    }
    assert_eq!(ended.totals.members, total);

    // The members say the same as the totals, each once.
    let members = system.outcomes(sent).await;
    let names: BTreeSet<_> = members.iter().map(|member| member.peripheral.clone()).collect();
    assert_eq!((members.len() as u64, names.len() as u64), (total, total));
    for (kind, count) in expected {
        let of_kind = members.iter().filter(|member| member.outcome.as_ref().is_some_and(|known| known.kind() == kind));
        assert_eq!(of_kind.count() as u64, count, "{kind}");
    }
    // And so does the application, which counted the receipts of its event log.
    assert_eq!(system.configuration("lamps").await.len() as u64, total);
    let _ = peripherals.stop();
}
