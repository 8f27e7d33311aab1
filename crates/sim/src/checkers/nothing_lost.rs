//! What a peripheral was told to be taken is on its gateway's disk then, and reaches its application.

use std::collections::BTreeSet;

use bugle_core::gateway::Change;
use bugle_core::{Content, Event, UpEntry};

use super::Checker;
use crate::fact::Fact;
use crate::network::Moment;
use crate::state::State;

#[derive(Debug, Default)]
pub(super) struct NothingLost {
    /// What is, or was, on the disks of gateways.
    kept: BTreeSet<String>,
    taken: BTreeSet<String>,
    told: BTreeSet<String>,
}

impl Checker for NothingLost {
    fn promise(&self) -> &'static str {
        "nothing that was acknowledged is lost"
    }

    fn observe(&mut self, _: Moment, fact: &Fact<'_>) -> Result<(), String> {
        match fact {
            Fact::GatewayKept { change: Change::Up { entry: UpEntry::Report { report, .. }, .. }, .. } => {
                self.kept.insert(text(&report.content));
            }
            Fact::ReportTaken { report } => {
                if !self.kept.contains(*report) {
                    return Err(format!("the report {report:?} was acknowledged and is on no disk"));
                }
                self.taken.insert((*report).to_owned());
            }
            Fact::PlatformKept { changes } => {
                for (_, event) in &changes.events {
                    if let Event::Report { report, .. } = event {
                        self.told.insert(text(&report.content));
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn conclude(&mut self, _: &State<'_>) -> Result<(), String> {
        match self.taken.difference(&self.told).next() {
            Some(report) => Err(format!("the report {report:?} was acknowledged and has not arrived")),
            None => Ok(()),
        }
    }
}

fn text(content: &Content) -> String {
    String::from_utf8_lossy(&content.bytes).into_owned()
}
