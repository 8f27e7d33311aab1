//! An application activates all members of a group that are in standby, or puts all of them into it.
//!
//! Every gateway with allocations in the group is told, does it, and tells of each member what came of
//! it; until then the platform's record stays as it is.

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
    /// No allocation names the group.
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
        needs.groups.insert((self.application.clone(), self.group.clone()));
        needs
    }

    fn decide(&self, work: &mut Work, _now: Time) -> Result<(), DirectGroupRefusal> {
        if work.applications.get(&self.application).is_none() {
            return Err(DirectGroupRefusal::UnknownApplication);
        }
        let counts = work.groups.get(&(self.application.clone(), self.group.clone()));
        let allocated = counts.into_iter().flatten().filter(|(_, count)| count.allocated > 0);
        let gateways: Vec<GatewayId> = allocated.map(|(gateway, _)| gateway.clone()).collect();
        if gateways.is_empty() {
            return Err(DirectGroupRefusal::UnknownGroup);
        }
        if let Some(full) = gateways.iter().find(|gateway| !work.has_room(gateway)) {
            return Err(DirectGroupRefusal::DownLogFull(full.clone()));
        }
        for gateway in gateways {
            let (application, group) = (self.application.clone(), self.group.clone());
            let entry = match self.direction {
                GroupDirection::Activate => DownEntry::ActivateGroup { application, group },
                GroupDirection::Standby => DownEntry::StandbyGroup { application, group },
            };
            work.send(&gateway, entry);
        }
        Ok(())
    }
}
