//! The three durable logs between the tiers: up, down and event.
//!
//! Every entry is handled idempotently, so that a log may be sent again from any point.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{
    Allocation, ApplicationId, Content, Description, EndCause, Evidence, GatewayId, GroupId, GroupRequest,
    InitialState, MemberOutcome, MemberProgress, Origin, PeripheralId, Presence, Protocol, RegistrationId, RequestId,
    ResourcePath, ScheduleId, StopCause, Time, Totals, Wakes,
};

/// A peripheral asks to register (step 4 of registering).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct RegistrationAsked {
    /// Who asks.
    pub peripheral: PeripheralId,
    /// Which registration of it this would be.
    pub registration: RegistrationId,
    /// The groups it is allocated to.
    pub groups: BTreeSet<GroupId>,
    /// What shows who it is.
    pub evidence: Evidence,
    /// What it says of itself.
    pub description: Description,
}

/// A registered peripheral went active, to standby, or is being woken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct PresenceChanged {
    /// Who.
    pub peripheral: PeripheralId,
    /// Which registration of it.
    pub registration: RegistrationId,
    /// The groups it is a member of.
    pub groups: BTreeSet<GroupId>,
    /// What it is now.
    #[serde(flatten)]
    pub presence: Presence,
    /// When, by the gateway's clock.
    pub at: Time,
}

/// A registration ended, or was given up before the application's answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Deregistered {
    /// Who.
    pub peripheral: PeripheralId,
    /// Which registration of it.
    pub registration: RegistrationId,
    /// The groups it was a member of, or would have been.
    pub groups: BTreeSet<GroupId>,
    /// Why.
    pub cause: EndCause,
    /// When, by the gateway's clock.
    pub at: Time,
}

/// What the gateway tells of an allocation; never the credential.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct AllocationNotice {
    /// Who.
    pub peripheral: PeripheralId,
    /// Whose groups.
    pub application: ApplicationId,
    /// Which groups.
    pub groups: BTreeSet<GroupId>,
    /// Where it starts.
    pub initial_state: InitialState,
    /// What the M2M user says of it.
    pub labels: BTreeMap<String, String>,
    /// Where it was made.
    pub origin: Origin,
    /// What wakes it; none from a gateway that did not tell that yet.
    pub wakes: Option<Wakes>,
}

/// What a peripheral wants the application to have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Report {
    /// Who.
    pub peripheral: PeripheralId,
    /// What of, as the peripheral names it.
    pub name: String,
    /// The report itself.
    pub content: Content,
    /// When it came, by the gateway's clock.
    pub at: Time,
}

/// A peripheral without an allocation asked to register.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Stranger {
    /// Who it says it is.
    pub peripheral: PeripheralId,
    /// Which protocol it speaks.
    pub protocol: Protocol,
    /// From where.
    pub address: String,
    /// When, by the gateway's clock.
    pub at: Time,
}

/// An entry of the up log, from one gateway to the platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UpEntry {
    /// An allocation was made or changed, or released or blocked.
    Allocated(AllocationNotice),
    /// An allocation was removed; its registration, if any, ended before.
    Removed {
        /// Who.
        peripheral: PeripheralId,
        /// Whose groups it was allocated to.
        application: ApplicationId,
    },
    /// A peripheral asks to register.
    RegistrationAsked {
        /// Whose decision it is.
        application: ApplicationId,
        /// The asking.
        asked: RegistrationAsked,
    },
    /// A registered peripheral went active, to standby, or is being woken. The first of a
    /// registration is `Active`: the gateway has put the application's yes in force.
    PresenceChanged {
        /// Whose groups.
        application: ApplicationId,
        /// The change.
        changed: PresenceChanged,
    },
    /// A registration ended.
    Deregistered {
        /// Whose groups.
        application: ApplicationId,
        /// The end.
        ended: Deregistered,
    },
    /// The members of a request at this gateway, or more of them. Receipts follow for each.
    MembersFixed {
        /// Which request.
        request: RequestId,
        /// The members.
        members: Vec<PeripheralId>,
        /// Whether these are the last.
        is_last: bool,
    },
    /// Outcomes of members of a request.
    Receipts {
        /// Which request.
        request: RequestId,
        /// The outcomes, at most [`RECEIPTS_PER_ENTRY_MAX`](crate::limits::RECEIPTS_PER_ENTRY_MAX).
        receipts: Vec<MemberOutcome>,
    },
    /// Members of a request are on the way to their outcomes. It may be lost: the outcome counts.
    Progress {
        /// Which request.
        request: RequestId,
        /// The members, at most [`RECEIPTS_PER_ENTRY_MAX`](crate::limits::RECEIPTS_PER_ENTRY_MAX).
        members: Vec<MemberProgress>,
    },
    /// A peripheral reports something.
    Report {
        /// To whom.
        application: ApplicationId,
        /// The report.
        report: Report,
    },
    /// Reports were dropped because the log was full.
    ReportsLost {
        /// Whose reports.
        application: ApplicationId,
        /// How many.
        count: u64,
    },
    /// A peripheral without an allocation asked to register.
    Stranger(Stranger),
}

