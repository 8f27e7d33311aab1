//! The platform closes a group request at its deadline, gateways out of reach included (step 5).
//!
//! 1. A gateway that has not told all its members is taken by the record: the registered members of
//!    the group there, as far as they are no members yet.
//! 2. Every member without outcome is expired, behind a gateway that did not report in time.
//! 3. With the last of them the request is complete.
//!
//! A group may be large, so this goes page by page, each in a transaction of its own; what gateways
//! report meanwhile counts.

use std::collections::BTreeMap;

use super::needs::Closing;
use super::receipts::{add_members, complete_if_settled, fix, is_running, settle, tell_fixed};
use super::{Needs, Procedure, Work};
use crate::{ExpiryCause, GatewayId, MemberOutcome, Outcome, PeripheralId, RequestId, Time, limits};

/// Members closed in one transaction.
pub const CLOSING_PAGE: usize = limits::RECEIPTS_PER_ENTRY_MAX;

/// A group request to close, one page of it.
#[derive(Debug, Clone)]
pub struct Close {
    /// Which.
    pub request: RequestId,
    /// Where the last page ended; from the start without it.
    pub after: Option<(GatewayId, PeripheralId)>,
}

/// What is left of closing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Closed {
    /// There is another page.
    Partly {
        /// Where this one ended.
        after: Option<(GatewayId, PeripheralId)>,
    },
    /// Nothing: the request is complete, or not due, or not there.
    Wholly,
}

impl Procedure for Close {
    type Answer = Closed;
    type Refusal = std::convert::Infallible;

    fn needs(&self) -> Needs {
        let mut needs = Needs::default();
        needs.requests.insert(self.request);
        needs.request_all_gateways.insert(self.request);
        needs.closing = Some(Closing { request: self.request, after: self.after.clone(), page: CLOSING_PAGE });
        needs
    }

    fn decide(&self, work: &mut Work, now: Time) -> Result<Closed, Self::Refusal> {
        let is_due = work.requests.get(&self.request).is_some_and(|row| row.closes_at() <= now);
        if !is_due || !is_running(work, self.request) {
            return Ok(Closed::Wholly);
        }
        if let Some((gateway, page)) = work.on_record.take() {
            self.take_by_record(work, &gateway, &page, now);
            complete_if_settled(work, self.request, now);
            return Ok(Closed::Partly { after: None });
        }
        let page = std::mem::take(&mut work.unsettled);
        let after = page.last().filter(|_| page.len() == CLOSING_PAGE).cloned();
        self.expire(work, page, now);
        complete_if_settled(work, self.request, now);
        Ok(if after.is_some() { Closed::Partly { after } } else { Closed::Wholly })
    }
}

impl Close {
    fn take_by_record(&self, work: &mut Work, gateway: &GatewayId, page: &[PeripheralId], now: Time) {
        let added = add_members(work, gateway, self.request, page, now);
        if page.len() < CLOSING_PAGE {
            fix(work, gateway, self.request);
        } else if let Some(part) = work.request_gateways.get_mut(&(self.request, gateway.clone())) {
            part.recorded_to = page.last().cloned();
        }
        tell_fixed(work, gateway, self.request, added);
    }

    fn expire(&self, work: &mut Work, page: Vec<(GatewayId, PeripheralId)>, now: Time) {
        let mut by_gateway: BTreeMap<GatewayId, Vec<PeripheralId>> = BTreeMap::new();
        for (gateway, peripheral) in page {
            by_gateway.entry(gateway).or_default().push(peripheral);
        }
        for (gateway, peripherals) in by_gateway {
            let outcome = Outcome::Expired { cause: ExpiryCause::GatewayOffline };
            let receipts = peripherals.into_iter().map(|peripheral| MemberOutcome {
                peripheral,
                outcome: outcome.clone(),
                at: now,
                seen: Vec::new(),
            });
            settle(work, &gateway, self.request, receipts);
        }
    }
}
