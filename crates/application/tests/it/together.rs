//! With the platform that is shipped, over its own HTTP API.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use bugle_api::{NewGateway, NewToken, Scope};
use bugle_client::Client;
use bugle_core::{
    AllocationNotice, ApplicationId, Deregistered, Description, DownEntry, EndCause, Evidence, GatewayId, GroupId,
    InitialState, Origin, PeripheralId, Presence, PresenceChanged, Protocol, RegistrationAsked, RegistrationId, Time,
    UpEntry, Verdict,
};
use bugle_platform::{Config, Handle, start};
use bugle_runtime::Shutdown;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::platform::APPLICATION;
use crate::service::{ANYBODY, Disk, Service};

/// Longer than anything takes that is going to happen.
const PATIENCE: Duration = Duration::from_secs(30);

fn id<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().expect("an id")
}

fn groups() -> BTreeSet<GroupId> {
    BTreeSet::from([id("g")])
}

/// A platform, the one gateway that speaks to it, and an application that it knows.
struct Whole {
    runtime: Runtime,
    handle: Handle,
    token: String,
    gateway: GatewayId,
    said: u64,
    heard: u64,
    _folder: TempDir,
}

impl Whole {
    fn start() -> Self {
        let (runtime, folder) = (Runtime::new().expect("a runtime"), TempDir::new().expect("a folder"));
        let free = "127.0.0.1:0".parse().expect("an address");
        let config = Config { http_listen: free, link_listen: free, ..Config::new(folder.path()) };
        let handle = runtime.block_on(start(config, Shutdown::manual())).expect("starts");
        let operator = std::fs::read_to_string(&handle.operator_token_file).expect("a token");
        let url = format!("http://{}", handle.http_address);
        let client = Client::new(&url, operator.trim()).expect("an address");
        let application: ApplicationId = id(APPLICATION);
        let token = runtime.block_on(async {
            client.add_application(&application).await.expect("added");
            client.add_gateway(&NewGateway { id: id("gw"), expires_in_seconds: None }).await.expect("added");
            let scopes = BTreeSet::from([Scope::EventsRead, Scope::RegistrationsDecide]);
            let (name, application) = ("the application".to_owned(), Some(application));
            let token = NewToken { name, scopes, application, expires_in_seconds: None };
            client.issue_token(&token).await.expect("issued").secret
        });
        Self { runtime, handle, token, gateway: id("gw"), said: 0, heard: 0, _folder: folder }
    }

    fn config(&self, disk: &Disk) -> bugle_application::Config {
        let (url, token) = (format!("http://{}", self.handle.http_address), Some(self.token.clone()));
        disk.config_for(bugle_application::Platform { url, token, token_file: None })
    }

    /// The gateway says something to the platform.
    fn say(&mut self, entries: impl IntoIterator<Item = UpEntry>) {
        let entries: Vec<_> = (self.said + 1..).zip(entries).collect();
        self.said += entries.len() as u64;
        self.runtime.block_on(self.handle.platform.apply_up(&self.gateway, entries)).expect("applied");
    }

    /// What the platform has for the gateway, once there are so many: whom about, and whether it is a yes.
    fn hear(&mut self, count: usize) -> Vec<(String, bool)> {
        let begun = Instant::now();
        let mut heard = Vec::new();
        while heard.len() < count {
            assert!(begun.elapsed() < PATIENCE, "{} of {count}", heard.len());
            let entries = self.handle.platform.down_entries(&self.gateway, self.heard, 1_000);
            for (sequence, entry) in self.runtime.block_on(entries).expect("read") {
                self.heard = sequence;
                match entry {
                    DownEntry::Decision { peripheral, verdict, .. } => {
                        heard.push((peripheral.to_string(), matches!(verdict, Verdict::Authorized { .. })));
                    }
                    other => panic!("{other:?} where a decision was expected"),
                }
            }
        }
        heard
    }
}

