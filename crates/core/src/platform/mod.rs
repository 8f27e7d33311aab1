//! The platform's rules, as pure functions over rows.
//!
//! Each [`Procedure`] says which rows it [`needs`](Procedure::needs) and then decides what changes in
//! them. A store loads the [`Needs`] into a [`Work`], lets the procedure decide, and writes the
//! [`Changes`], all in one transaction: no node of a platform keeps truth in memory, and any store
//! that can load and write serves.
//!
//! | procedure | who asks for it |
//! |---|---|
//! | [`ApplyUp`] | a gateway, with entries of its up log |
//! | [`Decide`] | an application, about registrations |
//! | [`Submit`], [`Cancel`] | an application, about a group request |
//! | [`PutSchedule`], [`CancelSchedule`] | an application, about a group request that is to come |
//! | [`Nest`], [`Unnest`] | an application, about groups that contain groups |
//! | [`Direct`] | an application or operator, about one peripheral |
//! | [`DirectGroup`] | an application, about all members of a group |
//! | [`Close`] | the clock, when a group request is over its deadline |
//! | [`Fire`] | the clock, when a schedule is due |
//!
//! ```
//! use bugle_core::platform::{Needs, Procedure, Work};
//! use bugle_core::Time;
//!
//! fn perform<P: Procedure>(procedure: &P, load: impl Fn(&Needs) -> Work, now: Time) -> Result<P::Answer, P::Refusal> {
//!     let mut work = load(&procedure.needs());
//!     let answer = procedure.decide(&mut work, now)?;
//!     let changes = work.into_changes();
//!     // The store writes `changes` and commits; only then is the answer given.
//!     drop(changes);
//!     Ok(answer)
//! }
//! ```

mod aborting;
mod allocating;
mod cancellation;
mod closing;
mod decision;
mod deregistration;
mod direction;
mod foresight;
mod group_direction;
mod late_joining;
mod members;
mod memory;
mod needs;
mod nesting;
mod receipts;
mod registration;
mod rows;
mod scheduling;
mod submission;
#[cfg(test)]
mod tests;
mod up_log;
mod work;

pub use cancellation::{Cancel, CancelRefusal};
pub use closing::{CLOSING_PAGE, Close, Closed};
pub use decision::{Decide, DecideRefusal, Decision, DecisionResult};
pub use direction::{Direct, DirectRefusal, Direction};
pub use foresight::{Foresight, LateMember, Sleeper, Standing, foresee};
pub use group_direction::{DirectGroup, DirectGroupRefusal, GroupDirection};
pub use memory::Memory;
pub use needs::{Closing, Needs};
pub use nesting::{GroupPath, Nest, NestRefusal, NestingKey, NotNested, Unnest};
pub use rows::{
    ApplicationGroup, GatewayRow, GroupCount, IdempotencyRow, MemberKey, MemberRow, PartKey, PeripheralKey,
    PeripheralRow, RequestGatewayRow, RequestRow, RequestState,
};
pub use scheduling::{
    CancelSchedule, Fire, Fired, Firing, PutSchedule, PutScheduleRefusal, Recurrence, ScheduleKey, ScheduleRow, Timing,
    UnknownSchedule,
};
pub use submission::{IdempotencyKey, IdempotencyKeyError, Submit, SubmitRefusal, Submitted};
pub use up_log::{Applied, ApplyUp, UpError, weight};
pub use work::{Changes, GroupDelta, Membership, Put, Work};

use crate::Time;

/// One of the platform's procedures.
pub trait Procedure {
    /// What whoever asked is told.
    type Answer;
    /// Why nothing was done.
    type Refusal;

    /// The rows that deciding reads.
    fn needs(&self) -> Needs;

    /// Decides, changing the rows. If it is refused, what changed counts for nothing.
    ///
    /// # Errors
    /// If what was asked for cannot be done.
    fn decide(&self, work: &mut Work, now: Time) -> Result<Self::Answer, Self::Refusal>;
}
