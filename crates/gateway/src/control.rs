//! The gateway's own command line: what `bugle gateway allocate` and the like say to the gateway that runs.
//!
//! A Unix socket in the data folder, which only the folder's user may open. It speaks JSON, an object a
//! line: an [`Order`] comes in, and a [`Reply`] goes out, for what was directed once it is on disk.

mod client;
mod server;

use bugle_core::gateway::{Allocated, Direction};
use serde::{Deserialize, Serialize};

pub use client::{Control, ControlError};
pub(crate) use server::ControlListener;

/// The socket in the data folder.
const SOCKET_FILE: &str = "control.sock";
/// The longest line that is read.
const LINE_BYTES_MAX: u64 = 1024 * 1024;

/// What is asked.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Order {
    /// Do this.
    Direct(Direction),
    /// Show allocations: at most so many after a slot.
    Show { after: Option<u32>, limit: usize },
}

/// What is answered.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Reply {
    /// It is done, and on disk.
    Done,
    /// It is not done.
    Refused { reason: String },
    /// Allocations, and the slot of the last of them.
    Shown { allocations: Vec<Allocated>, last: Option<u32> },
}
