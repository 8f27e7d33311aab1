//! Simulated MQTT peripherals over real sockets, and what is measured with them.
//!
//! [`Peripherals`] runs any number of them in one process: one thread per worker, each with a loop
//! over its share of the sockets, no task per connection. What each of them does is data, a
//! [`Behaviour`]; what happens to them comes as [`Event`]s and is counted in [`Counts`]. They are honest: a request
//! is acknowledged when it is there, done once, and answered with what was done.
//!
//! ```no_run
//! # use std::{sync::Arc, time::Duration};
//! use bugle_core::{PeripheralId, Protocol};
//! use bugle_load::{Behaviour, Command, Happening, Options, Peripheral, Peripherals};
//!
//! let behaviour = Arc::new(Behaviour::sleepy(Protocol::Mqtt5, Duration::from_secs(60)));
//! let meter = Peripheral {
//!     id: PeripheralId::new("meter-1")?,
//!     server: "127.0.0.1:1883".parse()?,
//!     credentials: None,
//!     behaviour,
//! };
//! let peripherals = Peripherals::start(vec![meter], Options { events_max: 100, ..Options::default() })?;
//! while let Some(event) = peripherals.next_event(Duration::from_secs(120)) {
//!     if let Happening::Received { request, .. } = event.what {
//!         println!("{request:?} has come");
//!         break;
//!     }
//! }
//! peripherals.command(0, Command::Deregister);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`measure`] has what is measured with them: how long one message takes to all members of a group,
//! and how fast a fleet registers, at a Bugle or, for comparison, at a plain MQTT server.

mod event;
pub mod measure;
mod mqtt;
mod open_files;
mod peripherals;
mod seed;

pub use bugle_mqtt::Version as MqttVersion;
pub use event::{Counts, Delivery, Ending, Event, Happening, Session};
pub use mqtt::{
    Announcing, Answering, Behaviour, Command, Credentials, Peripheral, Reconnecting, Reporting, Sleeping, Subscription,
};
pub use open_files::OpenFilesError;
pub use peripherals::{Options, Peripherals, StartError};
