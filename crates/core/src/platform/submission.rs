//! An application submits a group request (step 1).
//!
//! 1. The same idempotency key stands for the same request: it is found, not made again.
//! 2. The group is known if any allocation names it, or one that it contains (`nesting.rs`).
//! 3. The request goes into the down log of every gateway with allocations in the group; each tells
//!    its members later, and may find that it has none. If it includes late joiners, it goes later to gateways
//!    that come to have allocations in the group, too (`late_joining.rs`).

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::rows::{RequestRow, RequestState};
use super::{Needs, Procedure, RequestGatewayRow, Work};
use crate::{
    Abort, Activation, ApplicationId, CollapseKey, DownEntry, Event, GatewayId, GroupId, GroupRequest, LateJoiners,
    Operation, Pacing, Priority, Receipt, RequestError, RequestId, ScheduleId, Sleepers, StageTotals, Time, Totals,
    check_request, limits,
};

/// A group request to accept.
#[derive(Debug, Clone)]
pub struct Submit {
    /// Whose.
    pub application: ApplicationId,
    /// The id that it gets if it is accepted.
    pub id: RequestId,
    /// Makes submitting it twice the same as once.
    pub idempotency_key: Option<IdempotencyKey>,
    /// The schedule that brings it, if one does.
    pub schedule: Option<ScheduleId>,
    /// What is asked, and of whom.
    pub submitted: Submitted,
}

/// What a group request asks, and of whom.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Submitted {
    /// For which group.
    pub group: GroupId,
    /// What every member is asked to do.
    pub operation: Operation,
    /// Which members in standby are activated.
    pub activation: Activation,
    /// What happens to members in standby that are not.
    pub sleepers: Sleepers,
    /// When a member counts as served.
    pub receipt: Receipt,
    /// What becomes of those that register while it lives.
    #[serde(default)]
    pub late_joiners: LateJoiners,
    /// How long it may live.
    pub lifespan: Duration,
    /// Before which others it goes.
    #[serde(default)]
    pub priority: Priority,
    /// How fast it goes at each gateway.
    #[serde(default)]
    pub pacing: Pacing,
    /// When the rest of it is given up.
    #[serde(default)]
    pub abort: Option<Abort>,
    /// A newer request of the same group with the same key replaces what still waits of this one.
    #[serde(default)]
    pub collapse_key: Option<CollapseKey>,
}

impl Submitted {
    /// The request as it goes to the gateways.
    #[must_use]
    pub fn into_request(self, id: RequestId, row: RequestRow) -> GroupRequest {
        GroupRequest {
            id,
            application: row.application,
            group: self.group,
            contained: row.contained,
            operation: self.operation,
            activation: self.activation,
            sleepers: self.sleepers,
            receipt: self.receipt,
            late_joiners: self.late_joiners,
            deadline: row.deadline,
            priority: self.priority,
            pacing: self.pacing,
            abort: self.abort,
            collapse_key: self.collapse_key,
        }
    }
}

/// A text by which an application recognises its own group request: 1 to 128 visible ASCII characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct IdempotencyKey(String);

/// A text is no idempotency key. The fault is of whoever wrote it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("an idempotency key has 1 to {max} visible ASCII characters", max = limits::IDEMPOTENCY_KEY_BYTES_MAX)]
pub struct IdempotencyKeyError;

impl IdempotencyKey {
    /// Checks `text` and takes it.
    ///
    /// # Errors
    /// If it is empty, too long, or holds anything but visible ASCII.
    pub fn new(text: impl Into<String>) -> Result<Self, IdempotencyKeyError> {
        let text = text.into();
        let is_key = (1..=limits::IDEMPOTENCY_KEY_BYTES_MAX).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_graphic());
        if is_key { Ok(Self(text)) } else { Err(IdempotencyKeyError) }
    }

    /// The text itself.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for IdempotencyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Why a group request was not accepted.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SubmitRefusal {
    /// Something in it is not allowed.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// There is no such application.
    #[error("the application is unknown")]
    UnknownApplication,
    /// No allocation names the group, or any that it contains.
    #[error("the group is unknown")]
    UnknownGroup,
    /// The key stands for another request.
    #[error("the idempotency key stands for request {0}, which asks for something else")]
    KeyReused(RequestId),
    /// Another request has the id; try again with another id.
    #[error("the request id is taken")]
    IdTaken,
    /// A down log is full.
    #[error("too much waits for gateway {0}")]
    DownLogFull(GatewayId),
}

impl Procedure for Submit {
    /// The request: this one, or the one that the idempotency key stands for.
    type Answer = RequestId;
    type Refusal = SubmitRefusal;

    fn needs(&self) -> Needs {
        let mut needs = Needs::default();
        needs.applications.insert(self.application.clone());
        needs.whole_groups.insert((self.application.clone(), self.submitted.group.clone()));
        needs.requests.insert(self.id);
        needs.idempotency = self.idempotency_key.clone().map(|key| (self.application.clone(), key));
        needs
    }

    fn decide(&self, work: &mut Work, now: Time) -> Result<RequestId, SubmitRefusal> {
        check_request(&self.submitted.operation, self.submitted.lifespan, &self.submitted.pacing)?;
        if work.applications.get(&self.application).is_none() {
            return Err(SubmitRefusal::UnknownApplication);
        }
        if let Some(known) = work.idempotency.take_if(|known| now - known.at < limits::IDEMPOTENCY_KEPT) {
            return if known.submitted == self.submitted {
                Ok(known.request)
            } else {
                Err(SubmitRefusal::KeyReused(known.request))
            };
        }
        if work.requests.get(&self.id).is_some() {
            return Err(SubmitRefusal::IdTaken);
        }
        let gateways = self.gateways(work)?;
        self.accept(work, gateways, now);
        Ok(self.id)
    }
}

impl Submit {
    fn gateways(&self, work: &Work) -> Result<BTreeSet<GatewayId>, SubmitRefusal> {
        let gateways = work.gateways_of(&self.application, &self.submitted.group);
        if gateways.is_empty() {
            return Err(SubmitRefusal::UnknownGroup);
        }
        match gateways.iter().find(|gateway| !work.has_room(gateway)) {
            Some(full) => Err(SubmitRefusal::DownLogFull(full.clone())),
            None => Ok(gateways),
        }
    }

    fn accept(&self, work: &mut Work, gateways: BTreeSet<GatewayId>, now: Time) {
        let row = RequestRow {
            application: self.application.clone(),
            group: self.submitted.group.clone(),
            contained: work.contained(&self.application, &self.submitted.group),
            accepted_at: now,
            deadline: now + self.submitted.lifespan,
            state: RequestState::Open,
            completed_at: None,
            gateways: gateways.len() as u64,
            gateways_fixed: 0,
            totals: Totals::default(),
            stages: StageTotals::default(),
            schedule: self.schedule.clone(),
            abort: self.submitted.abort,
        };
        let request = self.submitted.clone().into_request(self.id, row.clone());
        work.requests.put(self.id, row);
        work.changes().submitted.push((self.id, self.submitted.clone()));
        if let Some(key) = &self.idempotency_key {
            work.changes().idempotency = Some((self.application.clone(), key.clone(), self.id));
        }
        let (group, schedule) = (self.submitted.group.clone(), self.schedule.clone());
        let accepted = Event::RequestAccepted { request: self.id, group, schedule };
        work.tell(&self.application, accepted);
        for gateway in gateways {
            work.send(&gateway, DownEntry::Request(request.clone()));
            work.request_gateways.put((self.id, gateway), RequestGatewayRow::default());
        }
    }
}
