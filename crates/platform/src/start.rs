//! Starting, and ending in good order.

use std::net::SocketAddr;
use std::path::PathBuf;

use bugle_api::Scope;
use bugle_runtime::link::{self, KeepAlive, LinkIdentity};
use bugle_runtime::listener::{ListenError, listen_tcp};
use bugle_runtime::tls::{self, TlsError};
use bugle_runtime::{Authority, AuthorityError, Clock, DataFolder, DataFolderError, Shutdown};
use bugle_store::platform::{PlatformStore, TokenRow};
use bugle_store::sqlite::{OpenError, StoreError};
use thiserror::Error;
use tokio::task::JoinHandle;

use crate::secret::{self, NoRandomness};
use crate::{Config, ConfigError, Platform, clockwork, http};

/// The file in the data folder that holds the first operator's token.
pub const OPERATOR_TOKEN_FILE: &str = "operator.token";
const STORE_FILE: &str = "platform.db";
const CA_CERTIFICATE_FILE: &str = "ca.pem";
const CA_KEY_FILE: &str = "ca.key";

/// Why a platform does not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// The configuration is of no use.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The certificate of the HTTP API is of no use.
    #[error("http_tls: {0}")]
    Tls(#[from] TlsError),
    /// The data folder cannot be used.
    #[error(transparent)]
    DataFolder(#[from] DataFolderError),
    /// The store cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The store does not work.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The certificate authority is of no use.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// One of its two files is there without the other.
    #[error("{} is there without {}: restore both from a backup, or remove it and enrol every gateway again", .0.display(), .1.display())]
    AuthorityHalf(PathBuf, PathBuf),
    /// No secret could be drawn.
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
    /// An address is not to be had.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// Links cannot be taken.
    #[error(transparent)]
    Link(#[from] link::ListenError),
}

/// A platform that runs.
#[derive(Debug)]
pub struct Handle {
    /// Where the HTTP API is.
    pub http_address: SocketAddr,
    /// Where gateways dial in.
    pub link_address: SocketAddr,
    /// Where the first operator's token is, if it has not been removed.
    pub operator_token_file: PathBuf,
    /// What it is without its listeners.
    pub platform: Platform,
    tasks: Vec<JoinHandle<()>>,
    folder: DataFolder,
}

impl Handle {
    /// Returns when the platform has ended, which it does when its shutdown is requested.
    pub async fn ended(self) {
        for task in self.tasks {
            if let Err(error) = task.await {
                tracing::error!(%error, "a part of the platform has died");
            }
        }
        // The store closes before another process may take the folder.
        drop(self.platform);
        drop(self.folder);
    }
}

/// Starts a platform. It runs until `shutdown` is requested.
///
/// # Errors
/// If the configuration is of no use, or what it names cannot be used.
pub async fn start(config: Config, shutdown: Shutdown) -> Result<Handle, StartError> {
    config.check()?;
    let tls = config.http_tls.as_ref().map(|files| tls::server_config(files, &["h2", "http/1.1"])).transpose()?;
    let folder = DataFolder::open(&config.data_folder)?;
    let clock = Clock::start();
    let authority = authority(&folder, clock)?;
    let store = PlatformStore::open(&folder.file(STORE_FILE))?;
    ensure_operator(&folder, &store, clock).await?;

    let http = listen_tcp("http_listen", config.http_listen).await?;
    let http_address = address_of("http_listen", &http, config.http_listen)?;
    let link = listen_tcp("link_listen", config.link_listen).await?;
    let link_address = address_of("link_listen", &link, config.link_listen)?;
    let own = authority.issue_platform(clock.now())?;
    let identity = LinkIdentity {
        ca_pem: authority.certificate_pem().to_owned(),
        certificate_pem: own.certificate_pem,
        key_pem: own.key_pem,
    };
    let links = link::Listener::new(link, &identity, KeepAlive::default())?;
    let told = config.link_address.unwrap_or_else(|| link_address.to_string());
    let platform = Platform::new(store, clock, shutdown, authority, told);
    let tasks = vec![
        tokio::spawn(clockwork::keep_deadlines(platform.clone())),
        tokio::spawn(clockwork::keep_schedules(platform.clone())),
        tokio::spawn(clockwork::forget(platform.clone())),
        tokio::spawn(crate::link::take_links(platform.clone(), links)),
        tokio::spawn(http::serve(http, tls, http::router(platform.clone()), platform.shutdown().clone())),
    ];
    tracing::info!(http = %http_address, link = %link_address, folder = %folder.path().display(), "the platform runs");
    let operator_token_file = folder.file(OPERATOR_TOKEN_FILE);
    Ok(Handle { http_address, link_address, operator_token_file, platform, tasks, folder })
}

fn address_of(
    setting: &'static str,
    socket: &tokio::net::TcpListener,
    address: SocketAddr,
) -> Result<SocketAddr, ListenError> {
    socket.local_addr().map_err(|source| ListenError::Unavailable { setting, address, source })
}

/// The certificate authority in the data folder, made at the first start.
fn authority(folder: &DataFolder, clock: Clock) -> Result<Authority, StartError> {
    match (folder.read(CA_CERTIFICATE_FILE)?, folder.read(CA_KEY_FILE)?) {
        (Some(certificate), Some(key)) => Ok(Authority::load(&certificate, &key)?),
        (None, None) => {
            let authority = Authority::create(clock.now())?;
            folder.write(CA_KEY_FILE, authority.key_pem().as_bytes())?;
            folder.write(CA_CERTIFICATE_FILE, authority.certificate_pem().as_bytes())?;
            Ok(authority)
        }
        // Not made anew: every gateway that is enrolled would be shut out without a word.
        (None, Some(_)) => Err(StartError::AuthorityHalf(folder.file(CA_KEY_FILE), folder.file(CA_CERTIFICATE_FILE))),
        (Some(_), None) => Err(StartError::AuthorityHalf(folder.file(CA_CERTIFICATE_FILE), folder.file(CA_KEY_FILE))),
    }
}

/// Makes a token for an operator where there is no token at all, and puts it into a file.
async fn ensure_operator(folder: &DataFolder, store: &PlatformStore, clock: Clock) -> Result<(), StartError> {
    if !store.tokens(0, 1).recv().await?.is_empty() {
        return Ok(());
    }
    let secret = secret::new_token()?;
    // The file first: a token in the store that nobody has would lock everybody out.
    folder.write(OPERATOR_TOKEN_FILE, format!("{secret}\n").as_bytes())?;
    let token = TokenRow {
        name: "operator".to_owned(),
        scopes: vec![Scope::Operator.as_str().to_owned()],
        application: None,
        created_at: clock.now(),
        expires_at: None,
    };
    store.add_token(secret::hash(secret.as_bytes()), token).recv().await?;
    tracing::info!(file = %folder.file(OPERATOR_TOKEN_FILE).display(), "made a token for the operator");
    Ok(())
}
