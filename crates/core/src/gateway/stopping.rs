//! Stopping a group request before its time.
//!
//! 1. It is cancelled or aborted from above, replaced by a newer one with the same collapse key
//!    (`replace_older`), or aborted here because more members have failed than it bears (`abort_due`).
//! 2. What was not sent ends with that outcome: `stop`. What is with a peripheral comes to its own end,
//!    and is not put to it again.
//!
//! A share of failures is counted by the platform, across gateways; a count that is passed here is
//! passed everywhere.

use super::distribution::{Passage, cancelled_under_way};
use super::{Change, Gateway};
use crate::{GroupRequest, Outcome, OutcomeKind, RequestId, StopCause, Time};

impl Gateway {
    /// Step 2.
    pub(super) fn stop(&mut self, now: Time, request: RequestId, cause: StopCause) {
        let Some(taken) = self.requests.get_mut(&request) else { return };
        if !std::mem::replace(&mut taken.is_stopped, true) {
            self.outbox.record(Change::Cancelled { request });
        }
        self.close_to_late_joiners(request);
        for slot in self.unsettled_members(request) {
            let Some(registration) = self.registry.registration(slot) else { continue };
            let Some(position) = registration.position_of(request) else { continue };
            let passage = registration.in_flight.as_ref().filter(|_| position == 0).map(|in_flight| in_flight.passage);
            let outcome = match passage {
                Some(Passage::Left) => continue,
                Some(Passage::Unsent) => cause.into(),
                Some(Passage::Resent) => cancelled_under_way(),
                None if registration.waiting[position].is_repeat => cancelled_under_way(),
                None => cause.into(),
            };
            self.settle(now, slot, request, outcome);
        }
    }

    /// Stops the request that a newer one replaces.
    pub(super) fn replace_older(&mut self, now: Time, newer: &GroupRequest) {
        let Some(key) = newer.collapse() else { return };
        if let Some(older) = self.collapses.insert(key, newer.id) {
            self.stop(now, older, StopCause::Replaced);
        }
    }

    /// A request is over, and nothing of it is left to replace.
    pub(super) fn forget_collapse(&mut self, request: &GroupRequest) {
        if let Some(key) = request.collapse()
            && self.collapses.get(&key) == Some(&request.id)
        {
            self.collapses.remove(&key);
        }
    }

    /// Counts what became of a member, for the abort.
    pub(super) fn count(&mut self, request: RequestId, outcome: &Outcome) {
        let Some(taken) = self.requests.get_mut(&request) else { return };
        let Some(abort) = &taken.request.abort else { return };
        match outcome.kind() {
            OutcomeKind::Executed | OutcomeKind::Delivered => taken.sample.served += 1,
            OutcomeKind::Refused | OutcomeKind::Failed => taken.sample.failed += 1,
            _ => return,
        }
        if abort.is_due_in_part(taken.sample) && !taken.is_stopped {
            self.to_abort.insert(request);
        }
    }

    pub(super) fn abort_due(&mut self, now: Time) {
        while let Some(request) = self.to_abort.pop_first() {
            self.stop(now, request, StopCause::Aborted);
        }
    }
}
