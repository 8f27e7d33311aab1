//! One gateway, pure: the gateway's machine of `bugle-core` with the protocols of its peripherals.
//!
//! An [`Edge`] is told of connections and the bytes on them, of datagrams, of the link and the store, and gives out
//! what to send, to close, to persist and to tell. It opens no socket and reads no clock, so that a
//! simulation drives it with the same bytes as a network does.
//!
//! ```
//! use bugle_core::gateway::Config;
//! use bugle_core::{GatewayId, Time};
//! use bugle_edge::{Edge, Output, Settings};
//!
//! let gateway = Config::new(GatewayId::new("gateway-1").expect("a gateway id"));
//! let mut edge = Edge::new(Settings::new(gateway), 42);
//! let now = Time::from_millis(1_000);
//! let connection = edge.handle_accepted(now, "127.0.0.1:50000".into());
//! edge.handle_bytes(now, connection, b"no MQTT at all");
//! while let Some(output) = edge.poll_output(now) {
//!     match output {
//!         Output::Transmit { connection, bytes } => { /* write them */ }
//!         Output::Datagram { peer, datagram } => { /* send it */ }
//!         Output::Close { connection } => { /* close it once all is written */ }
//!         Output::Persist(batch) => { /* store it, then edge.handle_persisted(batch.ticket) */ }
//!         Output::Directed { token } => { /* tell the operator */ }
//!         Output::UpAvailable { through } => { /* tell the link */ }
//!         Output::DownAcknowledged { through } => { /* tell the link */ }
//!         Output::Wake(call) => { /* make it, then edge.handle_wake_failed if it fails */ }
//!     }
//! }
//! ```

pub mod carriage;
mod counters;
mod edge;
mod lwm2m;
mod mqtt;

pub use counters::Counters;
pub use edge::{Edge, Output, Settings, Store, WakeCall};
pub use lwm2m::{DatagramSocket, Dtls, Peer, Security};
pub use mqtt::ConnectionId;
