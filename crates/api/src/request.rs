//! Group requests, and what becomes of them.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::time::Duration;

use bugle_core::platform::{Foresight, RequestState};
use bugle_core::{
    Abort, Activation, ApplicationId, CollapseKey, GatewayId, GroupId, LateJoiners, Operation, Outcome, OutcomeKind,
    Pacing, PeripheralId, Priority, Receipt, RequestId, ScheduleId, Sighting, Sleepers, Stage, StageTotals, Time,
    Totals,
};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use utoipa::openapi::schema::{AllOfBuilder, AnyOfBuilder};
use utoipa::openapi::{ObjectBuilder, Ref, RefOr, Schema, Type};
use utoipa::{IntoParams, PartialSchema, ToSchema};

/// A group request to send. Which group is in the path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Submission {
    /// What every member is asked to do.
    pub operation: Operation,
    /// Which members in standby are activated; `all` without it.
    #[serde(default)]
    pub activation: Activation,
    /// What happens to members in standby that are not; `queue` without it.
    #[serde(default)]
    pub sleepers: Sleepers,
    /// When a member counts as served; `delivered` without it.
    #[serde(default)]
    pub receipt: Receipt,
    /// What becomes of peripherals of the group that register before the deadline; `exclude` without it.
    /// A request that includes them goes on until its deadline.
    #[serde(default)]
    pub late_joiners: LateJoiners,
    /// How long the request may live, 1 second to 40 days; an hour without it.
    #[serde(default = "an_hour")]
    #[schema(default = 3600)]
    pub deadline_seconds: u64,
    /// Before which others it goes; `normal` without it.
    #[serde(default)]
    pub priority: Priority,
    /// How fast it goes at each gateway, within what the gateway allows; no bounds without it.
    #[serde(default, skip_serializing_if = "Pacing::is_unbounded")]
    pub pacing: Pacing,
    /// When the rest of it is given up because too many members failed; never without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub abort: Option<Abort>,
    /// A newer request of the same group with the same key replaces what still waits of this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collapse_key: Option<CollapseKey>,
}

const fn an_hour() -> u64 {
    3_600
}

impl Submission {
    /// How long the request may live.
    #[must_use]
    pub const fn deadline(&self) -> Duration {
        Duration::from_secs(self.deadline_seconds)
    }
}

/// A group request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Request {
    /// Which.
    pub id: RequestId,
    /// Whose.
    pub application: ApplicationId,
    /// For which group.
    pub group: GroupId,
    /// The groups that it contained when the request was accepted, near and far.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub contained: BTreeSet<GroupId>,
    /// What every member is asked to do.
    pub operation: Operation,
    /// Which members in standby are activated.
    pub activation: Activation,
    /// What happens to members in standby that are not.
    pub sleepers: Sleepers,
    /// When a member counts as served.
    pub receipt: Receipt,
    /// What becomes of peripherals of the group that register before the deadline.
    #[serde(default)]
    pub late_joiners: LateJoiners,
    /// Before which others it goes.
    pub priority: Priority,
    /// How fast it goes at each gateway.
    #[serde(default, skip_serializing_if = "Pacing::is_unbounded")]
    pub pacing: Pacing,
    /// When the rest of it is given up because too many members failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub abort: Option<Abort>,
    /// A newer request of the same group with the same key replaces what still waits of this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collapse_key: Option<CollapseKey>,
    /// Where it stands.
    pub state: RequestState,
    /// When it was accepted.
    pub accepted_at: Time,
    /// When it ends, by the platform's clock.
    pub deadline: Time,
    /// When the last member had its outcome.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<Time>,
    /// Gateways that it was sent to.
    pub gateways: u64,
    /// Gateways that have told all their members of it.
    pub gateways_fixed: u64,
    /// How its members ended so far.
    pub totals: Totals,
    /// Where those are that have not.
    #[serde(default)]
    pub stages: StageTotals,
    /// The schedule that sent it, if one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<ScheduleId>,
    /// What it meets by what is on record; only in the answer to sending it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub foresight: Option<Foresight>,
}

/// Which group requests, and which page of them; the latest come first.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct RequestQuery {
    /// Only those for this group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<GroupId>,
    /// Only those that stand so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<RequestState>,
    /// The `next_cursor` of the page before; the first page without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// How many items, 1 to 1000; 100 without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// The longest that an answer waits for a group request to be complete.
pub const WAIT_SECONDS_MAX: u32 = 60;

/// Whether the answer waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct RequestWait {
    /// Answer when the request is complete, or after so many seconds as it stands then; 0 to 60, and at once
    /// without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait_seconds: Option<u32>,
}

/// A member of a group request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestMember {
    /// At which gateway.
    pub gateway: GatewayId,
    /// Who.
    pub peripheral: PeripheralId,
    /// Where it is on the way; absent once it has its outcome.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<Stage>,
    /// What became of the request for it; absent while it waits.
    #[serde(flatten)]
    pub outcome: Option<Outcome>,
    /// When, by the gateway's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Time>,
    /// Where it was seen on the way, and since when.
    #[serde(default)]
    pub seen: Vec<Sighting>,
}

