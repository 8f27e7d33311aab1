//! The procedures, in virtual time, over a store that loses what was not persisted.

mod certified;
mod late_joining;
mod manner;
mod model;
mod observing;
mod outcomes;
mod procedures;
mod progress;
mod requests;
mod restarts;
mod waking;
mod without_connection;
mod world;
