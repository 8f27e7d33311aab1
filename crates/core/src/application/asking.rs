//! Registering, steps 4 to 6: a peripheral asks, the authorizer and, where it says so, a person decide.
//!
//! 1. An asking that was decided before gets the same no again, or goes on waiting.
//! 2. One about the registration through which the peripheral is a member renews that registration:
//!    its lease is over. It is decided anew. After a no the peripheral stays a member until its
//!    gateway says that the registration has ended.
//! 3. Any other is decided. What is being decided does not touch the peripheral's membership through
//!    another registration; only a yes does, lest an impostor could end it by asking.

use std::collections::BTreeSet;
use std::time::Duration;

use super::authorizer::{Authorizer, Decision, RegistrationQuestion};
use super::change::Change;
use super::configuration::GroupConfigurations;
use super::registration::{Answer, Approval, ApprovalState, Member, Registration, Standing};
use crate::{GatewayId, GroupId, RegistrationAsked, Time, Verdict, limits};

/// What is known of an asking.
enum Asking {
    /// Nothing: it is to be decided.
    New,
    /// The peripheral is a member through it.
    Renewal(Member),
    /// It waits for approval.
    Waiting,
    /// The answer is no.
    Refused(String),
}

impl GroupConfigurations {
    pub(super) fn on_asked(
        &mut self,
        now: Time,
        gateway: &GatewayId,
        asked: &RegistrationAsked,
        authorizer: &impl Authorizer,
        changes: &mut Vec<Change>,
    ) {
        let renewed = match self.asking(gateway, asked) {
            Asking::New => None,
            Asking::Renewal(member) => Some(member),
            Asking::Waiting => return,
            Asking::Refused(reason) => {
                changes.push(Change::Answered(answer(gateway, asked, Verdict::Refused { reason })));
                return;
            }
        };
        let RegistrationAsked { peripheral, registration, .. } = asked;
        match self.decide(now, gateway, asked, renewed.as_ref(), authorizer) {
            Decision::Authorized { groups, lease } => {
                let anew = || Member { groups: BTreeSet::new(), presence: None, since: now, sequence: self.cursor };
                let member = Member { groups: groups.clone(), ..renewed.unwrap_or_else(anew) };
                self.admit(now, peripheral, gateway, *registration, member, changes);
                changes.push(Change::Answered(answer(gateway, asked, Verdict::Authorized { groups, lease })));
            }
            Decision::Refused { reason } => {
                if renewed.is_none() {
                    let standing = Standing::Refused { reason: reason.clone() };
                    self.record_asking(gateway, asked, standing, changes);
                }
                changes.push(Change::Answered(answer(gateway, asked, Verdict::Refused { reason })));
            }
            Decision::Pending { groups, lease } => {
                self.await_approval(now, gateway, peripheral, &groups, changes);
                let standing = Standing::Pending { groups, lease, sequence: self.cursor };
                self.record_asking(gateway, asked, standing, changes);
            }
        }
    }

    fn asking(&self, gateway: &GatewayId, asked: &RegistrationAsked) -> Asking {
        let here = || self.registrations(&asked.peripheral).iter().filter(|known| known.gateway == *gateway);
        match here().find(|known| known.id == asked.registration).map(|known| &known.standing) {
            Some(Standing::Member(member)) => Asking::Renewal(member.clone()),
            Some(Standing::Pending { .. }) => Asking::Waiting,
            Some(Standing::Refused { reason }) => Asking::Refused(reason.clone()),
            Some(Standing::Replaced(_)) => Asking::Refused("the peripheral has registered anew since".into()),
            None if here().any(|known| known.id > asked.registration) => {
                Asking::Refused("the peripheral has asked again since".into())
            }
            None => Asking::New,
        }
    }

    /// Asks the authorizer, and applies to its answer what a person has decided.
    fn decide(
        &self,
        now: Time,
        gateway: &GatewayId,
        asked: &RegistrationAsked,
        renewed: Option<&Member>,
        authorizer: &impl Authorizer,
    ) -> Decision {
        let approval = self.approvals.get(&asked.peripheral);
        let is_in = |state| approval.is_some_and(|approval| approval.state == state);
        if is_in(ApprovalState::Refused) {
            return Decision::refused("a person has refused the peripheral");
        }
        let (groups, lease, is_pending) = match authorizer.authorize(now, &RegistrationQuestion { gateway, asked }) {
            Decision::Authorized { groups, lease } => (groups, lease, false),
            Decision::Pending { groups, lease } => (groups, lease, true),
            refused @ Decision::Refused { .. } => return refused,
        };
        // Whole seconds, because that is what travels and what is stored.
        let lease = Duration::from_secs(lease.as_secs());
        let groups: BTreeSet<GroupId> = groups.intersection(&asked.groups).cloned().collect();
        if groups.is_empty() {
            return Decision::refused("the peripheral may join none of its groups");
        }
        let is_approved = |approval: &Approval| is_in(ApprovalState::Approved) && groups.is_subset(&approval.groups);
        if !is_pending || approval.is_some_and(is_approved) {
            return Decision::Authorized { groups, lease };
        }
        // Who is a member was let in before a person was to be asked, and stays what it is.
        if let Some(member) = renewed {
            let groups = groups.intersection(&member.groups).cloned().collect();
            return Decision::Authorized { groups, lease };
        }
        if !is_in(ApprovalState::Waiting) && self.approvals_waiting >= limits::APPROVALS_WAITING_MAX {
            return Decision::refused("too many peripherals wait for approval");
        }
        Decision::Pending { groups, lease }
    }

    /// Puts the latest asking at a gateway in place of the one before.
    fn record_asking(
        &mut self,
        gateway: &GatewayId,
        asked: &RegistrationAsked,
        standing: Standing,
        changes: &mut Vec<Change>,
    ) {
        let RegistrationAsked { peripheral, registration, .. } = asked;
        self.drop_older(peripheral, gateway, *registration, Registration::is_asking, changes);
        self.record(peripheral, gateway, *registration, standing, changes);
    }
}

fn answer(gateway: &GatewayId, asked: &RegistrationAsked, verdict: Verdict) -> Answer {
    let RegistrationAsked { peripheral, registration, .. } = asked;
    Answer { gateway: gateway.clone(), peripheral: peripheral.clone(), registration: *registration, verdict }
}
