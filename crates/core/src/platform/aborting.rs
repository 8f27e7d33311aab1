//! A group request is given up because too many of its members fail.
//!
//! 1. With every batch of receipts the failures of all gateways together are counted.
//! 2. Once they pass what the request bears, every gateway is told to end what it has not sent.
//! 3. Members settle as the gateways report them: aborted, or what they truly are.
//!
//! The entries go into the down logs whether or not these are full: they stop what was taken in.

use super::Work;
use super::rows::RequestState;
use crate::{DownEntry, GatewayId, RequestId, Sample, StopCause};

/// Aborts the request, once, if too many have failed.
pub(super) fn abort_if_due(work: &mut Work, request: RequestId) {
    let Some(row) = work.requests.get(&request).filter(|row| row.state == RequestState::Open) else { return };
    if !row.abort.is_some_and(|abort| abort.is_due(Sample::from(&row.totals))) {
        return;
    }
    let parts = work.request_gateways.iter().filter(|((of, _), _)| *of == request);
    let gateways: Vec<GatewayId> = parts.map(|((_, gateway), _)| gateway.clone()).collect();
    for gateway in gateways {
        work.send(&gateway, DownEntry::Cancel { request, cause: StopCause::Aborted });
    }
    if let Some(row) = work.requests.get_mut(&request) {
        row.state = RequestState::Cancelling;
    }
}
