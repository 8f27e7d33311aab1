//! Applying a gateway's up log, in order and each entry once.
//!
//! An entry at or below the cursor was applied before and is passed over; an entry beyond the next
//! one means that something was lost, and nothing of the batch is applied.

use thiserror::Error;

use super::{Needs, Procedure, Work, allocating, deregistration, receipts, registration};
use crate::{ApplicationId, Event, GatewayId, PeripheralId, RequestId, Time, UpEntry};

/// Entries of one gateway's up log, to be applied.
#[derive(Debug, Clone)]
pub struct ApplyUp {
    /// Whose log.
    pub gateway: GatewayId,
    /// The entries with their sequence numbers, in order.
    pub entries: Vec<(u64, UpEntry)>,
}

/// Entries were applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Applied {
    /// The last entry of the log that is applied; what may be acknowledged.
    pub up_applied: u64,
    /// Entries that speak of what the platform does not know, and were passed over.
    pub ignored: u64,
}

/// Why entries were not applied. The fault is of whoever sent them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum UpError {
    /// There is no such gateway.
    #[error("the gateway is unknown")]
    UnknownGateway,
    /// Entries are missing.
    #[error("the up log goes on with entry {found} where entry {expected} is next")]
    Gap {
        /// The entry that is next.
        expected: u64,
        /// The entry that came.
        found: u64,
    },
}

/// What became of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taken {
    Applied,
    /// It speaks of what the platform does not know, or what is over.
    Ignored,
}

/// How much work an entry is, to put entries into batches by.
#[must_use]
pub fn weight(entry: &UpEntry) -> usize {
    match entry {
        UpEntry::MembersFixed { members, .. } => 1 + members.len(),
        UpEntry::Progress { members, .. } => 1 + members.len(),
        UpEntry::Receipts { receipts, .. } => 1 + receipts.len(),
        _ => 1,
    }
}

impl Procedure for ApplyUp {
    type Answer = Applied;
    type Refusal = UpError;

    fn needs(&self) -> Needs {
        let mut needs = Needs::default();
        needs.gateways.insert(self.gateway.clone());
        for (_, entry) in &self.entries {
            self.add_needs(entry, &mut needs);
        }
        needs
    }

    fn decide(&self, work: &mut Work, now: Time) -> Result<Applied, UpError> {
        let row = work.gateways.get(&self.gateway).ok_or(UpError::UnknownGateway)?;
        let before = row.up_applied;
        let mut applied = Applied { up_applied: before, ignored: 0 };
        for (sequence, entry) in &self.entries {
            if *sequence <= applied.up_applied {
                continue;
            }
            let expected = applied.up_applied + 1;
            if *sequence != expected {
                return Err(UpError::Gap { expected, found: *sequence });
            }
            if self.apply(work, entry, now) == Taken::Ignored {
                applied.ignored += 1;
            }
            applied.up_applied = *sequence;
        }
        if applied.up_applied > before {
            work.changes().up_applied = Some((self.gateway.clone(), applied.up_applied));
        }
        Ok(applied)
    }
}

impl ApplyUp {
    fn add_needs(&self, entry: &UpEntry, needs: &mut Needs) {
        let key = |peripheral: &PeripheralId| (self.gateway.clone(), peripheral.clone());
        match entry {
            UpEntry::Allocated(notice) => {
                needs.peripherals.insert(key(&notice.peripheral));
                needs.joinable.insert((notice.application.clone(), self.gateway.clone()));
            }
            UpEntry::Removed { peripheral, .. } => drop(needs.peripherals.insert(key(peripheral))),
            UpEntry::RegistrationAsked { asked, .. } => drop(needs.peripherals.insert(key(&asked.peripheral))),
            UpEntry::PresenceChanged { application, changed } => {
                needs.peripherals.insert(key(&changed.peripheral));
                needs.namesakes.insert((application.clone(), changed.peripheral.clone()));
            }
            UpEntry::Deregistered { ended, .. } => drop(needs.peripherals.insert(key(&ended.peripheral))),
            UpEntry::MembersFixed { request, members, .. } => {
                self.add_request_needs(*request, members.iter(), needs);
            }
            UpEntry::Receipts { request, receipts } => {
                self.add_request_needs(*request, receipts.iter().map(|receipt| &receipt.peripheral), needs);
                needs.abortable.insert(*request);
            }
            UpEntry::Progress { request, members } => {
                self.add_request_needs(*request, members.iter().map(|member| &member.peripheral), needs);
            }
            UpEntry::Report { application, .. } | UpEntry::ReportsLost { application, .. } => {
                needs.applications.insert(application.clone());
            }
            UpEntry::Stranger(stranger) => drop(needs.peripherals.insert(key(&stranger.peripheral))),
        }
    }

    fn add_request_needs<'a>(
        &self,
        request: RequestId,
        members: impl Iterator<Item = &'a PeripheralId>,
        needs: &mut Needs,
    ) {
        needs.requests.insert(request);
        let part = (request, self.gateway.clone());
        needs.request_gateways.insert(part.clone());
        needs.members.entry(part).or_default().append(&mut members.cloned().collect());
    }

    fn apply(&self, work: &mut Work, entry: &UpEntry, now: Time) -> Taken {
        let gateway = &self.gateway;
        match entry {
            UpEntry::Allocated(notice) => allocating::on_allocated(work, gateway, notice, now),
            UpEntry::Removed { peripheral, application } => {
                allocating::on_removed(work, gateway, peripheral, application)
            }
            UpEntry::Stranger(stranger) => allocating::on_stranger(work, gateway, stranger),
            UpEntry::RegistrationAsked { application, asked } => {
                registration::on_asked(work, gateway, application, asked, now)
            }
            UpEntry::PresenceChanged { application, changed } => {
                registration::on_presence_changed(work, gateway, application, changed)
            }
            UpEntry::Deregistered { application, ended } => {
                deregistration::on_deregistered(work, gateway, application, ended)
            }
            UpEntry::MembersFixed { request, members, is_last } => {
                receipts::on_members_fixed(work, gateway, *request, members, *is_last, now)
            }
            UpEntry::Progress { request, members } => receipts::on_progress(work, gateway, *request, members),
            UpEntry::Receipts { request, receipts } => receipts::on_receipts(work, gateway, *request, receipts, now),
            UpEntry::Report { application, report } => {
                let event = Event::Report { gateway: gateway.clone(), report: report.clone() };
                tell_if_known(work, application, event)
            }
            UpEntry::ReportsLost { application, count } => {
                let event = Event::ReportsLost { gateway: gateway.clone(), count: *count };
                tell_if_known(work, application, event)
            }
        }
    }
}

fn tell_if_known(work: &mut Work, application: &ApplicationId, event: Event) -> Taken {
    let is_new = work.changes().applications.contains(application);
    if !is_new && work.applications.get(application).is_none() {
        return Taken::Ignored;
    }
    work.tell(application, event);
    Taken::Applied
}
