//! One peripheral as a file has it.

use std::collections::BTreeMap;
use std::time::Duration;

use bugle_core::credential::PasswordVerifier;
use bugle_core::{Allocation, Credential, InitialState, PeripheralId, Waker};
use serde::Deserialize;

use super::Complaint;

/// What an entry, or the defaults, may say. All of it is text or number, to be checked together.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Said {
    pub(super) application: Option<String>,
    pub(super) groups: Option<Vec<String>>,
    pub(super) initial_state: Option<InitialState>,
    pub(super) username: Option<String>,
    pub(super) password: Option<String>,
    pub(super) verifier: Option<String>,
    pub(super) lifetime: Option<u64>,
    pub(super) idle: Option<u64>,
    pub(super) labels: BTreeMap<String, String>,
}

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) line: u64,
    pub(super) id: String,
    pub(super) said: Said,
}

impl Said {
    /// What is not said here is as in `defaults`.
    pub(super) fn or(self, defaults: &Self) -> Self {
        let mut labels = defaults.labels.clone();
        labels.extend(self.labels);
        Self {
            application: self.application.or_else(|| defaults.application.clone()),
            groups: self.groups.or_else(|| defaults.groups.clone()),
            initial_state: self.initial_state.or(defaults.initial_state),
            username: self.username.or_else(|| defaults.username.clone()),
            password: self.password.or_else(|| defaults.password.clone()),
            verifier: self.verifier.or_else(|| defaults.verifier.clone()),
            lifetime: self.lifetime.or(defaults.lifetime),
            idle: self.idle.or(defaults.idle),
            labels,
        }
    }
}

impl Entry {
    pub(super) fn allocation(self) -> Result<Allocation, Complaint> {
        let line = self.line;
        self.make().map_err(|reason| Complaint { line, reason })
    }

    fn make(self) -> Result<Allocation, String> {
        let Said { application, groups, initial_state, username, password, verifier, lifetime, idle, labels } =
            self.said;
        let peripheral = PeripheralId::new(self.id).map_err(|error| error.to_string())?;
        let application = application.ok_or_else(|| format!("peripheral {peripheral}: no application is named"))?;
        let groups = groups.unwrap_or_default().iter().map(|group| group.trim().parse()).collect::<Result<_, _>>();
        let verifier = match (password, verifier) {
            (Some(_), Some(_)) => return Err(format!("peripheral {peripheral}: password or verifier, not both")),
            (Some(password), None) => Some(PasswordVerifier::derive(&peripheral, password.as_bytes())),
            (None, Some(verifier)) => {
                Some(verifier.parse().map_err(|error| format!("peripheral {peripheral}: {error}"))?)
            }
            (None, None) => None,
        };
        if username.is_some() && verifier.is_none() {
            return Err(format!("peripheral {peripheral}: a username needs a password or a verifier"));
        }
        let allocation = Allocation {
            application: application.parse().map_err(|error| format!("peripheral {peripheral}: {error}"))?,
            groups: groups.map_err(|error| format!("peripheral {peripheral}: {error}"))?,
            initial_state: initial_state.unwrap_or_default(),
            credential: verifier.map(|verifier| Credential::Password { username, verifier }),
            waker: Waker::Window,
            labels,
            lifetime: lifetime.map(Duration::from_secs),
            idle: idle.map(Duration::from_secs),
            peripheral,
        };
        allocation.check().map_err(|error| error.to_string())?;
        Ok(allocation)
    }
}