/// An entry of the down log, from the platform to one gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DownEntry {
    /// The application has decided about a registration.
    Decision {
        /// Who asked.
        peripheral: PeripheralId,
        /// Which registration of it.
        registration: RegistrationId,
        /// What was decided.
        verdict: Verdict,
    },
    /// A group request for the members at this gateway.
    Request(GroupRequest),
    /// A group request ends before its time.
    Cancel {
        /// Which.
        request: RequestId,
        /// Why.
        cause: StopCause,
    },
    /// Make or change an allocation.
    Allocate(Allocation),
    /// Remove an allocation.
    Remove {
        /// Whose.
        peripheral: PeripheralId,
    },
    /// Let a blocked peripheral register.
    Release {
        /// Who.
        peripheral: PeripheralId,
    },
    /// End a peripheral's registration, if any, and let it not register again.
    Block {
        /// Who.
        peripheral: PeripheralId,
    },
    /// End a registration.
    Deregister {
        /// Whose.
        peripheral: PeripheralId,
        /// Which of its registrations; whichever there is, if none is named.
        registration: Option<RegistrationId>,
        /// Why.
        cause: EndCause,
    },
    /// Put a peripheral into standby.
    Standby {
        /// Who.
        peripheral: PeripheralId,
    },
    /// Report a value whenever it changes.
    Observe {
        /// Whose.
        peripheral: PeripheralId,
        /// Which.
        path: ResourcePath,
    },
    /// Do not any more.
    ObserveNoMore {
        /// Whose.
        peripheral: PeripheralId,
        /// Which.
        path: ResourcePath,
    },
    /// Activate a peripheral in standby.
    Activate {
        /// Who.
        peripheral: PeripheralId,
    },
    /// Put all members of a group at this gateway into standby.
    StandbyGroup {
        /// Whose.
        application: ApplicationId,
        /// Which.
        group: GroupId,
    },
    /// Activate all members of a group at this gateway that are in standby.
    ActivateGroup {
        /// Whose.
        application: ApplicationId,
        /// Which.
        group: GroupId,
    },
}

/// What an application decided about a registration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "snake_case", deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum Verdict {
    /// Yes.
    Authorized {
        /// The groups that it may join, of those it asked for; at least one.
        groups: BTreeSet<GroupId>,
        /// How long the gateway may re-admit it on its own, in seconds.
        #[serde(with = "crate::serde_seconds")]
        #[cfg_attr(feature = "schema", schema(value_type = u64))]
        lease: Duration,
    },
    /// No.
    Refused {
        /// Why, for the peripheral's log and the operator's.
        reason: String,
    },
}

