//! The words of Bugle and the pure machines of its three roles.
//!
//! The words: who ([`PeripheralId`], [`GroupId`], [`ApplicationId`], [`GatewayId`]), what the gateway
//! keeps of a peripheral ([`Allocation`], [`State`]), what is asked of a group ([`GroupRequest`],
//! [`Outcome`]), and the entries of the three logs between the tiers ([`UpEntry`], [`DownEntry`],
//! [`Event`]).
//!
//! Nothing here reads a clock, opens a socket or a file, or starts a thread.

mod abort;
mod activation;
pub mod application;
pub mod certificate;
mod coap_uri;
mod content;
pub mod credential;
mod due;
pub mod gateway;
mod id;
pub mod limits;
mod log;
mod mac_address;
mod number_map;
mod pacing;
mod peripheral;
pub mod platform;
mod request;
#[cfg(feature = "schema")]
mod schema;
mod selector;
mod serde_seconds;
mod stage;
mod time;
mod waker;

pub use abort::{Abort, FailuresError, FailuresMax, Sample};
pub use activation::{Activation, ActivationError};
pub use coap_uri::{CoapUri, CoapUriError};
pub use content::Content;
pub use due::DueQueue;
pub use id::{
    ApplicationId, CollapseKey, GatewayId, GroupId, IdError, PeripheralId, RegistrationId, RequestId, ScheduleId,
};
pub use log::{
    AllocationNotice, Deregistered, DownEntry, Event, EventKind, PresenceChanged, RegistrationAsked, Report, Stranger,
    UpEntry, Verdict,
};
pub use mac_address::{MacAddress, MacAddressError};
pub use number_map::{NumberHasher, NumberMap, NumberSet};
pub use pacing::{Pacing, Priority};
pub use peripheral::{
    Allocation, AllocationError, Credential, Description, EndCause, Evidence, InitialState, Origin, Presence, Protocol,
    State,
};
pub use request::{
    ExpiryCause, GroupRequest, LateJoiners, MemberOutcome, Operation, Outcome, OutcomeKind, PathError, Receipt,
    RequestError, ResourcePath, Sleepers, StopCause, Totals, check_request,
};
pub use selector::{Selector, SelectorError};
pub use stage::{MemberProgress, Seen, Sighting, Stage, StageTotals};
pub use time::Time;
pub use waker::{HttpMethod, WakeEffort, Waker, WakerError, Wakes};
