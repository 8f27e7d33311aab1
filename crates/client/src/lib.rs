//! The platform's HTTP API as Rust calls: for the application, the command line, and tests.
//!
//! [`Client`] has one function for every endpoint of [`bugle_api::Endpoint`]; a [`Follower`] reads the
//! event log, across whatever breaks in between. What goes wrong is a [`ClientError`] that says whose
//! fault it is.

mod client;
mod error;
mod follower;
mod sse;

pub use client::Client;
pub use error::ClientError;
pub use follower::Follower;
