//! Deciding about registrations.

use bugle_core::{GatewayId, PeripheralId, RegistrationId, Verdict};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The most decisions in one call.
pub const DECISIONS_MAX: usize = 1_000;

/// Decisions about registrations that were asked for. Deciding the same twice does nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Decisions {
    /// At most 1000 of them.
    pub decisions: Vec<Decision>,
}

/// A decision about one registration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
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

/// What became of decisions, in the order in which they were sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DecisionsAnswer {
    /// One for each decision.
    pub results: Vec<DecisionResult>,
}

/// What became of a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decision_is_flat_json_and_takes_nothing_unknown() {
        let json =
            r#"{"gateway":"gw","peripheral":"m1","registration":4,"verdict":"authorized","groups":["g"],"lease":60}"#;
        let decision: Decision = serde_json::from_str(json).expect("a decision");
        assert_eq!(serde_json::to_string(&decision).expect("is JSON"), json);
        let misspelt = json.replace("lease", "laese");
        assert!(serde_json::from_str::<Decision>(&misspelt).is_err());
        let extra = json.replace("\"lease\"", "\"extra\":1,\"lease\"");
        assert!(serde_json::from_str::<Decision>(&extra).is_err());
    }
}
