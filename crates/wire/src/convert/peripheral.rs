//! The peripheral: allocation, evidence, description, presence. Its waker is in `waker.rs`.

use std::time::Duration;

use bugle_core::certificate::CertificateChain;
use bugle_core::credential::{PasswordProof, PreSharedKey};
use bugle_core::{Allocation, Credential, Description, Evidence, Presence};

use super::{Word, group_ids, id, present, time, to_millis, to_texts};
use crate::{WireError, proto};

impl From<&Allocation> for proto::Allocation {
    fn from(allocation: &Allocation) -> Self {
        Self {
            peripheral: allocation.peripheral.to_string(),
            application: allocation.application.to_string(),
            groups: to_texts(&allocation.groups),
            initial_state: allocation.initial_state.to_number(),
            credential: allocation.credential.as_ref().map(Into::into),
            waker: Some((&allocation.waker).into()),
            labels: allocation.labels.clone(),
            lifetime_ms: allocation.lifetime.map(to_millis),
            idle_ms: allocation.idle.map(to_millis),
        }
    }
}

impl TryFrom<proto::Allocation> for Allocation {
    type Error = WireError;

    fn try_from(message: proto::Allocation) -> Result<Self, WireError> {
        Ok(Self {
            peripheral: id(&message.peripheral)?,
            application: id(&message.application)?,
            groups: group_ids(&message.groups)?,
            initial_state: Word::from_number(message.initial_state)?,
            credential: message.credential.map(TryInto::try_into).transpose()?,
            waker: present(message.waker, "waker")?.try_into()?,
            labels: message.labels,
            lifetime: message.lifetime_ms.map(Duration::from_millis),
            idle: message.idle_ms.map(Duration::from_millis),
        })
    }
}

impl From<&Credential> for proto::Credential {
    fn from(credential: &Credential) -> Self {
        let credential = match credential {
            Credential::Password { username, verifier } => proto::credential::Credential::Password(proto::Password {
                username: username.clone(),
                verifier: verifier.to_string(),
            }),
            Credential::PreSharedKey { identity, key } => {
                proto::credential::Credential::PreSharedKey(proto::PreSharedKey {
                    identity: identity.clone(),
                    key: key.as_bytes().to_vec(),
                })
            }
            Credential::Certificate { subject } => {
                proto::credential::Credential::Certificate(proto::Certificate { subject: subject.clone() })
            }
        };
        Self { credential: Some(credential) }
    }
}

impl TryFrom<proto::Credential> for Credential {
    type Error = WireError;

    fn try_from(message: proto::Credential) -> Result<Self, WireError> {
        match present(message.credential, "credential")? {
            proto::credential::Credential::Password(password) => {
                Ok(Self::Password { username: password.username, verifier: password.verifier.parse()? })
            }
            proto::credential::Credential::PreSharedKey(shared) => {
                Ok(Self::PreSharedKey { identity: shared.identity, key: PreSharedKey::new(&shared.key)? })
            }
            proto::credential::Credential::Certificate(certificate) => {
                Ok(Self::Certificate { subject: certificate.subject })
            }
        }
    }
}

impl From<&Evidence> for proto::Evidence {
    fn from(evidence: &Evidence) -> Self {
        Self {
            attested: evidence.attested,
            password_proof: evidence.password.as_ref().map(|proof| proof.as_bytes().to_vec()),
            token: evidence.token.clone(),
            certificates: evidence.certificates.iter().flat_map(|chain| chain.iter().map(<[u8]>::to_vec)).collect(),
        }
    }
}

impl TryFrom<proto::Evidence> for Evidence {
    type Error = WireError;

    fn try_from(message: proto::Evidence) -> Result<Self, WireError> {
        let proof = |bytes: Vec<u8>| {
            let bytes = bytes.try_into().map_err(|bytes: Vec<u8>| WireError::Proof { length: bytes.len() })?;
            Ok::<_, WireError>(PasswordProof::from_bytes(bytes))
        };
        Ok(Self {
            attested: message.attested,
            password: message.password_proof.map(proof).transpose()?,
            token: message.token,
            certificates: match message.certificates {
                none if none.is_empty() => None,
                certificates => Some(CertificateChain::new(certificates)?),
            },
        })
    }
}

impl From<&Description> for proto::Description {
    fn from(description: &Description) -> Self {
        Self {
            protocol: description.protocol.to_number(),
            address: description.address.clone(),
            lifetime_ms: to_millis(description.lifetime),
            objects: description.objects.clone(),
        }
    }
}

impl TryFrom<proto::Description> for Description {
    type Error = WireError;

    fn try_from(message: proto::Description) -> Result<Self, WireError> {
        Ok(Self {
            protocol: Word::from_number(message.protocol)?,
            address: message.address,
            lifetime: Duration::from_millis(message.lifetime_ms),
            objects: message.objects,
        })
    }
}

impl From<Presence> for proto::presence_changed::Presence {
    fn from(presence: Presence) -> Self {
        match presence {
            Presence::Active => Self::Active(proto::Active {}),
            Presence::Standby { next_wake } => {
                Self::Standby(proto::Standby { next_wake_at_ms: next_wake.map(|at| at.as_millis()) })
            }
            Presence::Activating { next_wake } => {
                Self::Activating(proto::Activating { next_wake_at_ms: next_wake.map(|at| at.as_millis()) })
            }
        }
    }
}

impl TryFrom<proto::presence_changed::Presence> for Presence {
    type Error = WireError;

    fn try_from(message: proto::presence_changed::Presence) -> Result<Self, WireError> {
        use proto::presence_changed::Presence as Message;
        Ok(match message {
            Message::Active(proto::Active {}) => Self::Active,
            Message::Standby(standby) => Self::Standby { next_wake: standby.next_wake_at_ms.map(time).transpose()? },
            Message::Activating(activating) => {
                Self::Activating { next_wake: activating.next_wake_at_ms.map(time).transpose()? }
            }
        })
    }
}
