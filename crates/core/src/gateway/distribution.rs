//! Group request: one operation for all members of a group, and one outcome for each.
//!
//! 1. The request comes down with operation, group, activation policy and deadline: `take`.
//! 2. The members are fixed: all registered peripherals of the group now. If the request says so, those
//!    that register later become members too (`late_joining.rs`).
//! 3. Part or all of the members in standby are activated, those first that wake soonest.
//! 4. The operation goes to the active ones now, to the others as they wake: `pump`. For each
//!    peripheral requests go in order of acceptance, one in flight. Members in standby that are not
//!    activated wait too, or are left out if the request says so.
//! 5. Every member ends in exactly one outcome: `settle`. At the deadline the rest expires.
//!
//! The number of each delivery is durable before the first transmission, so that a repetition after
//! a crash carries the same identifier and is recognised as one.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use super::change::StoredRequest;
use super::registry::Waiting;
use super::timers::Timer;
use super::{Change, Effect, Gateway, Reach, Slot};
use crate::{
    Content, ExpiryCause, GroupId, GroupRequest, LateJoiners, MemberOutcome, Outcome, PeripheralId, Presence, Receipt,
    RequestId, Sleepers, Stage, Time, UpEntry, limits,
};

/// A request that waits for members.
#[derive(Debug)]
pub(super) struct TakenRequest {
    pub(super) request: Arc<GroupRequest>,
    /// The members that it waited for when it was taken.
    pub(super) members: Vec<Slot>,
    /// How many of them have no outcome yet.
    pub(super) unsettled: usize,
    pub(super) is_cancelled: bool,
}

/// The delivery that is with a peripheral.
#[derive(Debug)]
pub(super) struct InFlight {
    passage: Passage,
    is_acknowledged: bool,
    /// An answer that came before the acknowledgement, with the token of whoever handed it over.
    answer: Option<(Content, u64)>,
}

/// How far a delivery has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Passage {
    /// It waits for the disk, and was never sent.
    Unsent,
    /// It waits for the disk to be sent again.
    Resent,
    /// It is with the peripheral.
    Left,
}

/// A peripheral, or its protocol, says no to a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// As the protocol words it.
    pub code: String,
    /// In words.
    pub reason: String,
}

impl Rejection {
    fn new(code: &str, reason: &str) -> Self {
        Self { code: code.into(), reason: reason.into() }
    }
}

impl From<Rejection> for Outcome {
    fn from(Rejection { code, reason }: Rejection) -> Self {
        Self::Refused { code, reason }
    }
}

impl Gateway {
    /// Steps 1 to 4.
    pub(super) fn take(&mut self, now: Time, request: GroupRequest) {
        if self.requests.contains_key(&request.id) {
            return;
        }
        let id = request.id;
        let members = self.registry.members(&request);
        let is_busy = self.requests.len() >= limits::REQUESTS_PER_GATEWAY_MAX;
        let late_joiners = if is_busy { LateJoiners::Exclude } else { request.late_joiners };
        self.tell_members(id, &members, late_joiners);
        if is_busy {
            let outcome = Rejection::new("busy", "the gateway holds too many requests").into();
            let receipts = members.iter().map(|slot| self.receipt(now, *slot, Outcome::clone(&outcome))).collect();
            self.outbox.settle_at_once(id, receipts);
            return;
        }
        let met = match late_joiners {
            LateJoiners::Include => members.iter().map(|slot| self.member(*slot).clone()).collect(),
            LateJoiners::Exclude => Vec::new(),
        };
        let plan = self.plan(now, &request, members);
        self.outbox.settle_at_once(id, plan.settled);
        if plan.waiting.is_empty() && late_joiners == LateJoiners::Exclude {
            return;
        }
        let request = Arc::new(request);
        let members = plan.waiting.iter().map(|(slot, waiting)| (*slot, waiting.delivery, waiting.activates)).collect();
        let stored = StoredRequest { request: Arc::clone(&request), members, met: met.clone(), is_cancelled: false };
        self.outbox.record(Change::Taken(stored));
        self.open_to_late_joiners(&request, met);
        self.timers.set(Timer::Deadline(id), request.deadline);
        let members = plan.waiting.iter().map(|(slot, _)| *slot).collect();
        let unsettled = plan.waiting.len();
        self.requests.insert(id, TakenRequest { request, members, unsettled, is_cancelled: false });
        for (slot, waiting) in plan.waiting {
            self.enqueue(now, slot, waiting);
        }
    }

