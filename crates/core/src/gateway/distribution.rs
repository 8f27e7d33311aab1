//! Group request: one operation for all members of a group, and one outcome for each.
//!
//! 1. The request comes down with operation, group, activation policy and deadline: `take`.
//! 2. The members are fixed: all registered peripherals of the group now. If the request says so, those
//!    that register later become members too (`late_joining.rs`).
//! 3. Part or all of the members in standby are activated (`activation.rs`), those first that wake
//!    soonest.
//! 4. The operation goes to the active ones now, to the others as they wake: `pump_all`, as fast as
//!    pacing allows (`pacing.rs`). For each peripheral urgent requests go before others, otherwise in
//!    order of acceptance, one in flight. Members in standby that are not activated wait too, or are
//!    left out if the request says so.
//! 5. Every member ends in exactly one outcome: `settle`. At the deadline the rest expires; what is
//!    not with a peripheral ends before if the request is cancelled, aborted, or replaced (`stopping.rs`).
//!
//! The number of each delivery is durable before the first transmission, so that a repetition after
//! a crash carries the same identifier and is recognised as one.

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::sync::Arc;

use thin_vec::ThinVec;

use super::change::StoredRequest;
use super::pacing::{Departure, Meter};
use super::registry::{Registration, Waiting};
use super::timers::Timer;
use super::{Change, Effect, Gateway, Slot};
use crate::{
    Activation, Content, ExpiryCause, GroupId, GroupRequest, LateJoiners, MemberOutcome, Outcome, Pacing, PeripheralId,
    Presence, Receipt, RequestId, Sample, Sleepers, Stage, Time, UpEntry, limits,
};

/// A request that waits for members.
#[derive(Debug)]
pub(super) struct TakenRequest {
    pub(super) request: Arc<GroupRequest>,
    /// The members that it waited for when it was taken.
    pub(super) members: Vec<Slot>,
    /// How many of them have no outcome yet.
    pub(super) unsettled: usize,
    /// Whether what is not with a peripheral has ended.
    pub(super) is_stopped: bool,
    /// What has become of its members here.
    pub(super) sample: Sample,
}

/// The delivery that is with a peripheral.
#[derive(Debug, Clone, Copy)]
pub(super) struct InFlight {
    pub(super) passage: Passage,
    is_acknowledged: bool,
}

/// An answer that came before the acknowledgement of its delivery, with the token of whoever handed it over.
pub(super) type EarlyAnswer = Box<(Content, u64)>;

