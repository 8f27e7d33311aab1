//! How long a gateway with a large store takes to be back, and a copy of that store while it works.

use std::fs;
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use bugle_core::gateway::{
    Batch, Change, Config, Direction, DirectionRefusal, Effect, Gateway, Hold, Link, Output, Presented,
    RegistrationRequest,
};
use bugle_core::{
    Activation, Allocation, Content, Description, DownEntry, GroupRequest, InitialState, LateJoiners, Operation,
    Pacing, PeripheralId, Priority, Protocol, Receipt, RegistrationId, RequestId, Sleepers, Time, Verdict, Waker,
};
use bugle_load::measure::{Watch, resident_bytes};
use bugle_load::mqtt::{Behaviour, Peripheral, Reconnecting};
use bugle_load::{Happening, MqttVersion, Options, Peripherals};
use bugle_runtime::Clock;
use bugle_store::gateway::GatewayStore;
use bugle_store::sqlite;
use serde::Serialize;
use tempfile::TempDir;
use thiserror::Error;

use super::gateway_process::{GatewayProcess, Setup};
use super::progress::measure;
use super::world::{GATEWAY, application_id, group_id, member_id};
use crate::failure::Failure;
use crate::output::Output as Shown;

/// What the machine does between two commits; fewer than may ask at once.
const AT_ONCE: usize = 10_000;
/// Longer than any measurement.
const LONG: Duration = Duration::from_secs(86_400);
const SEED: u64 = 1;

/// What is measured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Recovery {
    /// How many peripherals are allocated.
    pub(crate) allocations: usize,
    /// How many of them are registered, asleep, and have a delivery waiting.
    pub(crate) deliveries: usize,
    /// How long it may take.
    pub(crate) patience: Duration,
}

/// What was found.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Recovered {
    pub(crate) allocations: usize,
    pub(crate) deliveries: usize,
    /// Of the store.
    pub(crate) store_bytes: u64,
    /// From the start of the process until a peripheral that came back has what waited for it.
    pub(crate) served_seconds: f64,
    /// The gateway's memory then, in bytes.
    pub(crate) memory: u64,
    /// Of a copy of the store, on disk and looked through, while the gateway works.
    pub(crate) backup_seconds: f64,
}

impl Recovery {
    /// Fills a store, starts a gateway on it, and copies it.
    pub(crate) async fn run(self, shown: Shown) -> Result<Recovered, Failure> {
        let folder = tempfile::tempdir().context("no folder to measure in")?;
        let data = folder.path().join("gateway");
        fs::create_dir(&data).context("no folder for the store")?;
        let store = data.join("gateway.db");
        let path = store.clone();
        measure(shown, move |watch| Filling::fill(&path, self, watch)).await?;
        // Both the file and its write-ahead log, as a gateway that died leaves them.
        let files = fs::read_dir(&data).context("the store")?.filter_map(|file| file.ok()?.metadata().ok());
        let store_bytes = files.map(|file| file.len()).sum();
        let alone =
            Setup { folder: folder.path(), id: GATEWAY, allocations: None, platform: None, admissions_per_second: 0 };
        let mut gateway = GatewayProcess::configure(&alone)?;
        let began = Instant::now();
        gateway.spawn()?;
        let served = self.first_served(&gateway).await?.saturating_duration_since(began);
        let memory = resident_bytes(gateway.process()?).context("the gateway's memory")?;
        let backup = copy(&folder, &store).await?;
        gateway.stop().await;
        Ok(Recovered {
            allocations: self.allocations,
            deliveries: self.deliveries,
            store_bytes,
            served_seconds: served.as_secs_f64(),
            memory,
            backup_seconds: backup.as_secs_f64(),
        })
    }

    /// When the first peripheral has got what waited for it.
    async fn first_served(self, gateway: &GatewayProcess) -> Result<Instant, Failure> {
        let soon = Duration::from_millis(20);
        let reconnecting = Reconnecting { first: soon, most: soon, tries: None };
        let peripheral = Peripheral {
            id: member_id(0),
            server: gateway.mqtt(),
            credentials: None,
            behaviour: Arc::new(Behaviour { reconnecting, ..Behaviour::steady(MqttVersion::Mqtt5) }),
        };
        let options = Options { events_max: AT_ONCE, ..Options::default() };
        let peripherals = Peripherals::start([peripheral], options).context("no peripheral can be simulated")?;
        let patience = self.patience;
        let waiting = tokio::task::spawn_blocking(move || {
            let until = Instant::now() + patience;
            while let Some(event) = peripherals.next_event(until.saturating_duration_since(Instant::now())) {
                if let Happening::Received { .. } = event.what {
                    return Some(event.at);
                }
            }
            None
        });
        let served = waiting.await.context("the measurement was broken off")?;
        Ok(served.ok_or_else(|| anyhow!("the gateway serves nobody after {patience:?}:\n{}", gateway.last_words()))?)
    }
}

/// How long a copy takes, as `bugle backup` makes it.
async fn copy(folder: &TempDir, store: &Path) -> Result<Duration, Failure> {
    let (from, to) = (store.to_owned(), folder.path().join("copy.db"));
    let copied = tokio::task::spawn_blocking(move || {
        let began = Instant::now();
        sqlite::copy(&from, &to).map(|()| began.elapsed())
    });
    Ok(copied.await.context("the measurement was broken off")?.context("the store cannot be copied")?)
}

