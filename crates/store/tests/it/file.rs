//! The stores' files as they were in each layout so far, to be opened by the stores of today.

use std::path::{Path, PathBuf};

use bugle_core::ApplicationId;
use bugle_store::application::{ApplicationStore, ApplicationStoreError};
use bugle_store::gateway::GatewayStore;
use bugle_store::platform::PlatformStore;
use bugle_store::sqlite::{Connection, OpenError, StoreError};
use tempfile::TempDir;

/// Whose file it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Gateway,
    Platform,
    Application,
}

/// An open store.
pub(crate) enum Opened {
    Gateway(GatewayStore, usize),
    Platform(PlatformStore),
    Application(ApplicationStore),
}

impl Kind {
    pub(crate) const ALL: [Self; 3] = [Self::Gateway, Self::Platform, Self::Application];

    /// What a file of an earlier layout held, as the statements that make it; those of the present one
    /// need not be here yet.
    pub(crate) const fn layouts(self) -> &'static [&'static str] {
        match self {
            Self::Gateway => &[
                include_str!("layouts/gateway-1.sql"),
                include_str!("layouts/gateway-2.sql"),
                include_str!("layouts/gateway-3.sql"),
            ],
            Self::Platform => &[
                include_str!("layouts/platform-1.sql"),
                include_str!("layouts/platform-2.sql"),
                include_str!("layouts/platform-3.sql"),
                include_str!("layouts/platform-4.sql"),
                include_str!("layouts/platform-5.sql"),
                include_str!("layouts/platform-6.sql"),
                include_str!("layouts/platform-7.sql"),
            ],
            Self::Application => &[include_str!("layouts/application-1.sql")],
        }
    }

    /// Makes the file of a layout, counted from 1.
    pub(crate) fn make(self, folder: &TempDir, layout: usize) -> PathBuf {
        let path = folder.path().join(format!("{self:?}-{layout}.db"));
        let connection = Connection::open(&path).expect("it is made");
        connection.execute_batch(self.layouts()[layout - 1]).expect("the statements are sound");
        path
    }

    /// Opens it with the store of today.
    pub(crate) fn open(self, path: &Path) -> Result<Opened, OpenError> {
        match self {
            Self::Gateway => {
                let (store, restored) = GatewayStore::open(path)?;
                Ok(Opened::Gateway(store, restored.allocations.len()))
            }
            Self::Platform => PlatformStore::open(path).map(Opened::Platform),
            Self::Application => match ApplicationStore::open(path, &town()) {
                Ok(store) => Ok(Opened::Application(store)),
                Err(ApplicationStoreError::Open(error)) => Err(error),
                Err(ApplicationStoreError::Store(StoreError::Corrupt(reason))) => {
                    Err(OpenError::Corrupt { path: path.to_owned(), reason })
                }
                Err(error) => panic!("{error}"),
            },
        }
    }
}

impl Opened {
    /// How many things it holds that everybody can count: allocations, peripherals, registrations.
    pub(crate) fn count(&self) -> Result<usize, StoreError> {
        match self {
            Self::Gateway(store, allocations) => store.up_after(0, 1).wait().map(|_| *allocations),
            Self::Platform(store) => Ok(store.peripherals(Default::default(), 0, 1_000).wait()?.len()),
            Self::Application(store) => {
                let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
                Ok(runtime.block_on(store.restore())?.recorded.registrations.len())
            }
        }
    }
}

fn town() -> ApplicationId {
    "town".parse().expect("an application id")
}
