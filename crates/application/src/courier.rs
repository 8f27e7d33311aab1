//! Takes answers to the platform until it has them.

use std::time::Duration;

use bugle_api::{DECISIONS_MAX, Decision, DecisionResult};
use bugle_client::{Client, ClientError};
use bugle_core::ApplicationId;
use bugle_runtime::Backoff;
use bugle_store::application::OutgoingAnswer;

/// Answers in one call.
pub(crate) const LOAD_MAX: usize = DECISIONS_MAX;
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(15);

#[derive(Debug, Clone)]
pub(crate) struct Courier {
    pub(crate) client: Client,
    pub(crate) application: ApplicationId,
    pub(crate) seed: u64,
}

impl Courier {
    /// Takes these to the platform, and tries again until it has them. Taking one twice has no effect
    /// the second time.
    pub(crate) async fn deliver(self, load: Vec<OutgoingAnswer>) {
        let mut backoff = Backoff::new(FIRST_WAIT, LONGEST_WAIT, self.seed);
        let decisions = load.into_iter().map(|OutgoingAnswer { answer, .. }| Decision {
            gateway: answer.gateway,
            peripheral: answer.peripheral,
            registration: answer.registration,
            verdict: answer.verdict,
        });
        let decisions: Vec<_> = decisions.collect();
        loop {
            match self.client.decide(&self.application, decisions.clone()).await {
                Ok(answer) => return tell_untaken(&decisions, &answer.results),
                Err(error) => {
                    let asked_to_wait = match &error {
                        ClientError::Refused { retry_after, .. } => retry_after.unwrap_or_default(),
                        _ => Duration::ZERO,
                    };
                    let wait = backoff.next_wait().max(asked_to_wait.min(LONGEST_WAIT));
                    tracing::warn!(%error, decisions = decisions.len(), again_in = ?wait, "decisions wait");
                    tokio::time::sleep(wait).await;
                }
            }
        }
    }
}

/// What the platform did not pass on is settled too: nobody waits for it.
fn tell_untaken(decisions: &[Decision], results: &[DecisionResult]) {
    for (decision, result) in decisions.iter().zip(results) {
        let Decision { gateway, peripheral, registration, .. } = decision;
        match result {
            DecisionResult::Passed => {}
            DecisionResult::Stale => {
                tracing::debug!(%gateway, %peripheral, %registration, "nobody awaits this decision any more");
            }
            DecisionResult::Unknown | DecisionResult::Invalid => {
                tracing::warn!(%gateway, %peripheral, %registration, ?result, "the platform refused a decision");
            }
        }
    }
}
