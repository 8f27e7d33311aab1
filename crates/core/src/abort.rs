//! When a group request is given up because too many members fail.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use thiserror::Error;

use crate::Totals;

/// The rest of a group request is aborted when more members fail than this.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Abort {
    /// When more fail: refused the request, or did not answer.
    pub failures: FailuresMax,
    /// Not before so many members were served or failed.
    #[serde(default)]
    pub minimum: u32,
}

/// How many failures are borne: a count as `5`, or a share of the members that were served or failed
/// as `10%`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailuresMax {
    /// So many.
    Count(u32),
    /// So many in a hundred, 0 to 99.
    Percentage(u8),
}

/// What has become of members so far, as far as an abort cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sample {
    /// Members that were served.
    pub served: u64,
    /// Members that refused, or did not answer.
    pub failed: u64,
}

impl From<&Totals> for Sample {
    fn from(totals: &Totals) -> Self {
        Self { served: totals.served(), failed: totals.refused + totals.failed }
    }
}

impl Abort {
    /// Whether too many have failed.
    #[must_use]
    pub fn is_due(&self, sample: Sample) -> bool {
        let size = sample.served + sample.failed;
        let is_too_many = match self.failures {
            FailuresMax::Count(count) => sample.failed > count.into(),
            FailuresMax::Percentage(percentage) => sample.failed * 100 > size * u64::from(percentage),
        };
        is_too_many && size >= self.minimum.into()
    }

    /// Whether too many have failed whatever becomes of the members that are not in this sample.
    #[must_use]
    pub fn is_due_in_part(&self, sample: Sample) -> bool {
        matches!(self.failures, FailuresMax::Count(_)) && self.is_due(sample)
    }
}

/// Why a text says no number of failures. The fault is of whoever wrote it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("failures are a count as 5, or a share from 0% to 99%")]
pub struct FailuresError;

impl FromStr for FailuresMax {
    type Err = FailuresError;

    fn from_str(text: &str) -> Result<Self, FailuresError> {
        match text.strip_suffix('%') {
            Some(percentage) => match percentage.parse() {
                Ok(percentage @ 0..=99) => Ok(Self::Percentage(percentage)),
                _ => Err(FailuresError),
            },
            None => text.parse().map(Self::Count).map_err(|_| FailuresError),
        }
    }
}

impl fmt::Display for FailuresMax {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => count.fmt(f),
            Self::Percentage(percentage) => write!(f, "{percentage}%"),
        }
    }
}

impl Serialize for FailuresMax {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for FailuresMax {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_due(failures: &str, minimum: u32, served: u64, failed: u64) -> bool {
        Abort { failures: failures.parse().expect("failures"), minimum }.is_due(Sample { served, failed })
    }

    #[test]
    fn a_request_is_aborted_once_more_fail_than_is_borne_after_the_minimum() {
        for (failures, minimum, served, failed, due) in [
            ("0", 0, 100, 0, false),
            ("0", 0, 100, 1, true),
            ("2", 0, 0, 2, false),
            ("2", 0, 0, 3, true),
            ("2", 10, 0, 3, false),
            ("2", 10, 7, 3, true),
            ("10%", 0, 0, 1, true),
            ("10%", 10, 0, 1, false),
            ("10%", 10, 9, 1, false),
            ("10%", 10, 8, 2, true),
            ("0%", 0, 0, 0, false),
        ] {
            assert_eq!(is_due(failures, minimum, served, failed), due, "{failures} {minimum} {served} {failed}");
        }
    }

    #[test]
    fn failures_out_of_range_are_refused() {
        for text in ["", "%", "100%", "-1", "1.5%", "many"] {
            assert_eq!(text.parse::<FailuresMax>(), Err(FailuresError), "{text}");
        }
    }

    #[test]
    fn only_a_count_is_passed_by_a_part() {
        let sample = Sample { served: 0, failed: 6 };
        let due = |text: &str| Abort { failures: text.parse().expect("failures"), minimum: 0 }.is_due_in_part(sample);
        assert!(due("5"));
        assert!(!due("5%"));
    }
}
