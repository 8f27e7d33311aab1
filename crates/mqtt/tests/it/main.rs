//! Connections as a client sees them: a client built on `rmqtt-codec`, in virtual time.

mod client;
mod connecting;
mod delivering;
mod ending;
mod hostile;
mod model;
mod publishing;
mod subscribing;
