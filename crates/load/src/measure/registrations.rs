//! How fast a fleet registers: all connect at once, as fast as the server admits them.

use std::fmt;
use std::time::{Duration, Instant};

use bugle_mqtt::Version;

use super::fleet::{Fleet, Goal};
use super::{MeasureError, Samples, Target};
use crate::event::Happening;
use crate::mqtt::{Behaviour, Subscription};

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Registrations {
    /// How many peripherals register.
    pub peripherals: usize,
    /// How often, at each target in turn.
    pub repetitions: usize,
    /// What they speak.
    pub version: Version,
    /// How long it may take for all.
    pub patience: Duration,
}

/// What was measured at one target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistrationsResult {
    /// Which.
    pub target: &'static str,
    /// How many peripherals registered.
    pub peripherals: usize,
    /// Until the last was accepted; at a gateway, that is registered, with the application's word on it.
    pub accepted: Samples,
    /// Until the last was subscribed.
    pub subscribed: Samples,
}

/// What was measured, target by target, and the ratios.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistrationsResults(pub Vec<RegistrationsResult>);

impl Registrations {
    /// Measures at all `targets` in turns. The sessions end with their connections, so that every
    /// peripheral registers anew each time.
    ///
    /// # Errors
    /// If a peripheral does not get there in time.
    pub fn run(&self, targets: &[Target]) -> Result<RegistrationsResults, MeasureError> {
        let result = |target: &Target| RegistrationsResult {
            target: target.name(),
            peripherals: self.peripherals,
            accepted: Samples::default(),
            subscribed: Samples::default(),
        };
        let mut results: Vec<RegistrationsResult> = targets.iter().map(result).collect();
        for _ in 0..self.repetitions {
            for (target, result) in targets.iter().zip(&mut results) {
                self.measure(target, result)?;
            }
        }
        Ok(RegistrationsResults(results))
    }

    fn measure(&self, target: &Target, result: &mut RegistrationsResult) -> Result<(), MeasureError> {
        let members = target.members(self.peripherals)?;
        let behaviour =
            Behaviour { session_expiry: Duration::ZERO, ..Behaviour::subscriber(self.version, Subscription::Requests) };
        let began = Instant::now();
        let fleet = Fleet::start(target, members, behaviour, self.patience)?;
        let mut goals = [
            Goal::new("were accepted", self.peripherals, |what| matches!(what, Happening::Connected { .. })),
            Goal::new("subscribed", self.peripherals, |what| matches!(what, Happening::Subscribed)),
        ];
        fleet.wait(&mut goals)?;
        result.accepted.push(goals[0].took(began));
        result.subscribed.push(goals[1].took(began));
        fleet.leave(self.peripherals)
    }
}

impl RegistrationsResult {
    /// Registrations in a second: of the median run, up to the last acceptance.
    #[must_use]
    pub fn per_second(&self) -> f64 {
        let seconds = self.accepted.median().as_secs_f64();
        if seconds > 0.0 { self.peripherals as f64 / seconds } else { 0.0 }
    }
}

impl fmt::Display for RegistrationsResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.accepted.median().as_secs_f64();
        let Self { target, peripherals, .. } = self;
        write!(f, "{target:<10} {peripherals} registered in {seconds:.2} s: {:.0} a second", self.per_second())
    }
}

impl fmt::Display for RegistrationsResults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|result| writeln!(f, "{result}"))?;
        let [yardstick, others @ ..] = &self.0[..] else { return Ok(()) };
        for other in others {
            if let Some(ratio) = other.accepted.ratio_to(&yardstick.accepted) {
                writeln!(f, "{} takes {ratio:.2} times as long as {}", other.target, yardstick.target)?;
            }
        }
        Ok(())
    }
}