/// How far a delivery has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Passage {
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
        self.replace_older(now, &request);
        let members = self.registry.members(&request);
        let is_busy = self.requests.len() >= limits::REQUESTS_PER_GATEWAY_MAX;
        let late_joiners = if is_busy { LateJoiners::Exclude } else { request.late_joiners };
        self.tell_members(id, &members, late_joiners);
        if is_busy {
            let outcome = Rejection::new("busy", "the gateway holds too many requests").into();
            let receipts = members.iter().map(|slot| self.receipt(now, *slot, Outcome::clone(&outcome))).collect();
            self.outbox.settle_at_once(id, receipts);
            self.forget_collapse(&request);
            return;
        }
        let met = match late_joiners {
            LateJoiners::Include => members.iter().map(|slot| self.member(*slot).clone()).collect(),
            LateJoiners::Exclude => Vec::new(),
        };
        let plan = self.plan(now, &request, members);
        self.outbox.settle_at_once(id, plan.settled);
        if plan.waiting.is_empty() && late_joiners == LateJoiners::Exclude {
            self.forget_collapse(&request);
            return;
        }
        let request = Arc::new(request);
        let members = plan.waiting.iter().map(|(slot, waiting)| (*slot, waiting.delivery, waiting.activates)).collect();
        let stored = StoredRequest { request: Arc::clone(&request), members, met: met.clone(), is_cancelled: false };
        self.outbox.record(Change::Taken(stored));
        self.open_to_late_joiners(&request, met);
        let members = plan.waiting.iter().map(|(slot, _)| *slot).collect();
        let [deliveries, wakes] = meters(&request.pacing);
        self.hold(request, members, deliveries, wakes);
        for (rank, (slot, waiting)) in (0..).zip(plan.waiting) {
            self.enqueue(now, slot, waiting, rank);
        }
    }

    /// Keeps a request until all `members` have their outcome.
    pub(super) fn hold(&mut self, request: Arc<GroupRequest>, members: Vec<Slot>, deliveries: Meter, wakes: Meter) {
        let id = request.id;
        self.deadlines.insert((request.deadline, id));
        self.await_deadline();
        self.deliveries.open(Some(id), request.priority, deliveries);
        self.wakes.open(Some(id), request.priority, wakes);
        let unsettled = members.len();
        let sample = Sample::default();
        self.requests.insert(id, TakenRequest { request, members, unsettled, is_stopped: false, sample });
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
            let registration = self.registry.registration(slot).expect("members are registered");
            if registration.waiting.len() >= limits::WAITING_PER_PERIPHERAL_MAX {
                plan.settled.push(self.receipt(now, slot, too_many_waiting().into()));
            } else if registration.presence == Presence::Active {
                // Should it go to standby before its turn comes, it is as if it had been.
                let activates = self.is_selected(&request.activation, slot);
                plan.waiting.push((slot, self.waiting(slot, request, activates)));
            } else {
                sleepers.push((self.turn(slot), slot));
            }
        }
        sleepers.sort_unstable();
        let share = request.activation.share_of(sleepers.len());
        for (position, (_, slot)) in sleepers.into_iter().enumerate() {
            let activates = position < share || self.is_selected(&request.activation, slot);
            if activates || request.sleepers == Sleepers::Queue {
                plan.waiting.push((slot, self.waiting(slot, request, activates)));
            } else {
                plan.settled.push(self.receipt(now, slot, Outcome::Skipped));
            }
        }
        plan
    }

    fn is_selected(&self, activation: &Activation, slot: Slot) -> bool {
        self.registry.peripheral(slot).is_some_and(|peripheral| activation.selects(&peripheral.profile.labels))
    }

    pub(super) fn waiting(&mut self, slot: Slot, request: &GroupRequest, activates: bool) -> Waiting {
        let peripheral = self.registry.peripheral_mut(slot).expect("members are allocated");
        peripheral.next_delivery = peripheral.next_delivery.checked_add(1).unwrap_or(1);
        Waiting {
            request: request.id,
            priority: request.priority,
            delivery: peripheral.next_delivery,
            activates,
            is_repeat: false,
            tries: 0,
            stage: Stage::AtGateway,
        }
    }

    pub(super) fn enqueue(&mut self, now: Time, slot: Slot, waiting: Waiting, rank: u32) {
        let registration = self.registry.registration_mut(slot).expect("members are registered");
        registration.wait(waiting);
        self.observe(now, slot);
        if waiting.activates {
            self.call(now, slot, Some(waiting.request), rank);
        }
        self.to_pump.push_back(slot);
    }

    /// Step 4, for every peripheral that may have become ready for its next request.
    pub(super) fn pump_all(&mut self, now: Time) {
        self.pumps_later = false;
        loop {
            while let Some(slot) = self.to_pump.pop_front() {
                self.line_up(now, slot);
            }
            self.wake_next(now);
            self.deliver_next(now);
            self.abort_due(now);
            if self.to_pump.is_empty() {
                break;
            }
        }
        self.timers.set_or_clear(Timer::Deliveries, self.deliveries.next_due(now));
        self.timers.set_or_clear(Timer::Wakes, self.wakes.next_due(now));
    }

    /// Has a peripheral that is ready for its next request wait for its turn. One that sleeps, and is
    /// awake now, may not be for long, and goes first.
    fn line_up(&mut self, now: Time, slot: Slot) {
        let Some(registration) = self.registry.registration(slot) else { return };
        if let Some(request) = registration.ready_for() {
            let rank = u32::from(!registration.is_sleeper);
            self.deliveries.add(now, Some(request), rank, slot);
        }
    }

    fn deliver_next(&mut self, now: Time) {
        while let Some((cause, slot)) = self.deliveries.take_next(now) {
            let registration = self.registry.registration(slot);
            if let Some(request) = registration.and_then(Registration::ready_for)
                && cause == Some(request)
            {
                self.deliver(now, slot, request);
            }
        }
    }

    fn deliver(&mut self, now: Time, slot: Slot, request: RequestId) {
        let registration = self.registry.registration_mut(slot).expect("only the registered are ready");
        let waiting = registration.waiting.first_mut().expect("who is ready has something waiting");
        if waiting.tries >= limits::DELIVERY_TRIES_MAX {
            let reason = format!("no answer after {} tries", limits::DELIVERY_TRIES_MAX);
            self.settle(now, slot, request, Outcome::Failed { reason });
            return;
        }
        waiting.tries += 1;
        let (delivery, is_repeat) = (waiting.delivery, waiting.is_repeat);
        waiting.is_repeat = true;
        let passage = if is_repeat { Passage::Resent } else { Passage::Unsent };
        registration.in_flight = Some(InFlight { passage, is_acknowledged: false });
        self.deliveries.begin(now, Some(request));
        self.observe(now, slot);
        let request = Arc::clone(&self.requests.get(&request).expect("what waits is taken").request);
        self.outbox.effect(Effect::Deliver { slot, delivery, is_repeat, request });
    }

    /// A delivery is about to leave. Not one that was settled, or cut off, while it waited for the disk, nor one to
    /// who went to standby.
    pub(super) fn delivery_leaves(&mut self, now: Time, slot: Slot, delivery: u16, request: RequestId) -> bool {
        let leaves = self.set_out(now, slot, delivery);
        if leaves {
            self.timers.set(Timer::Answer(slot), now + self.config.answer_time);
        }
        self.deliveries.leave(now, Some(request), if leaves { Departure::At(now) } else { Departure::Never });
        self.timers.set_or_clear(Timer::Deliveries, self.deliveries.next_due(now));
        leaves
    }

    fn set_out(&mut self, now: Time, slot: Slot, delivery: u16) -> bool {
        let Some(registration) = self.registry.registration_mut(slot) else { return false };
        let Some(waiting) = registration.waiting.first_mut().filter(|waiting| waiting.delivery == delivery) else {
            return false;
        };
        let Some(in_flight) = &mut registration.in_flight else { return false };
        if in_flight.passage == Passage::Left {
            // Begun twice, as its peripheral was cut off in between, and gone.
            return false;
        }
        if registration.presence == Presence::Active {
            in_flight.passage = Passage::Left;
            return true;
        }
        // It went to standby meanwhile.
        if registration.early_answer.is_some() {
            // It has answered what it got before, and no acknowledgement is to come.
            self.settle_by_early_answer(now, slot);
            return false;
        }
        // It is put to it at its next word as if nothing had been.
        waiting.is_repeat = in_flight.passage != Passage::Unsent;
        waiting.tries -= 1;
        let request = waiting.request;
        registration.in_flight = None;
        self.deliveries.end(now, Some(request));
        false
    }

    /// The transport has acknowledged a delivery.
    pub fn handle_acknowledged(&mut self, now: Time, slot: Slot, delivery: u16) {
        let Some(registration) = self.registry.registration_mut(slot) else { return };
        let Some(waiting) = registration.waiting.first().filter(|waiting| waiting.delivery == delivery) else { return };
        let Some(in_flight) = &mut registration.in_flight else { return };
        let request = waiting.request;
        in_flight.is_acknowledged = true;
        if registration.early_answer.is_some() {
            self.settle_by_early_answer(now, slot);
        } else if self.requests.get(&request).is_some_and(|taken| taken.request.receipt == Receipt::Delivered) {
            self.settle(now, slot, request, Outcome::Delivered);
        } else {
            self.timers.set(Timer::Answer(slot), now + self.config.answer_time);
        }
        self.pump_all(now);
    }

    /// An answer that came before the acknowledgement of its delivery counts, if there is one.
    pub(super) fn settle_by_early_answer(&mut self, now: Time, slot: Slot) {
        let Some(registration) = self.registry.registration_mut(slot) else { return };
        let early = registration.early_answer.take();
        if let (Some(early), Some(waiting)) = (early, registration.waiting.first()) {
            let ((answer, token), request) = (*early, waiting.request);
            self.settle(now, slot, request, Outcome::Executed { answer });
            self.outbox.effect(Effect::Taken { slot, token });
        }
    }

    /// The peripheral answers a request. [`Effect::Taken`] with `token` follows when the answer is
    /// durable, or at once when nobody waits for it any more.
    pub fn handle_answer(&mut self, now: Time, slot: Slot, request: RequestId, answer: Content, token: u64) {
        self.handle_word(now, slot);
        if let Some(registration) = self.registry.registration_mut(slot)
            && let Some(position) = registration.position_of(request)
            && registration.waiting[position].is_repeat
        {
            if let Some(in_flight) = &registration.in_flight
                && position == 0
                && !in_flight.is_acknowledged
            {
                // The settling waits for the acknowledgement, so that the next delivery does not
                // overtake it; until then the answer is not taken, and so is kept by the peripheral.
                registration.early_answer = Some(Box::new((answer, token)));
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
        let Some(waiting) = registration.waiting.first().filter(|waiting| waiting.delivery == delivery) else { return };
        if registration.in_flight.is_some() {
            self.settle(now, slot, waiting.request, rejection.into());
            self.pump_all(now);
        }
    }

    /// A delivery has come to its end in one step, with acknowledgement and answer together or without any.
    pub fn handle_concluded(&mut self, now: Time, slot: Slot, delivery: u16, outcome: Outcome) {
        let Some(registration) = self.registry.registration(slot) else { return };
        let Some(waiting) = registration.waiting.first().filter(|waiting| waiting.delivery == delivery) else { return };
        if registration.in_flight.is_some() {
            self.settle(now, slot, waiting.request, outcome);
            self.pump_all(now);
        }
    }

    /// The peripheral says no in its answer to a request. [`Effect::Taken`] with `token` follows.
    pub fn handle_refusing_answer(&mut self, now: Time, slot: Slot, request: RequestId, no: Rejection, token: u64) {
        self.handle_word(now, slot);
        if let Some(registration) = self.registry.registration(slot)
            && registration.waiting.iter().any(|waiting| waiting.request == request && waiting.is_repeat)
        {
            self.settle(now, slot, request, no.into());
        }
        self.outbox.effect(Effect::Taken { slot, token });
        self.pump_all(now);
    }

    /// A peripheral has not acknowledged, or not answered, in time.
    pub(super) fn on_answer_overdue(&mut self, now: Time, slot: Slot) {
        let Some(registration) = self.registry.registration(slot) else { return };
        let (Some(in_flight), Some(waiting)) = (&registration.in_flight, registration.waiting.first()) else { return };
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
        registration.early_answer = None;
        let request = registration.waiting.first().map(|waiting| waiting.request);
        self.timers.clear(Timer::Answer(slot));
        self.deliveries.end(now, request);
        if let Some(request) = request
            && self.requests.get(&request).is_some_and(|taken| taken.is_stopped)
        {
            self.settle(now, slot, request, cancelled_under_way());
        }
    }

    pub(super) fn on_deadlines(&mut self, now: Time) {
        while let Some((at, request)) = self.deadlines.first().copied().filter(|(at, _)| *at <= now) {
            self.deadlines.remove(&(at, request));
            self.on_deadline(now, request);
        }
        self.await_deadline();
    }

    fn await_deadline(&mut self) {
        self.timers.set_or_clear(Timer::Deadline, self.deadlines.first().map(|(at, _)| *at));
    }

    fn on_deadline(&mut self, now: Time, request: RequestId) {
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
                && registration.waiting.first().is_some_and(|waiting| waiting.request == request)
        });
        self.settle(now, slot, request, outcome);
        if is_with_it {
            self.outbox.effect(Effect::Withdrawn { slot });
        }
    }

    pub(super) fn unsettled_members(&self, request: RequestId) -> Vec<Slot> {
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
        let Some(position) = registration.position_of(request) else { return };
        registration.waiting.remove(position);
        if position == 0 && registration.in_flight.take().is_some() {
            let early = registration.early_answer.take();
            self.timers.clear(Timer::Answer(slot));
            self.deliveries.end(now, Some(request));
            if let Some((_, token)) = early.map(|early| *early) {
                // It came too early to count, and is of no use any more.
                self.outbox.effect(Effect::Taken { slot, token });
            }
        }
        self.conclude(now, slot, request, outcome);
        self.calm(now, slot);
        self.to_pump.push_back(slot);
    }

    /// The registration ended under what waited for the peripheral.
    pub(super) fn settle_left(&mut self, now: Time, slot: Slot, waiting: ThinVec<Waiting>) {
        for waiting in waiting {
            self.conclude(now, slot, waiting.request, Outcome::Left);
        }
    }

    /// Tells what still concerns a peripheral that is registered anew, for these groups, from what
    /// does not.
    pub(super) fn partition_waiting(
        &self,
        groups: &BTreeSet<GroupId>,
        waiting: ThinVec<Waiting>,
    ) -> (ThinVec<Waiting>, ThinVec<Waiting>) {
        waiting
            .into_iter()
            .partition(|waiting| self.requests.get(&waiting.request).is_some_and(|taken| taken.request.is_for(groups)))
    }

    fn conclude(&mut self, now: Time, slot: Slot, request: RequestId, outcome: Outcome) {
        self.count(request, &outcome);
        let mut receipt = self.receipt(now, slot, outcome);
        receipt.seen = self.noted.take(request, slot);
        self.outbox.settle(now, request, slot, receipt);
        let taken = self.requests.get_mut(&request).expect("what waits is taken");
        taken.unsettled -= 1;
        if taken.unsettled == 0 && !self.late_joining.is_open(request) {
            self.let_go(request);
        }
    }

    pub(super) fn let_go(&mut self, request: RequestId) {
        let Some(taken) = self.requests.remove(&request) else { return };
        self.deadlines.remove(&(taken.request.deadline, request));
        self.await_deadline();
        self.deliveries.close(Some(request));
        self.wakes.close(Some(request));
        self.forget_collapse(&taken.request);
        self.outbox.end(request);
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

/// What a request's own pacing allows: deliveries, and wake-ups.
pub(super) fn meters(pacing: &Pacing) -> [Meter; 2] {
    let number = |number: Option<NonZeroU32>| number.map(NonZeroU32::get);
    [
        Meter::of_rate(number(pacing.members_per_second), Pacing::SECOND)
            .with_in_flight(number(pacing.members_in_flight)),
        Meter::of_rate(number(pacing.activations_per_minute), Pacing::MINUTE),
    ]
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
