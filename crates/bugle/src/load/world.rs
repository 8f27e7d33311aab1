//! A world to measure in: a platform and an application in this process, a gateway in one of its own,
//! everything durable, in a folder that goes with it.

use std::fmt::Write;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, anyhow};
use bugle_api::{NewGateway, NewToken, Scope};
use bugle_application::Application;
use bugle_client::Client;
use bugle_core::credential::PreSharedKey;
use bugle_core::{ApplicationId, GroupId, PeripheralId, Protocol};
use bugle_load::measure::{Bugle, Member, Shown, Target};
use bugle_runtime::{Shutdown, tls};
use serde::Serialize;
use tempfile::TempDir;

use super::gateway_process::{Enrolment, GatewayProcess, Setup};
use super::group_service::{Receipt, group_service};
use crate::failure::Failure;

const APPLICATION: &str = "load";
const GROUP: &str = "everybody";
pub(super) const GATEWAY: &str = "load";
/// Everybody may join, on nobody's word, under a lease that outlasts any measurement.
const POLICY: &str = "\
[[rule]]
peripherals = [\"*\"]
groups = [\"*\"]
gateways = [\"*\"]
evidence = \"none\"
approval = \"automatic\"
lease = 86400
";
/// Connections that a gateway lets wait while they are being made.
pub(super) const CONNECTING_MAX: NonZeroUsize = NonZeroUsize::new(900).expect("not zero");
/// Files that a process needs beside its connections.
pub(crate) const OTHER_FILES: usize = 1_024;
const KEY_BYTES: usize = 16;

/// Whether the gateway knows its peripherals from the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Allocated {
    FromTheStart,
    /// Not before [`World::allocate`].
    Later,
}

/// Whether peripherals speak in the open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Security {
    /// They do.
    Plain,
    /// They speak under DTLS, each with a pre-shared key of its own.
    Dtls,
}

/// A world at work.
pub(crate) struct World {
    client: Client,
    gateway: GatewayProcess,
    residents: Vec<Resident>,
    allocations: PathBuf,
    application: bugle_application::Handle,
    application_shutdown: Shutdown,
    platform: bugle_platform::Handle,
    platform_shutdown: Shutdown,
    _folder: TempDir,
}

/// The peripherals that a world is for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Population {
    pub(crate) peripherals: usize,
    pub(crate) protocol: Protocol,
    pub(crate) security: Security,
    /// How many of them may ask the application within a second; 0 for no bound.
    pub(crate) admissions_per_second: u32,
}

/// A peripheral, as it is allocated.
struct Resident {
    id: PeripheralId,
    /// What it shares with the gateway, under DTLS.
    key: Option<PreSharedKey>,
}

impl World {
    /// Starts one for these peripherals.
    pub(crate) async fn start(population: Population, allocated: Allocated) -> Result<Self, Failure> {
        tls::install_provider();
        let Population { peripherals, protocol, security, admissions_per_second } = population;
        let residents = residents(peripherals, security)?;
        let connections = match protocol {
            Protocol::Mqtt311 | Protocol::Mqtt5 => peripherals,
            // Datagrams need no connection.
            Protocol::Lwm2m10 | Protocol::Lwm2m11 | Protocol::Lwm2m12 => 0,
        };
        // What this process may open, the gateway may.
        bugle_load::allow_open_files(connections + OTHER_FILES).map_err(anyhow::Error::new)?;
        let folder = tempfile::tempdir().context("no folder to measure in")?;
        let path = folder.path();
        let (platform_shutdown, application_shutdown) = (Shutdown::manual(), Shutdown::manual());
        let platform = start_platform(path, &platform_shutdown).await?;
        let url = format!("http://{}", platform.http_address);
        let token = fs::read_to_string(&platform.operator_token_file).context("the operator's token")?;
        let client = Client::new(&url, token.trim())?;
        client.add_application(&application_id()).await?;
        let application = start_application(path, &client, &url, &application_shutdown).await?;
        let new = NewGateway { id: GATEWAY.parse().context("the gateway's id")?, expires_in_seconds: None };
        let enrollment_token = client.add_gateway(&new).await?.token;
        let allocations = path.join("allocations.toml");
        let first = if allocated == Allocated::FromTheStart { &residents[..] } else { &[] };
        write(&allocations, &allocations_of(first))?;
        let setup = Setup {
            folder: path,
            id: GATEWAY,
            allocations: Some(&allocations),
            platform: Some(Enrolment { url: &url, token: &enrollment_token }),
            admissions_per_second,
        };
        let gateway = GatewayProcess::start(setup).await?;
        Ok(Self {
            client,
            gateway,
            residents,
            allocations,
            application,
            application_shutdown,
            platform,
            platform_shutdown,
            _folder: folder,
        })
    }

