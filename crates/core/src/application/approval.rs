//! Manual approval: a person has the last word about a peripheral.
//!
//! 1. A peripheral asks to register, and the authorizer leaves it to a person. The asking waits, and
//!    the peripheral is put on the list of those that wait for approval.
//! 2. The gateway does not wait for ever: the asking may end. The peripheral stays on the list.
//! 3. The person decides. What still waits is answered, and the decision is remembered: the next
//!    asking is answered at once.
//! 4. The person takes the decision back. The next asking begins at 1.

use std::collections::BTreeSet;

use thiserror::Error;

use super::change::Change;
use super::configuration::GroupConfigurations;
use super::registration::{Approval, ApprovalState, Member, Standing};
use crate::{GatewayId, GroupId, PeripheralId, RegistrationId, Time, Verdict};

/// Why a peripheral cannot be approved. The fault is of whoever tries.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0} has not asked for an approval, so it is not known for which groups it would be")]
pub struct NothingAsked(pub PeripheralId);

impl GroupConfigurations {
    /// A person lets a peripheral register with the groups it asked for. A member is not touched.
    ///
    /// # Errors
    /// If it has not asked for an approval.
    pub fn approve(
        &mut self,
        now: Time,
        peripheral: &PeripheralId,
        changes: &mut Vec<Change>,
    ) -> Result<(), NothingAsked> {
        let asked = self.approvals.get(peripheral).filter(|approval| !approval.groups.is_empty());
        let Some(approval) = asked.cloned() else { return Err(NothingAsked(peripheral.clone())) };
        if approval.state == ApprovalState::Approved {
            return Ok(());
        }
        let approval = Approval { state: ApprovalState::Approved, since: now, ..approval };
        self.record_approval(peripheral, approval, changes);
        if let Some((gateway, id, groups, verdict)) = self.latest_pending(peripheral) {
            let member = Member { groups, presence: None, since: now, sequence: self.cursor };
            self.admit(now, peripheral, &gateway, id, member, changes);
            let answered = self.registrations(peripheral).iter().find(|known| known.is(&gateway, id));
            changes.extend(answered.map(|known| Change::Answered(known.answer(peripheral, verdict))));
        }
        Ok(())
    }

    /// A person lets a peripheral not register, whatever the authorizer says. A member stays one
    /// until its registration ends.
    pub fn refuse(&mut self, now: Time, peripheral: &PeripheralId, changes: &mut Vec<Change>) {
        let (groups, gateway) = match self.approvals.get(peripheral) {
            Some(approval) if approval.state == ApprovalState::Refused => return,
            Some(approval) => (approval.groups.clone(), approval.gateway.clone()),
            None => (BTreeSet::new(), None),
        };
        let approval = Approval { state: ApprovalState::Refused, groups, gateway, since: now };
        self.record_approval(peripheral, approval, changes);
        self.refuse_pending(peripheral, "a person has refused the peripheral", changes);
    }

    /// A person takes back what was decided about a peripheral; what waits is refused this once.
    /// Whether there was anything to take back.
    pub fn withdraw(&mut self, peripheral: &PeripheralId, changes: &mut Vec<Change>) -> bool {
        if self.set_approval(peripheral.clone(), None).is_none() {
            return false;
        }
        changes.push(Change::ApprovalDropped { peripheral: peripheral.clone() });
        self.refuse_pending(peripheral, "nobody has approved the peripheral", changes);
        true
    }

    /// How many peripherals wait for a person's approval.
    #[must_use]
    pub const fn approvals_waiting(&self) -> usize {
        self.approvals_waiting
    }

    /// Whether an asking of this peripheral waits for approval now.
    #[must_use]
    pub fn is_pending(&self, peripheral: &PeripheralId) -> bool {
        self.registrations(peripheral).iter().any(|known| matches!(known.standing, Standing::Pending { .. }))
    }

    /// Step 1: puts a peripheral on the list.
    pub(super) fn await_approval(
        &mut self,
        now: Time,
        gateway: &GatewayId,
        peripheral: &PeripheralId,
        groups: &BTreeSet<GroupId>,
        changes: &mut Vec<Change>,
    ) {
        let waits = self.approvals.get(peripheral).is_some_and(|approval| {
            approval.state == ApprovalState::Waiting
                && approval.groups == *groups
                && approval.gateway.as_ref() == Some(gateway)
        });
        if !waits {
            let state = ApprovalState::Waiting;
            let approval = Approval { state, groups: groups.clone(), gateway: Some(gateway.clone()), since: now };
            self.record_approval(peripheral, approval, changes);
        }
    }

    fn latest_pending(
        &self,
        peripheral: &PeripheralId,
    ) -> Option<(GatewayId, RegistrationId, BTreeSet<GroupId>, Verdict)> {
        let pending = self.registrations(peripheral).iter().filter_map(|known| match &known.standing {
            Standing::Pending { groups, lease, sequence } => Some((sequence, known, groups, lease)),
            _ => None,
        });
        let (_, known, groups, lease) = pending.max_by_key(|(sequence, ..)| **sequence)?;
        let verdict = Verdict::Authorized { groups: groups.clone(), lease: *lease };
        Some((known.gateway.clone(), known.id, groups.clone(), verdict))
    }

    fn refuse_pending(&mut self, peripheral: &PeripheralId, reason: &str, changes: &mut Vec<Change>) {
        for known in self.registrations.get_mut(peripheral).into_iter().flatten() {
            if matches!(known.standing, Standing::Pending { .. }) {
                known.standing = Standing::Refused { reason: reason.to_owned() };
                changes.push(Change::Recorded { peripheral: peripheral.clone(), registration: known.clone() });
                changes.push(Change::Answered(known.refuse(peripheral, reason)));
            }
        }
    }

    fn record_approval(&mut self, peripheral: &PeripheralId, approval: Approval, changes: &mut Vec<Change>) {
        changes.push(Change::ApprovalRecorded { peripheral: peripheral.clone(), approval: approval.clone() });
        self.set_approval(peripheral.clone(), Some(approval));
    }

    /// Puts an approval in place of the one before, which it returns.
    pub(super) fn set_approval(&mut self, peripheral: PeripheralId, approval: Option<Approval>) -> Option<Approval> {
        let waiting = |approval: &Option<Approval>| {
            usize::from(approval.as_ref().is_some_and(|approval| approval.state == ApprovalState::Waiting))
        };
        self.approvals_waiting += waiting(&approval);
        let former = match approval {
            Some(approval) => self.approvals.insert(peripheral, approval),
            None => self.approvals.remove(&peripheral),
        };
        self.approvals_waiting -= waiting(&former);
        former
    }
}
