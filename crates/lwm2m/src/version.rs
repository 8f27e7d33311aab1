//! Versions of the LwM2M enabler.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// A version of the LwM2M enabler, as a client names it when it registers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Version {
    /// LwM2M 1.0; also what a client speaks that names none.
    #[default]
    V1_0,
    /// LwM2M 1.1.
    V1_1,
    /// LwM2M 1.2.
    V1_2,
}

/// Why a text names no version that is spoken here. The fault is of the peer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum VersionError {
    /// It is not of the form `1.1`.
    #[error("a version is two numbers, as 1.1")]
    Malformed,
    /// It is a version, but none that is spoken.
    #[error("this version is not supported")]
    Unsupported,
}

impl Version {
    /// As it is written in a registration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V1_0 => "1.0",
            Self::V1_1 => "1.1",
            Self::V1_2 => "1.2",
        }
    }

    /// The version before this one, for a client that was told that this one is not supported.
    #[must_use]
    pub const fn previous(self) -> Option<Self> {
        match self {
            Self::V1_0 => None,
            Self::V1_1 => Some(Self::V1_0),
            Self::V1_2 => Some(Self::V1_1),
        }
    }
}

impl FromStr for Version {
    type Err = VersionError;

    /// Reads `1.1`, also with a third number, as in `1.1.1`: those differ in wording only.
    fn from_str(text: &str) -> Result<Self, VersionError> {
        let mut numbers = text.splitn(3, '.').map(str::parse::<u8>);
        match (numbers.next(), numbers.next(), numbers.next()) {
            (Some(Ok(major)), Some(Ok(minor)), None | Some(Ok(_))) => match (major, minor) {
                (1, 0) => Ok(Self::V1_0),
                (1, 1) => Ok(Self::V1_1),
                (1, 2) => Ok(Self::V1_2),
                _ => Err(VersionError::Unsupported),
            },
            _ => Err(VersionError::Malformed),
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_reads_back_as_written() {
        for version in [Version::V1_0, Version::V1_1, Version::V1_2] {
            assert_eq!(version.to_string().parse(), Ok(version));
        }
        assert_eq!("1.1.1".parse(), Ok(Version::V1_1));
    }

    #[test]
    fn a_later_version_is_not_the_same_as_no_version() {
        assert_eq!("2.0".parse::<Version>(), Err(VersionError::Unsupported));
        assert_eq!("1.3".parse::<Version>(), Err(VersionError::Unsupported));
        for text in ["", "1", "1.x", "latest", "1.1.1.1"] {
            assert_eq!(text.parse::<Version>(), Err(VersionError::Malformed), "{text}");
        }
    }
}
