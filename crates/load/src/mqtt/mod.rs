//! Simulated MQTT peripherals: each has a connection of its own.

mod behaviour;
mod connection;
mod packet;
mod peripheral;
mod worker;

pub use behaviour::{Announcing, Answering, Behaviour, Reconnecting, Reporting, Sleeping, Subscription};
pub use peripheral::{Credentials, Peripheral};
pub(crate) use worker::Worker;
