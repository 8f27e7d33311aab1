//! How fast a fleet registers: all at once, as fast as the server admits them.

use std::fmt;
use std::time::{Duration, Instant};

use bugle_core::Protocol;
use serde::Serialize;

use super::fleet::{Conduct, Fleet, Goal};
use super::{MeasureError, Samples, Target, Watch};
use crate::command::Command;
use crate::event::{Ending, Happening};
use crate::mqtt::Subscription;

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Registrations {
    /// How many peripherals register.
    pub peripherals: usize,
    /// How often, at each target in turn.
    pub repetitions: usize,
    /// What they speak.
    pub protocol: Protocol,
    /// On whose word they are admitted.
    pub admission: Admission,
    /// How long it may take for all.
    pub patience: Duration,
}

/// On whose word peripherals are admitted at a gateway. A plain MQTT server knows nothing of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Admission {
    /// The application's: each registers as if it had never been there.
    Application,
    /// The gateway's own, under the lease that the application has given: each is registered, and
    /// registers anew.
    Lease,
}

/// How long a session outlives its connection where it has to.
const SESSION_EXPIRY: Duration = Duration::from_secs(3_600);

/// What was measured at one target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RegistrationsResult {
    /// Which.
    pub target: &'static str,
    /// How many peripherals registered.
    pub peripherals: usize,
    /// Until the last was accepted; at a gateway, that is registered, with the application's word on it.
    pub accepted: Samples,
    /// Until the last was to be reached: with MQTT, subscribed.
    pub ready: Samples,
}

/// What was measured, target by target, and the ratios.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistrationsResults(pub Vec<RegistrationsResult>);

impl Registrations {
    /// Measures at all `targets` in turns. `watch` is told how far it is.
    ///
    /// # Errors
    /// If a peripheral does not get there in time.
    pub fn run(&self, targets: &[Target], watch: &Watch) -> Result<RegistrationsResults, MeasureError> {
        let result = |target: &Target| RegistrationsResult {
            target: target.name(),
            peripherals: self.peripherals,
            accepted: Samples::default(),
            ready: Samples::default(),
        };
        let mut results: Vec<RegistrationsResult> = targets.iter().map(result).collect();
        match self.admission {
            Admission::Application => {
                for _ in 0..self.repetitions {
                    for (target, result) in targets.iter().zip(&mut results) {
                        self.register(target, result, watch)?;
                    }
                }
            }
            Admission::Lease => {
                for (target, result) in targets.iter().zip(&mut results) {
                    self.register_again(target, result, watch)?;
                }
            }
        }
        Ok(RegistrationsResults(results))
    }

    /// The sessions end with their connections, so that every peripheral registers anew each time.
    fn register(&self, target: &Target, result: &mut RegistrationsResult, watch: &Watch) -> Result<(), MeasureError> {
        let members = target.members(self.peripherals)?;
        let conduct = Conduct::new(self.protocol, Subscription::Requests, Duration::ZERO);
        let began = Instant::now();
        let fleet = Fleet::start(target, members, &conduct, self.patience, watch)?;
        let mut goals = [Goal::accepted(self.peripherals), conduct.ready(self.peripherals)];
        fleet.wait(&mut goals)?;
        result.accepted.push(goals[0].took(began));
        result.ready.push(goals[1].took(began));
        fleet.leave(self.peripherals)
    }

    fn register_again(
        &self,
        target: &Target,
        result: &mut RegistrationsResult,
        watch: &Watch,
    ) -> Result<(), MeasureError> {
        let members = target.members(self.peripherals)?;
        let conduct = Conduct::new(self.protocol, Subscription::Requests, SESSION_EXPIRY);
        let fleet = Fleet::start(target, members, &conduct, self.patience, watch)?;
        fleet.wait(&mut [conduct.ready(self.peripherals)])?;
        for _ in 0..self.repetitions {
            if let Conduct::Mqtt(_) = conduct {
                // A connection that breaks leaves the registration as it is.
                fleet.forget();
                fleet.peripherals.command_all(&Command::Vanish);
                let is_gone = |what: &Happening| matches!(what, Happening::Disconnected(Ending::Vanished));
                fleet.wait(&mut [Goal::new("are gone", self.peripherals, is_gone)])?;
            }
            fleet.forget();
            let began = Instant::now();
            fleet.peripherals.command_all(&Command::Connect);
            let mut goals = [Goal::accepted(self.peripherals)];
            fleet.wait(&mut goals)?;
            result.accepted.push(goals[0].took(began));
            result.ready.push(goals[0].took(began));
        }
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
