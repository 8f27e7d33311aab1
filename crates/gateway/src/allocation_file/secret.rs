//! What a peripheral must show, as a file of allocations says it.

use bugle_core::credential::{PasswordVerifier, PreSharedKey};

use super::complaint::Complaints;
use super::entry::Field;

/// The fields that speak of it, as they stand in the file.
#[derive(Debug, Clone, Default)]
pub(super) struct SecretDraft {
    pub(super) username: Option<Field<String>>,
    pub(super) password: Option<Field<String>>,
    pub(super) verifier: Option<Field<String>>,
    pub(super) identity: Option<Field<String>>,
    pub(super) pre_shared_key: Option<Field<String>>,
    pub(super) certificate: Option<Field<String>>,
}

/// What a peripheral must show.
#[derive(Debug)]
pub(super) enum Secret {
    Nothing,
    Verifier { username: Option<String>, verifier: PasswordVerifier },
    Password { username: Option<String>, password: String },
    PreSharedKey { identity: Option<String>, key: PreSharedKey },
    Certificate { subject: String },
}

impl SecretDraft {
    /// This, and where it says nothing what `defaults` say. One kind of secret beside another that is
    /// inherited would be two; the one that is said here counts.
    pub(super) fn or(self, defaults: &Self) -> Self {
        let is_said = self.kinds().next().is_some();
        let inherited = |field: &Option<Field<String>>| if is_said { None } else { field.clone() };
        Self {
            username: self.username.or_else(|| defaults.username.clone()),
            password: self.password.or_else(|| inherited(&defaults.password)),
            verifier: self.verifier.or_else(|| inherited(&defaults.verifier)),
            identity: self.identity.or_else(|| defaults.identity.clone()),
            pre_shared_key: self.pre_shared_key.or_else(|| inherited(&defaults.pre_shared_key)),
            certificate: self.certificate.or_else(|| inherited(&defaults.certificate)),
        }
    }

    fn kinds(&self) -> impl Iterator<Item = &Field<String>> {
        [&self.password, &self.verifier, &self.pre_shared_key, &self.certificate].into_iter().flatten()
    }

    pub(super) fn read(self, complaints: &mut Complaints) -> Option<Secret> {
        let second = self.kinds().nth(1).map(|field| field.line);
        if let Some(line) = second {
            complaints.add(line, "one of password, verifier, pre_shared_key and certificate, not several");
            return None;
        }
        if let (Some(username), None, None) = (&self.username, &self.password, &self.verifier) {
            complaints.add(username.line, "username: needs a password or a verifier beside it");
            return None;
        }
        if let (Some(identity), None) = (&self.identity, &self.pre_shared_key) {
            complaints.add(identity.line, "identity: needs a pre_shared_key beside it");
            return None;
        }
        let username = self.username.map(|field| field.value);
        Some(if let Some(password) = self.password {
            Secret::Password { username, password: password.value }
        } else if let Some(verifier) = self.verifier {
            let verifier = complaints.take(verifier.line, "verifier", verifier.value.parse())?;
            Secret::Verifier { username, verifier }
        } else if let Some(key) = self.pre_shared_key {
            let key = complaints.take(key.line, "pre_shared_key", key.value.parse())?;
            Secret::PreSharedKey { identity: self.identity.map(|field| field.value), key }
        } else if let Some(certificate) = self.certificate {
            Secret::Certificate { subject: certificate.value }
        } else {
            Secret::Nothing
        })
    }
}
