//! The group request: one operation for a whole group, and what becomes of it for each member.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use thiserror::Error;

use crate::{
    Abort, Activation, ApplicationId, CollapseKey, Content, GroupId, Pacing, PeripheralId, Priority, RequestId,
    Sighting, Time, limits,
};

/// One operation for all members of a group, on its way to them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupRequest {
    /// Given by the platform on acceptance.
    pub id: RequestId,
    /// Whose group it is.
    pub application: ApplicationId,
    /// Which group.
    pub group: GroupId,
    /// The groups that it contains, near and far: their members are its members.
    pub contained: BTreeSet<GroupId>,
    /// What every member is asked to do.
    pub operation: Operation,
    /// Which members in standby are activated.
    pub activation: Activation,
    /// What happens to members in standby that are not.
    pub sleepers: Sleepers,
    /// When a member counts as served.
    pub receipt: Receipt,
    /// What becomes of those that register while it lives.
    pub late_joiners: LateJoiners,
    /// When the request ends, by the clock of whoever holds it; it crosses a hop as time that remains.
    pub deadline: Time,
    /// Before which others it goes.
    pub priority: Priority,
    /// How fast it goes at each gateway.
    pub pacing: Pacing,
    /// When the rest of it is given up; never if nothing is said.
    pub abort: Option<Abort>,
    /// A newer request of the same group with the same key replaces what still waits of this one.
    pub collapse_key: Option<CollapseKey>,
}

impl GroupRequest {
    /// What a newer request must have in common with this one to replace it.
    #[must_use]
    pub fn collapse(&self) -> Option<(ApplicationId, GroupId, CollapseKey)> {
        let key = self.collapse_key.clone()?;
        Some((self.application.clone(), self.group.clone(), key))
    }
}

/// Why a group request ends before its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopCause {
    /// The application wants it no more.
    Cancelled,
    /// Too many members failed.
    Aborted,
    /// A newer request has the same collapse key.
    Replaced,
}

impl From<StopCause> for Outcome {
    fn from(cause: StopCause) -> Self {
        match cause {
            StopCause::Cancelled => Self::Cancelled,
            StopCause::Aborted => Self::Aborted,
            StopCause::Replaced => Self::Replaced,
        }
    }
}

impl GroupRequest {
    /// The group and those that it contains. Who is in any of them is a member, once.
    pub fn groups(&self) -> impl Iterator<Item = &GroupId> {
        std::iter::once(&self.group).chain(&self.contained)
    }

    /// Whether members may come to it until its deadline.
    #[must_use]
    pub fn includes_late_joiners(&self) -> bool {
        self.late_joiners == LateJoiners::Include
    }

    /// Whether it is for a peripheral that is in these groups.
    #[must_use]
    pub fn is_for(&self, groups: &BTreeSet<GroupId>) -> bool {
        self.groups().any(|group| groups.contains(group))
    }
}

/// What every member is asked to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum Operation {
    /// Read the value at a path.
    Read {
        /// Where.
        path: ResourcePath,
    },
    /// Write a value to a path.
    Write {
        /// Where.
        path: ResourcePath,
        /// The value.
        content: Content,
    },
    /// Execute the resource at a path.
    Execute {
        /// Where.
        path: ResourcePath,
        /// Arguments in LwM2M's own form, as `0='x',1`; mostly empty.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        arguments: String,
    },
    /// Take a message.
    Message {
        /// The message.
        content: Content,
    },
}

impl Operation {
    /// The payload that it carries, if it carries one, in bytes.
    #[must_use]
    pub fn payload_bytes(&self) -> usize {
        match self {
            Self::Read { .. } => 0,
            Self::Write { content, .. } | Self::Message { content } => content.bytes.len(),
            Self::Execute { arguments, .. } => arguments.len(),
        }
    }
}

/// A path of LwM2M: `/object`, `/object/instance`, `/object/instance/resource` or with a resource
/// instance as a fourth part. Each part is at most 65534 (LwM2M 1.1 core, 7.3: 65535 is reserved).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResourcePath {
    parts: [u16; 4],
    length: u8,
}

/// Why a text is no path. The fault is of whoever wrote it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a path is one to four numbers up to 65534, as /3/0/9")]
pub struct PathError;

