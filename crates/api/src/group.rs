//! Groups, as the platform counts them.

use bugle_core::{ApplicationId, GatewayId, GroupId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Group {
    /// Whose.
    pub application: ApplicationId,
    /// Which.
    pub group: GroupId,
    /// Peripherals that are allocated to it.
    pub allocated: u64,
    /// Its members: those of them that are registered.
    pub members: u64,
    /// Members that are active; the rest are in standby or being woken.
    pub active: u64,
}

/// The part of a group that is at one gateway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GroupAtGateway {
    /// Which gateway.
    pub gateway: GatewayId,
    /// Peripherals that are allocated to the group there.
    pub allocated: u64,
    /// Members there.
    pub members: u64,
    /// Active members there.
    pub active: u64,
}

/// A group and where its members are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GroupDetail {
    /// The group.
    #[serde(flatten)]
    pub group: Group,
    /// By gateway.
    pub gateways: Vec<GroupAtGateway>,
    /// The groups that lie directly in it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub contains: Vec<GroupId>,
    /// The groups in which it lies directly.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub contained_in: Vec<GroupId>,
    /// The group with all that it contains; absent if it contains none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub whole: Option<WholeGroup>,
}

/// A group with all groups that it contains. A peripheral in several of them counts once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WholeGroup {
    /// How many groups it contains, near and far.
    pub groups: u64,
    /// Peripherals that are allocated to any of them.
    pub allocated: u64,
    /// Members of any of them.
    pub members: u64,
    /// Members that are active.
    pub active: u64,
}
