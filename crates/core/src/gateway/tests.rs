//! The procedures, in virtual time, over a store that loses what was not persisted.

mod late_joining;
mod model;
mod observing;
mod procedures;
mod progress;
mod requests;
mod restarts;
mod without_connection;
mod world;
