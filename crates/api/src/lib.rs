//! The HTTP API of the platform, as both sides see it.
//!
//! [`Endpoint`] lists every endpoint with its method, path and the scope that it asks for; the
//! modules hold what is sent and answered, by noun; [`Problem`] is the answer to what goes wrong;
//! [`document`] puts it all into an OpenAPI 3.1 document.
//!
//! Nothing here speaks HTTP: the platform's service and the client do.

mod application;
mod endpoint;
mod event;
mod gateway;
mod group;
mod openapi;
mod page;
mod peripheral;
mod problem;
mod registration;
mod request;
mod schedule;
mod scope;
mod token;

pub use application::{Application, NewApplication};
pub use bugle_core::platform::{Decision, DecisionResult, Foresight, LateMember, RequestState};
pub use endpoint::{Access, Endpoint, IDEMPOTENCY_KEY, LAST_EVENT_ID, Method};
pub use event::{EventKinds, EventPage, EventQuery, EventRecord, SnapshotPage};
pub use gateway::{Enrolled, Enrollment, EnrollmentToken, Gateway, NewGateway, StrangerRecord};
pub use group::{Group, GroupAtGateway, GroupDetail, WholeGroup};
pub use openapi::document;
pub use page::{PAGE_DEFAULT, PAGE_MAX, Page, PageQuery};
pub use peripheral::{AllocationBody, ObservationBody, Peripheral, PeripheralQuery};
pub use problem::{Problem, ProblemCode};
pub use registration::{DECISIONS_MAX, Decisions, DecisionsAnswer};
pub use request::{
    MemberFilter, MemberQuery, Request, RequestMember, RequestQuery, RequestWait, Submission, WAIT_SECONDS_MAX,
};
pub use schedule::{LastDue, NewSchedule, Schedule};
pub use scope::{Scope, ScopeError};
pub use token::{IssuedToken, NewToken, Token};
