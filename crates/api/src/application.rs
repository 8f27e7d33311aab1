//! Applications.

use bugle_core::{ApplicationId, Time};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// An application to add.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewApplication {
    /// Which.
    pub id: ApplicationId,
}

/// An application.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Application {
    /// Which.
    pub id: ApplicationId,
    /// Since when the platform knows it: from here, or from the first allocation that names it.
    pub created_at: Time,
    /// The sequence of its latest event; 0 before the first.
    pub event_sequence: u64,
    /// Events up to and including this one are no longer kept.
    pub events_gone: u64,
}
