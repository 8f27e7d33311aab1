//! Deciding about registrations.

use bugle_core::platform::{Decision, DecisionResult};
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

/// What became of decisions, in the order in which they were sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DecisionsAnswer {
    /// One for each decision.
    pub results: Vec<DecisionResult>,
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
