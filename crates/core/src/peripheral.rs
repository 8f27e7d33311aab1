//! The peripheral: how it is allocated, what it says of itself, which state it is in.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::certificate::CertificateChain;
use crate::credential::{PasswordProof, PasswordVerifier, PreSharedKey};
use crate::{ApplicationId, GroupId, PeripheralId, Time, Waker, WakerError, limits};

/// The gateway's record of a peripheral, made before it ever appears.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Allocation {
    /// Who it is.
    pub peripheral: PeripheralId,
    /// Whose groups it is allocated to.
    pub application: ApplicationId,
    /// The groups, at least one.
    pub groups: BTreeSet<GroupId>,
    /// Where it starts, and returns to when a registration ends.
    #[serde(default)]
    pub initial_state: InitialState,
    /// What it must show to the gateway; nothing if none is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<Credential>,
    /// How it is woken.
    #[serde(default)]
    pub waker: Waker,
    /// What the M2M user says of it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// The longest that a registration may last without a word from the peripheral, in seconds;
    /// what the peripheral asks for counts if it is shorter.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "crate::serde_seconds::option")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<u64>))]
    pub lifetime: Option<Duration>,
    /// After so many seconds without a word an active peripheral counts as in standby.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "crate::serde_seconds::option")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<u64>))]
    pub idle: Option<Duration>,
}

/// What is wrong with an allocation. The fault is of whoever wrote it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AllocationError {
    /// No group is named.
    #[error("peripheral {0}: at least one group is needed")]
    NoGroup(PeripheralId),
    /// Too many groups are named.
    #[error("peripheral {0}: at most {max} groups are taken", max = limits::GROUPS_PER_PERIPHERAL_MAX)]
    Groups(PeripheralId),
    /// Too many labels are named.
    #[error("peripheral {0}: at most {max} labels are taken", max = limits::LABELS_MAX)]
    Labels(PeripheralId),
    /// A duration is zero.
    #[error("peripheral {0}: {1} must be at least one second")]
    Zero(PeripheralId, &'static str),
    /// The waker is of no use.
    #[error("peripheral {0}: {1}")]
    Waker(PeripheralId, WakerError),
}

impl Allocation {
    /// Checks what the types of its parts leave open.
    ///
    /// # Errors
    /// If it names no group, too many groups or labels, a duration of zero, or a waker that is of no use.
    pub fn check(&self) -> Result<(), AllocationError> {
        let peripheral = || self.peripheral.clone();
        if self.groups.is_empty() {
            return Err(AllocationError::NoGroup(peripheral()));
        }
        if self.groups.len() > limits::GROUPS_PER_PERIPHERAL_MAX {
            return Err(AllocationError::Groups(peripheral()));
        }
        if self.labels.len() > limits::LABELS_MAX {
            return Err(AllocationError::Labels(peripheral()));
        }
        for (name, duration) in [("lifetime", self.lifetime), ("idle", self.idle)] {
            if duration.is_some_and(|duration| duration.is_zero()) {
                return Err(AllocationError::Zero(peripheral(), name));
            }
        }
        self.waker.check().map_err(|error| AllocationError::Waker(peripheral(), error))
    }
}

/// The state in which an allocation starts and to which it returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum InitialState {
    /// It may ask to register.
    #[default]
    Allocated,
    /// It may not, until the M2M user releases it.
    Blocked,
}

/// What a peripheral must show to the gateway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum Credential {
    /// A user name and a password.
    Password {
        /// The user name; the peripheral id if none is given.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        username: Option<String>,
        /// What the password is checked against.
        verifier: PasswordVerifier,
    },
    /// A pre-shared key of DTLS.
    PreSharedKey {
        /// The identity that the peripheral names with it; the peripheral id if none is given.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        identity: Option<String>,
        /// The key.
        key: PreSharedKey,
    },
    /// A certificate, of DTLS or TLS, that one of the gateway's trust anchors vouches for.
    Certificate {
        /// The common name in it; the peripheral id if none is given.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        subject: Option<String>,
    },
}

/// Where an allocation was made; that place alone changes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum Origin {
    /// In the gateway's own file.
    File,
    /// At the gateway itself, from its command line.
    Gateway,
    /// Through the platform.
    Platform,
}

impl Origin {
    /// The place in words, as in "it is allocated through the platform".
    #[must_use]
    pub const fn place(self) -> &'static str {
        match self {
            Self::File => "in the gateway's own file",
            Self::Gateway => "at the gateway's command line",
            Self::Platform => "through the platform",
        }
    }
}

