//! What the gateway's store must keep.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::Slot;
use crate::{
    Allocation, GroupId, GroupRequest, Origin, PeripheralId, Presence, RegistrationId, RequestId, ResourcePath, Time,
    UpEntry,
};

/// Names a batch of changes; later batches have larger tickets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Ticket(pub(super) u64);

/// Changes to be made durable together, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// To be handed back when they are.
    pub ticket: Ticket,
    /// The changes.
    pub changes: Vec<Change>,
}

/// One change of what the gateway's store keeps. Each replaces what was there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// An allocation was made or changed.
    Allocated(StoredAllocation),
    /// An allocation was removed, and all that belongs to its slot.
    Removed {
        /// Whose.
        slot: Slot,
    },
    /// A peripheral asks to register.
    Asked(StoredAsk),
    /// An asking came to its end.
    AskEnded {
        /// Whose.
        slot: Slot,
    },
    /// A peripheral is registered.
    Registered {
        /// Which.
        slot: Slot,
        /// The registration.
        registration: StoredRegistration,
    },
    /// A registered peripheral went active, to standby, or is being woken.
    Presence {
        /// Which.
        slot: Slot,
        /// What it is now.
        presence: Presence,
        /// When it was heard last.
        last_word: Time,
    },
    /// A registration ended; its session goes with it.
    Deregistered {
        /// Whose.
        slot: Slot,
    },
    /// What the edge must know of a session after a restart.
    Session {
        /// Whose.
        slot: Slot,
        /// As the edge wrote it.
        session: Vec<u8>,
    },
    /// What applications want to hear of a peripheral.
    Observed {
        /// Whose.
        slot: Slot,
        /// Which paths.
        paths: BTreeSet<ResourcePath>,
    },
    /// Registrations up to this number may have been given out.
    RegistrationsReserved {
        /// The last.
        through: u64,
    },
    /// A group request was taken, with its members.
    Taken(StoredRequest),
    /// A request has one member more, which registered while the request lived.
    Joined {
        /// Which request.
        request: RequestId,
        /// Who.
        peripheral: PeripheralId,
        /// If the request waits for it: the number of the delivery to it, and whether it is activated.
        waiting: Option<(Slot, u16, bool)>,
    },
    /// Members of a request have their outcome.
    Settled(Settlement),
    /// A request is cancelled: what was not sent will not be.
    Cancelled {
        /// Which.
        request: RequestId,
    },
    /// All members of a request have their outcome; it goes, and its settlements.
    Ended {
        /// Which.
        request: RequestId,
    },
    /// An entry of the up log; it replaces one of the same number.
    Up {
        /// Its number.
        sequence: u64,
        /// The entry.
        entry: UpEntry,
    },
    /// The platform has the up log up to here.
    UpTrimmed {
        /// The last that goes.
        through: u64,
    },
    /// The down log is applied up to here.
    DownApplied {
        /// The last.
        sequence: u64,
    },
}

/// An allocation as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredAllocation {
    /// Where it is.
    pub slot: Slot,
    /// The allocation.
    pub allocation: Arc<Allocation>,
    /// Where it was made.
    pub origin: Origin,
    /// Whether it is blocked now.
    pub is_blocked: bool,
}

/// An asking that is not decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredAsk {
    /// Whose.
    pub slot: Slot,
    /// Which registration it would be.
    pub registration: RegistrationId,
}

/// A registration as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRegistration {
    /// Its number.
    pub id: RegistrationId,
    /// The groups that the application lets it join.
    pub groups: Arc<BTreeSet<GroupId>>,
    /// How long it lasts without a word from the peripheral.
    pub lifetime: Duration,
    /// Until when the gateway may re-admit the peripheral on its own.
    pub lease_until: Time,
    /// A digest of what the peripheral presented when it was authorized.
    pub presented: [u8; 16],
    /// Whether it is reachable.
    pub presence: Presence,
    /// When it was heard last.
    pub last_word: Time,
}

/// A group request as stored, with the members that the gateway fixed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRequest {
    /// The request.
    pub request: Arc<GroupRequest>,
    /// The members for which it waits, with the number of the delivery to each and whether the
    /// member is activated for it.
    pub members: Vec<(Slot, u16, bool)>,
    /// All that are or were members, if the request includes late joiners; otherwise nobody.
    pub met: Vec<PeripheralId>,
    /// Whether it is cancelled.
    pub is_cancelled: bool,
}

/// Members of one request that have their outcome. The outcomes themselves are in the up log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settlement {
    /// Which request.
    pub request: RequestId,
    /// Which members.
    pub slots: Vec<Slot>,
}
