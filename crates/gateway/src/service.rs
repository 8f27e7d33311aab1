//! Starting and stopping a gateway.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bugle_core::gateway::Restored;
use bugle_edge::{Dtls, Edge, Security, Settings};
use bugle_runtime::listener::{ListenError, listen_tcp};
use bugle_runtime::{Clock, DataFolder, DataFolderError, Shutdown};
use bugle_store::gateway::GatewayStore;
use bugle_store::sqlite::OpenError;
use mio::Poll;
use thiserror::Error;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{JoinSet, spawn_blocking};

use crate::allocations::Allocations;
use crate::control::ControlListener;
use crate::dtls;
use crate::http::{self, Probes};
use crate::link::{self, LinkState, LinkTo};
use crate::reactor::{Command, Commands, Datagrams, Listeners, Progress, Reactor, ReactorError};
use crate::waker::{self, Wakers};
use crate::{Config, ConfigError};

/// How long the HTTP server and the link may take to end.
const END_TIME: Duration = Duration::from_secs(3);

/// Why a gateway does not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// The configuration is not sound.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The data folder is of no use.
    #[error(transparent)]
    DataFolder(#[from] DataFolderError),
    /// The store is of no use.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// A listener cannot be opened.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The socket of the gateway's own command line cannot be opened.
    #[error("{path}: {source}")]
    Control {
        /// Where it was to be.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The system lacks something that every process needs.
    #[error("the system does not let the gateway start: {0}")]
    System(#[from] io::Error),
}

/// A running gateway.
#[derive(Debug)]
pub struct Gateway {
    mqtt: Option<SocketAddr>,
    mqtt_tls: Option<SocketAddr>,
    lwm2m: Option<SocketAddr>,
    lwm2m_dtls: Option<SocketAddr>,
    http: SocketAddr,
    link: watch::Receiver<LinkState>,
    allocations: Allocations,
    ended: oneshot::Receiver<Result<(), ReactorError>>,
    tasks: JoinSet<()>,
    shutdown: Shutdown,
}

impl Gateway {
    /// Starts a gateway, which serves until `shutdown` is requested.
    ///
    /// It serves its peripherals at once, whether or not the platform can be reached.
    ///
    /// # Errors
    /// If the configuration is not sound, or the system does not let it start.
    pub async fn start(config: Config, shutdown: Shutdown) -> Result<Self, StartError> {
        let tls = config.check()?;
        let dtls = config.dtls()?;
        let folder = DataFolder::open(&config.data_folder)?;
        let mut listeners = Listeners::default();
        let mut listen = |setting, address: Option<SocketAddr>, tls: Option<Arc<rustls::ServerConfig>>| {
            let unavailable = |address, source| ListenError::Unavailable { setting, address, source };
            let open = |address| listeners.add(address, tls).map_err(|source| unavailable(address, source));
            address.map(open).transpose()
        };
        let mqtt = listen("mqtt.listen", config.mqtt.listen, None)?;
        let mqtt_tls = listen("mqtt.tls_listen", config.mqtt.tls_listen, tls)?;
        let mut datagrams = Datagrams::default();
        let mut open = |setting, address: Option<SocketAddr>, security| {
            let unavailable = |address, source| ListenError::Unavailable { setting, address, source };
            let open = |address| datagrams.add(address, security).map_err(|source| unavailable(address, source));
            address.map(open).transpose()
        };
        let lwm2m = open("lwm2m.listen", config.lwm2m.listen, Security::Plain)?;
        let lwm2m_dtls = open("lwm2m.dtls_listen", config.lwm2m.dtls_listen, Security::Dtls)?;
        let http_listener = listen_tcp("http_listen", config.http_listen).await?;
        let http = http_listener.local_addr()?;
        let control = ControlListener::open(&folder).map_err(|(path, source)| StartError::Control { path, source })?;
        let path = folder.file("gateway.db");
        let opened = spawn_blocking(move || GatewayStore::open(&path)).await;
        let (store, restored) = opened.expect("opening the store does not panic")?;
        let store = Arc::new(store);
        let clock = Clock::start();
        let Restored { up_last, down_applied, .. } = restored;
        let seed = getrandom::u64().map_err(|error| io::Error::other(error.to_string()))?;
        let secured =
            |config| Ok::<_, StartError>(Dtls { config, seed: random()?, keeping_key: dtls::keeping_key(&folder)? });
        let dtls = dtls.map(secured).transpose()?;
        let settings = Settings { dtls, ..config.settings() };
        let edge = Edge::restore(clock.now(), settings, seed, restored);

        let poll = Poll::new()?;
        listeners.register(poll.registry())?;
        datagrams.register(poll.registry())?;
        let (commands, receiver) = Commands::new(&poll)?;
        let (up_sender, up_available) = watch::channel(up_last);
        let (down_sender, down_acknowledged) = watch::channel(down_applied);
        let progress = Progress { up_available: up_sender, down_acknowledged: down_sender };
        let (wake_calls, calls) = mpsc::unbounded_channel();
        let outlets = (progress, wake_calls);
        let (doors, inbox) = ((listeners, datagrams), (commands.clone(), receiver));
        let reactor = Reactor::new(poll, doors, inbox, edge, Arc::clone(&store), clock, outlets);
        let ended = spawn(reactor, shutdown.clone())?;

        let mut tasks = JoinSet::new();
        let (state, link) = watch::channel(LinkState::Down { since: clock.now(), failure: None });
        tasks.spawn(link::run(LinkTo {
            config: config.clone(),
            folder,
            store: Arc::clone(&store),
            commands: commands.clone(),
            clock,
            boot: seed,
            up_available,
            down_acknowledged,
            state,
            shutdown: shutdown.clone(),
        }));
        tasks.spawn(control.serve(commands.clone(), shutdown.clone()));
        let wakers = Wakers::new(config.id.clone(), config.wake.programs.clone(), clock)?;
        tasks.spawn(waker::run(calls, wakers, commands.clone(), shutdown.clone()));
        let allocations = Allocations::new(config.allocations, commands.clone());
        tasks.spawn(allocations.clone().watch(shutdown.clone()));
        let probes = Probes { gateway: config.id, commands: commands.clone(), link: link.clone(), store };
        tasks.spawn(serve_http(http_listener, probes, shutdown.clone()));
        let stopping = shutdown.clone();
        tasks.spawn(async move {
            stopping.requested().await;
            commands.send(Command::Stop);
        });
        Ok(Self { mqtt, mqtt_tls, lwm2m, lwm2m_dtls, http, link, allocations, ended, tasks, shutdown })
    }

    /// Where MQTT peripherals connect without encryption.
    #[must_use]
    pub const fn mqtt_address(&self) -> Option<SocketAddr> {
        self.mqtt
    }

    /// Where MQTT peripherals connect with TLS.
    #[must_use]
    pub const fn mqtt_tls_address(&self) -> Option<SocketAddr> {
        self.mqtt_tls
    }

    /// Where LwM2M peripherals register without encryption.
    #[must_use]
    pub const fn lwm2m_address(&self) -> Option<SocketAddr> {
        self.lwm2m
    }

    /// Where LwM2M peripherals register under DTLS.
    #[must_use]
    pub const fn lwm2m_dtls_address(&self) -> Option<SocketAddr> {
        self.lwm2m_dtls
    }

    /// Where the gateway says how it is doing.
    #[must_use]
    pub const fn http_address(&self) -> SocketAddr {
        self.http
    }

    /// The file of allocations, to be read again at will.
    #[must_use]
    pub const fn allocations(&self) -> &Allocations {
        &self.allocations
    }

    /// Whether the platform is reached, and since when.
    #[must_use]
    pub fn link(&self) -> LinkState {
        self.link.borrow().clone()
    }

    /// Waits until the platform is reached.
    pub async fn linked(&self) {
        // The sender is gone only when the gateway stops, and then nobody waits for the link.
        let _ = self.link.clone().wait_for(LinkState::is_up).await;
    }

    /// Waits until the gateway has ended, because it was asked to or because it could not go on.
    ///
    /// # Errors
    /// If it could not go on.
    pub async fn ended(mut self) -> Result<(), ReactorError> {
        let result = self.ended.await.unwrap_or(Ok(()));
        self.shutdown.request();
        let all = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(END_TIME, all).await.is_err() {
            tracing::warn!("parts of the gateway did not end in time and are cut off");
        }
        result
    }
}

fn random() -> io::Result<[u8; 32]> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|error| io::Error::other(error.to_string()))?;
    Ok(seed)
}

/// Runs the reactor in a thread of its own. When it ends, all ends.
fn spawn(reactor: Reactor, shutdown: Shutdown) -> io::Result<oneshot::Receiver<Result<(), ReactorError>>> {
    let (sender, ended) = oneshot::channel();
    std::thread::Builder::new().name("gateway".into()).spawn(move || {
        let result = reactor.run();
        if let Err(error) = &result {
            tracing::error!(%error, "the gateway stops");
        }
        shutdown.request();
        // Nobody may be waiting any more.
        let _ = sender.send(result);
    })?;
    Ok(ended)
}

async fn serve_http(listener: tokio::net::TcpListener, probes: Probes, shutdown: Shutdown) {
    let server = axum::serve(listener, http::routes(probes));
    let server = server.with_graceful_shutdown(async move { shutdown.requested().await });
    if let Err(error) = server.await {
        tracing::error!(%error, "the gateway's HTTP server has ended");
    }
}
