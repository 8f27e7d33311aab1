//! What a disk does with what is written to it.
//!
//! Writes are durable only when their commit is done. A process that dies in the middle of one finds
//! none, some of the first or all of its writes when it comes back, each whole: the stores write in
//! transactions, so that a torn record is one that is not there.

use std::ops::Range;
use std::time::Duration;

use crate::random::Random;

/// How a disk is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DiskConditions {
    /// How long a commit takes, in milliseconds.
    pub(crate) commit: Range<u64>,
    /// How often in a thousand a commit takes fifty times as long.
    pub(crate) stall: u64,
    /// How often in a thousand a commit fails.
    pub(crate) failure: u64,
}

/// What becomes of a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Done,
    Failed,
}

#[derive(Debug)]
pub(crate) struct Disk {
    conditions: DiskConditions,
    random: Random,
    /// It takes nothing for now, so many times over.
    full: u32,
}

impl Disk {
    pub(crate) const fn new(conditions: DiskConditions, random: Random) -> Self {
        Self { conditions, random, full: 0 }
    }

    /// How long the next commit takes.
    pub(crate) fn commit_time(&mut self) -> Duration {
        let time = self.random.millis(self.conditions.commit.clone());
        if self.random.chance(self.conditions.stall) { time * 50 } else { time }
    }

    /// What becomes of it when that time is over.
    pub(crate) fn fate(&mut self) -> Fate {
        if self.full > 0 || self.random.chance(self.conditions.failure) { Fate::Failed } else { Fate::Done }
    }

    /// How many of so many writes under way are there after a crash.
    pub(crate) fn survivors(&mut self, writes: usize) -> usize {
        // Mostly all or nothing: that is how one transaction ends.
        match self.random.of(0..4) {
            0 => writes,
            1 => self.random.index(writes + 1),
            _ => 0,
        }
    }

    /// It takes nothing until it is emptied as often.
    pub(crate) fn fill(&mut self) {
        self.full += 1;
    }

    pub(crate) fn empty(&mut self) {
        self.full = self.full.saturating_sub(1);
    }

    /// From now on it neither fails nor stalls.
    pub(crate) fn calm(&mut self) {
        self.conditions = DiskConditions { stall: 0, failure: 0, ..self.conditions.clone() };
        self.full = 0;
    }
}
