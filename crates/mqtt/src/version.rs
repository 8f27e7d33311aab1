//! The versions of MQTT.

/// Which version of MQTT a client speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// MQTT 3.1.1.
    Mqtt311,
    /// MQTT 5.
    Mqtt5,
}

impl From<Version> for bugle_core::Protocol {
    fn from(version: Version) -> Self {
        match version {
            Version::Mqtt311 => Self::Mqtt311,
            Version::Mqtt5 => Self::Mqtt5,
        }
    }
}
