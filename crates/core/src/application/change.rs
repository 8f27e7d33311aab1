//! What changes durably, and how to read it all back.

use super::registration::{Answer, Approval, Registration};
use crate::{GroupId, PeripheralId, Time};

/// A durable change. Those of one batch of events, its answers among them, are committed together
/// with the cursor, and only then do the answers leave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A registration came to stand as it does now.
    Recorded {
        /// Whose.
        peripheral: PeripheralId,
        /// All of it, in place of what was recorded under its slot.
        registration: Registration,
    },
    /// A registration is over.
    Dropped {
        /// Under which number it was recorded.
        slot: u64,
    },
    /// A group configuration was created, with its first member.
    GroupCreated {
        /// Of which group.
        group: GroupId,
        /// When.
        since: Time,
    },
    /// A group configuration ended, with its last member.
    GroupEnded {
        /// Of which group.
        group: GroupId,
    },
    /// A person is asked about a peripheral, or has decided.
    ApprovalRecorded {
        /// About whom.
        peripheral: PeripheralId,
        /// All of it, in place of what was recorded for this peripheral.
        approval: Approval,
    },
    /// What a person decided about a peripheral was taken back.
    ApprovalDropped {
        /// About whom.
        peripheral: PeripheralId,
    },
    /// An answer for a gateway is to leave.
    Answered(Answer),
}

/// Everything that was recorded, as a store reads it back.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Recorded {
    /// The sequence number of the last event whose changes are in here.
    pub cursor: u64,
    /// The registrations.
    pub registrations: Vec<(PeripheralId, Registration)>,
    /// Since when there are group configurations.
    pub groups: Vec<(GroupId, Time)>,
    /// The approvals.
    pub approvals: Vec<(PeripheralId, Approval)>,
}
