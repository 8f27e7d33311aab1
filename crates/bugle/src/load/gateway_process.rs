//! A gateway in a process of its own, so that its memory is its own.

use std::env;
use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use tokio::process::{Child, Command};
use toml::Value;

use crate::failure::Failure;

const START_PATIENCE: Duration = Duration::from_secs(60);
const LOOK_INTERVAL: Duration = Duration::from_millis(20);
/// What a gateway is told by settings of the environment that are meant for others.
const ENVIRONMENT: &str = "BUGLE_";
/// Lines of its log that say why it does not run.
const LOG_LINES_SHOWN: usize = 10;

/// What a gateway of a measurement is told.
pub(super) struct Setup<'a> {
    /// Where its configuration goes, and a folder with its store.
    pub(super) folder: &'a Path,
    pub(super) id: &'a str,
    pub(super) allocations: Option<&'a Path>,
    /// None if it is to find no platform.
    pub(super) platform: Option<Enrolment<'a>>,
    /// How many may ask the application within a second; 0 for no bound.
    pub(super) admissions_per_second: u32,
}

/// How a gateway comes to its platform.
pub(super) struct Enrolment<'a> {
    pub(super) url: &'a str,
    pub(super) token: &'a str,
}

/// A gateway at work. Dropping it ends it.
#[derive(Debug)]
pub(super) struct GatewayProcess {
    child: Option<Child>,
    config: PathBuf,
    log: PathBuf,
    http: SocketAddr,
    mqtt: SocketAddr,
    lwm2m: SocketAddr,
    lwm2m_dtls: SocketAddr,
}

impl GatewayProcess {
    /// Starts one, and waits until it serves.
    pub(super) async fn start(setup: Setup<'_>) -> Result<Self, Failure> {
        let mut gateway = Self::configure(&setup)?;
        gateway.restart().await?;
        Ok(gateway)
    }

    /// One that is not started yet.
    pub(super) fn configure(setup: &Setup<'_>) -> Result<Self, Failure> {
        let (http, mqtt, lwm2m, lwm2m_dtls) = (free_tcp()?, free_tcp()?, free_udp()?, free_udp()?);
        let text = |path: &Path| Value::from(path.display().to_string());
        let allocations = setup.allocations.map(|path| format!("allocations = {}\n", text(path))).unwrap_or_default();
        let platform = match &setup.platform {
            Some(Enrolment { url, token }) => format!("url = \"{url}\"\nenrollment_token = \"{token}\"\n"),
            None => format!("url = \"http://{}\"\n", free_tcp()?),
        };
        let written = format!(
            "id = \"{}\"\ndata_folder = {}\nhttp_listen = \"{http}\"\n{allocations}\n[platform]\n{platform}\n\
             [pacing]\nmembers_per_second = 0\nmembers_in_flight = 0\nactivations_per_minute = 0\n\n\
             [registration]\nadmissions_per_second = {}\n\n[mqtt]\nlisten = \"{mqtt}\"\n\n\
             [lwm2m]\nlisten = \"{lwm2m}\"\ndtls_listen = \"{lwm2m_dtls}\"\n",
            setup.id,
            text(&setup.folder.join("gateway")),
            setup.admissions_per_second,
        );
        let (config, log) = (setup.folder.join("gateway.toml"), setup.folder.join("gateway.log"));
        fs::write(&config, written).context("the gateway's configuration cannot be written")?;
        Ok(Self { child: None, config, log, http, mqtt, lwm2m, lwm2m_dtls })
    }

    /// Ends it, if it runs, and starts it again.
    pub(super) async fn restart(&mut self) -> Result<(), Failure> {
        self.stop().await;
        self.spawn()?;
        self.serves().await
    }

    /// Starts it, and waits for nothing.
    pub(super) fn spawn(&mut self) -> Result<(), Failure> {
        let log = File::options().create(true).append(true).open(&self.log).context("the gateway's log")?;
        let mut command = Command::new(env::current_exe().context("where this program is")?);
        for (name, _) in env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with(ENVIRONMENT)) {
            command.env_remove(name);
        }
        command.arg("gateway").arg("--config").arg(&self.config).kill_on_drop(true);
        let started = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn();
        self.child = Some(started.context("the gateway cannot be started")?);
        Ok(())
    }

    async fn serves(&mut self) -> Result<(), Failure> {
        let url = format!("http://{}/readyz", self.http);
        let until = Instant::now() + START_PATIENCE;
        while Instant::now() < until {
            if let Ok(answer) = reqwest::get(&url).await
                && answer.status().is_success()
            {
                return Ok(());
            }
            if let Some(child) = &mut self.child
                && child.try_wait().context("the gateway's state")?.is_some()
            {
                return Err(anyhow!("the gateway has ended by itself:\n{}", self.last_words()).into());
            }
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
        Err(anyhow!("the gateway does not get ready:\n{}", self.last_words()).into())
    }

    pub(super) fn last_words(&self) -> String {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(LOG_LINES_SHOWN)..].join("\n")
    }

    /// Its process id.
    pub(super) fn process(&self) -> Result<u32, Failure> {
        let process = self.child.as_ref().and_then(Child::id);
        Ok(process.context("the gateway has ended by itself")?)
    }

    /// Where MQTT peripherals connect.
    pub(super) const fn mqtt(&self) -> SocketAddr {
        self.mqtt
    }

    /// Where LwM2M peripherals register, over plain CoAP.
    pub(super) const fn lwm2m(&self) -> SocketAddr {
        self.lwm2m
    }

    /// Where LwM2M peripherals register, under DTLS.
    pub(super) const fn lwm2m_dtls(&self) -> SocketAddr {
        self.lwm2m_dtls
    }

    pub(super) async fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // What fails if it has ended by itself is of no matter.
            let _ = child.kill().await;
        }
    }
}

/// An address at which nobody listens. Somebody else may take it before it is used, which is rare.
fn free_tcp() -> Result<SocketAddr, Failure> {
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr());
    Ok(free.context("no port is free")?)
}

/// As [`free_tcp`].
fn free_udp() -> Result<SocketAddr, Failure> {
    let free = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|socket| socket.local_addr());
    Ok(free.context("no port is free")?)
}
