//! What the application knows of a registration, and what a person decided about a peripheral.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::{GatewayId, GroupId, PeripheralId, Presence, RegistrationId, Time, Verdict};

/// A registration of a peripheral, from its asking to its end.
///
/// At most one of a peripheral's is a [`Member`], and at each gateway at most one waits or was
/// refused: the latest that it asked for there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    /// Under which number it is recorded, so that a store finds it without an index; given out in
    /// ascending order.
    pub slot: u64,
    /// At which gateway.
    pub gateway: GatewayId,
    /// Which of the peripheral's registrations there.
    pub id: RegistrationId,
    /// How it stands.
    pub standing: Standing,
}

impl Registration {
    /// Whether it is the one with this number at this gateway.
    #[must_use]
    pub fn is(&self, gateway: &GatewayId, id: RegistrationId) -> bool {
        self.id == id && self.gateway == *gateway
    }
}

/// How a registration stands with the application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It waits for a person's approval.
    Pending {
        /// The groups that it would join.
        groups: BTreeSet<GroupId>,
        /// How long the gateway could then re-admit it on its own.
        lease: Duration,
        /// Which event asked for it; later ones have larger numbers.
        sequence: u64,
    },
    /// The application said no.
    Refused {
        /// Why.
        reason: String,
    },
    /// The application said yes: it is in the group configuration.
    Member(Member),
    /// It was in the group configuration until another one got its yes, and has not ended yet.
    Replaced(Member),
}

/// A registered peripheral in the group configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The groups that it is a member of.
    pub groups: BTreeSet<GroupId>,
    /// Whether it is reachable; none until its gateway has put the yes in force.
    pub presence: Option<Presence>,
    /// When it became a member.
    pub since: Time,
    /// After which event it became one: of two registrations the one with the larger number got its
    /// yes later.
    pub sequence: u64,
}

/// What a person is asked, or has decided, about a peripheral; remembered beyond its registrations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approval {
    /// How it stands.
    pub state: ApprovalState,
    /// The groups that it is about.
    pub groups: BTreeSet<GroupId>,
    /// Through which gateway the peripheral asked, if it did.
    pub gateway: Option<GatewayId>,
    /// When it came to stand so.
    pub since: Time,
}

/// How an approval stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ApprovalState {
    /// The peripheral has asked; nobody has decided.
    Waiting,
    /// It may register with these groups.
    Approved,
    /// It may not register.
    Refused,
}

impl ApprovalState {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Approved => "approved",
            Self::Refused => "refused",
        }
    }
}

/// An answer for the gateway, which the platform must get.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The gateway that asked.
    pub gateway: GatewayId,
    /// About which peripheral.
    pub peripheral: PeripheralId,
    /// About which of its registrations.
    pub registration: RegistrationId,
    /// The decision.
    pub verdict: Verdict,
}
