//! Every accepted request ends, every member of it with exactly one outcome, and outcomes only move
//! forward.

use std::collections::{BTreeMap, BTreeSet};

use bugle_core::platform::{MemberKey, RequestState};
use bugle_core::{DownEntry, Event, Outcome, RequestId, Totals};

use super::Checker;
use crate::fact::Fact;
use crate::network::Moment;
use crate::state::State;

#[derive(Debug, Default)]
pub(super) struct Outcomes {
    accepted: BTreeSet<RequestId>,
    states: BTreeMap<RequestId, RequestState>,
    members: BTreeMap<MemberKey, Option<Outcome>>,
    /// Outcomes that were told.
    told: BTreeMap<MemberKey, Outcome>,
    /// Requests whose end was told.
    ended: BTreeSet<RequestId>,
}

const fn rank(state: RequestState) -> u8 {
    match state {
        RequestState::Open => 0,
        RequestState::Cancelling => 1,
        RequestState::Complete => 2,
    }
}

impl Checker for Outcomes {
    fn promise(&self) -> &'static str {
        "every accepted request ends, every member with one outcome that stands"
    }

    fn observe(&mut self, _: Moment, fact: &Fact<'_>) -> Result<(), String> {
        match fact {
            Fact::Accepted { request } => {
                self.accepted.insert(*request);
                if !self.states.contains_key(request) {
                    return Err(format!("request {request} was accepted before it was on disk"));
                }
            }
            Fact::PlatformKept { changes } => {
                for put in &changes.requests {
                    let row = put.row.as_ref().ok_or_else(|| format!("request {} is gone", put.key))?;
                    let before = self.states.insert(put.key, row.state);
                    if before.is_some_and(|before| rank(before) > rank(row.state)) {
                        return Err(format!("request {} went back to {}", put.key, row.state));
                    }
                    if row.state == RequestState::Complete && row.gateways_fixed != row.gateways {
                        return Err(format!("request {} is complete, and not all gateways have told", put.key));
                    }
                    let cancel =
                        |entry: &DownEntry| matches!(entry, DownEntry::Cancel { request, .. } if *request == put.key);
                    let told = changes.down.iter().filter(|(_, entry)| cancel(entry)).count() as u64;
                    let is_news = row.state == RequestState::Cancelling && before != Some(row.state);
                    if is_news && told != row.gateways {
                        let of = row.gateways;
                        return Err(format!("{told} of {of} gateways hear that request {} is cancelled", put.key));
                    }
                }
                for ((request, gateway), puts) in &changes.members {
                    for put in puts {
                        let key = (*request, gateway.clone(), put.key.clone());
                        let row = put.row.as_ref().ok_or_else(|| format!("member {key:?} is gone"))?;
                        let outcome = row.outcome.as_ref().map(|(outcome, _)| outcome.clone());
                        let before = self.members.insert(key.clone(), outcome.clone()).flatten();
                        if before.is_some() && before != outcome {
                            return Err(format!("the outcome of {key:?} was {before:?} and became {outcome:?}"));
                        }
                    }
                }
                for (_, event) in &changes.events {
                    self.told(event)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn conclude(&mut self, _: &State<'_>) -> Result<(), String> {
        let open = self.accepted.iter().find(|request| self.states.get(request) != Some(&RequestState::Complete));
        if let Some(request) = open {
            return Err(format!("request {request} was accepted and has not ended"));
        }
        if let Some(request) = self.states.keys().find(|request| !self.ended.contains(request)) {
            return Err(format!("the end of request {request} was not told"));
        }
        match self.members.iter().find(|(member, outcome)| self.told.get(member) != outcome.as_ref()) {
            Some((member, outcome)) => {
                Err(format!("{member:?} ended {outcome:?} and {:?} was told", self.told.get(member)))
            }
            None => Ok(()),
        }
    }
}

impl Outcomes {
    fn told(&mut self, event: &Event) -> Result<(), String> {
        match event {
            Event::Receipts { request, gateway, receipts } => {
                if self.ended.contains(request) {
                    return Err(format!("receipts for request {request} were told after its end"));
                }
                for receipt in receipts {
                    let member = (*request, gateway.clone(), receipt.peripheral.clone());
                    if let Some(before) = self.told.insert(member.clone(), receipt.outcome.clone()) {
                        return Err(format!("of {member:?} {before:?} was told, and {:?} again", receipt.outcome));
                    }
                }
            }
            Event::RequestCompleted { request, totals } => {
                if !self.ended.insert(*request) {
                    return Err(format!("the end of request {request} was told twice"));
                }
                let mut counted = Totals::default();
                for (_, outcome) in self.told.iter().filter(|((of, ..), _)| of == request) {
                    counted.members += 1;
                    counted.add(outcome.kind(), 1);
                }
                if counted != *totals {
                    return Err(format!("request {request} ended with {totals:?}, and {counted:?} was told"));
                }
            }
            _ => {}
        }
        Ok(())
    }
}
