//! What every service needs of the world.
//!
//! - [`Clock`]: the wall clock once, then a monotonic one, as [`bugle_core::Time`];
//! - [`config`]: a TOML file and what the environment overrides, with errors that name the line;
//! - [`datagrams`]: UDP by the batch;
//! - [`DataFolder`]: where a service keeps its files, for one process at a time;
//! - [`listener`]: sockets, and the rule that plain ones beyond loopback are asked for by name;
//! - [`tls`] and [`Authority`]: certificates;
//! - [`Telemetry`], [`Metrics`] and [`Shutdown`];
//! - [`Backoff`]: how long to wait before trying again;
//! - [`link`]: the stream between a gateway and the platform.
//!
//! What a service does is none of its business: it depends on the words of the core and the messages
//! of the link, and on nothing above.

mod authority;
mod backoff;
mod clock;
pub mod config;
mod data_folder;
pub mod datagrams;
pub mod link;
pub mod listener;
mod metrics;
mod shutdown;
mod telemetry;
pub mod tls;

pub use authority::{Authority, AuthorityError, Issued};
pub use backoff::Backoff;
pub use clock::Clock;
pub use data_folder::{DataFolder, DataFolderError};
pub use metrics::{METRICS_CONTENT_TYPE, Metrics};
pub use shutdown::Shutdown;
pub use telemetry::{LogFormat, Telemetry, TelemetryError};