/// Which protocol a peripheral speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum Protocol {
    /// MQTT 3.1.1.
    Mqtt311,
    /// MQTT 5.
    Mqtt5,
    /// LwM2M 1.0.
    Lwm2m10,
    /// LwM2M 1.1.
    Lwm2m11,
    /// LwM2M 1.2.
    Lwm2m12,
}

/// What a peripheral says of itself when it asks to register.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Description {
    /// Which protocol it speaks.
    pub protocol: Protocol,
    /// From where, as address and port.
    pub address: String,
    /// How long its registration may last without a word from it, in seconds.
    #[serde(with = "crate::serde_seconds")]
    #[cfg_attr(feature = "schema", schema(value_type = u64))]
    pub lifetime: Duration,
    /// The objects and object instances that it has, in the form of links as `</3/0>,</3303/0>`; empty
    /// if its protocol does not say.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub objects: String,
}

/// What shows who a peripheral is, for the application to judge.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Evidence {
    /// The gateway has checked the credential of the allocation, and it was right.
    #[serde(default)]
    pub attested: bool,
    /// Shows knowledge of a password without telling it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<PasswordProof>,
    /// A JSON web token signed with the peripheral's key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// The chain of the certificate to which the peripheral has shown the gateway that it has the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificates: Option<CertificateChain>,
}

/// The state of a peripheral at its gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum State {
    /// May not register.
    Blocked,
    /// May register.
    Allocated,
    /// Has asked to; the application has not decided.
    Registering,
    /// Registered, and reachable.
    Active,
    /// Registered, but not reachable now.
    Standby,
    /// In standby, and being woken.
    Activating,
}

impl State {
    /// Whether a peripheral in this state is registered.
    #[must_use]
    pub const fn is_registered(self) -> bool {
        matches!(self, Self::Active | Self::Standby | Self::Activating)
    }

    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Blocked => "blocked",
            Self::Allocated => "allocated",
            Self::Registering => "registering",
            Self::Active => "active",
            Self::Standby => "standby",
            Self::Activating => "activating",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl From<InitialState> for State {
    fn from(initial: InitialState) -> Self {
        match initial {
            InitialState::Allocated => Self::Allocated,
            InitialState::Blocked => Self::Blocked,
        }
    }
}

/// Whether a registered peripheral is reachable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum Presence {
    /// It is.
    Active,
    /// It is not now.
    Standby {
        /// When it is expected to wake, if it said so, by the gateway's clock.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        next_wake: Option<Time>,
    },
    /// It is not, and is being woken.
    Activating {
        /// When it was expected to wake by itself, if it said so, by the gateway's clock.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        next_wake: Option<Time>,
    },
}

impl Presence {
    /// When it is expected to wake by itself, if it is not reachable now and said so.
    #[must_use]
    pub const fn next_wake(self) -> Option<Time> {
        match self {
            Self::Active => None,
            Self::Standby { next_wake } | Self::Activating { next_wake } => next_wake,
        }
    }
}

impl From<Presence> for State {
    fn from(presence: Presence) -> Self {
        match presence {
            Presence::Active => Self::Active,
            Presence::Standby { .. } => Self::Standby,
            Presence::Activating { .. } => Self::Activating,
        }
    }
}

/// Why a registration ended, or never came to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum EndCause {
    /// The peripheral asked.
    Peripheral,
    /// The application asked.
    Application,
    /// The M2M user asked: deregistered, blocked, or the allocation was changed or removed.
    User,
    /// Its lifetime ran out.
    LifetimeOver,
    /// It registered at another gateway.
    Roamed,
    /// The application said no.
    Refused,
    /// The application did not answer in time, or the peripheral was gone before it did.
    Unanswered,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allocation(json: &str) -> Allocation {
        serde_json::from_str(json).expect("an allocation")
    }

    #[test]
    fn an_allocation_needs_a_group() {
        let none = allocation(r#"{"peripheral":"m1","application":"a","groups":[]}"#);
        assert!(matches!(none.check(), Err(AllocationError::NoGroup(_))));
        let one = allocation(r#"{"peripheral":"m1","application":"a","groups":["g"]}"#);
        assert_eq!(one.check(), Ok(()));
    }

    #[test]
    fn groups_and_labels_are_bounded() {
        let mut wide = allocation(r#"{"peripheral":"m1","application":"a","groups":["g"]}"#);
        wide.labels = (0..=limits::LABELS_MAX).map(|n| (n.to_string(), String::new())).collect();
        assert!(matches!(wide.check(), Err(AllocationError::Labels(_))));
        wide.groups = (0..=limits::GROUPS_PER_PERIPHERAL_MAX)
            .map(|n| GroupId::new(format!("g{n}")).expect("a group id"))
            .collect();
        assert!(matches!(wide.check(), Err(AllocationError::Groups(_))));
    }
}