    /// Allocates the peripherals, and starts the gateway anew with them.
    pub(crate) async fn allocate(&mut self) -> Result<(), Failure> {
        write(&self.allocations, &allocations_of(&self.residents))?;
        self.gateway.restart().await
    }

    /// The memory of its gateway, in bytes.
    pub(crate) fn gateway_memory(&self) -> Result<u64, Failure> {
        let memory = bugle_load::measure::resident_bytes(self.gateway.process()?);
        Ok(memory.context("the gateway's memory")?)
    }

    /// What is measured.
    pub(crate) fn target(&self, protocol: Protocol, patience: Duration) -> Result<Target, Failure> {
        let member = |resident: &Resident| {
            let gateway = match (protocol, &resident.key) {
                (Protocol::Mqtt311 | Protocol::Mqtt5, _) => self.gateway.mqtt(),
                (Protocol::Lwm2m10 | Protocol::Lwm2m11 | Protocol::Lwm2m12, None) => self.gateway.lwm2m(),
                (Protocol::Lwm2m10 | Protocol::Lwm2m11 | Protocol::Lwm2m12, Some(_)) => self.gateway.lwm2m_dtls(),
            };
            Member { id: resident.id.clone(), gateway, shows: resident.key.clone().map(Shown::PreSharedKey) }
        };
        Ok(Target::Bugle(Bugle {
            members: self.residents.iter().map(member).collect(),
            processes: vec![self.gateway.process()?],
            connecting_max: CONNECTING_MAX,
            group: group_service(&self.client, &application_id(), group_id(), Receipt::of(protocol), patience),
        }))
    }

    /// Ends all of it, each part before the one that it needs.
    pub(crate) async fn stop(mut self) -> Result<(), Failure> {
        self.gateway.stop().await;
        self.application_shutdown.request();
        self.application.ended().await.context("the application could not go on")?;
        self.platform_shutdown.request();
        self.platform.ended().await;
        Ok(())
    }
}

async fn start_platform(folder: &Path, shutdown: &Shutdown) -> Result<bugle_platform::Handle, Failure> {
    let free = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let config = bugle_platform::Config {
        http_listen: free,
        link_listen: free,
        ..bugle_platform::Config::new(folder.join("platform"))
    };
    let started = bugle_platform::start(config, shutdown.clone()).await;
    Ok(started.context("the platform does not start")?)
}

async fn start_application(
    folder: &Path,
    client: &Client,
    platform: &str,
    shutdown: &Shutdown,
) -> Result<bugle_application::Handle, Failure> {
    let new = NewToken {
        name: "application".into(),
        scopes: [Scope::EventsRead, Scope::RegistrationsDecide].into(),
        application: Some(application_id()),
        expires_in_seconds: None,
    };
    let token = client.issue_token(&new).await?.secret;
    let policy = folder.join("policy.toml");
    write(&policy, POLICY)?;
    let config = bugle_application::Config {
        id: application_id(),
        data_folder: folder.join("application"),
        policy: Some(policy),
        http_listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        http_plain: Default::default(),
        platform: bugle_application::Platform { url: platform.to_owned(), token: Some(token), token_file: None },
    };
    let started = Application::start(config, shutdown.clone()).await;
    Ok(started.context("the application does not start")?)
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    Ok(fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?)
}

fn allocations_of(residents: &[Resident]) -> String {
    let mut text = format!("[defaults]\napplication = \"{APPLICATION}\"\ngroups = [\"{GROUP}\"]\n");
    for Resident { id, key } in residents {
        let _ = write!(text, "\n[[peripheral]]\nid = \"{id}\"\n");
        if let Some(key) = key {
            let digits: String = key.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
            let _ = writeln!(text, "pre_shared_key = \"{digits}\"");
        }
    }
    text
}

/// So many peripherals, with new keys where they need some.
fn residents(peripherals: usize, security: Security) -> Result<Vec<Resident>, Failure> {
    let resident = |number| {
        let id = member_id(number);
        let key = match security {
            Security::Plain => None,
            Security::Dtls => Some(new_key()?),
        };
        Ok(Resident { id, key })
    };
    (0..peripherals).map(resident).collect()
}

fn new_key() -> Result<PreSharedKey, Failure> {
    let mut bytes = [0; KEY_BYTES];
    getrandom::fill(&mut bytes).map_err(|error| anyhow!("the system gives no random numbers: {error}"))?;
    Ok(PreSharedKey::new(&bytes).context("a new key")?)
}

/// What the peripheral of this number is called.
pub(super) fn member_id(number: usize) -> PeripheralId {
    PeripheralId::new(format!("member-{number}")).expect("the name is plain")
}

pub(super) fn application_id() -> ApplicationId {
    ApplicationId::new(APPLICATION).expect("the name is plain")
}

pub(super) fn group_id() -> GroupId {
    GroupId::new(GROUP).expect("the name is plain")
}
