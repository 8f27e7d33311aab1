//! Late joiners: a request that includes them is for those too that register while it lives.
//!
//! 1. The members are fixed as for any request (`distribution.rs`), but the platform is told that more may
//!    come: `open_to_late_joiners`.
//! 2. A peripheral that is admitted to the group and was no member before becomes one: `join_late`. It is
//!    stored and told as one together with its registration, before anything is put to it. What was accepted
//!    first is put to it first.
//! 3. At the deadline, or when the request is cancelled, the platform is told that no more come:
//!    `close_to_late_joiners`. The request is over with the last outcome after that.
//!
//! Who was a member once is none again, whatever became of it: nobody gets a request twice at one gateway.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::distribution::too_many_waiting;
use super::{Change, Gateway, Slot};
use crate::{GroupRequest, PeripheralId, RequestId, Time, UpEntry, limits};

/// The requests to which members may yet come.
#[derive(Debug, Default)]
pub(super) struct LateJoining {
    open: BTreeMap<RequestId, Open>,
    /// How many there were since the start.
    count: u64,
}

#[derive(Debug)]
struct Open {
    /// Its place in the order of acceptance, which the ids do not tell.
    place: u64,
    /// All that are or were members.
    met: BTreeSet<PeripheralId>,
}

impl LateJoining {
    pub(super) fn is_open(&self, request: RequestId) -> bool {
        self.open.contains_key(&request)
    }
}

impl Gateway {
    /// Step 1. `met` are those that are or were members.
    pub(super) fn open_to_late_joiners(&mut self, request: &GroupRequest, met: Vec<PeripheralId>) {
        if request.includes_late_joiners() {
            let LateJoining { open, count } = &mut self.late_joining;
            *count += 1;
            open.insert(request.id, Open { place: *count, met: met.into_iter().collect() });
        }
    }

    /// Step 2, for a peripheral that was admitted.
    pub(super) fn join_late(&mut self, now: Time, slot: Slot) {
        let Some(peripheral) = self.registry.registered(slot) else { return };
        let Some(registration) = self.registry.registration(slot) else { return };
        let (id, application) = (peripheral.id.clone(), peripheral.profile.application.clone());
        let groups = Arc::clone(&registration.groups);
        let is_for = |request: &RequestId| {
            let taken = self.requests.get(request);
            taken.is_some_and(|taken| taken.request.application == application && taken.request.is_for(&groups))
        };
        let open = self.late_joining.open.iter().filter(|(request, open)| !open.met.contains(&id) && is_for(request));
        let mut open: Vec<(u64, RequestId)> = open.map(|(request, open)| (open.place, *request)).collect();
        open.sort_unstable();
        for (_, request) in open {
            self.join(now, slot, request, id.clone());
        }
    }

    fn join(&mut self, now: Time, slot: Slot, request: RequestId, peripheral: PeripheralId) {
        self.late_joining.open.get_mut(&request).expect("it is open").met.insert(peripheral.clone());
        let members = vec![peripheral.clone()];
        self.up_log.append(&mut self.outbox, UpEntry::MembersFixed { request, members, is_last: false });
        let registration = self.registry.registration(slot).expect("it was admitted");
        if registration.waiting.len() >= limits::WAITING_PER_PERIPHERAL_MAX {
            let receipt = self.receipt(now, slot, too_many_waiting().into());
            self.outbox.record(Change::Joined { request, peripheral, waiting: None });
            self.outbox.settle_at_once(request, vec![receipt]);
            return;
        }
        let taken = Arc::clone(&self.requests.get(&request).expect("what is open is taken").request);
        let waiting = self.waiting(slot, &taken, false);
        let stored = Some((slot, waiting.delivery, waiting.activates));
        self.outbox.record(Change::Joined { request, peripheral, waiting: stored });
        let taken = self.requests.get_mut(&request).expect("what is open is taken");
        taken.members.push(slot);
        taken.unsettled += 1;
        self.enqueue(now, slot, waiting, 0);
    }

    /// Step 3.
    pub(super) fn close_to_late_joiners(&mut self, request: RequestId) {
        if self.late_joining.open.remove(&request).is_none() {
            return;
        }
        self.up_log.append(&mut self.outbox, UpEntry::MembersFixed { request, members: Vec::new(), is_last: true });
        if self.requests.get(&request).is_some_and(|taken| taken.unsettled == 0) {
            self.let_go(request);
        }
    }
}
