//! Schedules: group requests that are to come.

use bugle_core::{ApplicationId, GroupId, RequestId, ScheduleId, Time};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Submission;

/// A group request to send later, once or again and again. Which schedule it is is in the path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewSchedule {
    /// For which group.
    pub group: GroupId,
    /// The group request. Its deadline counts from each sending.
    pub request: Submission,
    /// When, if it is sent once; with `cron`, the time from which on it is sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Time>,
    /// When, if it is sent again and again: minute, hour, day of the month, month, day of the week.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "30 22 * * 1-5")]
    pub cron: Option<String>,
    /// Whose clock `cron` goes by: a name of the IANA time zone database; `UTC` without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "Europe/Vienna")]
    pub time_zone: Option<String>,
}

/// A schedule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Schedule {
    /// Which.
    pub id: ScheduleId,
    /// Whose.
    pub application: ApplicationId,
    /// For which group.
    pub group: GroupId,
    /// The group request that it sends.
    pub request: Submission,
    /// When, if it is sent once; with `cron`, the time from which on it is sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Time>,
    /// When, if it is sent again and again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cron: Option<String>,
    /// Whose clock `cron` goes by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// When it was put.
    pub created_at: Time,
    /// When it is due next; absent when it is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_due: Option<Time>,
    /// What became of its last due time; absent before the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<LastDue>,
}

/// What became of a due time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LastDue {
    /// When it was due.
    pub due: Time,
    /// When that was seen to; later, if the platform did not run then.
    pub at: Time,
    /// The group request that was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<RequestId>,
    /// Why none was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passed_over: Option<String>,
}
