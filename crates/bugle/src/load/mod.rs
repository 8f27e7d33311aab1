//! What `bugle load` measures at: a world of its own, or a Bugle that is named; and how it says what it found.

mod gateway_process;
mod group_service;
mod named;
mod progress;
mod recovery;
mod report;
mod world;

pub(crate) use named::Named;
pub(crate) use progress::measure;
pub(crate) use recovery::Recovery;
pub(crate) use report::{FanOutReport, MemoryReport, RawReport, RecoveryReport, RegistrationsReport, Spoken};
pub(crate) use world::{Allocated, OTHER_FILES, Population, Security, World};
