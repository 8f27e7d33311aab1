//! A gateway with a real platform and real sockets; the test is the application.

mod waking;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bugle_api::{Decision, NewGateway, Request, Submission};
use bugle_client::Client;
use bugle_core::{ApplicationId, Content, Event, GroupId, Operation, Receipt, Verdict};
use bugle_gateway::{Config, Gateway};
use bugle_load::mqtt::{Behaviour, Peripheral};
use bugle_load::{MqttVersion, Options, Peripherals};
use bugle_runtime::Shutdown;
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(20);
const MEMBERS: usize = 20;

fn application() -> ApplicationId {
    "metering".parse().expect("an application id")
}

fn group() -> GroupId {
    "meters".parse().expect("a group id")
}

struct World {
    client: Client,
    gateway: Gateway,
    shutdown: Shutdown,
    _folder: TempDir,
}

async fn gateway(folder: &Path, client: &Client, peripherals: &str, more: &str) -> (Gateway, Shutdown) {
    let new = NewGateway { id: "north".parse().expect("a gateway id"), expires_in_seconds: None };
    let token = client.add_gateway(&new).await.expect("it is added").token;
    let file = format!("[defaults]\napplication = \"metering\"\ngroups = [\"meters\"]\n{peripherals}");
    let allocations = folder.join("allocations.toml");
    std::fs::write(&allocations, file).expect("written");
    let text = format!(
        "id = \"north\"\ndata_folder = {:?}\nallocations = {allocations:?}\nhttp_listen = \"127.0.0.1:0\"\n\
         [mqtt]\nlisten = \"127.0.0.1:0\"\n[platform]\nurl = {:?}\nenrollment_token = {token:?}\n{more}",
        folder.join("north"),
        client.url(),
    );
    let config: Config = toml::from_str(&text).expect("a configuration");
    let shutdown = Shutdown::manual();
    (Gateway::start(config, shutdown.clone()).await.expect("it starts"), shutdown)
}

impl World {
    async fn start() -> Self {
        let peripherals: String = (0..MEMBERS).map(|number| format!("[[peripheral]]\nid = \"m-{number}\"\n")).collect();
        Self::start_with(&peripherals, "").await
    }

    /// With these peripherals in the file of allocations, and `more` in the gateway's configuration.
    async fn start_with(peripherals: &str, more: &str) -> Self {
        let folder = TempDir::new().expect("a folder");
        let text = format!(
            "data_folder = {:?}\nhttp_listen = \"127.0.0.1:0\"\nlink_listen = \"127.0.0.1:0\"\n",
            folder.path().join("platform")
        );
        let config = toml::from_str(&text).expect("a configuration");
        let shutdown = Shutdown::manual();
        let platform = bugle_platform::start(config, shutdown.clone()).await.expect("it starts");
        let token = std::fs::read_to_string(folder.path().join("platform/operator.token")).expect("there is a token");
        let client = Client::new(&format!("http://{}", platform.http_address), token.trim()).expect("an address");
        client.add_application(&application()).await.expect("it is added");
        let (gateway, _) = gateway(folder.path(), &client, peripherals, more).await;
        tokio::time::timeout(PATIENCE, gateway.linked()).await.expect("the link comes up");
        Self { client, gateway, shutdown, _folder: folder }
    }

    fn fleet(&self) -> Peripherals {
        self.fleet_of(MEMBERS, Behaviour::steady(MqttVersion::Mqtt5))
    }

    fn fleet_of(&self, count: usize, behaviour: Behaviour) -> Peripherals {
        let behaviour = Arc::new(behaviour);
        let server: SocketAddr = self.gateway.mqtt_address().expect("it listens");
        let one = |number| Peripheral {
            id: format!("m-{number}").parse().expect("a peripheral id"),
            server,
            credentials: None,
            behaviour: Arc::clone(&behaviour),
        };
        Peripherals::start((0..count).map(one), Options::default()).expect("they start")
    }

    /// Says yes to all that ask, until so many are registered.
    async fn say_yes(&self, count: usize) {
        let mut events = self.client.follow(&application(), Some(0));
        let mut registered = BTreeSet::new();
        while registered.len() < count {
            let next = tokio::time::timeout(PATIENCE, events.next()).await.expect("something happens");
            let mut decisions = Vec::new();
            for event in next.expect("the events are read") {
                match event.event {
                    Event::RegistrationAsked { gateway, asked } => decisions.push(Decision {
                        gateway,
                        peripheral: asked.peripheral,
                        registration: asked.registration,
                        verdict: Verdict::Authorized { groups: asked.groups, lease: Duration::from_secs(60) },
                    }),
                    Event::PresenceChanged { changed, .. } => {
                        registered.insert(changed.peripheral);
                    }
                    _ => {}
                }
            }
            if !decisions.is_empty() {
                self.client.decide(&application(), decisions).await.expect("it is taken");
            }
        }
    }

    async fn send(&self) -> Request {
        let operation = Operation::Message { content: Content::text("hello") };
        let submission =
            serde_json::json!({"operation": operation, "receipt": Receipt::Executed, "deadline_seconds": 30});
        let submission: Submission = serde_json::from_value(submission).expect("a submission");
        let sent = self.client.submit(&application(), &group(), &submission, None).await.expect("it is accepted");
        let application = application();
        let complete = tokio::time::timeout(PATIENCE, self.client.complete_request(&application, sent.id)).await;
        complete.expect("it is complete in time").expect("it is there")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn peripherals_register_and_execute_over_real_sockets() {
    let world = World::start().await;
    let peripherals = world.fleet();
    world.say_yes(MEMBERS).await;
    let ended = world.send().await;
    assert_eq!((ended.totals.members, ended.totals.executed), (MEMBERS as u64, MEMBERS as u64));
    let _ = peripherals.stop();
    world.shutdown.request();
}
