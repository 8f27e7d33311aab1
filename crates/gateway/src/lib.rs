//! The gateway service: sockets, store and link around one edge.
//!
//! [`Gateway::start`] opens the store, goes on from what it kept, opens the listeners and serves
//! peripherals in one thread of its own (the reactor). Beside it run the link to the platform, the
//! watch on the file of allocations, and a small HTTP server for probes.

mod allocation_file;
mod allocations;
mod config;
mod control;
mod dtls;
mod enrolment;
mod http;
mod link;
mod reactor;
mod service;
mod waker;

pub use allocation_file::{AllocationFileError, Complaint};
pub use allocations::{Allocations, ReloadError};
pub use config::{Config, ConfigError, Mqtt, Pacing, Platform, Registration, UndecidedWord, Wake};
pub use control::{Control, ControlError};
pub use dtls::KEEPING_KEY_FILE;
pub use link::LinkState;
pub use reactor::ReactorError;
pub use service::{Gateway, StartError};
