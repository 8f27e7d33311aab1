//! An outcome is what truly happened: what counts as delivered came, with the answer that was given,
//! and what counts as never sent did not come.

use std::collections::{BTreeMap, BTreeSet};

use bugle_core::{Event, Outcome, PeripheralId, RequestId};

use super::Checker;
use crate::fact::Fact;
use crate::network::Moment;
use crate::state::State;
use bugle_core::platform::MemberKey;

#[derive(Debug, Default)]
pub(super) struct Truth {
    received: BTreeSet<MemberKey>,
    answered: BTreeMap<(RequestId, PeripheralId), Option<Vec<u8>>>,
    never_sent: BTreeSet<MemberKey>,
}

impl Checker for Truth {
    fn promise(&self) -> &'static str {
        "an outcome is what truly happened"
    }

    fn observe(&mut self, _: Moment, fact: &Fact<'_>) -> Result<(), String> {
        match fact {
            Fact::Received { gateway, peripheral, request, .. } => {
                let member = (*request, (*gateway).clone(), (*peripheral).clone());
                if self.never_sent.contains(&member) {
                    return Err(format!("{member:?} got it, and its outcome says that it was never sent"));
                }
                self.received.insert(member);
            }
            Fact::Answered { peripheral, request, answer } => {
                self.answered.insert((*request, (*peripheral).clone()), answer.map(<[u8]>::to_vec));
            }
            Fact::PlatformKept { changes } => {
                for (_, event) in &changes.events {
                    if let Event::Receipts { request, gateway, receipts } = event {
                        for receipt in receipts {
                            let member = (*request, gateway.clone(), receipt.peripheral.clone());
                            self.told(member, &receipt.outcome)?;
                        }
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn conclude(&mut self, _: &State<'_>) -> Result<(), String> {
        Ok(())
    }
}

impl Truth {
    fn told(&mut self, member: MemberKey, outcome: &Outcome) -> Result<(), String> {
        let came = self.received.contains(&member);
        let answer = self.answered.get(&(member.0, member.2.clone()));
        match outcome {
            Outcome::Delivered if !came => Err(format!("{member:?} counts as delivered, and never came")),
            Outcome::Executed { answer: told }
                if !answer.is_some_and(|given| {
                    given.as_ref() == Some(&told.bytes)
                    // MQTT 3.1.1 has no way to refuse: such an answer is an empty one.
                    || given.is_none() && told.bytes.is_empty()
                }) =>
            {
                Err(format!("{member:?} counts as executed with {told:?}, and {answer:?} was given"))
            }
            Outcome::Cancelled | Outcome::Aborted | Outcome::Replaced | Outcome::Skipped if came => {
                Err(format!("{member:?} came, and its outcome {outcome:?} says that it was never sent"))
            }
            Outcome::Cancelled | Outcome::Aborted | Outcome::Replaced | Outcome::Skipped => {
                self.never_sent.insert(member);
                Ok(())
            }
            _ => Ok(()),
        }
    }
}
