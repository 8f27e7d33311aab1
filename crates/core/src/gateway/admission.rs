//! How fast peripherals get as far as their applications: after a power cut a whole fleet asks at once.
//!
//! No more than so many askings go to applications within any second. Whoever comes when that many have gone is told
//! when to try again: each a little later than the one before, as if they stood in line, so that they come back no
//! faster than they can be let in. Nobody keeps a place. Whoever comes back earlier than told, or in a moment that
//! is taken again, is told another time; but never one later than it would take to let everybody in.

use std::num::NonZeroU32;
use std::time::Duration;

use super::pacing::Meter;
use crate::{Pacing, Time};

#[derive(Debug)]
pub(super) struct Admission {
    rate: Option<NonZeroU32>,
    meter: Meter,
    /// When whoever came last was told to try again, in microseconds.
    last_place: u64,
}

const MICROS_PER_MILLI: u64 = 1_000;
const MICROS_PER_SECOND: u64 = 1_000_000;

impl Admission {
    pub(super) fn new(rate: Option<NonZeroU32>) -> Self {
        Self { rate, meter: Meter::of_rate(rate.map(NonZeroU32::get), Pacing::SECOND), last_place: 0 }
    }

    /// One more asks, of whom no more than `outside` are not let in. If it may not now: after how long it may try
    /// again, in whole seconds.
    pub(super) fn enter(&mut self, now: Time, outside: usize) -> Result<(), Duration> {
        let Some(rate) = self.rate else { return Ok(()) };
        if self.meter.pass(now) {
            return Ok(());
        }
        let step = MICROS_PER_SECOND / u64::from(rate.get());
        let now = now.as_millis() * MICROS_PER_MILLI;
        let soonest = now + MICROS_PER_SECOND;
        let latest = soonest + step * outside as u64;
        self.last_place = (self.last_place.max(soonest) + step).min(latest);
        Err(Duration::from_secs((self.last_place - now).div_ceil(MICROS_PER_SECOND)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: u32 = 500;
    const FLEET: usize = 20_000;

    fn admission() -> Admission {
        Admission::new(NonZeroU32::new(RATE))
    }

    #[test]
    fn without_a_rate_everybody_may_ask_at_once() {
        let mut admission = Admission::new(None);
        assert!((0..FLEET).all(|_| admission.enter(Time::ZERO, FLEET).is_ok()));
    }

    #[test]
    fn a_fleet_that_comes_back_when_it_is_told_is_let_in_at_the_rate_and_no_faster() {
        let mut admission = admission();
        let mut due = vec![(Time::from_millis(5), FLEET)];
        let (mut let_in, mut seconds) = (Vec::new(), 0);
        while !due.is_empty() {
            let now = due.iter().map(|(at, _)| *at).min().expect("there are some");
            let came: usize = due.iter().filter(|(at, _)| *at == now).map(|(_, count)| count).sum();
            due.retain(|(at, _)| *at != now);
            let mut count = 0;
            for _ in 0..came {
                let outside = FLEET - let_in.iter().sum::<usize>() - count;
                match admission.enter(now, outside) {
                    Ok(()) => count += 1,
                    Err(wait) => match due.iter_mut().find(|(at, _)| *at == now + wait) {
                        Some((_, others)) => *others += 1,
                        None => due.push((now + wait, 1)),
                    },
                }
            }
            // They are told whole seconds, so that all of one come in the same millisecond.
            assert!(count <= RATE as usize, "{count} within a second");
            let_in.push(count);
            seconds += 1;
        }
        assert_eq!(let_in.iter().sum::<usize>(), FLEET);
        let least = FLEET.div_ceil(RATE as usize);
        assert!(seconds <= least + least / 4, "{seconds} seconds, and {least} would do");
    }

    #[test]
    fn whoever_does_not_wait_makes_nobody_wait_longer_than_all_would_take() {
        let mut admission = admission();
        let outside = 2 * RATE as usize;
        let waits = (0..100_000).filter_map(|_| admission.enter(Time::ZERO, outside).err());
        assert_eq!(waits.max(), Some(Duration::from_secs(3)));
    }

    #[test]
    fn after_the_storm_nobody_waits() {
        let mut admission = admission();
        let refused = (0..FLEET).filter(|_| admission.enter(Time::ZERO, FLEET).is_err()).count();
        assert_eq!(refused, FLEET - RATE as usize);
        assert_eq!(admission.enter(Time::from_millis(60_000), FLEET), Ok(()));
    }
}
