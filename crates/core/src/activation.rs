//! Which of the members in standby a group request activates.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use thiserror::Error;

use crate::Selector;

/// Which of the members in standby are activated for a request.
///
/// Written `all`, `none`, a count as `25`, a percentage as `10%`, or a [`Selector`] as `zone=north`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Activation {
    /// All of them.
    #[default]
    All,
    /// None of them.
    None,
    /// At most so many, at each gateway.
    Count(u32),
    /// So many in a hundred at each gateway, rounded up. 1 to 100.
    Percentage(u8),
    /// Those whose labels meet this.
    Labels(Selector),
}

impl Activation {
    /// Whether a member with these labels is activated, however many others are.
    #[must_use]
    pub fn selects(&self, labels: &BTreeMap<String, String>) -> bool {
        match self {
            Self::All => true,
            Self::Labels(selector) => selector.selects(labels),
            Self::None | Self::Count(_) | Self::Percentage(_) => false,
        }
    }

    /// How many of `standby` members in standby are activated, whoever they are.
    #[must_use]
    pub fn share_of(&self, standby: usize) -> usize {
        match self {
            Self::All => standby,
            Self::None | Self::Labels(_) => 0,
            Self::Count(count) => standby.min(*count as usize),
            Self::Percentage(percentage) => (standby * usize::from(*percentage)).div_ceil(100).min(standby),
        }
    }
}

/// Why a text names no activation. The fault is of whoever wrote it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("activation is all, none, a count as 25, a percentage from 1% to 100%, or a label selector as zone=north")]
pub struct ActivationError;

impl FromStr for Activation {
    type Err = ActivationError;

    fn from_str(text: &str) -> Result<Self, ActivationError> {
        match (text, text.strip_suffix('%')) {
            ("all", _) => Ok(Self::All),
            ("none", _) => Ok(Self::None),
            (_, Some(percentage)) => match percentage.parse() {
                Ok(percentage @ 1..=100) => Ok(Self::Percentage(percentage)),
                _ => Err(ActivationError),
            },
            (other, None) => {
                let count = other.parse().map(Self::Count);
                count.or_else(|_| other.parse().map(Self::Labels)).map_err(|_| ActivationError)
            }
        }
    }
}

impl fmt::Display for Activation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.pad("all"),
            Self::None => f.pad("none"),
            Self::Count(count) => count.fmt(f),
            Self::Percentage(percentage) => write!(f, "{percentage}%"),
            Self::Labels(selector) => selector.fmt(f),
        }
    }
}

impl Serialize for Activation {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Activation {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn part_of_the_sleepers_is_never_more_than_all_of_them() {
        assert_eq!(Activation::Percentage(10).share_of(1), 1);
        assert_eq!(Activation::Percentage(10).share_of(0), 0);
        assert_eq!(Activation::Percentage(50).share_of(7), 4);
        assert_eq!(Activation::Count(5).share_of(3), 3);
        assert_eq!(Activation::None.share_of(3), 0);
    }

    #[test]
    fn an_activation_out_of_range_is_refused() {
        for text in ["0%", "101%", "-1", "some", "%", "", "zone=10%,"] {
            assert_eq!(text.parse::<Activation>(), Err(ActivationError), "{text}");
        }
    }

    #[test]
    fn an_activation_reads_back_as_written() {
        for text in ["all", "none", "25", "10%", "zone=north,!spare,kind in (a,b)"] {
            assert_eq!(text.parse::<Activation>().map(|activation| activation.to_string()), Ok(text.to_owned()));
        }
        // What ends in a percent sign is a share.
        assert_eq!("fill=10%".parse::<Activation>(), Err(ActivationError));
    }
}
