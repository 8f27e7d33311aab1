//! What a registered peripheral costs its server in memory.

use std::thread;
use std::time::{Duration, Instant};

use bugle_core::Protocol;
use serde::Serialize;

use super::fleet::{Conduct, Fleet};
use super::{MeasureError, Target, Watch};
use crate::mqtt::Subscription;

/// How long the memory must have stayed the same to count as what it is: an allocator keeps what is freed for a while.
const STILL: Duration = Duration::from_secs(5);
/// How long that is waited for.
const STILL_PATIENCE: Duration = Duration::from_secs(30);
const LOOK_INTERVAL: Duration = Duration::from_millis(100);

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Residence {
    /// How many peripherals register.
    pub peripherals: usize,
    /// What they speak.
    pub protocol: Protocol,
    /// How long it may take for all.
    pub patience: Duration,
    /// How long they are then left alone before the memory is read once more; if not at all, none.
    pub rest: Option<Duration>,
}

/// What was measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct ResidenceResult {
    /// Which target.
    pub target: &'static str,
    /// How many peripherals registered.
    pub peripherals: usize,
    /// Its memory before, in bytes.
    pub before: u64,
    /// Its memory with all of them registered, in bytes.
    pub after: u64,
    /// Its memory when they had been left alone, in bytes.
    pub at_rest: Option<u64>,
    /// The most that it has had since it began, in bytes.
    pub peak: u64,
}

impl Residence {
    /// Has all register at `target` and stay. `watch` is told how far it is.
    ///
    /// # Errors
    /// If a peripheral does not get there in time, or the memory cannot be read.
    pub fn run(&self, target: &Target, watch: &Watch) -> Result<ResidenceResult, MeasureError> {
        let members = target.members(self.peripherals)?;
        let before = settled_memory(target)?;
        let conduct = Conduct::new(self.protocol, Subscription::Requests, Duration::ZERO);
        let fleet = Fleet::start(target, members, &conduct, self.patience, watch)?;
        fleet.wait(&mut [conduct.ready(self.peripherals)])?;
        let after = settled_memory(target)?;
        let at_rest = self.rest.map(|rest| {
            thread::sleep(rest);
            settled_memory(target)
        });
        let at_rest = at_rest.transpose()?;
        let peak = target.peak_memory()?;
        Ok(ResidenceResult { target: target.name(), peripherals: self.peripherals, before, after, at_rest, peak })
    }
}

impl ResidenceResult {
    /// What each has cost, in bytes.
    #[must_use]
    pub const fn per_peripheral(&self) -> u64 {
        self.share_of(self.after)
    }

    /// What each costs when it is left alone, in bytes.
    #[must_use]
    pub fn per_peripheral_at_rest(&self) -> Option<u64> {
        self.at_rest.map(|memory| self.share_of(memory))
    }

    const fn share_of(&self, memory: u64) -> u64 {
        let grown = memory.saturating_sub(self.before);
        if self.peripherals == 0 { 0 } else { grown / self.peripherals as u64 }
    }
}

/// The memory of `target` once it has stopped changing, or for too long has not.
fn settled_memory(target: &Target) -> Result<u64, MeasureError> {
    let until = Instant::now() + STILL_PATIENCE;
    let (mut memory, mut since) = (target.memory()?, Instant::now());
    while since.elapsed() < STILL && Instant::now() < until {
        thread::sleep(LOOK_INTERVAL);
        let now = target.memory()?;
        if now != memory {
            (memory, since) = (now, Instant::now());
        }
    }
    Ok(memory)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cost_is_shared_by_all() {
        let result = |peripherals, before, after| ResidenceResult {
            target: "bugle",
            peripherals,
            before,
            after,
            at_rest: Some(after - before / 2),
            peak: after,
        };
        assert_eq!(result(10, 1_000, 6_000).per_peripheral(), 500);
        assert_eq!(result(10, 1_000, 6_000).per_peripheral_at_rest(), Some(450));
        assert_eq!(result(10, 1_500, 1_000).per_peripheral(), 0);
        assert_eq!(result(0, 1_000, 6_000).per_peripheral(), 0);
    }
}