    fn tell_members(&mut self, request: RequestId, members: &[Slot], late_joiners: LateJoiners) {
        let mut chunks = members.chunks(limits::RECEIPTS_PER_ENTRY_MAX).peekable();
        loop {
            let members = chunks.next().unwrap_or_default();
            let members = members.iter().map(|slot| self.member(*slot).clone()).collect();
            let is_end = chunks.peek().is_none();
            let is_last = is_end && late_joiners == LateJoiners::Exclude;
            self.up_log.append(&mut self.outbox, UpEntry::MembersFixed { request, members, is_last });
            if is_end {
                return;
            }
        }
    }

    /// Decides for each member whether it waits, and whether it is activated.
    fn plan(&mut self, now: Time, request: &GroupRequest, members: Vec<Slot>) -> Plan {
        let mut sleepers = Vec::new();
        let mut plan = Plan::default();
        for slot in members {
            let registration = self.registry.registration_mut(slot).expect("members are registered");
            if registration.waiting.len() >= limits::WAITING_PER_PERIPHERAL_MAX {
                plan.settled.push(self.receipt(now, slot, too_many_waiting().into()));
                continue;
            }
            match registration.presence {
                Presence::Active => plan.waiting.push((slot, self.waiting(slot, request.id, false))),
                Presence::Standby { next_wake } => {
                    sleepers.push((next_wake.unwrap_or(Time::MAX), registration.last_activated, slot));
                }
                Presence::Activating => sleepers.push((Time::ZERO, Time::ZERO, slot)),
            }
        }
        sleepers.sort_unstable();
        let activated = request.activation.share_of(sleepers.len());
        for (position, (_, _, slot)) in sleepers.into_iter().enumerate() {
            let activates = position < activated;
            if activates || request.sleepers == Sleepers::Queue {
                plan.waiting.push((slot, self.waiting(slot, request.id, activates)));
            } else {
                plan.settled.push(self.receipt(now, slot, Outcome::Skipped));
            }
        }
        plan
    }

    pub(super) fn waiting(&mut self, slot: Slot, request: RequestId, activates: bool) -> Waiting {
        let peripheral = self.registry.peripheral_mut(slot).expect("members are allocated");
        peripheral.next_delivery = peripheral.next_delivery.checked_add(1).unwrap_or(1);
        let delivery = peripheral.next_delivery;
        Waiting { request, delivery, activates, is_repeat: false, tries: 0, stage: Stage::AtGateway }
    }

    pub(super) fn enqueue(&mut self, now: Time, slot: Slot, waiting: Waiting) {
        let registration = self.registry.registration_mut(slot).expect("members are registered");
        registration.waiting.push_back(waiting);
        if waiting.activates {
            registration.last_activated = now;
        }
        self.observe(now, slot);
        if waiting.activates {
            self.change_presence(now, slot, Presence::Activating);
        }
        self.to_pump.push_back(slot);
    }

    /// Step 4, for every peripheral that may have become ready for its next request.
    pub(super) fn pump_all(&mut self, now: Time) {
        while let Some(slot) = self.to_pump.pop_front() {
            self.pump(now, slot);
        }
    }

