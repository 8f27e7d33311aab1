//! Group requests in full, over real sockets and real processes: every field of a request and every outcome that
//! there is, for members of both protocols at two gateways, with sleepers of every kind.
//!
//! The tables are rows of data ([`row`]). Each test starts a world of its own ([`world`]) with all of the cast
//! ([`cast`]) and plays its rows in it, one after the other ([`steps`]). After each of them the same is checked,
//! whatever the row is about ([`checks`]).

mod activation;
mod cast;
mod checks;
mod groups;
mod manner;
mod odd;
mod operations;
mod outages;
mod outcomes;
mod pace;
mod row;
mod steps;
#[path = "../system/mod.rs"]
#[allow(dead_code, reason = "the other binaries need the rest")]
mod system;
mod wakers;
mod world;
