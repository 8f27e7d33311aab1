//! The platform as a service.
//!
//! [`start`] checks a [`Config`] wholly, opens the data folder and then listens: for applications and
//! operators with the HTTP API of `bugle-api`, for gateways with the link of `bugle-runtime`. The
//! rules are those of `bugle_core::platform`, performed over `bugle-store`; here is only what connects
//! them with the world: who may come in, who waits for what, and the clock.
//!
//! What is told to anybody is on disk before.

mod calendar;
mod clockwork;
mod config;
mod counters;
mod enrolment;
mod http;
mod link;
mod notifier;
mod platform;
mod secret;
mod start;

pub use config::{Config, ConfigError};
pub use platform::{Platform, SubmitError};
pub use start::{Handle, OPERATOR_TOKEN_FILE, StartError, start};