    fn pump(&mut self, now: Time, slot: Slot) {
        let Some(registration) = self.registry.registration_mut(slot) else { return };
        let is_ready = registration.presence == Presence::Active
            && registration.reach == Reach::Open
            && registration.in_flight.is_none();
        if !is_ready {
            return;
        }
        let Some(waiting) = registration.waiting.front_mut() else { return };
        let request = waiting.request;
        if waiting.tries >= limits::DELIVERY_TRIES_MAX {
            let reason = format!("no answer after {} tries", limits::DELIVERY_TRIES_MAX);
            self.settle(now, slot, request, Outcome::Failed { reason });
            return;
        }
        waiting.tries += 1;
        let (delivery, is_repeat) = (waiting.delivery, waiting.is_repeat);
        waiting.is_repeat = true;
        let passage = if is_repeat { Passage::Resent } else { Passage::Unsent };
        registration.in_flight = Some(InFlight { passage, is_acknowledged: false, answer: None });
        self.timers.set(Timer::Answer(slot), now + self.config.answer_time);
        self.observe(now, slot);
        let request = Arc::clone(&self.requests.get(&request).expect("what waits is taken").request);
        self.outbox.effect(Effect::Deliver { slot, delivery, is_repeat, request });
    }

    /// A delivery is about to leave. Not one that was settled, or cut off, while it waited for the disk.
    pub(super) fn may_leave(&mut self, slot: Slot, delivery: u16) -> bool {
        let Some(registration) = self.registry.registration_mut(slot) else { return false };
        let is_next = registration.waiting.front().is_some_and(|waiting| waiting.delivery == delivery);
        let Some(in_flight) = registration.in_flight.as_mut().filter(|_| is_next) else { return false };
        in_flight.passage = Passage::Left;
        true
    }

    /// The transport has acknowledged a delivery.
    pub fn handle_acknowledged(&mut self, now: Time, slot: Slot, delivery: u16) {
        let Some(registration) = self.registry.registration_mut(slot) else { return };
        let Some(waiting) = registration.waiting.front().filter(|waiting| waiting.delivery == delivery) else { return };
        let Some(in_flight) = &mut registration.in_flight else { return };
        let request = waiting.request;
        in_flight.is_acknowledged = true;
        if let Some((answer, token)) = in_flight.answer.take() {
            self.settle(now, slot, request, Outcome::Executed { answer });
            self.outbox.effect(Effect::Taken { slot, token });
        } else if self.requests.get(&request).is_some_and(|taken| taken.request.receipt == Receipt::Delivered) {
            self.settle(now, slot, request, Outcome::Delivered);
        } else {
            self.timers.set(Timer::Answer(slot), now + self.config.answer_time);
        }
        self.pump_all(now);
    }

    /// The peripheral answers a request. [`Effect::Taken`] with `token` follows when the answer is
    /// durable, or at once when nobody waits for it any more.
    pub fn handle_answer(&mut self, now: Time, slot: Slot, request: RequestId, answer: Content, token: u64) {
        self.handle_word(now, slot);
        if let Some(registration) = self.registry.registration_mut(slot)
            && registration.waiting.front().is_some_and(|waiting| waiting.request == request && waiting.is_repeat)
        {
            if let Some(in_flight) = &mut registration.in_flight
                && !in_flight.is_acknowledged
            {
                // The settling waits for the acknowledgement, so that the next delivery does not
                // overtake it; until then the answer is not taken, and so is kept by the peripheral.
                in_flight.answer = Some((answer, token));
                return;
            }
            self.settle(now, slot, request, Outcome::Executed { answer });
        }
        self.outbox.effect(Effect::Taken { slot, token });
        self.pump_all(now);
    }

    /// The peripheral, or its protocol, says no to a delivery.
    pub fn handle_rejected(&mut self, now: Time, slot: Slot, delivery: u16, rejection: Rejection) {
        let Some(registration) = self.registry.registration(slot) else { return };
        let Some(waiting) = registration.waiting.front().filter(|waiting| waiting.delivery == delivery) else { return };
        if registration.in_flight.is_some() {
            self.settle(now, slot, waiting.request, rejection.into());
            self.pump_all(now);
        }
    }

    /// A delivery has come to its end in one step, with acknowledgement and answer together or without any.
    pub fn handle_concluded(&mut self, now: Time, slot: Slot, delivery: u16, outcome: Outcome) {
        let Some(registration) = self.registry.registration(slot) else { return };
        let Some(waiting) = registration.waiting.front().filter(|waiting| waiting.delivery == delivery) else { return };
        if registration.in_flight.is_some() {
            self.settle(now, slot, waiting.request, outcome);
            self.pump_all(now);
        }
    }

