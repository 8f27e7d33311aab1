//! How a simulated peripheral goes: asleep or for good in good order, or because something failed, and
//! then how it comes back.

use std::time::Duration;

use bugle_core::Time;
use bytes::Bytes;

use super::outbox::Outbox;
use super::timers::Timer;
use super::{Output, Phase, SimulatedPeripheral, Subscribed};
use crate::event::{Ending, Happening};
use crate::mqtt::behaviour::Announcing;

/// How it departs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Departure {
    /// For so long.
    Asleep(Duration),
    /// For good.
    ForGood,
}

impl SimulatedPeripheral {
    pub(super) fn fall_asleep(&mut self) {
        if let Some(sleeping) = self.behaviour().sleeping {
            let asleep = sleeping.asleep + self.numbers.duration(sleeping.jitter);
            self.announce(Departure::Asleep(asleep));
        }
    }

    /// Deregisters; if it is asleep, it wakes for that.
    pub(super) fn leave(&mut self, now: Time) {
        if self.departure == Some(Departure::ForGood) {
            return;
        }
        if self.phase == Phase::Away {
            self.timers.set(Timer::Connect, now);
        }
        self.announce(Departure::ForGood);
    }

    pub(super) fn announce(&mut self, departure: Departure) {
        if self.departure == Some(Departure::ForGood) {
            return;
        }
        self.departure = Some(departure);
        match departure {
            Departure::ForGood => self.publish(self.topic("deregister"), Bytes::new(), None),
            Departure::Asleep(asleep) => {
                let announcing = self.behaviour().sleeping.map(|sleeping| sleeping.announcing);
                if announcing == Some(Announcing::NextWake) {
                    let seconds = asleep.as_secs().to_string();
                    self.publish(self.topic("standby"), seconds.into(), None);
                }
            }
        }
    }

    pub(super) fn depart(&mut self, now: Time, departure: Departure) {
        match departure {
            Departure::Asleep(asleep) => {
                self.end(Some(Ending::Slept));
                self.timers.set(Timer::Connect, now + asleep);
            }
            Departure::ForGood => {
                self.end(Some(Ending::Left));
                self.subscribed = Subscribed::No;
                self.outbox = Outbox::new();
                self.timers.clear(Timer::Leave);
            }
        }
    }

    /// The connection is of no more use: it comes back later, unless it has tried often enough.
    pub(super) fn fail(&mut self, now: Time, ending: Option<Ending>) {
        let departure = self.departure;
        self.end(ending);
        // Whoever was to deregister still is.
        self.departure = departure.filter(|departure| *departure == Departure::ForGood);
        let reconnecting = self.behaviour().reconnecting;
        self.failures += 1;
        if reconnecting.tries.is_some_and(|tries| self.failures >= tries) {
            return self.happened(Happening::GaveUp);
        }
        let doubled = 2_u32.saturating_pow(self.failures - 1);
        let wait = reconnecting.first.saturating_mul(doubled).min(reconnecting.most);
        self.timers.set(Timer::Connect, now + wait + self.numbers.duration(wait / 2));
    }

    pub(super) fn end(&mut self, ending: Option<Ending>) {
        self.phase = Phase::Away;
        self.departure = None;
        self.timers.clear_connection();
        self.outputs.push_back(Output::Close);
        if let Some(ending) = ending {
            self.happened(Happening::Disconnected(ending));
        }
    }
}
