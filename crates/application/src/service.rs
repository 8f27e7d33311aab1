//! Starting and ending.

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bugle_client::{Client, ClientError};
use bugle_core::application::Authorizer;
use bugle_runtime::listener::{ListenError, listen_tcp};
use bugle_runtime::{Clock, DataFolder, DataFolderError, Shutdown};
use bugle_store::application::{ApplicationStore, ApplicationStoreError};
use thiserror::Error;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::config::{Config, ConfigError};
use crate::http::{self, Api};
use crate::keeper::{Commands, Keeper};
use crate::policy_file::{PolicyFile, PolicyFileError};
use crate::reader::Reach;
use crate::token::{TOKEN_FILE, Token, TokenError};

/// The file of the store in the data folder.
const STORE_FILE: &str = "application.db";
/// How long those who are being answered may take when the application ends.
const END_TIME: Duration = Duration::from_secs(3);

/// The application service. See the [crate] for how to start it.
#[derive(Debug, Clone, Copy)]
pub struct Application;

/// An application that decides by another authorizer than the policy file.
#[derive(Debug)]
pub struct Builder<A> {
    authorizer: A,
}

/// Why an application does not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// The configuration is of no use.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// There is neither a policy file nor another authorizer.
    #[error("set policy to the file of rules by which the application decides")]
    NoPolicy,
    /// The policy file is of no use.
    #[error(transparent)]
    Policy(#[from] PolicyFileError),
    /// The data folder cannot be used.
    #[error(transparent)]
    DataFolder(#[from] DataFolderError),
    /// The store cannot be opened.
    #[error(transparent)]
    Store(#[from] ApplicationStoreError),
    /// There is no token for the application's own HTTP API.
    #[error("{TOKEN_FILE}: {0}")]
    Token(#[from] TokenError),
    /// The platform cannot be spoken to as it is configured.
    #[error("platform: {0}")]
    Client(#[from] ClientError),
    /// The address is not given out.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// A part of the start has panicked.
    #[error("the start was broken off")]
    BrokenOff,
}

/// Why an application ended that nobody had end.
#[derive(Debug, Error)]
pub enum ServiceError {
    /// Its HTTP API ended.
    #[error("the HTTP API ended: {0}")]
    Http(std::io::Error),
    /// A part of it has panicked: a defect.
    #[error("a part of the application has panicked")]
    Panicked,
}

/// A running application. Dropped, it ends at once, as if it had been killed: nothing is lost.
pub struct Handle {
    address: SocketAddr,
    token_file: PathBuf,
    tasks: JoinSet<Result<(), ServiceError>>,
}

impl Application {
    /// Starts the application that is shipped: it decides by the rules of its policy file.
    ///
    /// # Errors
    /// If something that it needs is missing or of no use. Nothing runs then.
    pub async fn start(config: Config, shutdown: Shutdown) -> Result<Handle, StartError> {
        config.check()?;
        let path = config.policy.as_ref().ok_or(StartError::NoPolicy)?;
        let policy = PolicyFile::open(path, config.id.clone())?;
        start(config, policy.clone(), Some(policy), shutdown).await
    }

    /// An application that decides by this authorizer.
    pub fn with_authorizer<A: Authorizer + Sync + 'static>(authorizer: A) -> Builder<A> {
        Builder { authorizer }
    }
}

impl<A: Authorizer + Sync + 'static> Builder<A> {
    /// Starts it. A policy file that is configured does not count.
    ///
    /// # Errors
    /// As [`Application::start`].
    pub async fn start(self, config: Config, shutdown: Shutdown) -> Result<Handle, StartError> {
        start(config, self.authorizer, None, shutdown).await
    }
}

async fn start<A: Authorizer + Sync + 'static>(
    config: Config,
    authorizer: A,
    policy: Option<PolicyFile>,
    shutdown: Shutdown,
) -> Result<Handle, StartError> {
    let platform_token = config.check()?;
    let client = Client::new(&config.platform.url, platform_token)?;
    let (folder, store, token, seed) = {
        let config = config.clone();
        let open = tokio::task::spawn_blocking(move || open(&config));
        open.await.map_err(|_| StartError::BrokenOff)??
    };
    let listener = listen_tcp("http_listen", config.http_listen).await?;
    let address = listener.local_addr().map_err(|source| ListenError::Unavailable {
        setting: "http_listen",
        address: config.http_listen,
        source,
    })?;
    let token_file = folder.file(TOKEN_FILE);

    let mut tasks = JoinSet::new();
    let (commands, waiting) = Commands::new();
    let reach = watch::Sender::new(Reach::Out("not connected yet".into()));
    let store = Arc::new(store);
    let api = Api {
        application: config.id.clone(),
        commands,
        reach: reach.subscribe(),
        policy: policy.clone(),
        token,
        store: Arc::clone(&store),
    };
    let keeper = Keeper {
        application: config.id.clone(),
        client,
        store,
        authorizer,
        clock: Clock::start(),
        commands: waiting,
        reach,
        seed,
    };
    tasks.spawn(async move {
        // Held as long as the store is.
        let _folder = folder;
        keeper.run().await;
        Ok(())
    });
    if let Some(policy) = policy {
        tasks.spawn(async move {
            policy.follow().await;
            Ok(())
        });
    }
    let stopping = shutdown.clone();
    let serve = axum::serve(listener, http::routes(api));
    let serve = serve.with_graceful_shutdown(async move { stopping.requested().await });
    tasks.spawn(async move {
        tokio::select! {
            served = serve => served.map_err(ServiceError::Http),
            () = out_of_patience(&shutdown) => Ok(()),
        }
    });
    tracing::info!(application = %config.id, %address, "the application has started");
    Ok(Handle { address, token_file, tasks })
}

/// Returns some time after the shutdown was requested: whoever still waits for an answer then gets none.
async fn out_of_patience(shutdown: &Shutdown) {
    shutdown.requested().await;
    tokio::time::sleep(END_TIME).await;
}

/// What blocks.
fn open(config: &Config) -> Result<(DataFolder, ApplicationStore, Token, u64), StartError> {
    let folder = DataFolder::open(&config.data_folder)?;
    let store = ApplicationStore::open(&folder.file(STORE_FILE), &config.id)?;
    let token = Token::open(&folder)?;
    let seed = getrandom::u64().map_err(TokenError::Random)?;
    Ok((folder, store, token, seed))
}

impl Handle {
    /// Where its HTTP API listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The file of the token that its HTTP API asks for.
    #[must_use]
    pub fn token_file(&self) -> &Path {
        &self.token_file
    }

    /// Returns when it has ended: after the shutdown was requested, or because a part of it failed.
    ///
    /// # Errors
    /// If a part of it failed.
    pub async fn ended(mut self) -> Result<(), ServiceError> {
        // The parts run until the first of them ends.
        let ended = match self.tasks.join_next().await {
            Some(Ok(ended)) => ended,
            Some(Err(_)) => Err(ServiceError::Panicked),
            None => Ok(()),
        };
        self.tasks.shutdown().await;
        tracing::info!("the application has ended");
        ended
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").field("address", &self.address).finish_non_exhaustive()
    }
}
