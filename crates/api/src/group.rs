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
}
