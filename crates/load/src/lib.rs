//! Simulated MQTT peripherals over real sockets, and what is measured with them.
//!
//! [`Peripherals`] runs any number of them in one process: one thread per worker, each with a loop
//! over its share of the sockets, no task per connection. What each of them does is data, a
//! [`Behaviour`]; what happens to them comes as [`Event`]s and is counted in [`Counts`]. They are honest: a request
//! is acknowledged when it is there, done once, and answered with what was done.
//!
//! [`measure`] has what is measured with them: how long one message takes to all members of a group,
//! and how fast a fleet registers, at a Bugle or, for comparison, at a plain MQTT server.

mod behaviour;
mod connection;
mod event;
pub mod measure;
mod open_files;
mod packet;
mod peripheral;
mod peripherals;
mod seed;
mod worker;

pub use behaviour::{Announcing, Answering, Behaviour, Reconnecting, Reporting, Sleeping, Subscription};
pub use event::{Counts, Delivery, Ending, Event, Happening, Session};
pub use open_files::OpenFilesError;
pub use peripheral::{Command, Credentials, Peripheral};
pub use peripherals::{Options, Peripherals, StartError};
