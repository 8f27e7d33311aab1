//! An application or an operator directs one peripheral: allocate, remove, release, block,
//! deregister, standby, activate, observe.
//!
//! The gateway does it and tells what came of it; until then the platform's record stays as it is.

use thiserror::Error;

use super::{Needs, PeripheralRow, Procedure, Work};
use crate::{
    Allocation, AllocationError, ApplicationId, DownEntry, EndCause, GatewayId, Origin, PeripheralId, ResourcePath,
    Time,
};

/// What is to be done with a peripheral.
#[derive(Debug, Clone)]
pub struct Direct {
    /// The application on whose behalf; an operator's own if none.
    pub application: Option<ApplicationId>,
    /// At which gateway.
    pub gateway: GatewayId,
    /// Which.
    pub peripheral: PeripheralId,
    /// What.
    pub direction: Direction,
}

/// What is to be done with a peripheral.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Direction {
    /// Make or change its allocation.
    Allocate(Box<Allocation>),
    /// Remove its allocation.
    Remove,
    /// Let it register.
    Release,
    /// End its registration and let it not register again.
    Block,
    /// End its registration.
    Deregister,
    /// Put it into standby.
    Standby,
    /// Activate it if it is in standby.
    Activate,
    /// Report a value of it whenever it changes.
    Observe(ResourcePath),
    /// Do not any more.
    ObserveNoMore(ResourcePath),
}

/// Why nothing is done.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DirectRefusal {
    /// Something in the allocation is not allowed.
    #[error(transparent)]
    Allocation(#[from] AllocationError),
    /// There is no such gateway.
    #[error("the gateway is unknown")]
    UnknownGateway,
    /// There is no such application.
    #[error("the application is unknown")]
    UnknownApplication,
    /// No allocation of it is known, or it is another application's.
    #[error("the peripheral is unknown")]
    UnknownPeripheral,
    /// The allocation is another application's, or in the gateway's own file.
    #[error("the allocation is {0}; only there it can be changed")]
    AllocatedElsewhere(&'static str),
    /// The down log is full.
    #[error("too much waits for the gateway")]
    DownLogFull,
}

impl Procedure for Direct {
    type Answer = ();
    type Refusal = DirectRefusal;

    fn needs(&self) -> Needs {
        let mut needs = Needs::default();
        needs.gateways.insert(self.gateway.clone());
        needs.peripherals.insert((self.gateway.clone(), self.peripheral.clone()));
        if let Direction::Allocate(allocation) = &self.direction {
            needs.applications.insert(allocation.application.clone());
        }
        needs
    }

    fn decide(&self, work: &mut Work, _now: Time) -> Result<(), DirectRefusal> {
        if work.gateways.get(&self.gateway).is_none() {
            return Err(DirectRefusal::UnknownGateway);
        }
        let row = work.peripherals.get(&(self.gateway.clone(), self.peripheral.clone()));
        let entry = match &self.direction {
            Direction::Allocate(allocation) => {
                allocation.check()?;
                if work.applications.get(&allocation.application).is_none() {
                    return Err(DirectRefusal::UnknownApplication);
                }
                self.check_free(row)?;
                DownEntry::Allocate((**allocation).clone())
            }
            direction => self.entry(direction, self.own(row)?)?,
        };
        if !work.has_room(&self.gateway) {
            return Err(DirectRefusal::DownLogFull);
        }
        work.send(&self.gateway, entry);
        Ok(())
    }
}

impl Direct {
    /// Another application's allocation is as good as none, to this one.
    fn own<'a>(&self, row: Option<&'a PeripheralRow>) -> Result<&'a PeripheralRow, DirectRefusal> {
        row.filter(|row| self.is_own(row)).ok_or(DirectRefusal::UnknownPeripheral)
    }

    fn is_own(&self, row: &PeripheralRow) -> bool {
        self.application.as_ref().is_none_or(|application| *application == row.application)
    }

    fn check_free(&self, row: Option<&PeripheralRow>) -> Result<(), DirectRefusal> {
        match row {
            Some(row) if !self.is_own(row) => Err(DirectRefusal::AllocatedElsewhere("another application's")),
            Some(row) => check_origin(row),
            None => Ok(()),
        }
    }

    fn entry(&self, direction: &Direction, row: &PeripheralRow) -> Result<DownEntry, DirectRefusal> {
        let peripheral = self.peripheral.clone();
        Ok(match direction {
            Direction::Allocate(allocation) => DownEntry::Allocate((**allocation).clone()),
            Direction::Remove => {
                check_origin(row)?;
                DownEntry::Remove { peripheral }
            }
            Direction::Release => DownEntry::Release { peripheral },
            Direction::Block => DownEntry::Block { peripheral },
            Direction::Deregister => {
                let cause = if self.application.is_some() { EndCause::Application } else { EndCause::User };
                // The one on record, so that a later registration is not ended by an old direction.
                DownEntry::Deregister { peripheral, registration: row.registration, cause }
            }
            Direction::Standby => DownEntry::Standby { peripheral },
            Direction::Activate => DownEntry::Activate { peripheral },
            Direction::Observe(path) => DownEntry::Observe { peripheral, path: *path },
            Direction::ObserveNoMore(path) => DownEntry::ObserveNoMore { peripheral, path: *path },
        })
    }
}

fn check_origin(row: &PeripheralRow) -> Result<(), DirectRefusal> {
    match row.origin {
        Origin::Platform => Ok(()),
        origin @ (Origin::File | Origin::Gateway) => Err(DirectRefusal::AllocatedElsewhere(origin.place())),
    }
}