    /// The peripheral says no in its answer to a request. [`Effect::Taken`] with `token` follows.
    pub fn handle_refusing_answer(&mut self, now: Time, slot: Slot, request: RequestId, no: Rejection, token: u64) {
        self.handle_word(now, slot);
        if let Some(registration) = self.registry.registration(slot)
            && let Some(waiting) = registration.waiting.front()
            && waiting.request == request
            && waiting.is_repeat
        {
            self.settle(now, slot, request, no.into());
        }
        self.outbox.effect(Effect::Taken { slot, token });
        self.pump_all(now);
    }

    /// A peripheral has not acknowledged, or not answered, in time.
    pub(super) fn on_answer_overdue(&mut self, now: Time, slot: Slot) {
        let Some(registration) = self.registry.registration(slot) else { return };
        let (Some(in_flight), Some(waiting)) = (&registration.in_flight, registration.waiting.front()) else { return };
        if in_flight.is_acknowledged {
            let reason = format!("no answer within {} s", self.config.answer_time.as_secs());
            self.withdraw(now, slot, waiting.request, Outcome::Failed { reason });
        } else {
            self.outbox.effect(Effect::Stalled { slot });
        }
    }

    /// What is with a peripheral whose session broke must be put to it again. Of a cancelled
    /// request it must not, and whether the peripheral has it nobody knows.
    pub(super) fn forget_in_flight(&mut self, now: Time, slot: Slot) {
        let Some(registration) = self.registry.registration_mut(slot) else { return };
        if registration.in_flight.take().is_none() {
            return;
        }
        let request = registration.waiting.front().map(|waiting| waiting.request);
        self.timers.clear(Timer::Answer(slot));
        if let Some(request) = request
            && self.requests.get(&request).is_some_and(|taken| taken.is_cancelled)
        {
            self.settle(now, slot, request, cancelled_under_way());
        }
    }

    pub(super) fn on_deadline(&mut self, now: Time, request: RequestId) {
        self.close_to_late_joiners(request);
        for slot in self.unsettled_members(request) {
            let cause = match self.registry.registration(slot).map(|registration| registration.presence) {
                Some(Presence::Active) => ExpiryCause::Unreachable,
                _ => ExpiryCause::Asleep,
            };
            self.withdraw(now, slot, request, Outcome::Expired { cause });
        }
    }

    /// A member has its outcome without a word of the peripheral, which may have the request.
    fn withdraw(&mut self, now: Time, slot: Slot, request: RequestId, outcome: Outcome) {
        let is_with_it = self.registry.registration(slot).is_some_and(|registration| {
            registration.in_flight.is_some()
                && registration.waiting.front().is_some_and(|waiting| waiting.request == request)
        });
        self.settle(now, slot, request, outcome);
        if is_with_it {
            self.outbox.effect(Effect::Withdrawn { slot });
        }
    }

    /// Cancels what was not sent. What is with a peripheral comes to its own end.
    pub(super) fn cancel(&mut self, now: Time, request: RequestId) {
        let Some(taken) = self.requests.get_mut(&request) else { return };
        taken.is_cancelled = true;
        self.outbox.record(Change::Cancelled { request });
        self.close_to_late_joiners(request);
        for slot in self.unsettled_members(request) {
            let Some(registration) = self.registry.registration(slot) else { continue };
            let waiting = registration.waiting.iter().enumerate().find(|(_, waiting)| waiting.request == request);
            let Some((position, waiting)) = waiting else { continue };
            let passage = registration.in_flight.as_ref().filter(|_| position == 0).map(|in_flight| in_flight.passage);
            let outcome = match passage {
                Some(Passage::Left) => continue,
                Some(Passage::Unsent) => Outcome::Cancelled,
                Some(Passage::Resent) => cancelled_under_way(),
                None if waiting.is_repeat => cancelled_under_way(),
                None => Outcome::Cancelled,
            };
            self.settle(now, slot, request, outcome);
        }
    }

