//! When a message is sent again, and how long messages are remembered (RFC 7252 §4.2, §4.8).

use std::time::Duration;

use crate::token::Generator;

/// The parameters of transmission. The default is the standard's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transmission {
    /// How long an acknowledgement is waited for at least, the first time.
    pub ack_timeout: Duration,
    /// By how much, in percent, the first wait may be longer than that: 50 is a random factor of up to 1.5.
    pub ack_random_percent: u32,
    /// How often a message is sent again.
    pub max_retransmit: u8,
    /// How long a datagram may be under way.
    pub max_latency: Duration,
    /// How long an answer may take to be ready before a request is acknowledged without it.
    pub processing_delay: Duration,
}

impl Default for Transmission {
    fn default() -> Self {
        Self {
            ack_timeout: Duration::from_secs(2),
            ack_random_percent: 50,
            max_retransmit: 4,
            max_latency: Duration::from_secs(100),
            processing_delay: Duration::from_secs(1),
        }
    }
}

impl Transmission {
    /// From the first transmission to the last (RFC 7252 §4.8.2, `MAX_TRANSMIT_SPAN`).
    fn span(&self) -> Duration {
        self.first_wait_max() * ((1 << u32::from(self.max_retransmit.min(Self::DOUBLINGS_MAX))) - 1)
    }

    /// From the first transmission until nobody waits for an acknowledgement any more (RFC 7252 §4.8.2,
    /// `MAX_TRANSMIT_WAIT`).
    #[must_use]
    pub fn transmit_wait(&self) -> Duration {
        2 * self.span() + self.first_wait_max()
    }

    /// How long the id of a confirmable message may not be used again (`EXCHANGE_LIFETIME`).
    #[must_use]
    pub fn exchange_lifetime(&self) -> Duration {
        // RFC 7252 §4.8.2 takes ACK_TIMEOUT for the peer's processing delay.
        self.span() + 2 * self.max_latency + self.ack_timeout
    }

    /// How long the id of a non-confirmable message may not be used again (`NON_LIFETIME`).
    #[must_use]
    pub fn non_lifetime(&self) -> Duration {
        self.span() + self.max_latency
    }

    /// Between two of the first waits that may be drawn: what is sent at once to ten thousand is then due at some dozens
    /// of moments and not at a thousand.
    const FIRST_WAIT_STEP: Duration = Duration::from_millis(16);

    /// The first wait for an acknowledgement.
    pub(crate) fn first_wait(&self, generator: &mut Generator) -> Duration {
        let spread = self.first_wait_max().saturating_sub(self.ack_timeout);
        let steps = u32::try_from(spread.as_millis() / Self::FIRST_WAIT_STEP.as_millis()).unwrap_or(u32::MAX);
        self.ack_timeout + Self::FIRST_WAIT_STEP * generator.up_to(steps.into()) as u32
    }

    /// The waits double; no caller's parameters may make them overflow.
    const DOUBLINGS_MAX: u8 = 16;

    fn first_wait_max(&self) -> Duration {
        self.ack_timeout * (100 + self.ack_random_percent.min(1_000)) / 100
    }
}

/// Where one confirmable message is in its transmissions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Attempts {
    wait: Duration,
    made: u8,
}

impl Attempts {
    pub(crate) const fn new(first_wait: Duration) -> Self {
        Self { wait: first_wait, made: 0 }
    }

    /// How long to wait now.
    pub(crate) const fn wait(self) -> Duration {
        self.wait
    }

    /// The next attempt, if one is left.
    pub(crate) fn next(self, transmission: &Transmission) -> Option<Self> {
        let is_left = self.made < transmission.max_retransmit.min(Transmission::DOUBLINGS_MAX);
        is_left.then_some(Self { wait: self.wait * 2, made: self.made + 1 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_derived_times_are_those_of_the_standard() {
        let transmission = Transmission::default();
        assert_eq!(transmission.span(), Duration::from_secs(45));
        assert_eq!(transmission.transmit_wait(), Duration::from_secs(93));
        assert_eq!(transmission.exchange_lifetime(), Duration::from_secs(247));
        assert_eq!(transmission.non_lifetime(), Duration::from_secs(145));
    }

    #[test]
    fn the_first_wait_is_random_between_the_timeout_and_half_as_much_again() {
        let transmission = Transmission::default();
        let mut generator = Generator::new([5; 16]);
        let waits: Vec<_> = (0..1_000).map(|_| transmission.first_wait(&mut generator)).collect();
        let (min, max) = (waits.iter().min().expect("some"), waits.iter().max().expect("some"));
        assert!(*min >= Duration::from_secs(2) && *min < Duration::from_millis(2_050), "{min:?}");
        assert!(*max <= Duration::from_secs(3) && *max > Duration::from_millis(2_950), "{max:?}");
    }

    #[test]
    fn a_message_is_sent_five_times_with_doubling_waits() {
        let transmission = Transmission::default();
        let mut waits = Vec::new();
        let mut attempt = Some(Attempts::new(Duration::from_secs(3)));
        while let Some(current) = attempt {
            waits.push(current.wait().as_secs());
            attempt = current.next(&transmission);
        }
        // The last wait ends with giving up: MAX_TRANSMIT_WAIT is their sum.
        assert_eq!(waits, [3, 6, 12, 24, 48]);
        assert_eq!(waits.iter().sum::<u64>(), 93);
    }
}
