//! A member never gets a request twice as new, none after its outcome or the request's cancellation is on
//! disk, and all of one priority in the order of acceptance.

use std::collections::{BTreeMap, BTreeSet};

use bugle_core::gateway::Change;
use bugle_core::{DownEntry, GatewayId, PeripheralId, Priority, RequestId, Time, UpEntry};

use super::Checker;
use crate::fact::{Carrier, Fact};
use crate::network::{Moment, Stamp};
use crate::state::State;

type Member = (GatewayId, PeripheralId);

#[derive(Debug, Default)]
pub(super) struct Once {
    /// What came as new, in which session.
    new: BTreeSet<(Member, u64, RequestId)>,
    /// When the outcome of a member was on the gateway's disk.
    settled: BTreeMap<(Member, RequestId), Stamp>,
    /// The request that each entry of a gateway's down log cancels, if one does.
    cancelling: BTreeMap<GatewayId, Vec<Option<RequestId>>>,
    /// When a gateway's disk knew that a request is cancelled.
    cancelled: BTreeMap<(GatewayId, RequestId), Stamp>,
    /// The requests in the order in which each gateway took them, and when it did.
    taken: BTreeMap<(GatewayId, RequestId), Position>,
    /// When a request took in a member later.
    joined: BTreeMap<(Member, RequestId), Time>,
    taken_count: BTreeMap<GatewayId, usize>,
    priorities: BTreeMap<RequestId, Priority>,
    /// The last of each priority that came.
    last: BTreeMap<(Member, Priority), (Position, RequestId, Stamp)>,
}

/// Where a request stands among those of a member.
#[derive(Debug, Clone, Copy)]
struct Position {
    /// In the order of acceptance.
    place: usize,
    /// Since when it is for the member. What was joined after a later one may come before or after that one.
    since: Time,
}

impl Position {
    const fn is_before(self, other: Self) -> bool {
        self.place < other.place && self.since.as_millis() <= other.since.as_millis()
    }
}

impl Checker for Once {
    fn promise(&self) -> &'static str {
        "a member gets a request once, before it is settled, and in order"
    }

    fn observe(&mut self, moment: Moment, fact: &Fact<'_>) -> Result<(), String> {
        match fact {
            Fact::GatewayKept { gateway, change: Change::Taken(stored) } => {
                let count = self.taken_count.entry((*gateway).clone()).or_default();
                *count += 1;
                let position = Position { place: *count, since: moment.at };
                self.taken.insert(((*gateway).clone(), stored.request.id), position);
                self.priorities.insert(stored.request.id, stored.request.priority);
            }
            Fact::GatewayKept { gateway, change: Change::Joined { request, peripheral, .. } } => {
                let member = ((*gateway).clone(), peripheral.clone());
                if self.joined.insert((member, *request), moment.at).is_some() {
                    return Err(format!("{peripheral} joined request {request} of {gateway} twice"));
                }
            }
            Fact::GatewayKept {
                gateway,
                change: Change::Up { entry: UpEntry::Receipts { request, receipts }, .. },
            } => {
                for receipt in receipts {
                    let member = ((*gateway).clone(), receipt.peripheral.clone());
                    if self.settled.insert((member, *request), moment.stamp).is_some() {
                        let peripheral = &receipt.peripheral;
                        return Err(format!("{gateway} has two receipts of {peripheral} for request {request}"));
                    }
                }
            }
            Fact::GatewayKept { gateway, change: Change::Cancelled { request } } => {
                self.cancelled.entry(((*gateway).clone(), *request)).or_insert(moment.stamp);
            }
            Fact::PlatformKept { changes } => {
                for (gateway, entry) in &changes.down {
                    let cancelled = match entry {
                        DownEntry::Cancel { request, .. } => Some(*request),
                        _ => None,
                    };
                    self.cancelling.entry(gateway.clone()).or_default().push(cancelled);
                }
            }
            Fact::GatewayKept { gateway, change: Change::DownApplied { sequence } } => {
                let place = usize::try_from(*sequence).expect("logs of small worlds are short") - 1;
                let entry = self.cancelling.get(*gateway).and_then(|entries| entries.get(place));
                if let Some(request) = entry.copied().flatten() {
                    self.cancelled.entry(((*gateway).clone(), request)).or_insert(moment.stamp);
                }
            }
            Fact::Received { gateway, peripheral, request, is_repeat, session, sent, carrier } => {
                let member = ((*gateway).clone(), (*peripheral).clone());
                let cancelled = self.cancelled.get(&(member.0.clone(), *request));
                // What its endpoint has, a gateway does not call back for a cancellation.
                if *carrier == Carrier::Stream && cancelled.is_some_and(|cancelled| cancelled < sent) {
                    return Err(format!(
                        "{peripheral} got request {request} after {gateway} knew that it is cancelled"
                    ));
                }
                return self.received(member, *request, *is_repeat, *session, *sent);
            }
            _ => {}
        }
        Ok(())
    }

    fn conclude(&mut self, _: &State<'_>) -> Result<(), String> {
        Ok(())
    }
}

impl Once {
    fn received(
        &mut self,
        member: Member,
        request: RequestId,
        is_repeat: bool,
        session: u64,
        sent: Stamp,
    ) -> Result<(), String> {
        let (gateway, peripheral) = &member;
        if self.settled.get(&(member.clone(), request)).is_some_and(|settled| *settled < sent) {
            return Err(format!("{peripheral} got request {request} after its outcome was settled at {gateway}"));
        }
        let Some(mut position) = self.taken.get(&(gateway.clone(), request)).copied() else {
            return Err(format!("{peripheral} got request {request} before {gateway} had it on disk"));
        };
        position.since = self.joined.get(&(member.clone(), request)).copied().unwrap_or(position.since);
        // A late datagram is overtaken on its way; what counts is when it was sent.
        let priority = self.priorities.get(&request).copied().unwrap_or_default();
        let line = (member.clone(), priority);
        if let Some((last, before, sent_before)) = self.last.get(&line)
            && position.is_before(*last)
            && sent > *sent_before
        {
            return Err(format!(
                "{peripheral} got request {request} of {gateway} after {before}, which is a later one"
            ));
        }
        if self.last.get(&line).is_none_or(|(last, ..)| position.place >= last.place) {
            self.last.insert(line, (position, request, sent));
        }
        let text = format!("{peripheral} got request {request} of {gateway} twice as new");
        if !is_repeat && !self.new.insert((member, session, request)) {
            return Err(text);
        }
        Ok(())
    }
}
