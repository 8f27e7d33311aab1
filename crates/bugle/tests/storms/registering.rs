//! A whole fleet registers at once, as after a power cut.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bugle_api::{EventQuery, PAGE_MAX};
use bugle_core::Event;
use bugle_load::mqtt::{self, Reconnecting};
use bugle_load::{MqttVersion, Options, Peripheral, Peripherals, lwm2m};

use super::served;
use super::system::{More, System, allocations, app, fleet, ids, until_within};

const BYSTANDERS: usize = 5;
/// Of the fleet, so many speak MQTT and so many LwM2M.
const MQTT: usize = 300;
const LWM2M: usize = 150;
const PER_SECOND: usize = 100;
const SECOND: Duration = Duration::from_secs(1);
/// Longer by far than it takes at the configured rate.
const PATIENCE: Duration = Duration::from_secs(60);

/// When how many askings came to the application.
struct Askings {
    after: u64,
    total: usize,
    within_a_second: VecDeque<(Instant, usize)>,
    most_within_a_second: usize,
}

impl Askings {
    /// Reads what has come since it last looked.
    async fn look(&mut self, system: &System) {
        let query = EventQuery { after: Some(self.after), kinds: None, limit: Some(PAGE_MAX) };
        let Ok(page) = system.client.events(&app(), &query).await else { return };
        self.after = page.next_after;
        let count = page.items.iter().filter(|record| matches!(record.event, Event::RegistrationAsked { .. })).count();
        let now = Instant::now();
        self.total += count;
        self.within_a_second.push_back((now, count));
        while self.within_a_second.front().is_some_and(|(at, _)| now - *at >= SECOND) {
            self.within_a_second.pop_front();
        }
        let recent = self.within_a_second.iter().map(|(_, count)| count).sum();
        self.most_within_a_second = self.most_within_a_second.max(recent);
    }
}

fn storm(system: &System) -> Vec<Peripheral> {
    let reconnecting = Reconnecting { first: Duration::from_millis(500), most: 4 * SECOND, tries: None };
    let client = Arc::new(mqtt::Behaviour { reconnecting, ..mqtt::Behaviour::steady(MqttVersion::Mqtt5) });
    let device = Arc::new(lwm2m::Behaviour { retry: SECOND, ..lwm2m::Behaviour::steady() });
    let gateway = &system.gateways["north"];
    let server = SocketAddr::from((Ipv4Addr::LOCALHOST, gateway.coap));
    let clients = fleet(gateway.mqtt, ids("c", MQTT), &client).into_iter().map(Peripheral::from);
    let devices = ids("d", LWM2M).map(|id| {
        let id = id.parse().expect("a peripheral id");
        lwm2m::Peripheral { id, server, credential: None, behaviour: Arc::clone(&device) }.into()
    });
    clients.chain(devices).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fleet_that_registers_at_once_reaches_the_application_at_the_configured_rate_and_gets_in() {
    let mut system = System::start(&[]).await;
    let all = ids("c", MQTT).chain(ids("d", LWM2M));
    let file = allocations("fleet", all) + &of_group("bystanders", ids("b", BYSTANDERS));
    let registration = format!("admissions_per_second = {PER_SECOND}\n");
    system.add_gateway_with("north", &file, More { registration: &registration, ..More::default() }).await;
    system.linked().await;
    let steady = Arc::new(mqtt::Behaviour::steady(MqttVersion::Mqtt5));
    let bystanders = fleet(system.gateways["north"].mqtt, ids("b", BYSTANDERS), &steady);
    let bystanders = Peripherals::start(bystanders, Options::default()).expect("they start");
    system.members("bystanders", BYSTANDERS as u64).await;
    let undisturbed = served(&system, "bystanders", BYSTANDERS as u64).await;

    let mut askings = Askings { after: 0, total: 0, within_a_second: VecDeque::new(), most_within_a_second: 0 };
    askings.look(&system).await;
    let before = askings.total;
    (askings.most_within_a_second, askings.within_a_second) = (0, VecDeque::new());
    let began = Instant::now();
    let at_once = NonZeroUsize::new(MQTT + LWM2M).expect("not zero");
    let options = Options { connecting_max: at_once, ..Options::default() };
    let peripherals = Peripherals::start(storm(&system), options).expect("they start");
    let mut slowest = Duration::ZERO;
    let mut serving = Box::pin(served(&system, "bystanders", BYSTANDERS as u64));
    until_within(PATIENCE, "the whole fleet to be registered", async || {
        tokio::select! {
            took = &mut serving => {
                slowest = slowest.max(took);
                serving = Box::pin(served(&system, "bystanders", BYSTANDERS as u64));
            }
            () = askings.look(&system) => {}
        }
        (system.group("fleet").await.group.members == (MQTT + LWM2M) as u64).then_some(())
    })
    .await;
    let took = began.elapsed();
    slowest = slowest.max(serving.await);
    askings.look(&system).await;
    println!(
        "{} registered in {took:.1?} at {PER_SECOND} a second; at most {} askings within a second; a message to \
         {BYSTANDERS} others took {undisturbed:.0?} before and {slowest:.0?} at most meanwhile",
        MQTT + LWM2M,
        askings.most_within_a_second,
    );
    assert!(askings.most_within_a_second <= 2 * PER_SECOND, "{} askings within a second", askings.most_within_a_second);
    assert_eq!(askings.total - before, MQTT + LWM2M, "each is asked for once");
    let refused = peripherals.stop().refused;
    assert!(refused > 0, "there was no storm");
    let _ = bystanders.stop();
}

/// More allocations for a file, all in another group.
pub(super) fn of_group(group: &str, peripherals: impl Iterator<Item = String>) -> String {
    peripherals.map(|id| format!("\n[[peripheral]]\nid = {id:?}\ngroups = [{group:?}]\n")).collect()
}