fn allocated(peripheral: &str) -> UpEntry {
    UpEntry::Allocated(AllocationNotice {
        peripheral: id(peripheral),
        application: id(APPLICATION),
        groups: groups(),
        initial_state: InitialState::Allocated,
        labels: BTreeMap::new(),
        origin: Origin::File,
        wakes: None,
    })
}

fn asked(peripheral: &str, registration: u64) -> UpEntry {
    let (protocol, address, lifetime) = (Protocol::Mqtt5, "192.0.2.1:1883".into(), Duration::from_secs(60));
    let asked = RegistrationAsked {
        peripheral: id(peripheral),
        registration: RegistrationId::new(registration),
        groups: groups(),
        evidence: Evidence::default(),
        description: Description { protocol, address, lifetime, objects: String::new() },
    };
    UpEntry::RegistrationAsked { application: id(APPLICATION), asked }
}

fn active(peripheral: &str, registration: u64) -> UpEntry {
    let (peripheral, registration): (PeripheralId, _) = (id(peripheral), RegistrationId::new(registration));
    let (groups, presence, at) = (groups(), Presence::Active, Time::ZERO);
    let changed = PresenceChanged { peripheral, registration, groups, presence, at };
    UpEntry::PresenceChanged { application: id(APPLICATION), changed }
}

fn left(peripheral: &str, registration: u64) -> UpEntry {
    let (peripheral, registration): (PeripheralId, _) = (id(peripheral), RegistrationId::new(registration));
    let (groups, cause, at) = (groups(), EndCause::Peripheral, Time::ZERO);
    let ended = Deregistered { peripheral, registration, groups, cause, at };
    UpEntry::Deregistered { application: id(APPLICATION), ended }
}

#[test]
fn a_registration_goes_through_the_platform_to_the_application_and_back() {
    let (mut whole, disk) = (Whole::start(), Disk::new(&ANYBODY.replace("\"all\"", "\"m*\"")));
    let service = Service::try_start(whole.config(&disk)).expect("starts");
    whole.say([allocated("m1"), allocated("x1"), asked("m1", 1), asked("x1", 2)]);
    assert_eq!(whole.hear(2), [("m1".into(), false), ("x1".into(), false)], "no rule joins them to g");
    disk.write_policy(&ANYBODY.replacen("\"all\"", "\"m*\"", 1));
    // Asks again until the policy that changed counts.
    let begun = Instant::now();
    let registration = (3..).find(|registration| {
        assert!(begun.elapsed() < PATIENCE, "the policy is read anew");
        whole.say([asked("m1", *registration)]);
        whole.hear(1)[0].1
    });
    let registration = registration.expect("it is let in");
    whole.say([active("m1", registration)]);
    service.get_until("/v1/groups/g", |group| group["items"][0]["state"] == "active");
    whole.say([left("m1", registration)]);
    service.get_until("/v1/groups", |groups| groups["items"].as_array().is_some_and(Vec::is_empty));
}

#[test]
fn a_storm_while_the_application_is_down_is_answered_once_it_is_up() {
    const PERIPHERALS: usize = 3_000;
    let (mut whole, disk) = (Whole::start(), Disk::new(ANYBODY));
    drop(Service::try_start(whole.config(&disk)).expect("starts"));
    let names: Vec<_> = (0..PERIPHERALS).map(|number| format!("m{number:04}")).collect();
    for names in names.chunks(1_000) {
        whole.say(names.iter().map(|name| allocated(name)));
        whole.say(names.iter().map(|name| asked(name, 1)));
    }
    let begun = Instant::now();
    let service = Service::try_start(whole.config(&disk)).expect("starts");
    let heard: BTreeMap<_, _> = whole.hear(PERIPHERALS).into_iter().collect();
    println!("{PERIPHERALS} askings answered in {:?}", begun.elapsed());
    assert!(heard.len() == PERIPHERALS && heard.values().all(|is_yes| *is_yes));
    assert_eq!(service.get("/v1/groups")["items"][0]["members"], PERIPHERALS);
}
