//! What the HTTP API carries, in the core's words.

use bugle_core::platform::{
    Cancel, Decide, DecisionResult, Direct, DirectGroup, IdempotencyKey, Nest, PutSchedule, Submitted, Unnest,
};
use bugle_core::{ApplicationId, RequestId};

/// Which call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct CallId(pub(crate) u64);

/// What is asked of the platform.
#[derive(Debug, Clone)]
pub(crate) enum Ask {
    /// The events after one.
    Events {
        application: ApplicationId,
        after: u64,
        limit: usize,
    },
    /// All that is registered and awaits a decision.
    Snapshot {
        application: ApplicationId,
    },
    Decide(Decide),
    Submit {
        application: ApplicationId,
        key: IdempotencyKey,
        submitted: Submitted,
    },
    Cancel(Cancel),
    Direct(Direct),
    DirectGroup(DirectGroup),
    Nest(Nest),
    Unnest(Unnest),
    PutSchedule(Box<PutSchedule>),
}

/// What the platform answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reply {
    /// As JSON, each with its number.
    Events(Vec<(u64, String)>),
    /// The events asked for are not kept any more.
    Gone,
    /// As JSON; at least as new as the event with this number.
    Snapshot {
        sequence: u64,
        events: Vec<String>,
    },
    Decided(Vec<DecisionResult>),
    Accepted(RequestId),
    Done,
    Refused(String),
    /// Not now.
    Unavailable,
}