/// An entry of the event log, from the platform to one application.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum Event {
    /// A peripheral asks to register, and the application must decide.
    RegistrationAsked {
        /// At which gateway.
        gateway: GatewayId,
        /// The asking.
        #[serde(flatten)]
        asked: RegistrationAsked,
    },
    /// A member went active, to standby, or is being woken.
    PresenceChanged {
        /// At which gateway.
        gateway: GatewayId,
        /// The change.
        #[serde(flatten)]
        changed: PresenceChanged,
    },
    /// A registration ended.
    Deregistered {
        /// At which gateway.
        gateway: GatewayId,
        /// The end.
        #[serde(flatten)]
        ended: Deregistered,
    },
    /// A group request was accepted.
    RequestAccepted {
        /// Which.
        request: RequestId,
        /// For which group.
        group: GroupId,
        /// The schedule that brought it, if one did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        schedule: Option<ScheduleId>,
    },
    /// A schedule was due, and its group request could not be accepted.
    SchedulePassedOver {
        /// Which.
        schedule: ScheduleId,
        /// When it was due.
        due: Time,
        /// Why.
        reason: String,
    },
    /// A gateway has fixed members of a request.
    MembersFixed {
        /// Which request.
        request: RequestId,
        /// Which gateway.
        gateway: GatewayId,
        /// How many.
        members: u64,
    },
    /// Members of a request are on the way to their outcomes.
    Progress {
        /// Which request.
        request: RequestId,
        /// Which gateway.
        gateway: GatewayId,
        /// The members.
        members: Vec<MemberProgress>,
    },
    /// Members of a request have their outcome.
    Receipts {
        /// Which request.
        request: RequestId,
        /// Which gateway.
        gateway: GatewayId,
        /// The outcomes.
        receipts: Vec<MemberOutcome>,
    },
    /// All members of a request have their outcome.
    RequestCompleted {
        /// Which request.
        request: RequestId,
        /// How they ended.
        totals: Totals,
    },
    /// A peripheral reports something.
    Report {
        /// At which gateway.
        gateway: GatewayId,
        /// The report.
        #[serde(flatten)]
        report: Report,
    },
    /// Reports were dropped at a gateway because its log was full.
    ReportsLost {
        /// Which gateway.
        gateway: GatewayId,
        /// How many.
        count: u64,
    },
}

impl Event {
    /// Its kind, without the detail.
    #[must_use]
    pub const fn kind(&self) -> EventKind {
        match self {
            Self::RegistrationAsked { .. } => EventKind::RegistrationAsked,
            Self::PresenceChanged { .. } => EventKind::PresenceChanged,
            Self::Deregistered { .. } => EventKind::Deregistered,
            Self::RequestAccepted { .. } => EventKind::RequestAccepted,
            Self::SchedulePassedOver { .. } => EventKind::SchedulePassedOver,
            Self::MembersFixed { .. } => EventKind::MembersFixed,
            Self::Progress { .. } => EventKind::Progress,
            Self::Receipts { .. } => EventKind::Receipts,
            Self::RequestCompleted { .. } => EventKind::RequestCompleted,
            Self::Report { .. } => EventKind::Report,
            Self::ReportsLost { .. } => EventKind::ReportsLost,
        }
    }
}

macro_rules! event_kinds {
    ($($(#[$doc:meta])* $kind:ident, $word:ident;)*) => {
        /// An [`Event`] without its detail. In JSON it is what the event names itself.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum EventKind {
            $($(#[$doc])* $kind,)*
        }

        impl EventKind {
            /// Every kind.
            pub const ALL: &'static [Self] = &[$(Self::$kind,)*];

            /// The word for it.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$kind => stringify!($word),)* }
            }
        }
    };
}

event_kinds! {
    /// A peripheral asks to register, and the application must decide.
    RegistrationAsked, registration_asked;
    /// A member went active, to standby, or is being woken.
    PresenceChanged, presence_changed;
    /// A registration ended.
    Deregistered, deregistered;
    /// A group request was accepted.
    RequestAccepted, request_accepted;
    /// A schedule was due, and its group request could not be accepted.
    SchedulePassedOver, schedule_passed_over;
    /// A gateway has fixed members of a request.
    MembersFixed, members_fixed;
    /// Members of a request are on the way to their outcomes.
    Progress, progress;
    /// Members of a request have their outcome.
    Receipts, receipts;
    /// All members of a request have their outcome.
    RequestCompleted, request_completed;
    /// A peripheral reports something.
    Report, report;
    /// Reports were dropped at a gateway because its log was full.
    ReportsLost, reports_lost;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_flat_json_that_names_itself() {
        let event = Event::PresenceChanged {
            gateway: GatewayId::new("gw1").expect("a gateway id"),
            changed: PresenceChanged {
                peripheral: PeripheralId::new("m1").expect("a peripheral id"),
                registration: RegistrationId::new(3),
                groups: BTreeSet::from([GroupId::new("g").expect("a group id")]),
                presence: Presence::Standby { next_wake: Some(Time::from_millis(9000)) },
                at: Time::from_millis(5),
            },
        };
        let json = serde_json::to_string(&event).expect("an event is JSON");
        assert_eq!(
            json,
            r#"{"event":"presence_changed","gateway":"gw1","peripheral":"m1","registration":3,"groups":["g"],"state":"standby","next_wake":9000,"at":5}"#
        );
        assert_eq!(serde_json::from_str::<Event>(&json).expect("reads back"), event);
    }
}