/// Why a store is not filled. The fault is of the system, but for what the machine refuses: that is ours.
#[derive(Debug, Error)]
enum FillError {
    #[error(transparent)]
    Open(#[from] sqlite::OpenError),
    #[error(transparent)]
    Store(#[from] sqlite::StoreError),
    #[error("the machine takes no allocation: {0:?}")]
    Refused(DirectionRefusal),
}

impl From<DirectionRefusal> for FillError {
    fn from(refusal: DirectionRefusal) -> Self {
        Self::Refused(refusal)
    }
}

/// A gateway's machine that is driven by hand, and its store.
struct Filling {
    gateway: Gateway,
    store: GatewayStore,
    now: Time,
    /// Askings that are not decided.
    asked: Vec<(PeripheralId, RegistrationId)>,
    down: u64,
}

impl Filling {
    fn fill(path: &Path, recovery: Recovery, watch: &Watch) -> Result<(), FillError> {
        let (store, _) = GatewayStore::open(path)?;
        let id = GATEWAY.parse().expect("the name is plain");
        let mut gateway = Gateway::new(Config::new(id), SEED);
        gateway.handle_link(Link::Up);
        let mut filling = Self { gateway, store, now: Clock::start().now(), asked: Vec::new(), down: 0 };
        let Recovery { allocations, deliveries, .. } = recovery;
        for first in (0..allocations).step_by(AT_ONCE) {
            watch("allocated", first, allocations);
            let next = allocations.min(first + AT_ONCE);
            (first..next).try_for_each(|number| filling.allocate(number))?;
            filling.settle()?;
        }
        for first in (0..deliveries).step_by(AT_ONCE) {
            watch("registered", first, deliveries);
            let numbers = first..deliveries.min(first + AT_ONCE);
            numbers.clone().for_each(|number| filling.ask(number));
            filling.settle()?;
            filling.authorize();
            filling.settle()?;
            numbers.for_each(|number| filling.sleep(number));
            filling.settle()?;
        }
        filling.hand_down(DownEntry::Request(request(filling.now + LONG)));
        Ok(filling.settle()?)
    }

    fn allocate(&mut self, number: usize) -> Result<(), DirectionRefusal> {
        let allocation = Direction::Allocate(Box::new(allocation(number)));
        self.gateway.handle_direction(self.now, allocation, number as u64)
    }

    fn ask(&mut self, number: usize) {
        let description = Description {
            protocol: Protocol::Mqtt5,
            address: "127.0.0.1:1".to_owned(),
            lifetime: LONG,
            objects: String::new(),
        };
        let request = RegistrationRequest {
            peripheral: member_id(number),
            asker: number as u64,
            presented: Presented::default(),
            description,
            hold: Hold::Connection,
        };
        self.gateway.handle_registration(self.now, request);
    }

    fn authorize(&mut self) {
        for (peripheral, registration) in std::mem::take(&mut self.asked) {
            let verdict = Verdict::Authorized { groups: [group_id()].into(), lease: LONG };
            self.hand_down(DownEntry::Decision { peripheral, registration, verdict });
        }
    }

    fn sleep(&mut self, number: usize) {
        let Some(slot) = self.gateway.slot(&member_id(number)) else { return };
        self.gateway.handle_standby(self.now, slot, None);
        self.gateway.handle_connection_lost(self.now, slot, Duration::ZERO, LONG);
    }

    fn hand_down(&mut self, entry: DownEntry) {
        self.down += 1;
        self.gateway.handle_down(self.now, self.down, entry);
    }

    /// Has everything on disk, and the up log acknowledged.
    fn settle(&mut self) -> Result<(), sqlite::StoreError> {
        loop {
            let (mut batch, mut acknowledged) = (None, None);
            while let Some(output) = self.gateway.poll_output(self.now) {
                match output {
                    Output::Persist(next) => batch = Some(next),
                    Output::Effect(Effect::UpAvailable { through }) => acknowledged = Some(through),
                    Output::Effect(_) => {}
                }
            }
            if let Some(through) = acknowledged {
                self.gateway.handle_up_acknowledged(through);
            } else if batch.is_none() {
                return Ok(());
            }
            self.asked.extend(batch.iter().flat_map(|batch| &batch.changes).filter_map(|change| match change {
                Change::Asked(ask) => Some((self.gateway.peripheral(ask.slot)?.clone(), ask.registration)),
                _ => None,
            }));
            batch.map_or(Ok(()), |batch| self.persist(batch))?;
        }
    }

    fn persist(&mut self, batch: Batch) -> Result<(), sqlite::StoreError> {
        let (sender, persisted) = mpsc::channel();
        // Whoever waits is right here.
        self.store.persist(Arc::new(batch), move |result| drop(sender.send(result)));
        let ticket = persisted.recv().unwrap_or(Err(sqlite::StoreError::Stopped))?;
        self.gateway.handle_persisted(ticket);
        Ok(())
    }
}

fn allocation(number: usize) -> Allocation {
    Allocation {
        peripheral: member_id(number),
        application: application_id(),
        groups: [group_id()].into(),
        initial_state: InitialState::Allocated,
        credential: None,
        waker: Waker::Window,
        labels: std::collections::BTreeMap::new(),
        lifetime: None,
        idle: None,
    }
}

fn request(deadline: Time) -> GroupRequest {
    GroupRequest {
        id: RequestId::from_number(1).expect("it is small"),
        application: application_id(),
        group: group_id(),
        contained: std::collections::BTreeSet::new(),
        operation: Operation::Message { content: Content::text("hello") },
        activation: Activation::None,
        sleepers: Sleepers::Queue,
        receipt: Receipt::Delivered,
        late_joiners: LateJoiners::Exclude,
        deadline,
        priority: Priority::Normal,
        pacing: Pacing::default(),
        abort: None,
        collapse_key: None,
    }
}
