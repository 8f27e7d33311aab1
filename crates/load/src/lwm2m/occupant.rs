//! One simulated peripheral: its device, how it stands with its server, and what it does by itself.

use std::sync::Arc;
use std::time::Duration;

use bugle_coap::ObserverId;
use bugle_core::Time;
use bugle_lwm2m::client::{Device, Settings};
use bugle_lwm2m::{Path, Value, objects};

use super::behaviour::{Behaviour, Peripheral};
use crate::seed::Numbers;

/// What changes when it reports.
pub(super) const TEMPERATURE: Path = Path::of_resource(objects::TEMPERATURE, 0, 5700);
/// The coldest that it gets, in degrees, and as milliseconds how much warmer: numbers are drawn as durations.
const COLDEST: f64 = 15.0;
const WARMER: Duration = Duration::from_secs(10);
/// The shortest time between two reports: time is counted in milliseconds.
const SHORTEST: Duration = Duration::from_millis(1);

/// Whether it is switched on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Power {
    Off,
    On,
}

/// How it stands with its server, as far as it was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    Away,
    Connected,
}

/// Whether it may register.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    None,
    /// It waits for its turn.
    Waiting,
    /// It is at it.
    Taken,
}

/// Whether it has woken, and the server has not said that it has heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Waking {
    No,
    Yes,
}

#[derive(Debug)]
pub(super) struct Occupant {
    pub(super) behaviour: Arc<Behaviour>,
    settings: Settings,
    numbers: Numbers,
    pub(super) device: Device,
    pub(super) power: Power,
    pub(super) standing: Standing,
    pub(super) turn: Turn,
    pub(super) waking: Waking,
    /// Tries to register that have failed in a row.
    pub(super) failures: u32,
    /// Who observes it, by the token that its device knows the observation by.
    pub(super) observers: Vec<(u64, ObserverId)>,
    report_at: Option<Time>,
    leave_at: Option<Time>,
    /// As it stands in its share's list of timeouts.
    pub(super) timeout: Option<Time>,
}

/// What is due beside what the device has to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    Report,
    Leave,
}

impl Occupant {
    pub(super) fn new(peripheral: Peripheral, mut numbers: Numbers) -> Self {
        let settings = peripheral.behaviour.settings(peripheral.id, &mut numbers);
        Self {
            behaviour: peripheral.behaviour,
            device: Device::new(settings.clone()),
            settings,
            numbers,
            power: Power::Off,
            standing: Standing::Away,
            turn: Turn::None,
            waking: Waking::No,
            failures: 0,
            observers: Vec::new(),
            report_at: None,
            leave_at: None,
            timeout: None,
        }
    }

    /// Whether what is sent to it reaches it.
    pub(super) const fn hears(&self) -> bool {
        matches!(self.power, Power::On) && !self.device.is_asleep()
    }

    /// It loses its power, and with it all that it knew.
    pub(super) fn switch_off(&mut self) {
        self.device = Device::new(self.settings.clone());
        self.power = Power::Off;
        self.waking = Waking::No;
        self.observers.clear();
        self.report_at = None;
        self.leave_at = None;
    }

    /// It is registered: from now on it does what it does by itself.
    pub(super) fn begin(&mut self, now: Time) {
        if let (None, Some(reporting)) = (self.report_at, self.behaviour.reporting) {
            // At a moment of its own, so that a fleet does not report as one.
            self.report_at = Some(now + self.numbers.duration(reporting.every));
        }
        if let (None, Some(after)) = (self.leave_at, self.behaviour.leaves_after) {
            self.leave_at = Some(now + after);
        }
    }

    /// It has left: it does nothing any more by itself.
    pub(super) const fn end(&mut self) {
        self.report_at = None;
        self.leave_at = None;
    }

    /// Takes what is due.
    pub(super) fn take_due(&mut self, now: Time) -> Option<Due> {
        if self.leave_at.is_some_and(|at| at <= now) {
            self.leave_at = None;
            return Some(Due::Leave);
        }
        if self.report_at.is_some_and(|at| at <= now) {
            let every = self.behaviour.reporting.map_or(SHORTEST, |reporting| reporting.every.max(SHORTEST));
            self.report_at = Some(now + every);
            return Some(Due::Report);
        }
        None
    }

    pub(super) fn next_timeout(&self) -> Option<Time> {
        let device = self.device.next_timeout().filter(|_| self.power == Power::On);
        [device, self.report_at, self.leave_at].into_iter().flatten().min()
    }

    /// How warm it is by now.
    pub(super) fn measure(&mut self) -> Value {
        Value::Float(COLDEST + self.numbers.duration(WARMER).as_millis() as f64 / 1000.0)
    }
}
