//! How fast a group request goes, and before which others.

use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::limits;

/// Which of two requests that wait goes first. What is with a peripheral already is never cut short
/// for a more urgent one, and of the same priority the first that was accepted goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum Priority {
    /// It overtakes what is not urgent.
    Urgent,
    /// As most are.
    #[default]
    Normal,
    /// It goes when nothing else waits.
    Background,
}

impl Priority {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Urgent => "urgent",
            Self::Normal => "normal",
            Self::Background => "background",
        }
    }
}

impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// How fast members are served and woken at each gateway. What is not said has no bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Pacing {
    /// Deliveries that begin within any second.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<u32>, minimum = 1))]
    pub members_per_second: Option<NonZeroU32>,
    /// Deliveries that are under way at any instant.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<u32>, minimum = 1))]
    pub members_in_flight: Option<NonZeroU32>,
    /// Wake-ups that are sent within any minute: the wake budget. Waiting for a peripheral that wakes
    /// by itself costs nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<u32>, minimum = 1))]
    pub activations_per_minute: Option<NonZeroU32>,
}

impl Pacing {
    /// What members per second are counted over.
    pub const SECOND: Duration = Duration::from_secs(1);
    /// What activations per minute are counted over.
    pub const MINUTE: Duration = Duration::from_secs(60);

    /// Whether nothing is said.
    #[must_use]
    pub fn is_unbounded(&self) -> bool {
        *self == Self::default()
    }

    /// Whether every number is one that can be counted.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        let numbers = [self.members_per_second, self.members_in_flight, self.activations_per_minute];
        numbers.into_iter().flatten().all(|number| number.get() <= limits::PACING_MAX)
    }
}
