//! What a peripheral was told to be taken reaches its application.

use std::collections::BTreeSet;

use bugle_core::Event;

use super::Checker;
use crate::fact::Fact;
use crate::network::Moment;
use crate::state::State;

#[derive(Debug, Default)]
pub(super) struct NothingLost {
    taken: BTreeSet<String>,
    told: BTreeSet<String>,
}

impl Checker for NothingLost {
    fn promise(&self) -> &'static str {
        "nothing that was acknowledged is lost"
    }

    fn observe(&mut self, _: Moment, fact: &Fact<'_>) -> Result<(), String> {
        match fact {
            Fact::ReportTaken { report } => drop(self.taken.insert((*report).to_owned())),
            Fact::PlatformKept { changes } => {
                for (_, event) in &changes.events {
                    if let Event::Report { report, .. } = event {
                        self.told.insert(String::from_utf8_lossy(&report.content.bytes).into_owned());
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
