//! What is measured with simulated peripherals, at a Bugle and at the plain MQTT server that it is
//! held against: in the same run, by the same process, so that what matters is the ratio. [`Bare`] and [`Raw`]
//! say what the machine's connections and datagrams can do at all.

mod bare;
mod fan_out;
mod fleet;
mod memory;
mod mosquitto;
mod raw;
mod registrations;
mod residence;
mod samples;
mod target;

pub use bare::Bare;
pub use fan_out::{FanOut, FanOutResult, FanOutResults};
pub use memory::resident_bytes;
pub use mosquitto::{Mosquitto, MosquittoError};
pub use raw::{Raw, RawResult};
pub use registrations::{Admission, Registrations, RegistrationsResult, RegistrationsResults};
pub use residence::{Residence, ResidenceResult};
pub use samples::Samples;
pub use target::{Bugle, GroupService, Member, Shown, Target};

use std::io;

use thiserror::Error;

use crate::peripherals::StartError;

/// Told, while something is waited for: what, how many have got there, and of how many.
pub type Watch = dyn Fn(&str, usize, usize) + Send + Sync;

/// For a measurement that nobody watches.
pub fn unwatched(_: &str, _: usize, _: usize) {}

/// Why a measurement has come to nothing.
#[derive(Debug, Error)]
pub enum MeasureError {
    /// The peripherals cannot be started. The fault is of the system.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The server did not do for all what it was to do for all. The fault is of the server, or of too little patience.
    #[error("{server}: {done} of {wanted} peripherals {what} within {seconds} seconds{first_failure}")]
    Incomplete {
        /// Which server.
        server: &'static str,
        /// What they were to do.
        what: &'static str,
        /// How many did.
        done: usize,
        /// How many there are.
        wanted: usize,
        /// How long they had.
        seconds: u64,
        /// What the first that could not was told, if any was.
        first_failure: String,
    },
    /// Fewer peripherals are allocated than are to be simulated. The fault is of the caller.
    #[error("{server}: {wanted} peripherals are wanted, and {there} are allocated")]
    TooFewMembers {
        /// Which server.
        server: &'static str,
        /// How many are wanted.
        wanted: usize,
        /// How many there are.
        there: usize,
    },
    /// The platform did not take a group request, or did not end it. The fault is of the platform.
    #[error("the group request failed: {0}")]
    Request(String),
    /// The platform says that not all members were served.
    #[error("of {wanted} members {served} were served")]
    Unserved {
        /// How many were.
        served: u64,
        /// How many there are.
        wanted: usize,
    },
    /// The system refuses the sockets of a measurement.
    #[error("the system does not let datagrams go back and forth: {0}")]
    Raw(io::Error),
    /// The bare server has ended.
    #[error("the bare server sends nothing: {0}")]
    Bare(io::Error),
    /// The memory of the server's process cannot be read.
    #[error("cannot read the memory of process {process}: {error}")]
    Memory {
        /// Which process.
        process: u32,
        /// Why.
        error: io::Error,
    },
}
