//! Simulated LwM2M peripherals: each has an address or a UDP port of its own.
//!
//! [`Behaviour`] says what one does; what it is, with its objects and its queue mode, is a
//! [`bugle_lwm2m::client::Device`]. All peripherals of a thread share one [`bugle_coap::Endpoint`], which
//! tells them apart as it tells peers apart.

mod behaviour;
mod loopback;
mod occupant;
mod port;
mod secured;
mod share;
#[cfg(test)]
mod tests;
mod worker;

pub use behaviour::{Behaviour, Peripheral, Port, Reporting, Telling};
pub(crate) use loopback::shared_way_to;
pub(crate) use worker::Worker;
