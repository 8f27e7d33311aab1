//! Persist before promise: changes on their way to disk, and the effects that wait for them.

use std::collections::{BTreeMap, VecDeque};

use super::change::{Batch, Change, Settlement, Ticket};
use super::up_log::UpLog;
use super::{Effect, Slot};
use crate::{MemberOutcome, Outcome, RequestId, Time, Totals, UpEntry, limits};

#[derive(Debug, Default)]
pub(super) struct Outbox {
    /// Changes that no batch holds yet.
    changes: Vec<Change>,
    /// Outcomes that no change holds yet: gathered, so that a thousand make one entry.
    outcomes: BTreeMap<RequestId, Gathered>,
    /// How many receipts these are, and since when they are gathered.
    receipts: usize,
    gathered_since: Option<Time>,
    /// Whether nothing is gathered any more.
    is_ending: bool,
    /// Effects in order, each with the batch that must be durable first.
    effects: VecDeque<(Ticket, Effect)>,
    /// Those that tell the link how far the logs are. They wait for no others: the platform hears of the first members
    /// of a large group while the last are still to be asked.
    of_logs: VecDeque<(Ticket, Effect)>,
    /// Outcomes since the start, by kind.
    totals: Totals,
    issued: Ticket,
    persisted: Ticket,
    /// Changes in the batch that is on its way to disk.
    in_batch: usize,
}

#[derive(Debug, Default)]
struct Gathered {
    slots: Vec<Slot>,
    receipts: Vec<MemberOutcome>,
    is_ended: bool,
}

impl Outbox {
    /// Records a change.
    pub(super) fn record(&mut self, change: Change) {
        self.changes.push(change);
    }

    /// Has `effect` carried out once all that was recorded so far is durable.
    pub(super) fn effect(&mut self, effect: Effect) {
        let has_open = !self.changes.is_empty() || !self.outcomes.is_empty();
        let ticket = if has_open { Ticket(self.issued.0 + 1) } else { self.issued };
        let queue = match effect {
            Effect::UpAvailable { .. } | Effect::DownAcknowledged { .. } => &mut self.of_logs,
            _ => &mut self.effects,
        };
        queue.push_back((ticket, effect));
    }

    /// Records the outcome of a request for one member that the request waited for.
    pub(super) fn settle(&mut self, now: Time, request: RequestId, slot: Slot, receipt: MemberOutcome) {
        self.gathered_since.get_or_insert(now);
        self.receipts += 1;
        self.totals.add(receipt.outcome.kind(), 1);
        let gathered = self.outcomes.entry(request).or_default();
        gathered.slots.push(slot);
        gathered.receipts.push(receipt);
    }

    /// Records outcomes that stood when the members were fixed: nothing ever waited for them.
    pub(super) fn settle_at_once(&mut self, request: RequestId, receipts: Vec<MemberOutcome>) {
        receipts.iter().for_each(|receipt| self.totals.add(receipt.outcome.kind(), 1));
        self.outcomes.entry(request).or_default().receipts.extend(receipts);
    }

    /// Records that all members of a request have their outcome.
    pub(super) fn end(&mut self, request: RequestId) {
        self.outcomes.entry(request).or_default().is_ended = true;
    }

    /// Turns the outcomes gathered so far into changes.
    fn settle_into(&mut self, up_log: &mut UpLog) {
        (self.receipts, self.gathered_since) = (0, None);
        for (request, gathered) in std::mem::take(&mut self.outcomes) {
            if gathered.is_ended {
                self.record(Change::Ended { request });
            } else if !gathered.slots.is_empty() {
                self.record(Change::Settled(Settlement { request, slots: gathered.slots }));
            }
            let mut receipts = gathered.receipts;
            while !receipts.is_empty() {
                let rest = receipts.split_off(fitting(&receipts));
                up_log.append(self, UpEntry::Receipts { request, receipts });
                receipts = rest;
            }
        }
    }

    /// One batch at a time: what is recorded while one is on its way becomes the next. So the busier the
    /// store, the more goes into one commit, and the more outcomes into one entry. Outcomes alone, of requests that
    /// go on, are gathered for a little.
    pub(super) fn poll_batch(&mut self, now: Time, up_log: &mut UpLog) -> Option<Batch> {
        if self.persisted < self.issued || self.gathers_until().is_some_and(|until| now < until) {
            return None;
        }
        self.settle_into(up_log);
        if self.changes.is_empty() {
            return None;
        }
        self.issued.0 += 1;
        self.in_batch = self.changes.len();
        Some(Batch { ticket: self.issued, changes: std::mem::take(&mut self.changes) })
    }

    /// Until when more outcomes are gathered; none if what there is goes out as soon as the store is free.
    pub(super) fn gathers_until(&self) -> Option<Time> {
        let queues = [&self.of_logs, &self.effects];
        let is_awaited = queues.iter().any(|queue| queue.back().is_some_and(|(ticket, _)| *ticket > self.issued));
        let is_enough = self.receipts >= limits::RECEIPTS_PER_ENTRY_MAX
            || !self.changes.is_empty()
            || self.outcomes.values().any(|gathered| gathered.is_ended);
        let is_busy = self.persisted < self.issued;
        if is_busy || is_awaited || is_enough || self.is_ending {
            return None;
        }
        self.gathered_since.map(|since| since + limits::RECEIPTS_GATHERED_FOR)
    }

    /// Gathers nothing any more.
    pub(super) const fn end_gathering(&mut self) {
        self.is_ending = true;
    }

    pub(super) fn poll_effect(&mut self) -> Option<Effect> {
        let persisted = self.persisted;
        let mut queues = [&mut self.of_logs, &mut self.effects].into_iter();
        queues.find_map(|queue| queue.pop_front_if(|(ticket, _)| *ticket <= persisted).map(|(_, effect)| effect))
    }

    pub(super) fn persisted(&mut self, ticket: Ticket) {
        assert!(ticket <= self.issued, "only what was given out can be durable");
        self.persisted = self.persisted.max(ticket);
        if self.persisted == self.issued {
            self.in_batch = 0;
        }
    }

    pub(super) const fn totals(&self) -> Totals {
        self.totals
    }

    /// Changes that are not durable yet.
    pub(super) const fn unpersisted(&self) -> usize {
        self.in_batch + self.changes.len()
    }
}

/// How many of the receipts fit into one entry, by count and by the bytes of their answers.
fn fitting(receipts: &[MemberOutcome]) -> usize {
    let mut answer_bytes = 0;
    let fits = receipts.iter().take(limits::RECEIPTS_PER_ENTRY_MAX).take_while(|receipt| {
        let has_room = answer_bytes < limits::ANSWER_BYTES_PER_ENTRY_MAX;
        if let Outcome::Executed { answer } = &receipt.outcome {
            answer_bytes += answer.bytes.len();
        }
        has_room
    });
    fits.count()
}
