//! The rows that the rules read and change.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::submission::Submitted;
use crate::{
    Abort, ApplicationId, Description, GatewayId, GroupId, InitialState, Origin, Outcome, PeripheralId,
    RegistrationAsked, RegistrationId, RequestId, ScheduleId, Seen, Stage, StageTotals, State, Time, Totals, Wakes,
    limits,
};

/// A peripheral at one gateway.
pub type PeripheralKey = (GatewayId, PeripheralId);
/// A group of one application.
pub type ApplicationGroup = (ApplicationId, GroupId);
/// The part of a group request at one gateway.
pub type PartKey = (RequestId, GatewayId);
/// A member of a group request, at one gateway.
pub type MemberKey = (RequestId, GatewayId, PeripheralId);

/// Where a gateway's logs stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct GatewayRow {
    /// The last entry of its up log that is applied.
    pub up_applied: u64,
    /// The last entry of its down log.
    pub down_last: u64,
    /// The last entry of its down log that it has acknowledged.
    pub down_acknowledged: u64,
}

impl GatewayRow {
    /// Entries of the down log that it has not acknowledged.
    #[must_use]
    pub const fn down_waiting(&self) -> u64 {
        self.down_last.saturating_sub(self.down_acknowledged)
    }

    /// Whether its down log takes one more entry after `more` that are about to be added.
    #[must_use]
    pub const fn has_room(&self, more: u64) -> bool {
        self.down_waiting() + more < limits::DOWN_LOG_ENTRIES_MAX
    }
}

/// A peripheral at one gateway: its allocation, its registration, and what it has asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeripheralRow {
    /// Whose groups.
    pub application: ApplicationId,
    /// The groups it is allocated to.
    pub groups: BTreeSet<GroupId>,
    /// Where it starts, and returns to.
    pub initial_state: InitialState,
    /// What the M2M user says of it.
    pub labels: BTreeMap<String, String>,
    /// Where the allocation was made.
    pub origin: Origin,
    /// What wakes it, if its gateway has told that.
    pub wakes: Option<Wakes>,
    /// Its registration, if it is registered.
    pub registration: Option<RegistrationId>,
    /// The groups it is a member of; none unless registered.
    pub member_of: BTreeSet<GroupId>,
    /// Active, in standby or activating; means nothing unless registered.
    pub presence: State,
    /// Since when its state is what it is.
    pub since: Time,
    /// When it is expected to wake.
    pub next_wake: Option<Time>,
    /// The registration that awaits the application's decision.
    pub asked: Option<RegistrationAsked>,
    /// The registration that was authorized, until its gateway has put that in force.
    pub decided: Option<RegistrationId>,
    /// The registration that its gateway was told to end because it registered elsewhere.
    pub roamed: Option<RegistrationId>,
    /// What it said of itself when it last asked.
    pub description: Option<Description>,
}

impl PeripheralRow {
    /// Its state.
    #[must_use]
    pub fn state(&self) -> State {
        if self.registration.is_some() {
            self.presence
        } else if self.asked.is_some() || self.decided.is_some() {
            State::Registering
        } else {
            self.initial_state.into()
        }
    }

    /// What it counts for in each group that it is allocated to or a member of.
    pub(super) fn shares(&self) -> BTreeMap<&GroupId, GroupCount> {
        let is_active = self.registration.is_some() && self.presence == State::Active;
        let mut shares: BTreeMap<&GroupId, GroupCount> = BTreeMap::new();
        for group in &self.groups {
            shares.entry(group).or_default().allocated = 1;
        }
        for group in &self.member_of {
            let share = shares.entry(group).or_default();
            share.members = 1;
            share.active = u64::from(is_active);
        }
        shares
    }

    /// Nothing up to this registration is in the balance any more.
    pub(super) fn settle_asking(&mut self, registration: RegistrationId) {
        self.asked.take_if(|asked| asked.registration <= registration);
        self.decided.take_if(|decided| *decided <= registration);
    }

    pub(super) fn end_registration(&mut self, at: Time) {
        self.registration = None;
        self.member_of.clear();
        self.next_wake = None;
        self.roamed = None;
        self.since = at;
    }
}

/// How many peripherals of a group are at one gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct GroupCount {
    /// Allocated to it.
    pub allocated: u64,
    /// Members: registered.
    pub members: u64,
    /// Members that are active.
    pub active: u64,
}

/// Where a group request stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum RequestState {
    /// Members may yet be served.
    Open,
    /// It is cancelled or aborted, and gateways may yet report what became of members.
    Cancelling,
    /// Every member has its outcome.
    Complete,
}

impl RequestState {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Cancelling => "cancelling",
            Self::Complete => "complete",
        }
    }
}

impl fmt::Display for RequestState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A group request, without what it asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestRow {
    /// Whose.
    pub application: ApplicationId,
    /// For which group.
    pub group: GroupId,
    /// The groups that it contained when the request was accepted, near and far.
    pub contained: BTreeSet<GroupId>,
    /// When it was accepted.
    pub accepted_at: Time,
    /// When it ends.
    pub deadline: Time,
    /// Where it stands.
    pub state: RequestState,
    /// When the last member had its outcome.
    pub completed_at: Option<Time>,
    /// Gateways that it was sent to.
    pub gateways: u64,
    /// Gateways of which all members are known.
    pub gateways_fixed: u64,
    /// How its members ended so far.
    pub totals: Totals,
    /// Where those are that have not.
    pub stages: StageTotals,
    /// The schedule that brought it, if one did.
    pub schedule: Option<ScheduleId>,
    /// When the rest of it is given up.
    pub abort: Option<Abort>,
}

impl RequestRow {
    /// Whether it may yet be aborted.
    #[must_use]
    pub fn is_abortable(&self) -> bool {
        self.state == RequestState::Open && self.abort.is_some()
    }

    /// Whether every member is known and has its outcome.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.gateways_fixed == self.gateways && self.totals.waiting() == 0
    }

    /// When the platform closes it, whatever has come back.
    #[must_use]
    pub fn closes_at(&self) -> Time {
        self.deadline + limits::DEADLINE_GRACE
    }

    /// How long it may live.
    #[must_use]
    pub fn lifespan(&self) -> Duration {
        self.deadline - self.accepted_at
    }
}

/// The part of a group request at one gateway.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RequestGatewayRow {
    /// All its members there are known.
    pub is_fixed: bool,
    /// Up to which peripheral the members on record were taken in its place.
    pub recorded_to: Option<PeripheralId>,
}

/// A member of a group request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberRow {
    /// Where it was last seen on the way.
    pub stage: Stage,
    /// When it was seen where.
    pub seen: Seen,
    /// What became of it, and when.
    pub outcome: Option<(Outcome, Time)>,
}

impl MemberRow {
    /// Whether it has no outcome yet.
    pub(super) const fn is_waiting(&self) -> bool {
        self.outcome.is_none()
    }

    /// A member that its gateway has told now.
    pub(super) fn told(now: Time) -> Self {
        Self { stage: Stage::AtGateway, seen: Seen { at_gateway: Some(now), ..Seen::default() }, outcome: None }
    }
}

/// What an idempotency key stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyRow {
    /// The group request.
    pub request: RequestId,
    /// When it was submitted.
    pub at: Time,
    /// What was submitted.
    pub submitted: Submitted,
}