impl ResourcePath {
    /// The path of these parts.
    ///
    /// # Errors
    /// If there are none or more than four, or one is 65535.
    pub fn new(parts: &[u16]) -> Result<Self, PathError> {
        if parts.is_empty() || parts.len() > 4 || parts.contains(&u16::MAX) {
            return Err(PathError);
        }
        let mut path = Self { parts: [0; 4], length: parts.len() as u8 };
        path.parts[..parts.len()].copy_from_slice(parts);
        Ok(path)
    }

    /// Its parts, one to four.
    #[must_use]
    pub fn parts(&self) -> &[u16] {
        &self.parts[..usize::from(self.length)]
    }
}

impl FromStr for ResourcePath {
    type Err = PathError;

    fn from_str(text: &str) -> Result<Self, PathError> {
        let mut parts = Vec::with_capacity(4);
        for part in text.strip_prefix('/').ok_or(PathError)?.split('/') {
            if parts.len() == 4 || !part.bytes().all(|byte| byte.is_ascii_digit()) {
                return Err(PathError);
            }
            parts.push(part.parse().map_err(|_| PathError)?);
        }
        Self::new(&parts)
    }
}

impl fmt::Display for ResourcePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.parts().iter().try_for_each(|part| write!(f, "/{part}"))
    }
}

impl fmt::Debug for ResourcePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for ResourcePath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ResourcePath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// What happens to members in standby that are not activated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum Sleepers {
    /// They get the request at their next wake, if that is before the deadline.
    #[default]
    Queue,
    /// They are left out, with outcome `skipped`.
    Skip,
}

/// When a member counts as served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum Receipt {
    /// The transport has acknowledged the delivery.
    #[default]
    Delivered,
    /// The peripheral has answered.
    Executed,
}

/// What becomes of peripherals of the group that register while a request lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum LateJoiners {
    /// They are left out: the members are those of the moment at which a gateway takes the request.
    #[default]
    Exclude,
    /// They become members, until the deadline.
    Include,
}

/// What became of a group request for one member. Each is final.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum Outcome {
    /// The peripheral has answered.
    Executed {
        /// What it answered.
        answer: Content,
    },
    /// The transport has acknowledged the delivery, and that was the receipt asked for.
    Delivered,
    /// The peripheral or its protocol said no.
    Refused {
        /// As the protocol words it, like `4.05` or `0x83`.
        code: String,
        /// In words.
        reason: String,
    },
    /// No answer after all tries.
    Failed {
        /// In words.
        reason: String,
    },
    /// The deadline has passed.
    Expired {
        /// Where the member was then.
        cause: ExpiryCause,
    },
    /// The member was in standby and the request leaves those out.
    Skipped,
    /// The member's registration ended first.
    Left,
    /// The request was cancelled first.
    Cancelled,
    /// Too many other members failed first.
    Aborted,
    /// A newer request replaced this one first.
    Replaced,
}

impl Outcome {
    /// Its kind, without the detail.
    #[must_use]
    pub const fn kind(&self) -> OutcomeKind {
        match self {
            Self::Executed { .. } => OutcomeKind::Executed,
            Self::Delivered => OutcomeKind::Delivered,
            Self::Refused { .. } => OutcomeKind::Refused,
            Self::Failed { .. } => OutcomeKind::Failed,
            Self::Expired { .. } => OutcomeKind::Expired,
            Self::Skipped => OutcomeKind::Skipped,
            Self::Left => OutcomeKind::Left,
            Self::Cancelled => OutcomeKind::Cancelled,
            Self::Aborted => OutcomeKind::Aborted,
            Self::Replaced => OutcomeKind::Replaced,
        }
    }
}

/// Where a member was when the deadline passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum ExpiryCause {
    /// In standby.
    Asleep,
    /// Active, but the request could not be put to it, or it had not answered yet.
    Unreachable,
    /// Behind a gateway that did not report in time.
    GatewayOffline,
}

