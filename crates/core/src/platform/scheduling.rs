//! Scheduled group requests: not before a time, or again and again.
//!
//! 1. An application puts a schedule: what is asked, of whom, and when ([`PutSchedule`]). Putting the
//!    same again does nothing; putting another in its place starts that one.
//! 2. When it is due, the clock has it [`Fire`]. The group request is accepted and the schedule moves on
//!    to its next due time in one transaction: each due time brings one request, whatever dies.
//! 3. A due time that passed while no platform ran is made up for once, as soon as one runs. Of several
//!    that passed only one is made up for: the next due time lies in the future.
//! 4. A due time at which the request cannot be accepted is passed over, and the application told why.
//! 5. A schedule that is cancelled ([`CancelSchedule`]) is gone; the requests that it brought go on.
//!
//! When a recurring schedule is due next is the caller's to work out: it takes calendars and time zones.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::submission::{Submit, SubmitRefusal, Submitted};
use super::{Needs, Procedure, Work};
use crate::{ApplicationId, Event, RequestError, RequestId, ScheduleId, Time, check_request, limits};

/// A schedule of one application.
pub type ScheduleKey = (ApplicationId, ScheduleId);

/// When a schedule is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Timing {
    /// Once, at this time.
    Once(Time),
    /// Again and again.
    Recurring {
        /// At which times.
        recurrence: Recurrence,
        /// But not before this one.
        not_before: Option<Time>,
    },
}

/// Times that come again, by a clock on some wall.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recurrence {
    /// Five fields, as cron reads them: minute, hour, day of the month, month, day of the week.
    pub cron: String,
    /// Where the wall is, by its name in the IANA time zone database.
    pub time_zone: String,
}

/// A scheduled group request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScheduleRow {
    /// What is asked, and of whom.
    pub submitted: Submitted,
    /// When.
    pub timing: Timing,
    /// When it was put.
    pub created_at: Time,
    /// When it is due next; never again without it.
    pub next_due: Option<Time>,
    /// What became of its last due time.
    pub last: Option<Firing>,
}

/// What became of a due time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Firing {
    /// When it was due.
    pub due: Time,
    /// When that was seen to.
    pub at: Time,
    /// The group request that it brought; without one it was passed over.
    pub request: Option<RequestId>,
    /// Why it was passed over.
    pub passed_over: Option<String>,
}

/// A schedule to put.
#[derive(Debug, Clone)]
pub struct PutSchedule {
    /// Which.
    pub key: ScheduleKey,
    /// What is asked, and of whom.
    pub submitted: Submitted,
    /// When.
    pub timing: Timing,
    /// When it is due first.
    pub first_due: Time,
}

/// Why a schedule was not put.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PutScheduleRefusal {
    /// Something in the group request is not allowed.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// There is no such application.
    #[error("the application is unknown")]
    UnknownApplication,
    /// No allocation names the group.
    #[error("the group is unknown")]
    UnknownGroup,
    /// The application has too many.
    #[error("at most {max} schedules are taken", max = limits::SCHEDULES_PER_APPLICATION_MAX)]
    TooMany,
}

impl Procedure for PutSchedule {
    type Answer = ();
    type Refusal = PutScheduleRefusal;

    fn needs(&self) -> Needs {
        let mut needs = Needs::default();
        needs.applications.insert(self.key.0.clone());
        needs.whole_groups.insert((self.key.0.clone(), self.submitted.group.clone()));
        needs.schedules.insert(self.key.clone());
        needs.schedules_of = Some(self.key.0.clone());
        needs
    }

