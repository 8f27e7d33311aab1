//! The askings that wait for applications to decide.
//!
//! Somebody waits for the answer to most of them. Nobody does any more where the application took longer than
//! it may: the peripheral has been told to try again. The asking goes on all the same, and so does a yes that comes
//! then: whoever asks next with the same evidence waits for the one, or is admitted by the other. So an application
//! that is always too slow lets everybody in at the second try, and one that does not answer at all is asked once and
//! not with every try.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::{Hold, Slot};
use crate::{ApplicationId, GroupId, RegistrationId, Time, limits};

/// An asking that waits for the application.
#[derive(Debug)]
pub(super) struct Ask {
    pub(super) registration: RegistrationId,
    pub(super) application: ApplicationId,
    pub(super) groups: Arc<BTreeSet<GroupId>>,
    pub(super) presented: [u8; 16],
    pub(super) lifetime: Duration,
    pub(super) hold: Hold,
    pub(super) stage: AskStage,
}

/// How far an asking has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum AskStage {
    /// Whoever asked waits for the answer.
    Attended {
        /// As the edge knows it.
        asker: u64,
    },
    /// The application has not decided, and nobody waits for it any more.
    Unattended {
        /// Since when.
        since: Time,
    },
    /// The application has said yes when nobody waited any more.
    Granted {
        /// To which groups.
        groups: Arc<BTreeSet<GroupId>>,
        /// The lease.
        lease_until: Time,
    },
}

/// All of them, by the slot of the peripheral.
#[derive(Debug, Default)]
pub(super) struct Asks {
    by_slot: BTreeMap<Slot, Ask>,
    attended: BTreeMap<ApplicationId, usize>,
    attended_total: usize,
    unattended: BTreeSet<(Time, Slot)>,
}

impl Asks {
    pub(super) fn get(&self, slot: Slot) -> Option<&Ask> {
        self.by_slot.get(&slot)
    }

    pub(super) fn contains(&self, slot: Slot) -> bool {
        self.by_slot.contains_key(&slot)
    }

    pub(super) fn len(&self) -> usize {
        self.by_slot.len()
    }

    pub(super) fn insert(&mut self, slot: Slot, ask: Ask) {
        self.remove(slot);
        self.enter(slot, &ask.application, &ask.stage);
        self.by_slot.insert(slot, ask);
    }

    pub(super) fn remove(&mut self, slot: Slot) -> Option<Ask> {
        let ask = self.by_slot.remove(&slot)?;
        self.leave(slot, &ask.application, &ask.stage);
        Some(ask)
    }

    /// Puts an asking into another stage, and says in which it was.
    pub(super) fn move_to(&mut self, slot: Slot, stage: AskStage) -> Option<AskStage> {
        let ask = self.by_slot.get_mut(&slot)?;
        let application = ask.application.clone();
        let former = std::mem::replace(&mut ask.stage, stage.clone());
        self.leave(slot, &application, &former);
        self.enter(slot, &application, &stage);
        Some(former)
    }

    /// Somebody asks again, with the same evidence: it waits from now on. What the asking was before.
    pub(super) fn attend(&mut self, slot: Slot, asker: u64, hold: Hold, lifetime: Duration) -> Option<AskStage> {
        let ask = self.by_slot.get_mut(&slot)?;
        (ask.hold, ask.lifetime) = (hold, lifetime);
        self.move_to(slot, AskStage::Attended { asker })
    }

    /// Whether one more of this application may wait. One that does not answer leaves room for the others.
    pub(super) fn has_room(&self, application: &ApplicationId) -> bool {
        let of_application = self.attended.get(application).copied().unwrap_or_default();
        self.attended_total < limits::REGISTERING_MAX && of_application < limits::REGISTERING_PER_APPLICATION_MAX
    }

    /// The asking that nobody has waited for longest, if there are more of them than are kept.
    pub(super) fn excess(&self) -> Option<Slot> {
        let is_full = self.unattended.len() > limits::REGISTERING_MAX;
        self.unattended.first().filter(|_| is_full).map(|(_, slot)| *slot)
    }

    fn enter(&mut self, slot: Slot, application: &ApplicationId, stage: &AskStage) {
        match stage {
            AskStage::Attended { .. } => {
                self.attended_total += 1;
                *self.attended.entry(application.clone()).or_default() += 1;
            }
            AskStage::Unattended { since } => drop(self.unattended.insert((*since, slot))),
            AskStage::Granted { .. } => {}
        }
    }

    fn leave(&mut self, slot: Slot, application: &ApplicationId, stage: &AskStage) {
        match stage {
            AskStage::Attended { .. } => {
                self.attended_total -= 1;
                let count = self.attended.get_mut(application).expect("it was counted when it came");
                *count -= 1;
                if *count == 0 {
                    self.attended.remove(application);
                }
            }
            AskStage::Unattended { since } => drop(self.unattended.remove(&(*since, slot))),
            AskStage::Granted { .. } => {}
        }
    }
}
