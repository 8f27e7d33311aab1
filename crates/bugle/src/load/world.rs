//! A world to measure in: a platform and an application in this process, a gateway in one of its own,
//! everything durable, in a folder that goes with it.

use std::fmt::Write;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use bugle_api::{NewGateway, NewToken, Scope};
use bugle_application::Application;
use bugle_client::Client;
use bugle_core::{ApplicationId, GroupId, PeripheralId, Protocol};
use bugle_load::measure::{Bugle, Member, Target};
use bugle_runtime::{Shutdown, tls};
use tempfile::TempDir;

use super::gateway_process::{GatewayProcess, Setup};
use super::group_service::{Receipt, group_service};
use crate::failure::Failure;

const APPLICATION: &str = "load";
const GROUP: &str = "everybody";
const GATEWAY: &str = "load";
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
/// Files that a gateway needs beside its connections.
const OTHER_FILES: usize = 1_024;

/// Whether the gateway knows its peripherals from the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Allocated {
    FromTheStart,
    /// Not before [`World::allocate`].
    Later,
}

/// A world at work.
pub(crate) struct World {
    client: Client,
    gateway: GatewayProcess,
    peripherals: usize,
    allocations: PathBuf,
    application: bugle_application::Handle,
    application_shutdown: Shutdown,
    platform: bugle_platform::Handle,
    platform_shutdown: Shutdown,
    _folder: TempDir,
}

impl World {
    /// Starts one for so many peripherals that speak `protocol`.
    pub(crate) async fn start(peripherals: usize, protocol: Protocol, allocated: Allocated) -> Result<Self, Failure> {
        tls::install_provider();
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
        let first = if allocated == Allocated::FromTheStart { peripherals } else { 0 };
        write(&allocations, &allocations_of(first))?;
        let setup = Setup {
            folder: path,
            id: GATEWAY,
            allocations: &allocations,
            platform: &url,
            enrollment_token: &enrollment_token,
        };
        let gateway = GatewayProcess::start(setup).await?;
        Ok(Self {
            client,
            gateway,
            peripherals,
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
        write(&self.allocations, &allocations_of(self.peripherals))?;
        self.gateway.restart().await
    }

    /// The memory of its gateway, in bytes.
    pub(crate) fn gateway_memory(&self) -> Result<u64, Failure> {
        let memory = bugle_load::measure::resident_bytes(self.gateway.process()?);
        Ok(memory.context("the gateway's memory")?)
    }

    /// What is measured.
    pub(crate) fn target(&self, protocol: Protocol, patience: Duration) -> Result<Target, Failure> {
        let gateway = match protocol {
            Protocol::Mqtt311 | Protocol::Mqtt5 => self.gateway.mqtt(),
            Protocol::Lwm2m10 | Protocol::Lwm2m11 | Protocol::Lwm2m12 => self.gateway.lwm2m(),
        };
        let member = |id| Member { id, gateway, credentials: None };
        Ok(Target::Bugle(Bugle {
            members: ids(self.peripherals).map(member).collect(),
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

fn allocations_of(peripherals: usize) -> String {
    let mut text = format!("[defaults]\napplication = \"{APPLICATION}\"\ngroups = [\"{GROUP}\"]\n");
    for id in ids(peripherals) {
        let _ = write!(text, "\n[[peripheral]]\nid = \"{id}\"\n");
    }
    text
}

fn ids(peripherals: usize) -> impl Iterator<Item = PeripheralId> {
    (0..peripherals).map(|number| PeripheralId::new(format!("member-{number}")).expect("the name is plain"))
}

fn application_id() -> ApplicationId {
    ApplicationId::new(APPLICATION).expect("the name is plain")
}

fn group_id() -> GroupId {
    GroupId::new(GROUP).expect("the name is plain")
}