macro_rules! outcome_kinds {
    ($($(#[$doc:meta])* $kind:ident, $field:ident;)*) => {
        /// An outcome without its detail, to count by.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        #[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
        pub enum OutcomeKind {
            $($(#[$doc])* $kind,)*
        }

        impl OutcomeKind {
            /// Every kind, those that serve the member first.
            pub const ALL: &'static [Self] = &[$(Self::$kind,)*];

            /// The word for it.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$kind => stringify!($field),)* }
            }
        }

        /// How many members of a request ended how, and how many have not yet.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
        #[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
        pub struct Totals {
            /// All members that are known so far.
            pub members: u64,
            $($(#[$doc])* pub $field: u64,)*
        }

        impl Totals {
            /// How many ended so.
            #[must_use]
            pub const fn count(&self, kind: OutcomeKind) -> u64 {
                match kind { $(OutcomeKind::$kind => self.$field,)* }
            }

            /// Counts `members` more that ended so.
            pub fn add(&mut self, kind: OutcomeKind, members: u64) {
                match kind { $(OutcomeKind::$kind => self.$field += members,)* }
            }
        }
    };
}

outcome_kinds! {
    /// The peripheral has answered.
    Executed, executed;
    /// The transport has acknowledged the delivery.
    Delivered, delivered;
    /// The peripheral or its protocol said no.
    Refused, refused;
    /// No answer after all tries.
    Failed, failed;
    /// The deadline has passed.
    Expired, expired;
    /// In standby, and left out.
    Skipped, skipped;
    /// The registration ended first.
    Left, left;
    /// The request was cancelled first.
    Cancelled, cancelled;
    /// Too many other members failed first.
    Aborted, aborted;
    /// A newer request replaced this one first.
    Replaced, replaced;
}

impl Totals {
    /// Members with an outcome.
    #[must_use]
    pub fn settled(&self) -> u64 {
        OutcomeKind::ALL.iter().map(|kind| self.count(*kind)).sum()
    }

    /// Members without one yet.
    #[must_use]
    pub fn waiting(&self) -> u64 {
        self.members.saturating_sub(self.settled())
    }

    /// Members that were served: executed or delivered.
    #[must_use]
    pub const fn served(&self) -> u64 {
        self.executed + self.delivered
    }
}

impl fmt::Display for OutcomeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// One member's outcome, on its way to the application.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct MemberOutcome {
    /// Which member.
    pub peripheral: PeripheralId,
    /// What became of the request for it.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// When, by the gateway's clock.
    pub at: Time,
    /// Where it was seen on the way since it was last told of.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub seen: Vec<Sighting>,
}

/// What is wrong with a group request. The fault is of whoever sends it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RequestError {
    /// The deadline is no time at all, or too far away.
    #[error("the deadline must be between 1 second and {} days from now", limits::REQUEST_DEADLINE_MAX.as_secs() / 86400)]
    Deadline,
    /// A number of the pacing is too large.
    #[error("pacing takes numbers up to {max}", max = limits::PACING_MAX)]
    Pacing,
    /// The payload is too large.
    #[error("the payload has {bytes} bytes; at most {max} are taken", max = limits::OPERATION_PAYLOAD_BYTES_MAX)]
    Payload {
        /// How many it has.
        bytes: usize,
    },
}

/// Checks what the types of a request's parts leave open.
///
/// # Errors
/// If the operation's payload, the deadline or a number of the pacing is out of bounds.
pub fn check_request(operation: &Operation, deadline: Duration, pacing: &Pacing) -> Result<(), RequestError> {
    let bytes = operation.payload_bytes();
    if bytes > limits::OPERATION_PAYLOAD_BYTES_MAX {
        return Err(RequestError::Payload { bytes });
    }
    if deadline < limits::REQUEST_DEADLINE_MIN || deadline > limits::REQUEST_DEADLINE_MAX {
        return Err(RequestError::Deadline);
    }
    if pacing.is_sound() { Ok(()) } else { Err(RequestError::Pacing) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_path_with_a_reserved_or_missing_part_is_refused() {
        for text in ["", "/", "3/0", "/65535", "/1/2/3/4/5", "/1//2", "/+1"] {
            assert_eq!(text.parse::<ResourcePath>(), Err(PathError), "{text}");
        }
    }

    #[test]
    fn totals_add_up() {
        let mut totals = Totals { members: 5, ..Totals::default() };
        totals.add(OutcomeKind::Delivered, 2);
        totals.add(OutcomeKind::Left, 1);
        assert_eq!((totals.settled(), totals.waiting(), totals.served()), (3, 2, 2));
    }

    proptest! {
        #[test]
        fn a_path_reads_back_as_written(parts in prop::collection::vec(0..u16::MAX, 1..=4)) {
            let path = ResourcePath::new(&parts).expect("one to four parts");
            prop_assert_eq!(path.to_string().parse(), Ok(path));
        }
    }
}
