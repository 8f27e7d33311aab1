//! An application decides about registrations (step 6 of registering).
//!
//! 1. Only the registration that awaits a decision takes one, so deciding twice does nothing.
//! 2. The verdict goes into the gateway's down log.
//! 3. On yes, a registration of the same peripheral at another gateway ends: it has roamed.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::registration::{end_elsewhere, of_application};
use super::{Needs, Procedure, Work};
use crate::{ApplicationId, DownEntry, GatewayId, GroupId, PeripheralId, RegistrationId, Time, Verdict};

/// Decisions of one application.
#[derive(Debug, Clone)]
pub struct Decide {
    /// Whose.
    pub application: ApplicationId,
    /// The decisions.
    pub decisions: Vec<Decision>,
}

/// A decision about one registration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Decision {
    /// At which gateway it was asked for.
    pub gateway: GatewayId,
    /// By whom.
    pub peripheral: PeripheralId,
    /// Which registration.
    pub registration: RegistrationId,
    /// What is decided.
    #[serde(flatten)]
    pub verdict: Verdict,
}

/// What became of a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum DecisionResult {
    /// It is on its way to the gateway.
    Passed,
    /// That registration awaits no decision: it was decided before, given up, or a later one was
    /// asked for.
    Stale,
    /// The application has no such peripheral at that gateway.
    Unknown,
    /// It authorizes for no group, or for one that was not asked for.
    Invalid,
}

/// Why no decision was taken.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DecideRefusal {
    /// There is no such application.
    #[error("the application is unknown")]
    UnknownApplication,
    /// A down log is full.
    #[error("too much waits for gateway {0}")]
    DownLogFull(GatewayId),
}

impl Procedure for Decide {
    type Answer = Vec<DecisionResult>;
    type Refusal = DecideRefusal;

    fn needs(&self) -> Needs {
        let mut needs = Needs::default();
        needs.applications.insert(self.application.clone());
        for decision in &self.decisions {
            needs.gateways.insert(decision.gateway.clone());
            needs.peripherals.insert((decision.gateway.clone(), decision.peripheral.clone()));
            needs.namesakes.insert((self.application.clone(), decision.peripheral.clone()));
        }
        needs
    }

    fn decide(&self, work: &mut Work, _now: Time) -> Result<Vec<DecisionResult>, DecideRefusal> {
        if work.applications.get(&self.application).is_none() {
            return Err(DecideRefusal::UnknownApplication);
        }
        self.decisions.iter().map(|decision| self.pass(work, decision)).collect()
    }
}

impl Decide {
    fn pass(&self, work: &mut Work, decision: &Decision) -> Result<DecisionResult, DecideRefusal> {
        let Decision { gateway, peripheral, registration, verdict } = decision;
        let has_room = work.has_room(gateway);
        let Some(row) = of_application(work, gateway, peripheral, &self.application) else {
            return Ok(DecisionResult::Unknown);
        };
        let Some(asked) = row.asked.as_ref().filter(|asked| asked.registration == *registration) else {
            return Ok(DecisionResult::Stale);
        };
        if !is_allowed(verdict, &asked.groups) {
            return Ok(DecisionResult::Invalid);
        }
        if !has_room {
            return Err(DecideRefusal::DownLogFull(gateway.clone()));
        }
        row.asked = None;
        // A no is in force with its gateway's next word, if there is one: nothing waits for it.
        row.decided = matches!(verdict, Verdict::Authorized { .. }).then_some(*registration);
        let entry = DownEntry::Decision {
            peripheral: peripheral.clone(),
            registration: *registration,
            verdict: verdict.clone(),
        };
        work.send(gateway, entry);
        if matches!(verdict, Verdict::Authorized { .. }) {
            end_elsewhere(work, gateway, &self.application, peripheral);
        }
        Ok(DecisionResult::Passed)
    }
}

fn is_allowed(verdict: &Verdict, asked: &BTreeSet<GroupId>) -> bool {
    match verdict {
        Verdict::Authorized { groups, .. } => !groups.is_empty() && groups.is_subset(asked),
        Verdict::Refused { .. } => true,
    }
}
