//! Backups of data folders, and what is restored from them.
//!
//! A backup is a folder of the same shape: stores are copied as they stand at one moment, while their
//! part runs; other files as they are; locks, sockets and journals not at all. A manifest with the sum
//! of every file is written last, so that a backup that was broken off is not taken for a whole one.

mod manifest;
mod restore;
mod save;

pub(crate) use manifest::Manifest;
pub(crate) use restore::{Existing, restore};
pub(crate) use save::save;
