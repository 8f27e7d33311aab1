//! Late joiners behind gateways that a request has not gone to.
//!
//! 1. A gateway tells of an allocation in a group that it had no part of when a group request was accepted.
//! 2. If the request is open, includes late joiners and is for that group, it goes to that gateway too, which
//!    fixes the members that it has, and takes in those that register until the deadline.
//!
//! It goes into the down log whether or not that is full: it was taken in before, and does so once.

use std::collections::BTreeSet;

use super::rows::{RequestGatewayRow, RequestState};
use super::{Submitted, Work};
use crate::{ApplicationId, DownEntry, GatewayId, GroupId, RequestId, Time};

/// Step 2.
pub(super) fn send_open_requests(
    work: &mut Work,
    gateway: &GatewayId,
    application: &ApplicationId,
    groups: &BTreeSet<GroupId>,
    now: Time,
) {
    let key = (application.clone(), gateway.clone());
    let open: Vec<(RequestId, Submitted)> = work.joinable.get(&key).cloned().unwrap_or_default();
    for (id, submitted) in open {
        let part = (id, gateway.clone());
        let is_there = work.request_gateways.get(&part).is_some();
        let is_for = |row: &super::RequestRow| groups.contains(&row.group) || !row.contained.is_disjoint(groups);
        let row = work.requests.get(&id).filter(|row| row.state == RequestState::Open && now < row.deadline);
        let Some(row) = row.filter(|row| !is_there && is_for(row)).cloned() else { continue };
        if let Some(row) = work.requests.get_mut(&id) {
            row.gateways += 1;
        }
        work.send(gateway, DownEntry::Request(submitted.into_request(id, row)));
        work.request_gateways.put(part, RequestGatewayRow::default());
    }
}