// The schema cannot be derived: it would take a flat outcome that is absent for `null`.
/// A member of a group request, and what became of the request for it.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes, and is never made")]
struct RequestMemberWaiting {
    /// At which gateway.
    gateway: GatewayId,
    /// Who.
    peripheral: PeripheralId,
    /// Where it is on the way; absent once it has its outcome.
    stage: Option<Stage>,
    /// When it had its outcome, by the gateway's clock.
    at: Option<Time>,
    /// Where it was seen on the way, and since when.
    seen: Vec<Sighting>,
}

impl PartialSchema for RequestMember {
    fn schema() -> RefOr<Schema> {
        let outcome = AnyOfBuilder::new()
            .item(Ref::from_schema_name(Outcome::name()))
            .item(ObjectBuilder::new().description(Some("Without an outcome it still waits.")));
        AllOfBuilder::new().item(RequestMemberWaiting::schema()).item(outcome).into()
    }
}

impl ToSchema for RequestMember {
    fn name() -> Cow<'static, str> {
        "RequestMember".into()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        RequestMemberWaiting::schemas(schemas);
        schemas.push((Outcome::name().into_owned(), Outcome::schema()));
        Outcome::schemas(schemas);
    }
}

/// Which members of a group request, and which page of them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct MemberQuery {
    /// Only those that ended so, or `waiting` for those that have not yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<MemberFilter>,
    /// Only those without an outcome that are there. Not together with an outcome.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<Stage>,
    /// The `next_cursor` of the page before; the first page without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// How many items, 1 to 1000; 100 without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// Which members of a group request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemberFilter {
    /// Those without an outcome yet.
    Waiting,
    /// Those that ended so.
    Ended(OutcomeKind),
}

impl MemberFilter {
    const WAITING: &'static str = "waiting";

    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => Self::WAITING,
            Self::Ended(kind) => kind.as_str(),
        }
    }

    fn words() -> impl Iterator<Item = &'static str> {
        std::iter::once(Self::WAITING).chain(OutcomeKind::ALL.iter().map(|kind| kind.as_str()))
    }
}

impl std::str::FromStr for MemberFilter {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == Self::WAITING {
            return Ok(Self::Waiting);
        }
        let kind = OutcomeKind::ALL.iter().copied().find(|kind| kind.as_str() == text);
        kind.map(Self::Ended)
            .ok_or_else(|| format!("{text:?} is no outcome; they are {}", Self::words().collect::<Vec<_>>().join(", ")))
    }
}

impl Serialize for MemberFilter {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for MemberFilter {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl PartialSchema for MemberFilter {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new().schema_type(Type::String).enum_values(Some(Self::words())).into()
    }
}

impl ToSchema for MemberFilter {
    fn name() -> Cow<'static, str> {
        "MemberFilter".into()
    }
}

#[cfg(test)]
mod tests {
    use bugle_core::Content;

    use super::*;

    #[test]
    fn a_submission_needs_only_its_operation() {
        let json = r#"{"operation":{"do":"message","content":{"text":"on"}}}"#;
        let submission: Submission = serde_json::from_str(json).expect("a submission");
        assert_eq!(submission.deadline(), Duration::from_secs(3600));
        assert_eq!(submission.activation, Activation::All);
        assert!(serde_json::from_str::<Submission>(&json.replace("operation", "opration")).is_err());
    }

    #[test]
    fn a_member_shows_its_outcome_beside_its_name_once_it_has_one() {
        let mut member = RequestMember {
            gateway: "gw".parse().expect("a gateway id"),
            peripheral: "m1".parse().expect("a peripheral id"),
            stage: Some(Stage::Asleep),
            outcome: None,
            at: None,
            seen: Vec::new(),
        };
        let waiting = serde_json::to_string(&member).expect("is JSON");
        assert_eq!(waiting, r#"{"gateway":"gw","peripheral":"m1","stage":"asleep","seen":[]}"#);
        assert_eq!(serde_json::from_str::<RequestMember>(&waiting).expect("reads back"), member);
        member.outcome = Some(Outcome::Executed { answer: Content::text("7") });
        member.at = Some(Time::from_millis(5));
        let executed = serde_json::to_string(&member).expect("is JSON");
        assert!(executed.contains(r#""outcome":"executed""#), "{executed}");
        assert_eq!(serde_json::from_str::<RequestMember>(&executed).expect("reads back"), member);
    }

    #[test]
    fn every_member_filter_reads_back_as_written() {
        for word in MemberFilter::words() {
            assert_eq!(word.parse::<MemberFilter>().map(MemberFilter::as_str), Ok(word));
        }
        assert!("asleep".parse::<MemberFilter>().is_err());
    }
}
