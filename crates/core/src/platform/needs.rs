//! Which rows a procedure reads.

use std::collections::{BTreeMap, BTreeSet};

use super::rows::{ApplicationGroup, PartKey, PeripheralKey};
use super::scheduling::ScheduleKey;
use super::submission::IdempotencyKey;
use crate::{ApplicationId, GatewayId, PeripheralId, RequestId};

/// Which rows a procedure reads. What is not there is loaded too, as absent.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Needs {
    /// Gateways.
    pub gateways: BTreeSet<GatewayId>,
    /// Applications.
    pub applications: BTreeSet<ApplicationId>,
    /// Peripherals at one gateway.
    pub peripherals: BTreeSet<PeripheralKey>,
    /// Peripherals at whichever gateways they are allocated to the application.
    pub namesakes: BTreeSet<(ApplicationId, PeripheralId)>,
    /// Groups: the count at each gateway with allocations, and these gateways.
    pub groups: BTreeSet<ApplicationGroup>,
    /// Groups with all that they contain: which groups that are, and of each what is read of `groups`.
    pub whole_groups: BTreeSet<ApplicationGroup>,
    /// An application whose groups that lie in groups are read.
    pub nestings_of: Option<ApplicationId>,
    /// Group requests.
    pub requests: BTreeSet<RequestId>,
    /// The part of a group request at one gateway.
    pub request_gateways: BTreeSet<PartKey>,
    /// Group requests whose parts at all gateways are read, and these gateways.
    pub request_all_gateways: BTreeSet<RequestId>,
    /// Group requests whose parts at all gateways are read, if they are open and may be aborted.
    pub abortable: BTreeSet<RequestId>,
    /// Applications, and gateways that may come to have a part of their open group requests which include late
    /// joiners: these requests with what they ask are read, unless the gateway has its part of them.
    pub joinable: BTreeSet<(ApplicationId, GatewayId)>,
    /// Members of group requests, by the part that they are of: there are many, and few parts.
    pub members: BTreeMap<PartKey, BTreeSet<PeripheralId>>,
    /// An idempotency key, and what was submitted under it.
    pub idempotency: Option<(ApplicationId, IdempotencyKey)>,
    /// Schedules.
    pub schedules: BTreeSet<ScheduleKey>,
    /// An application whose schedules are counted.
    pub schedules_of: Option<ApplicationId>,
    /// What closing a group request reads.
    pub closing: Option<Closing>,
}

/// What closing a group request reads: a page of its members without outcome, and a page of the
/// members on record at a gateway that has not told all of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closing {
    /// Which group request.
    pub request: RequestId,
    /// Members without outcome are read after this one; in whichever order the store keeps them.
    pub after: Option<(GatewayId, PeripheralId)>,
    /// How many are on a page.
    pub page: usize,
}
