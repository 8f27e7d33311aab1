//! Numbers that look random and are the same for the same seed.

use std::time::Duration;

/// A stream of numbers: SplitMix64 (Steele, Lea and Flood, 2014).
#[derive(Debug, Clone)]
pub(crate) struct Numbers(u64);

impl Numbers {
    /// The stream of the `index`th peripheral of a run.
    pub(crate) fn new(seed: u64, index: usize) -> Self {
        let mut numbers = Self(seed);
        numbers.0 ^= Self(index as u64).next();
        numbers
    }

    /// What a CoAP endpoint makes its tokens and message ids of.
    pub(crate) fn secret(&mut self) -> [u8; 16] {
        let mut secret = [0; 16];
        secret[..8].copy_from_slice(&self.next().to_be_bytes());
        secret[8..].copy_from_slice(&self.next().to_be_bytes());
        secret
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// Between zero and `most`, to the millisecond.
    pub(crate) fn duration(&mut self, most: Duration) -> Duration {
        let millis = u64::try_from(most.as_millis()).unwrap_or(u64::MAX - 1);
        Duration::from_millis(self.next() % (millis + 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_numbers_and_each_peripheral_its_own() {
        let draw = |seed, index| {
            let mut numbers = Numbers::new(seed, index);
            [numbers.next(), numbers.next()]
        };
        assert_eq!(draw(1, 0), draw(1, 0));
        assert_ne!(draw(1, 0), draw(1, 1));
        assert_ne!(draw(1, 0), draw(2, 0));
    }

    #[test]
    fn a_duration_stays_within_its_bound() {
        let mut numbers = Numbers::new(7, 7);
        let most = Duration::from_millis(3);
        let drawn: Vec<Duration> = (0..100).map(|_| numbers.duration(most)).collect();
        assert!(drawn.iter().all(|duration| *duration <= most));
        assert!(drawn.contains(&Duration::ZERO) && drawn.contains(&most));
        assert_eq!(numbers.duration(Duration::ZERO), Duration::ZERO);
    }
}
