//! Secrets: drawn at random, told once, and kept as a hash.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bugle_store::platform::Hash;
use sha2::{Digest, Sha256};
use thiserror::Error;

const TOKEN_PREFIX: &str = "bugle_";
const ENROLMENT_PREFIX: &str = "bugle-enroll";
const SECRET_BYTES: usize = 32;

/// The system gives no randomness.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the system gives no randomness: {0}")]
pub struct NoRandomness(getrandom::Error);

fn draw<const N: usize>() -> Result<[u8; N], NoRandomness> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(NoRandomness)?;
    Ok(bytes)
}

/// A secret for a token.
pub(crate) fn new_token() -> Result<String, NoRandomness> {
    Ok(format!("{TOKEN_PREFIX}{}", URL_SAFE_NO_PAD.encode(draw::<SECRET_BYTES>()?)))
}

/// A secret for an enrolment token, which tells the gateway whose certificate authority to trust.
pub(crate) fn new_enrolment_token(ca_fingerprint: &str) -> Result<String, NoRandomness> {
    let secret = URL_SAFE_NO_PAD.encode(draw::<SECRET_BYTES>()?);
    Ok(format!("{ENROLMENT_PREFIX}.{ca_fingerprint}.{secret}"))
}

/// A number that nobody can foresee.
pub(crate) fn number() -> Result<u32, NoRandomness> {
    draw().map(u32::from_ne_bytes)
}

/// What is kept of a secret. A plain hash, as the secret is too long to be guessed.
pub(crate) fn hash(secret: &[u8]) -> Hash {
    Sha256::digest(secret).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_secrets_are_alike() {
        let one = new_token().expect("randomness");
        let other = new_token().expect("randomness");
        assert_ne!(one, other);
        assert_ne!(hash(one.as_bytes()), hash(other.as_bytes()));
        assert_eq!(one.len(), TOKEN_PREFIX.len() + 43);
    }

    #[test]
    fn an_enrolment_token_has_the_fingerprint_in_its_middle() {
        let token = new_enrolment_token("ab12").expect("randomness");
        assert_eq!(token.split('.').nth(1), Some("ab12"));
    }
}
