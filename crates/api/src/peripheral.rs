//! Peripherals, and making their allocations.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bugle_core::{
    Allocation, ApplicationId, Credential, Description, GatewayId, GroupId, InitialState, Origin, PeripheralId,
    RegistrationId, ResourcePath, State, Time, Waker, Wakes,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// A peripheral at one gateway, as the platform knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Peripheral {
    /// At which gateway.
    pub gateway: GatewayId,
    /// Who.
    pub peripheral: PeripheralId,
    /// Whose groups.
    pub application: ApplicationId,
    /// The groups it is allocated to.
    pub groups: BTreeSet<GroupId>,
    /// Where it starts, and returns to when a registration ends.
    pub initial_state: InitialState,
    /// What the M2M user says of it.
    pub labels: BTreeMap<String, String>,
    /// Where the allocation was made.
    pub origin: Origin,
    /// What wakes it when it is in standby, if its gateway has told that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wakes: Option<Wakes>,
    /// Its state.
    pub state: State,
    /// Since when, by the gateway's clock.
    pub since: Time,
    /// When it is expected to wake, if it is in standby and said so, by the gateway's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_wake: Option<Time>,
    /// Its registration, if it is registered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registration: Option<RegistrationId>,
    /// The groups it is a member of.
    pub member_of: BTreeSet<GroupId>,
    /// The registration that awaits the application's decision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<RegistrationId>,
    /// What it said of itself when it last asked to register.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<Description>,
}

/// Which peripherals, and which page of them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PeripheralQuery {
    /// Only those of this application.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub application: Option<ApplicationId>,
    /// Only those at this gateway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<GatewayId>,
    /// Only those allocated to this group; needs `application`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<GroupId>,
    /// Only those in this state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<State>,
    /// The `next_cursor` of the page before; the first page without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// How many items, 1 to 1000; 100 without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// What of a peripheral is to be observed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ObservationBody {
    /// Where the value is: an object, instance or resource.
    pub path: ResourcePath,
}

/// An allocation to make or change. Which peripheral and at which gateway is in the path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AllocationBody {
    /// Whose groups it is allocated to.
    pub application: ApplicationId,
    /// The groups, at least one.
    pub groups: BTreeSet<GroupId>,
    /// Where it starts, and returns to when a registration ends; `allocated` without it.
    #[serde(default)]
    pub initial_state: InitialState,
    /// What it must show to the gateway; nothing without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<Credential>,
    /// How it is woken; `window` without it.
    #[serde(default)]
    pub waker: Waker,
    /// What the M2M user says of it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// The longest that a registration may last without a word from the peripheral, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lifetime: Option<u64>,
    /// After so many seconds without a word an active peripheral counts as in standby.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle: Option<u64>,
}

impl AllocationBody {
    /// The allocation of this peripheral.
    #[must_use]
    pub fn into_allocation(self, peripheral: PeripheralId) -> Allocation {
        Allocation {
            peripheral,
            application: self.application,
            groups: self.groups,
            initial_state: self.initial_state,
            credential: self.credential,
            waker: self.waker,
            labels: self.labels,
            lifetime: self.lifetime.map(Duration::from_secs),
            idle: self.idle.map(Duration::from_secs),
        }
    }
}
