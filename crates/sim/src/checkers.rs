//! What is promised, each promise with its own watcher that knows nothing of how it is kept.

mod agreement;
mod authorized;
mod bounds;
mod logs;
mod members_only;
mod nothing_lost;
mod once;
mod outcomes;
mod pacing;
mod places;
mod schedules;
mod standby;
mod truth;
mod wakes;

use thiserror::Error;

use crate::fact::Fact;
use crate::gateway::Gateway;
use crate::network::Moment;
use crate::state::State;

/// A promise was broken.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{promise}: {what}")]
pub struct Violation {
    /// Which promise.
    pub promise: &'static str,
    /// How.
    pub what: String,
}

/// Watches over one promise.
trait Checker {
    /// The promise.
    fn promise(&self) -> &'static str;

    /// Takes note of something that happened.
    fn observe(&mut self, moment: Moment, fact: &Fact<'_>) -> Result<(), String>;

    /// All has healed and come to rest.
    fn conclude(&mut self, state: &State<'_>) -> Result<(), String>;
}

/// All of them.
pub(crate) struct Checkers(Vec<Box<dyn Checker>>);

impl Checkers {
    pub(crate) fn new(gateways: &[Gateway]) -> Self {
        let paces = gateways.iter().map(|gateway| (gateway.id().clone(), gateway.pacing()));
        Self(vec![
            Box::new(once::Once::default()),
            Box::new(authorized::Authorized::default()),
            Box::new(members_only::MembersOnly::default()),
            Box::new(outcomes::Outcomes::default()),
            Box::new(truth::Truth::default()),
            Box::new(pacing::Pace::new(paces)),
            Box::new(wakes::Wakes::default()),
            Box::new(schedules::Schedules::default()),
            Box::new(standby::Standby::default()),
            Box::new(nothing_lost::NothingLost::default()),
            Box::new(logs::Logs::default()),
            Box::new(bounds::Bounds::default()),
            Box::new(agreement::Agreement),
        ])
    }

    pub(crate) fn observe(&mut self, moment: Moment, fact: &Fact<'_>) -> Result<(), Violation> {
        for checker in &mut self.0 {
            let promise = checker.promise();
            checker.observe(moment, fact).map_err(|what| Violation { promise, what })?;
        }
        Ok(())
    }

    pub(crate) fn conclude(&mut self, state: &State<'_>) -> Result<(), Violation> {
        for checker in &mut self.0 {
            let promise = checker.promise();
            checker.conclude(state).map_err(|what| Violation { promise, what })?;
        }
        Ok(())
    }
}

/// A peripheral that may be in and is not, if there is one.
pub(crate) fn not_in(state: &State<'_>) -> Option<String> {
    agreement::everybody_is_in(state).err()
}
