//! The runtime against the world: sockets, certificates, signals.

mod link;
mod shutdown;
