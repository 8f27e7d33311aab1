//! How long to wait before trying again.

use std::time::Duration;

/// Grows from try to try up to a longest wait, each time drawn at random from nothing to what it has
/// grown to ("full jitter"), so that many who lost the same peer do not come back at once.
#[derive(Debug, Clone)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    ceiling: Duration,
    state: u64,
}

impl Backoff {
    /// Waits up to `first` before the first new try and never longer than `longest`. Two with different
    /// seeds wait differently.
    #[must_use]
    pub const fn new(first: Duration, longest: Duration, seed: u64) -> Self {
        Self { first, longest, ceiling: first, state: seed }
    }

    /// How long to wait before the next try.
    pub fn next_wait(&mut self) -> Duration {
        let ceiling = self.ceiling.min(self.longest);
        self.ceiling = ceiling.saturating_mul(2);
        ceiling.mul_f64(self.draw())
    }

    /// A try has succeeded: the next wait is a first one again.
    pub const fn reset(&mut self) {
        self.ceiling = self.first;
    }

    /// Trying again soon is of no use: the next wait is drawn as after many tries.
    pub const fn skip_to_longest(&mut self) {
        self.ceiling = self.longest;
    }

    /// A number from 0 to 1, by SplitMix64 (Steele, Lea and Flood, 2014).
    fn draw(&mut self) -> f64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^= mixed >> 31;
        (mixed >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FIRST: Duration = Duration::from_millis(200);
    const LONGEST: Duration = Duration::from_secs(30);

    proptest! {
        #[test]
        fn waits_stay_below_a_ceiling_that_doubles_up_to_the_longest(seed: u64) {
            let mut backoff = Backoff::new(FIRST, LONGEST, seed);
            for doublings in 0..40 {
                let ceiling = FIRST.saturating_mul(1_u32.checked_shl(doublings).unwrap_or(u32::MAX)).min(LONGEST);
                prop_assert!(backoff.next_wait() <= ceiling);
            }
        }

        #[test]
        fn after_a_success_the_wait_is_short_again(seed: u64) {
            let mut backoff = Backoff::new(FIRST, LONGEST, seed);
            (0..20).for_each(|_| { backoff.next_wait(); });
            backoff.reset();
            prop_assert!(backoff.next_wait() <= FIRST);
        }
    }

    #[test]
    fn what_needs_a_person_is_tried_again_at_leisure() {
        let mut backoff = Backoff::new(FIRST, LONGEST, 1);
        backoff.skip_to_longest();
        let waits: Vec<Duration> = (0..20).map(|_| backoff.next_wait()).collect();
        assert!(waits.iter().all(|wait| *wait <= LONGEST));
        assert!(waits[0] > FIRST && waits.iter().sum::<Duration>() > 5 * LONGEST, "{waits:?}");
    }

    #[test]
    fn many_that_wait_come_back_spread_out() {
        let mut tenths = [0; 10];
        for seed in 0..1000 {
            let wait = Backoff::new(FIRST, LONGEST, seed).next_wait();
            tenths[(wait.as_millis() as usize / 20).min(9)] += 1;
        }
        assert!(tenths.iter().all(|count| *count > 50), "{tenths:?}");
    }
}
