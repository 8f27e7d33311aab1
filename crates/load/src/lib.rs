//! Simulated peripherals over real sockets, and what is measured with them.
//!
//! [`Peripherals`] runs any number of them in one process: one thread per worker, each with a loop
//! over its share of the sockets, no task per peripheral. They speak MQTT ([`mqtt`]) or LwM2M
//! ([`lwm2m`]). What each of them does is data, a `Behaviour` of its protocol; what happens to them comes
//! as [`Event`]s and is counted in [`Counts`]. They are honest: a request is acknowledged when it is
//! there, done once, and answered with what was done.
//!
//! ```no_run
//! # use std::{sync::Arc, time::Duration};
//! use bugle_core::PeripheralId;
//! use bugle_load::{Happening, MqttVersion, Options, Peripheral, Peripherals, lwm2m, mqtt};
//!
//! let meter = mqtt::Peripheral {
//!     id: PeripheralId::new("meter-1")?,
//!     server: "127.0.0.1:1883".parse()?,
//!     credentials: None,
//!     behaviour: Arc::new(mqtt::Behaviour::sleepy(MqttVersion::Mqtt5, Duration::from_secs(60))),
//! };
//! let lamp = lwm2m::Peripheral {
//!     id: PeripheralId::new("lamp-1")?,
//!     server: "127.0.0.1:5683".parse()?,
//!     credential: None,
//!     behaviour: Arc::new(lwm2m::Behaviour::steady()),
//! };
//! let both: [Peripheral; 2] = [meter.into(), lamp.into()];
//! let peripherals = Peripherals::start(both, Options { events_max: 100, ..Options::default() })?;
//! while let Some(event) = peripherals.next_event(Duration::from_secs(120)) {
//!     if let Happening::Received { .. } = event.what {
//!         println!("number {} has received something", event.peripheral);
//!         break;
//!     }
//! }
//! peripherals.command_all(&bugle_load::Command::Deregister);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`measure`] has what is measured with them: how long one request takes to all members of a group,
//! and how fast a fleet registers, at a Bugle or, for comparison, at a plain MQTT server.

mod command;
mod event;
pub mod lwm2m;
pub mod measure;
pub mod mqtt;
mod open_files;
mod peripherals;
mod seed;
mod told;
mod turns;

pub use bugle_mqtt::Version as MqttVersion;
pub use command::Command;
pub use event::{Counts, Delivery, Ending, Event, Happening, Session};
pub use open_files::{OpenFilesError, allow as allow_open_files};
pub use peripherals::{Options, Peripheral, Peripherals, StartError};
