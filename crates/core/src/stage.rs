//! Where a member of a group request is seen on the way to its outcome.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{PeripheralId, Time};

macro_rules! stages {
    ($($(#[$doc:meta])* $stage:ident, $field:ident;)*) => {
        /// Where a member of a group request is on the way to its outcome.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        #[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
        pub enum Stage {
            $($(#[$doc])* $stage,)*
        }

        impl Stage {
            /// Every stage, in the order in which they are mostly passed.
            pub const ALL: &'static [Self] = &[$(Self::$stage,)*];

            /// The word for it.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$stage => stringify!($field),)* }
            }
        }

        /// How many members of a request are in which stage. Together they are those that wait, but for
        /// those accepted, which become members only when their gateway has told them.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
        #[serde(default)]
        #[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
        pub struct StageTotals {
            $($(#[$doc])* pub $field: u64,)*
        }

        impl StageTotals {
            /// How many are there.
            #[must_use]
            pub const fn count(&self, stage: Stage) -> u64 {
                match stage { $(Stage::$stage => self.$field,)* }
            }

            fn count_mut(&mut self, stage: Stage) -> &mut u64 {
                match stage { $(Stage::$stage => &mut self.$field,)* }
            }
        }

        /// When a member was last seen in each stage.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
        pub struct Seen {
            $($(#[$doc])* pub $field: Option<Time>,)*
        }

        impl Seen {
            /// When it was last seen there.
            #[must_use]
            pub const fn at(&self, stage: Stage) -> Option<Time> {
                match stage { $(Stage::$stage => self.$field,)* }
            }

            /// Takes note of a sighting.
            pub fn note(&mut self, sighting: Sighting) {
                match sighting.stage { $(Stage::$stage => self.$field = Some(sighting.at),)* }
            }
        }
    };
}

stages! {
    /// The platform has accepted the request; the gateway has not told its members yet.
    Accepted, accepted;
    /// The gateway has it.
    AtGateway, at_gateway;
    /// The member is in standby, and the request waits for it.
    Asleep, asleep;
    /// The member is being woken.
    Activating, activating;
    /// The request was put to the member.
    Sent, sent;
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl StageTotals {
    /// Members that have come into a stage.
    pub fn enter(&mut self, stage: Stage, members: u64) {
        *self.count_mut(stage) += members;
    }

    /// A member has left a stage.
    pub fn leave(&mut self, stage: Stage) {
        let count = self.count_mut(stage);
        *count = count.saturating_sub(1);
    }
}

impl Seen {
    /// The sightings, in the order of the stages.
    pub fn sightings(&self) -> impl Iterator<Item = Sighting> {
        Stage::ALL.iter().filter_map(|stage| Some(Sighting { stage: *stage, at: self.at(*stage)? }))
    }
}

/// A member was seen in a stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Sighting {
    /// Where it was.
    pub stage: Stage,
    /// Since when: accepted and at gateway by the platform's clock, the others by the gateway's.
    pub at: Time,
}

/// One member's progress, on its way to the application.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct MemberProgress {
    /// Which member.
    pub peripheral: PeripheralId,
    /// Where it was seen since it was last told of, in order; it is where it was seen last.
    pub seen: Vec<Sighting>,
}
