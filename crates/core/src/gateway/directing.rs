//! Directing: what an operator does to allocations at the gateway itself, from its command line.
//!
//! 1. An allocation that is made here is changed and removed here alone, as is one of the gateway's own
//!    file or of the platform. Blocking and releasing count wherever an allocation was made.
//! 2. What was directed takes effect at once, and is told to the platform.
//! 3. [`Effect::Directed`] follows once it is durable; only then is the operator told.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{AllocationConflict, Effect, Gateway, Slot};
use crate::{Allocation, AllocationError, ApplicationId, GroupId, Origin, PeripheralId, State, Time};

/// What an operator directs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Allocate a peripheral, or change its allocation.
    Allocate(Box<Allocation>),
    /// Remove an allocation, ending the registration.
    Remove(PeripheralId),
    /// Let a blocked peripheral register.
    Release(PeripheralId),
    /// End a peripheral's registration, and let it not register again until released.
    Block(PeripheralId),
}

impl Direction {
    /// Whom it is about.
    #[must_use]
    pub const fn peripheral(&self) -> &PeripheralId {
        match self {
            Self::Allocate(allocation) => &allocation.peripheral,
            Self::Remove(peripheral) | Self::Release(peripheral) | Self::Block(peripheral) => peripheral,
        }
    }

    /// What it is, in a word.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Allocate(_) => "allocate",
            Self::Remove(_) => "remove",
            Self::Release(_) => "release",
            Self::Block(_) => "block",
        }
    }
}

/// Why something was not done. The fault is of whoever directed it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DirectionRefusal {
    /// The allocation is not sound.
    #[error(transparent)]
    Invalid(#[from] AllocationError),
    /// It is allocated elsewhere, or there is no room.
    #[error(transparent)]
    Conflict(#[from] AllocationConflict),
    /// There is no such allocation.
    #[error("peripheral {0} is not allocated at this gateway")]
    Unknown(PeripheralId),
}

/// An allocation as it stands, without its credential.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Allocated {
    /// Who.
    pub peripheral: PeripheralId,
    /// Whose groups.
    pub application: ApplicationId,
    /// The groups.
    pub groups: Vec<GroupId>,
    /// Where the allocation was made.
    pub origin: Origin,
    /// The state it is in.
    pub state: State,
}

impl Gateway {
    /// Does what an operator directs. [`Effect::Directed`] with `token` follows when it is durable.
    ///
    /// # Errors
    /// If it cannot be done; then nothing has changed, and no effect follows.
    pub fn handle_direction(&mut self, now: Time, direction: Direction, token: u64) -> Result<(), DirectionRefusal> {
        match direction {
            Direction::Allocate(allocation) => {
                allocation.check()?;
                self.allocate(now, *allocation, Origin::Gateway)?;
            }
            Direction::Remove(peripheral) => {
                let slot = self.allocated(&peripheral)?;
                let origin = self.registry.peripheral(slot).map(|known| known.origin);
                if let Some(origin) = origin.filter(|origin| *origin != Origin::Gateway) {
                    return Err(AllocationConflict::Elsewhere { peripheral, origin }.into());
                }
                self.remove(now, slot);
            }
            Direction::Release(peripheral) => {
                self.allocated(&peripheral)?;
                self.release(&peripheral);
            }
            Direction::Block(peripheral) => {
                self.allocated(&peripheral)?;
                self.block(now, &peripheral);
            }
        }
        self.outbox.effect(Effect::Directed { token });
        self.pump_all(now);
        Ok(())
    }

    /// Allocations, by slot: at most so many after one.
    #[must_use]
    pub fn allocations(&self, after: Option<Slot>, limit: usize) -> Vec<(Slot, Allocated)> {
        let found = self.registry.slots_after(after).take(limit);
        let shown = found.map(|(slot, peripheral)| {
            let allocated = Allocated {
                peripheral: peripheral.id.clone(),
                application: peripheral.profile.application.clone(),
                groups: peripheral.profile.groups.iter().cloned().collect(),
                origin: peripheral.origin,
                state: peripheral.state(self.asks.contains(slot)),
            };
            (slot, allocated)
        });
        shown.collect()
    }

    fn allocated(&self, peripheral: &PeripheralId) -> Result<Slot, DirectionRefusal> {
        self.registry.slot(peripheral).ok_or_else(|| DirectionRefusal::Unknown(peripheral.clone()))
    }
}
