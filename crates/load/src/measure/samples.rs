//! The same thing measured several times.

use std::cmp::Ordering;
use std::time::Duration;

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

/// Durations of the same thing. They are written as their median and range, in milliseconds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Samples(Vec<Duration>);

impl Samples {
    /// Adds one.
    pub fn push(&mut self, sample: Duration) {
        self.0.push(sample);
    }

    /// The one in the middle; with an even number of them, the one after. Zero without any.
    #[must_use]
    pub fn median(&self) -> Duration {
        middle(self.0.clone(), Duration::cmp).unwrap_or_default()
    }

    /// The shortest and the longest. Zero without any.
    #[must_use]
    pub fn range(&self) -> (Duration, Duration) {
        let shortest = self.0.iter().min().copied().unwrap_or_default();
        (shortest, self.0.iter().max().copied().unwrap_or_default())
    }

    /// How many times as long the median is as that of `other`; none if that is zero.
    #[must_use]
    pub fn ratio_to(&self, other: &Self) -> Option<f64> {
        let other = other.median().as_secs_f64();
        (other > 0.0).then(|| self.median().as_secs_f64() / other)
    }

    /// How many times as long each is as the one of `other` that was measured next to it, in the middle; none if there
    /// are no such pairs. A machine is faster in one minute than in the next, which is so for both of a pair.
    #[must_use]
    pub fn pairwise_ratio_to(&self, other: &Self) -> Option<f64> {
        let pairs = self.0.iter().zip(&other.0).filter(|(_, other)| !other.is_zero());
        middle(pairs.map(|(one, other)| one.as_secs_f64() / other.as_secs_f64()).collect(), f64::total_cmp)
    }
}

fn middle<T: Copy>(mut values: Vec<T>, order: impl Fn(&T, &T) -> Ordering) -> Option<T> {
    values.sort_unstable_by(order);
    values.get(values.len() / 2).copied()
}

impl Serialize for Samples {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let millis = |duration: Duration| duration.as_secs_f64() * 1e3;
        let (shortest, longest) = self.range();
        let mut fields = serializer.serialize_struct("Samples", 4)?;
        fields.serialize_field("median_ms", &millis(self.median()))?;
        fields.serialize_field("shortest_ms", &millis(shortest))?;
        fields.serialize_field("longest_ms", &millis(longest))?;
        fields.serialize_field("count", &self.0.len())?;
        fields.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(millis: &[u64]) -> Samples {
        let mut samples = Samples::default();
        millis.iter().for_each(|millis| samples.push(Duration::from_millis(*millis)));
        samples
    }

    #[test]
    fn one_slow_run_does_not_move_the_median() {
        assert_eq!(samples(&[5, 900, 6]).median(), Duration::from_millis(6));
        assert_eq!(samples(&[5, 900, 6]).range(), (Duration::from_millis(5), Duration::from_millis(900)));
    }

    #[test]
    fn the_ratio_is_that_of_the_medians() {
        assert_eq!(samples(&[30]).ratio_to(&samples(&[20, 1, 20])), Some(1.5));
        assert_eq!(samples(&[30]).ratio_to(&samples(&[])), None);
    }

    #[test]
    fn a_minute_in_which_all_is_slow_does_not_move_the_ratio_of_pairs() {
        assert_eq!(samples(&[30, 30, 90]).pairwise_ratio_to(&samples(&[10, 10, 30])), Some(3.0));
        assert_eq!(samples(&[30, 5]).pairwise_ratio_to(&samples(&[10])), Some(3.0));
        assert_eq!(samples(&[30]).pairwise_ratio_to(&samples(&[0])), None);
    }

    #[test]
    fn samples_are_written_as_what_they_come_to() {
        let written = serde_json::to_value(samples(&[5, 7, 6])).expect("numbers");
        let expected = serde_json::json!({"median_ms": 6.0, "shortest_ms": 5.0, "longest_ms": 7.0, "count": 3});
        assert_eq!(written, expected);
    }
}
