//! The platform as a service, over real sockets.

mod access;
mod events;
mod links;
mod nesting;
mod problems;
mod registering;
mod requests;
mod schedules;
mod world;
