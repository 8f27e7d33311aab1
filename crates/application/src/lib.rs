//! The application service: it decides who may register, and holds the group configurations.
//!
//! [`Application::start`] runs the application that is shipped, which decides by the rules of a
//! [policy file](POLICY_TEMPLATE). To build one of your own, give it another
//! [`Authorizer`]:
//!
//! ```no_run
//! use bugle_application::{Application, Authorizer, Config, Decision, RegistrationQuestion, Time};
//! use bugle_runtime::Shutdown;
//!
//! /// Lets peripherals register that an inventory knows.
//! struct Inventory;
//!
//! impl Authorizer for Inventory {
//!     fn authorize(&self, _now: Time, question: &RegistrationQuestion<'_>) -> Decision {
//!         if question.asked.peripheral.as_str().starts_with("meter-") {
//!             let groups = question.asked.groups.clone();
//!             Decision::Authorized { groups, lease: std::time::Duration::from_secs(3600) }
//!         } else {
//!             Decision::refused("it is not in the inventory")
//!         }
//!     }
//! }
//!
//! # async fn run(config: Config) -> Result<(), Box<dyn std::error::Error>> {
//! let shutdown = Shutdown::on_signals()?;
//! let running = Application::with_authorizer(Inventory).start(config, shutdown).await?;
//! running.ended().await?;
//! # Ok(())
//! # }
//! ```
//!
//! Events are followed and decided on in batches. What a batch changes, the answers for the gateways
//! and the place in the event log are one commit, and only then the answers leave, again and again
//! until the platform has taken them. So nothing is lost whenever the process dies, and what it does
//! twice has no effect the second time.

mod config;
mod courier;
mod http;
mod keeper;
mod policy_file;
mod reader;
mod service;
mod token;

pub use bugle_core::Time;
pub use bugle_core::application::{Authorizer, Decision, RegistrationQuestion};
pub use config::{Config, ConfigError, Platform};
pub use policy_file::{POLICY_TEMPLATE, PolicyFile, PolicyFileError};
pub use service::{Application, Builder, Handle, ServiceError, StartError};