    fn unsettled_members(&self, request: RequestId) -> Vec<Slot> {
        let Some(taken) = self.requests.get(&request) else { return Vec::new() };
        let waits = |slot: &Slot| {
            let registration = self.registry.registration(*slot);
            registration.is_some_and(|known| known.waiting.iter().any(|waiting| waiting.request == request))
        };
        taken.members.iter().copied().filter(waits).collect()
    }

    /// Step 5: a member has its outcome.
    pub(super) fn settle(&mut self, now: Time, slot: Slot, request: RequestId, outcome: Outcome) {
        let Some(registration) = self.registry.registration_mut(slot) else { return };
        let position = registration.waiting.iter().position(|waiting| waiting.request == request);
        let Some(position) = position else { return };
        registration.waiting.remove(position);
        if position == 0
            && let Some(in_flight) = registration.in_flight.take()
        {
            self.timers.clear(Timer::Answer(slot));
            if let Some((_, token)) = in_flight.answer {
                // It came too early to count, and is of no use any more.
                self.outbox.effect(Effect::Taken { slot, token });
            }
        }
        self.conclude(now, slot, request, outcome);
        self.calm(now, slot);
        self.to_pump.push_back(slot);
    }

    /// The registration ended under what waited for the peripheral.
    pub(super) fn settle_left(&mut self, now: Time, slot: Slot, waiting: VecDeque<Waiting>) {
        for waiting in waiting {
            self.conclude(now, slot, waiting.request, Outcome::Left);
        }
    }

    /// Tells what still concerns a peripheral that is registered anew, for these groups, from what
    /// does not.
    pub(super) fn partition_waiting(
        &self,
        groups: &BTreeSet<GroupId>,
        waiting: VecDeque<Waiting>,
    ) -> (VecDeque<Waiting>, VecDeque<Waiting>) {
        waiting
            .into_iter()
            .partition(|waiting| self.requests.get(&waiting.request).is_some_and(|taken| taken.request.is_for(groups)))
    }

    fn conclude(&mut self, now: Time, slot: Slot, request: RequestId, outcome: Outcome) {
        let mut receipt = self.receipt(now, slot, outcome);
        receipt.seen = self.noted.take(request, slot);
        self.outbox.settle(request, slot, receipt);
        let taken = self.requests.get_mut(&request).expect("what waits is taken");
        taken.unsettled -= 1;
        if taken.unsettled == 0 && !self.late_joining.is_open(request) {
            self.let_go(request);
        }
    }

    pub(super) fn let_go(&mut self, request: RequestId) {
        self.requests.remove(&request);
        self.timers.clear(Timer::Deadline(request));
        self.outbox.end(request);
    }

    /// A peripheral that is being woken for nothing any more is just in standby.
    fn calm(&mut self, now: Time, slot: Slot) {
        let Some(registration) = self.registry.registration(slot) else { return };
        let is_called = registration.waiting.iter().any(|waiting| waiting.activates);
        if registration.presence == Presence::Activating && !is_called {
            self.change_presence(now, slot, Presence::Standby { next_wake: None });
        }
    }

    fn member(&self, slot: Slot) -> &PeripheralId {
        &self.registry.peripheral(slot).expect("members are allocated").id
    }

    pub(super) fn receipt(&self, now: Time, slot: Slot, outcome: Outcome) -> MemberOutcome {
        MemberOutcome { peripheral: self.member(slot).clone(), outcome, at: now, seen: Vec::new() }
    }
}

pub(super) fn too_many_waiting() -> Rejection {
    Rejection::new("full", "too many requests wait for this peripheral")
}

/// What became of a member that was cut off from a request that was cancelled meanwhile.
pub(super) fn cancelled_under_way() -> Outcome {
    Outcome::Failed { reason: "cancelled while it was being delivered; the peripheral may have it".into() }
}

#[derive(Debug, Default)]
struct Plan {
    waiting: Vec<(Slot, Waiting)>,
    settled: Vec<MemberOutcome>,
}
