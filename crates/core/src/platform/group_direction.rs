//! An application activates all members of a group that are in standby, or puts all of them into it.
//!
//! Every gateway with allocations in the group, or in one that it contains (`nesting.rs`), is told of each
//! of these groups, does it, and tells of each member what came of it; until then the platform's record
//! stays as it is. Who is in several of the groups is activated once, as whoever asks for it meanwhile
//! shares the wake-up.

use std::collections::BTreeSet;

use thiserror::Error;

use super::{Needs, Procedure, Work};
use crate::{ApplicationId, DownEntry, GatewayId, GroupId, Time};

/// What is to be done with a group.
#[derive(Debug, Clone)]
pub struct DirectGroup {
    /// Whose.
    pub application: ApplicationId,
    /// Which.
    pub group: GroupId,
    /// What.
    pub direction: GroupDirection,
}

/// What is to be done with all members of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupDirection {
    /// Activate those in standby.
    Activate,
    /// Put them into standby.
    Standby,
}

/// Why nothing is done.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DirectGroupRefusal {
    /// There is no such application.
    #[error("the application is unknown")]
    UnknownApplication,
    /// No allocation names the group, or one that it contains.
    #[error("the group is unknown")]
    UnknownGroup,
    /// A down log is full.
    #[error("too much waits for gateway {0}")]
    DownLogFull(GatewayId),
}

impl Procedure for DirectGroup {
    type Answer = ();
    type Refusal = DirectGroupRefusal;

    fn needs(&self) -> Needs {
        let mut needs = Needs::default();
        needs.applications.insert(self.application.clone());
        needs.whole_groups.insert((self.application.clone(), self.group.clone()));
        needs
    }

    fn decide(&self, work: &mut Work, _now: Time) -> Result<(), DirectGroupRefusal> {
        if work.applications.get(&self.application).is_none() {
            return Err(DirectGroupRefusal::UnknownApplication);
        }
        let told = self.told(work);
        if told.is_empty() {
            return Err(DirectGroupRefusal::UnknownGroup);
        }
        for (gateway, group) in told {
            if !work.has_room(&gateway) {
                return Err(DirectGroupRefusal::DownLogFull(gateway));
            }
            let application = self.application.clone();
            let entry = match self.direction {
                GroupDirection::Activate => DownEntry::ActivateGroup { application, group },
                GroupDirection::Standby => DownEntry::StandbyGroup { application, group },
            };
            work.send(&gateway, entry);
        }
        Ok(())
    }
}

impl DirectGroup {
    /// Which gateways hear of which groups: those with allocations in them.
    fn told(&self, work: &Work) -> BTreeSet<(GatewayId, GroupId)> {
        let contained = work.contained(&self.application, &self.group);
        let whole = std::iter::once(&self.group).chain(&contained);
        let gateways = whole.flat_map(|group| {
            let gateways = work.gateways_in(&self.application, group);
            gateways.map(move |gateway| (gateway.clone(), group.clone()))
        });
        gateways.collect()
    }
}
