//! Where the gateway, the platform and the application keep what they must not lose.
//!
//! All three stand on [`sqlite::Database`]: one file, one writer thread, group commit. What each
//! keeps, and how it is laid out in tables, is in a module of its own.

pub mod application;
pub mod gateway;
pub mod platform;
pub mod sqlite;
