//! Logs have no gaps, nothing is applied that its sender does not have on disk, and nothing is trimmed
//! that its receiver has not.

use std::collections::BTreeMap;

use bugle_core::gateway::Change;
use bugle_core::{ApplicationId, GatewayId};

use super::Checker;
use crate::fact::Fact;
use crate::network::Moment;
use crate::state::State;

/// How far the logs of a gateway are, on both disks.
#[derive(Debug, Default)]
struct Ends {
    up_made: u64,
    up_applied: u64,
    down_made: u64,
    down_applied: u64,
}

#[derive(Debug, Default)]
pub(super) struct Logs {
    ends: BTreeMap<GatewayId, Ends>,
    events_made: BTreeMap<ApplicationId, u64>,
    /// The last event that each application has taken; none after a restart.
    events_taken: BTreeMap<ApplicationId, Option<u64>>,
}

impl Checker for Logs {
    fn promise(&self) -> &'static str {
        "logs have no gaps, and are kept until the next tier has them"
    }

    fn observe(&mut self, _: Moment, fact: &Fact<'_>) -> Result<(), String> {
        match fact {
            Fact::GatewayKept { gateway, change } => self.on_gateway(gateway, change),
            Fact::PlatformKept { changes } => {
                if let Some((gateway, through)) = &changes.up_applied {
                    let ends = self.ends.entry(gateway.clone()).or_default();
                    if *through > ends.up_made {
                        let made = ends.up_made;
                        return Err(format!("up entry {through} of {gateway} is applied, and only {made} are on disk"));
                    }
                    if *through < ends.up_applied {
                        return Err(format!("the up log of {gateway} went back to {through}"));
                    }
                    ends.up_applied = *through;
                }
                for (gateway, _) in &changes.down {
                    self.ends.entry(gateway.clone()).or_default().down_made += 1;
                }
                for (application, _) in &changes.events {
                    *self.events_made.entry(application.clone()).or_default() += 1;
                }
                Ok(())
            }
            Fact::DownTrimmed { gateway, through } => {
                let applied = self.ends.get(*gateway).map_or(0, |ends| ends.down_applied);
                if *through > applied {
                    return Err(format!("the down log of {gateway} is trimmed to {through}, and it has {applied}"));
                }
                Ok(())
            }
            Fact::EventTaken { application, sequence, .. } => self.on_event(application, *sequence),
            Fact::StartedOver { application, sequence } => {
                self.events_taken.insert((*application).clone(), Some(*sequence));
                Ok(())
            }
            Fact::Restarted { application } => {
                self.events_taken.insert((*application).clone(), None);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn conclude(&mut self, _: &State<'_>) -> Result<(), String> {
        for (gateway, ends) in &self.ends {
            if ends.up_made != ends.up_applied || ends.down_made != ends.down_applied {
                return Err(format!("the logs of {gateway} are not through: {ends:?}"));
            }
        }
        Ok(())
    }
}

impl Logs {
    fn on_gateway(&mut self, gateway: &GatewayId, change: &Change) -> Result<(), String> {
        let ends = self.ends.entry(gateway.clone()).or_default();
        match change {
            Change::Up { sequence, .. } => {
                if *sequence > ends.up_made + 1 {
                    return Err(format!("up entry {sequence} of {gateway} follows on {}", ends.up_made));
                }
                ends.up_made = ends.up_made.max(*sequence);
            }
            Change::UpTrimmed { through } if *through > ends.up_applied => {
                let applied = ends.up_applied;
                return Err(format!("the up log of {gateway} is trimmed to {through}, and {applied} are applied"));
            }
            Change::DownApplied { sequence } => {
                if *sequence != ends.down_applied + 1 || *sequence > ends.down_made {
                    return Err(format!("{gateway} has applied down entry {sequence}: {ends:?}"));
                }
                ends.down_applied = *sequence;
            }
            _ => {}
        }
        Ok(())
    }

    fn on_event(&mut self, application: &ApplicationId, sequence: u64) -> Result<(), String> {
        let made = self.events_made.get(application).copied().unwrap_or_default();
        if sequence > made {
            return Err(format!("{application} has event {sequence}, and only {made} are on disk"));
        }
        let before = self.events_taken.entry(application.clone()).or_default();
        // What is told again is passed over; what is left out is a gap.
        if before.is_some_and(|before| sequence > before + 1) {
            return Err(format!("{application} has event {sequence} after {before:?}"));
        }
        *before = Some(before.unwrap_or_default().max(sequence));
        Ok(())
    }
}