    fn decide(&self, work: &mut Work, now: Time) -> Result<(), PutScheduleRefusal> {
        check_request(&self.submitted.operation, self.submitted.lifespan, &self.submitted.pacing)?;
        if work.applications.get(&self.key.0).is_none() {
            return Err(PutScheduleRefusal::UnknownApplication);
        }
        if work.gateways_of(&self.key.0, &self.submitted.group).is_empty() {
            return Err(PutScheduleRefusal::UnknownGroup);
        }
        match work.schedules.get(&self.key) {
            Some(row) if row.submitted == self.submitted && row.timing == self.timing => return Ok(()),
            Some(_) => {}
            None if work.schedules_of >= limits::SCHEDULES_PER_APPLICATION_MAX => {
                return Err(PutScheduleRefusal::TooMany);
            }
            None => {}
        }
        let row = ScheduleRow {
            submitted: self.submitted.clone(),
            timing: self.timing.clone(),
            created_at: now,
            next_due: Some(self.first_due),
            last: None,
        };
        work.schedules.put(self.key.clone(), row);
        Ok(())
    }
}

/// A schedule to cancel.
#[derive(Debug, Clone)]
pub struct CancelSchedule {
    /// Which.
    pub key: ScheduleKey,
}

/// The application has no such schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the schedule is unknown")]
pub struct UnknownSchedule;

impl Procedure for CancelSchedule {
    type Answer = ();
    type Refusal = UnknownSchedule;

    fn needs(&self) -> Needs {
        let mut needs = Needs::default();
        needs.schedules.insert(self.key.clone());
        needs
    }

    fn decide(&self, work: &mut Work, _now: Time) -> Result<(), UnknownSchedule> {
        work.schedules.get(&self.key).ok_or(UnknownSchedule)?;
        work.schedules.remove(self.key.clone());
        Ok(())
    }
}

/// A schedule that is due.
#[derive(Debug, Clone)]
pub struct Fire {
    /// Which.
    pub key: ScheduleKey,
    /// When it was due.
    pub due: Time,
    /// What it asks, and of whom.
    pub submitted: Submitted,
    /// The id that the group request gets if it is accepted.
    pub id: RequestId,
    /// When it is due next, after now; never again without it.
    pub next_due: Option<Time>,
}

/// What became of firing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fired {
    /// The group request is accepted.
    Accepted(RequestId),
    /// It cannot be accepted.
    PassedOver(SubmitRefusal),
    /// The schedule is not due then: it fired before, or was cancelled or replaced meanwhile.
    Stale,
}

impl Procedure for Fire {
    type Answer = Fired;
    /// The request id is taken; try again with another.
    type Refusal = RequestId;

    fn needs(&self) -> Needs {
        let mut needs = self.submit().needs();
        needs.schedules.insert(self.key.clone());
        needs
    }

    fn decide(&self, work: &mut Work, now: Time) -> Result<Fired, RequestId> {
        let is_due = work.schedules.get(&self.key).is_some_and(|row| {
            row.next_due.is_some_and(|due| due == self.due && due <= now) && row.submitted == self.submitted
        });
        if !is_due {
            return Ok(Fired::Stale);
        }
        let fired = match self.submit().decide(work, now) {
            Ok(request) => Fired::Accepted(request),
            Err(SubmitRefusal::IdTaken) => return Err(self.id),
            Err(refusal) => Fired::PassedOver(refusal),
        };
        let firing = self.firing(&fired, now);
        if let Some(reason) = firing.passed_over.clone() {
            let (application, schedule) = self.key.clone();
            work.tell(&application, Event::SchedulePassedOver { schedule, due: self.due, reason });
        }
        if let Some(row) = work.schedules.get_mut(&self.key) {
            row.next_due = self.next_due;
            row.last = Some(firing);
        }
        Ok(fired)
    }
}

impl Fire {
    fn submit(&self) -> Submit {
        Submit {
            application: self.key.0.clone(),
            id: self.id,
            idempotency_key: None,
            schedule: Some(self.key.1.clone()),
            submitted: self.submitted.clone(),
        }
    }

    fn firing(&self, fired: &Fired, now: Time) -> Firing {
        let (request, passed_over) = match fired {
            Fired::Accepted(request) => (Some(*request), None),
            Fired::PassedOver(refusal) => (None, Some(refusal.to_string())),
            Fired::Stale => (None, None),
        };
        Firing { due: self.due, at: now, request, passed_over }
    }
}
