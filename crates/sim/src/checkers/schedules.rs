//! A schedule that is due once brings one request, not before its time, or is passed over and that is told.

use std::collections::{BTreeMap, BTreeSet};

use bugle_core::Event;
use bugle_core::platform::{ScheduleKey, Timing};

use super::Checker;
use crate::fact::Fact;
use crate::network::Moment;
use crate::state::State;

#[derive(Debug, Default)]
pub(super) struct Schedules {
    /// Those that were put, and whether they are still due.
    put: BTreeMap<ScheduleKey, bool>,
    /// Those of which it was told what they brought.
    fired: BTreeSet<ScheduleKey>,
}

impl Checker for Schedules {
    fn promise(&self) -> &'static str {
        "a schedule that is due once brings one request"
    }

    fn observe(&mut self, _: Moment, fact: &Fact<'_>) -> Result<(), String> {
        let Fact::PlatformKept { changes } = fact else { return Ok(()) };
        for put in &changes.schedules {
            let row = put.row.as_ref().ok_or_else(|| format!("schedule {:?} is gone", put.key))?;
            self.put.insert(put.key.clone(), row.next_due.is_some());
            if let (Some(last), Timing::Once(due)) = (&row.last, &row.timing)
                && last.at < *due
            {
                return Err(format!("schedule {:?} was due {due:?} and fired {:?}", put.key, last.at));
            }
        }
        for (application, event) in &changes.events {
            let schedule = match event {
                Event::RequestAccepted { schedule: Some(schedule), .. } => schedule,
                Event::SchedulePassedOver { schedule, .. } => schedule,
                _ => continue,
            };
            if !self.fired.insert((application.clone(), schedule.clone())) {
                return Err(format!("schedule {schedule} of {application} was seen to twice"));
            }
        }
        Ok(())
    }

    fn conclude(&mut self, _: &State<'_>) -> Result<(), String> {
        let is_missed = |(key, is_due): &(&ScheduleKey, &bool)| **is_due || !self.fired.contains(*key);
        match self.put.iter().find(is_missed) {
            Some((key, _)) => Err(format!("schedule {key:?} was never seen to")),
            None => Ok(()),
        }
    }
}
