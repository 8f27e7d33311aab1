//! The words of Bugle and the pure machines of its three roles.
//!
//! The words: who ([`PeripheralId`], [`GroupId`], [`ApplicationId`], [`GatewayId`]), what the gateway
//! keeps of a peripheral ([`Allocation`], [`State`]), what is asked of a group ([`GroupRequest`],
//! [`Outcome`]), and the entries of the three logs between the tiers ([`UpEntry`], [`DownEntry`],
//! [`Event`]).
//!
//! Nothing here reads a clock, opens a socket or a file, or starts a thread.

pub mod application;
mod content;
pub mod credential;
pub mod gateway;
mod id;
pub mod limits;
mod log;
mod peripheral;
pub mod platform;
mod request;
#[cfg(feature = "schema")]
mod schema;
mod serde_seconds;
mod stage;
mod time;

pub use content::Content;
pub use id::{ApplicationId, GatewayId, GroupId, IdError, PeripheralId, RegistrationId, RequestId, ScheduleId};
pub use log::{
    AllocationNotice, Deregistered, DownEntry, Event, PresenceChanged, RegistrationAsked, Report, Stranger, UpEntry,
    Verdict,
};
pub use peripheral::{
    Allocation, AllocationError, Credential, Description, EndCause, Evidence, InitialState, Origin, Presence, Protocol,
    State, Waker,
};
pub use request::{
    Activation, ActivationError, ExpiryCause, GroupRequest, LateJoiners, MemberOutcome, Operation, Outcome,
    OutcomeKind, PathError, Receipt, RequestError, ResourcePath, Sleepers, Totals, check_request,
};
pub use stage::{MemberProgress, Seen, Sighting, Stage, StageTotals};
pub use time::Time;
