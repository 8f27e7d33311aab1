//! What a peripheral presents to show who it is, and whether it is what its allocation wants: step 3 of
//! registering (`registration.rs`).

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::Refusal;
use crate::certificate::CertificateChain;
use crate::credential::{PasswordVerifier, PreSharedKey};
use crate::{Credential, PeripheralId};

/// What a peripheral presents to show who it is.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Presented {
    /// A user name.
    pub username: Option<String>,
    /// A password, or a token in its place.
    pub password: Option<Vec<u8>>,
    /// Who the transport says it is, having checked so.
    pub transport: Option<TransportIdentity>,
}

/// Who is at the other end of a secured transport, as that has checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TransportIdentity {
    /// Whoever knows a pre-shared key.
    PreSharedKey {
        /// The identity that it belonged to when this was shown.
        identity: String,
        /// The key. Another may belong to the identity by now.
        key: PreSharedKey,
    },
    /// Whoever has the key to a certificate, by a chain that leads to one of the gateway's trust anchors.
    Certificate(CertificateChain),
}

impl TransportIdentity {
    /// What whoever is there is called.
    pub(super) fn name(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::PreSharedKey { identity, .. } => Some(Cow::Borrowed(identity)),
            Self::Certificate(chain) => chain.common_name().map(Cow::Owned),
        }
    }
}

impl Presented {
    /// A digest to tell later whether the same is presented again.
    pub(super) fn digest(&self) -> [u8; 16] {
        let mut hash = Sha256::new();
        for part in [self.username.as_deref().map(str::as_bytes), self.password.as_deref()] {
            hash.update([u8::from(part.is_some())]);
            hash.update(part.map_or(0, <[u8]>::len).to_be_bytes());
            hash.update(part.unwrap_or_default());
        }
        // What a transport vouches for comes in addition, so that others have the digest they always had.
        if let Some(transport) = &self.transport {
            let (kind, shown) = match transport {
                TransportIdentity::PreSharedKey { identity, .. } => (1, identity.as_bytes()),
                // Another certificate of the same name may be from an authority that the application does not
                // trust: it has to see it.
                TransportIdentity::Certificate(chain) => (2, chain.own()),
            };
            hash.update([kind]);
            hash.update(shown);
        }
        let mut digest = [0; 16];
        digest.copy_from_slice(&hash.finalize()[..16]);
        digest
    }

    /// The chain of the certificate whose key the peripheral has shown to have.
    pub(super) fn certificates(&self) -> Option<&CertificateChain> {
        match &self.transport {
            Some(TransportIdentity::Certificate(chain)) => Some(chain),
            Some(TransportIdentity::PreSharedKey { .. }) | None => None,
        }
    }

    /// The password, if it has the form of a JSON web token (RFC 7519 §3: three parts between dots,
    /// the first of which is a JSON object in base 64 and so begins with `eyJ`).
    pub(super) fn token(&self) -> Option<&str> {
        let text = std::str::from_utf8(self.password.as_deref()?).ok()?;
        (text.starts_with("eyJ") && text.split('.').count() == 3).then_some(text)
    }
}

impl std::fmt::Debug for Presented {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let password = self.password.as_ref().map(|_| "…");
        let mut shown = f.debug_struct("Presented");
        shown
            .field("username", &self.username)
            .field("password", &password)
            .field("transport", &self.transport)
            .finish()
    }
}

/// Checks what is presented against the allocation's credential, if it has one, and returns the
/// verifier of the password, if one is presented.
pub(super) fn verify(
    peripheral: &PeripheralId,
    credential: Option<&Credential>,
    presented: &Presented,
) -> Result<Option<PasswordVerifier>, Refusal> {
    let derive = |password: &Vec<u8>| PasswordVerifier::derive(peripheral, password);
    match credential {
        Some(Credential::Password { username, verifier }) => {
            let expected = username.as_deref().unwrap_or(peripheral.as_str());
            let derived = presented.password.as_ref().map(derive).ok_or(Refusal::Credential)?;
            if presented.username.as_deref() != Some(expected) || derived != *verifier {
                return Err(Refusal::Credential);
            }
            Ok(Some(derived))
        }
        Some(Credential::PreSharedKey { identity, key }) => {
            let expected = identity.as_deref().unwrap_or(peripheral.as_str());
            let is_right = matches!(
                &presented.transport,
                Some(TransportIdentity::PreSharedKey { identity, key: shown }) if identity == expected && shown == key
            );
            if is_right { Ok(None) } else { Err(Refusal::Credential) }
        }
        Some(Credential::Certificate { subject }) => {
            let expected = subject.as_deref().unwrap_or(peripheral.as_str());
            let shown = presented.certificates().and_then(CertificateChain::common_name);
            let is_right = shown.as_deref() == Some(expected);
            if is_right { Ok(None) } else { Err(Refusal::Credential) }
        }
        // Whoever is known to be another is not taken for this one, even where nothing is asked for.
        None if presented.transport.is_some() => Err(Refusal::Credential),
        None if presented.token().is_some() => Ok(None),
        None => Ok(presented.password.as_ref().map(derive)),
    }
}
