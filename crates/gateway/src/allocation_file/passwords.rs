//! From passwords to verifiers, once for each.

use std::collections::BTreeMap;
use std::num::NonZero;
use std::time::{Duration, Instant};

use bugle_core::credential::PasswordVerifier;
use bugle_core::{Allocation, Credential, PeripheralId};
use sha2::{Digest as _, Sha256};

use super::entry::Entry;
use super::secret::Secret;

/// Deriving that takes longer is told, with how to spare it.
const SLOW: Duration = Duration::from_secs(2);

type Digest = [u8; 32];

/// The verifiers that were derived when the file was last read, so that a change of one line does not
/// have all of them derived again.
#[derive(Debug, Default)]
pub(super) struct Passwords {
    derived: BTreeMap<PeripheralId, (Digest, PasswordVerifier)>,
}

/// Whose password it is, and the password.
pub(super) type Clear = (PeripheralId, String);

impl Passwords {
    /// The allocation of an entry with its credential. Its password must be among those that were derived last.
    pub(super) fn resolve(&self, entry: Entry) -> Allocation {
        let credential = match entry.secret {
            Secret::Nothing => None,
            Secret::Verifier { username, verifier } => Some(Credential::Password { username, verifier }),
            Secret::PreSharedKey { identity, key } => Some(Credential::PreSharedKey { identity, key }),
            Secret::Certificate { subject } => Some(Credential::Certificate { subject: Some(subject) }),
            Secret::Password { username, .. } => {
                let (_, verifier) = self.derived.get(&entry.allocation.peripheral).expect("all were derived");
                Some(Credential::Password { username, verifier: verifier.clone() })
            }
        };
        Allocation { credential, ..entry.allocation }
    }

    /// Derives the verifiers of these passwords, those that are new on all cores, and forgets all others.
    pub(super) fn derive(&mut self, passwords: &[Clear]) {
        let (mut known, mut new) = (BTreeMap::new(), Vec::new());
        for (peripheral, password) in passwords {
            let digest: Digest = Sha256::digest(password).into();
            match self.derived.get(peripheral) {
                Some(derived) if derived.0 == digest => {
                    known.insert(peripheral.clone(), derived.clone());
                }
                _ => new.push((peripheral, password.as_str(), digest)),
            }
        }
        let started = Instant::now();
        let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
        let share = new.len().div_ceil(cores).max(1);
        std::thread::scope(|scope| {
            let workers: Vec<_> = new.chunks(share).map(|share| scope.spawn(|| derive_each(share))).collect();
            for worker in workers {
                known.extend(worker.join().expect("deriving does not panic"));
            }
        });
        if started.elapsed() > SLOW {
            tracing::warn!(
                passwords = new.len(),
                seconds = started.elapsed().as_secs(),
                "deriving verifiers from passwords took its time; a file with verifiers in place of passwords spares it"
            );
        }
        self.derived = known;
    }
}

fn derive_each(share: &[(&PeripheralId, &str, Digest)]) -> Vec<(PeripheralId, (Digest, PasswordVerifier))> {
    let derive = |(peripheral, password, digest): &(&PeripheralId, &str, Digest)| {
        let verifier = PasswordVerifier::derive(peripheral, password.as_bytes());
        ((*peripheral).clone(), (*digest, verifier))
    };
    share.iter().map(derive).collect()
}
