//! What people want of the system while it runs.

use bugle_core::Allocation;
use bugle_core::platform::{Direct, Submitted};

/// Something that somebody wants.
#[derive(Debug, Clone)]
pub(crate) enum Work {
    /// A group request.
    Submit { application: usize, submitted: Submitted },
    /// The end of a group request of this application: one of those that were accepted.
    Cancel { application: usize, choice: u64 },
    /// Something is to be done with one peripheral.
    Direct { application: usize, direct: Direct },
    /// A gateway's own file is edited: this allocation is put in or, if it is there, taken out.
    Edit { gateway: usize, allocation: Allocation },
}
