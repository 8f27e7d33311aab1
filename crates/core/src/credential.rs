//! Passwords: checked by whoever holds the verifier, and shown to others without being told. And keys that
//! are shared with a gateway.
//!
//! The verifier of a password is derived from it and the peripheral id. A gateway that knows a
//! password shows so to the application by a proof: a keyed hash over the registration, with the
//! verifier as key. So neither the link nor any log ever carries a password, and a proof is of no
//! use for another registration.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::Sha256;
use subtle::ConstantTimeEq;
use thiserror::Error;

use crate::{GatewayId, PeripheralId, RegistrationId};

const PREFIX: &str = "pbkdf2-sha256$";
/// Rounds of PBKDF2 (RFC 8018). Few, because a gateway derives one verifier for every connection of
/// every device: the passwords of devices are to be long and random.
const ROUNDS: u32 = 1_000;

/// What a password is checked against: `pbkdf2-sha256$` and 43 characters of base 64.
#[derive(Clone)]
pub struct PasswordVerifier([u8; 32]);

/// Why a text is no verifier. The fault is of whoever wrote it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a password verifier is the text that `bugle config password` prints, as pbkdf2-sha256$…")]
pub struct VerifierError;

impl PasswordVerifier {
    /// The verifier of `password` for this peripheral.
    #[must_use]
    pub fn derive(peripheral: &PeripheralId, password: &[u8]) -> Self {
        let mut key = [0; 32];
        let salt = format!("bugle/{peripheral}");
        pbkdf2::pbkdf2_hmac::<Sha256>(password, salt.as_bytes(), ROUNDS, &mut key);
        Self(key)
    }

    /// Shows knowledge of the password for one registration at one gateway.
    #[must_use]
    pub fn prove(&self, gateway: &GatewayId, registration: RegistrationId) -> PasswordProof {
        PasswordProof(self.mac(gateway, registration).finalize().into_bytes().into())
    }

    /// Whether `proof` was made with this verifier, for this registration at this gateway.
    #[must_use]
    pub fn is_proven_by(&self, proof: &PasswordProof, gateway: &GatewayId, registration: RegistrationId) -> bool {
        self.mac(gateway, registration).verify_slice(&proof.0).is_ok()
    }

    fn mac(&self, gateway: &GatewayId, registration: RegistrationId) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes a key of any length");
        mac.update(gateway.as_str().as_bytes());
        mac.update(&[0]);
        mac.update(&registration.number().to_be_bytes());
        mac
    }
}

impl PartialEq for PasswordVerifier {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for PasswordVerifier {}

impl fmt::Debug for PasswordVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordVerifier(…)")
    }
}

impl fmt::Display for PasswordVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}", URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl FromStr for PasswordVerifier {
    type Err = VerifierError;

    fn from_str(text: &str) -> Result<Self, VerifierError> {
        let encoded = text.strip_prefix(PREFIX).ok_or(VerifierError)?;
        let bytes = URL_SAFE_NO_PAD.decode(encoded).map_err(|_| VerifierError)?;
        bytes.try_into().map(Self).map_err(|_| VerifierError)
    }
}

impl Serialize for PasswordVerifier {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PasswordVerifier {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// Shows knowledge of a password without telling it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PasswordProof([u8; 32]);

impl PasswordProof {
    /// The proof of these bytes, as they came over the link.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl Serialize for PasswordProof {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl<'de> Deserialize<'de> for PasswordProof {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(de::Error::custom)?;
        bytes.try_into().map(Self).map_err(|_| de::Error::custom("a password proof has 32 bytes"))
    }
}

/// A key that a peripheral and its gateway share, for DTLS: 8 to 64 bytes, written in hexadecimal.
#[derive(Clone)]
pub struct PreSharedKey(Box<[u8]>);

/// Why a text is no pre-shared key. The fault is of whoever wrote it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a pre-shared key is 8 to 64 bytes, in hexadecimal")]
pub struct PreSharedKeyError;

impl PreSharedKey {
    const BYTES_MIN: usize = 8;
    const BYTES_MAX: usize = 64;

    /// The key of these bytes.
    ///
    /// # Errors
    /// If there are fewer than 8 or more than 64.
    pub fn new(bytes: &[u8]) -> Result<Self, PreSharedKeyError> {
        let fits = (Self::BYTES_MIN..=Self::BYTES_MAX).contains(&bytes.len());
        if fits { Ok(Self(bytes.into())) } else { Err(PreSharedKeyError) }
    }

    /// Its bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl PartialEq for PreSharedKey {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for PreSharedKey {}

impl fmt::Debug for PreSharedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PreSharedKey(…)")
    }
}

impl FromStr for PreSharedKey {
    type Err = PreSharedKeyError;

    fn from_str(text: &str) -> Result<Self, PreSharedKeyError> {
        let digits: Option<Vec<u8>> = text.chars().map(|digit| Some(digit.to_digit(16)? as u8)).collect();
        let digits = digits.filter(|digits| digits.len() % 2 == 0).ok_or(PreSharedKeyError)?;
        let bytes: Vec<u8> = digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect();
        Self::new(&bytes)
    }
}

/// As it is kept by the gateway; nothing that is shown to anybody holds a credential.
impl Serialize for PreSharedKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text: String = self.0.iter().map(|byte| format!("{byte:02x}")).collect();
        serializer.serialize_str(&text)
    }
}

impl<'de> Deserialize<'de> for PreSharedKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peripheral(text: &str) -> PeripheralId {
        PeripheralId::new(text).expect("a peripheral id")
    }

    #[test]
    fn a_verifier_reads_back_as_written_and_is_of_one_peripheral() {
        let verifier = PasswordVerifier::derive(&peripheral("m1"), b"secret");
        assert_eq!(verifier.to_string().parse(), Ok(verifier.clone()));
        assert_ne!(verifier, PasswordVerifier::derive(&peripheral("m2"), b"secret"));
        assert_ne!(verifier, PasswordVerifier::derive(&peripheral("m1"), b"Secret"));
    }

    #[test]
    fn a_proof_serves_one_registration_at_one_gateway() {
        let verifier = PasswordVerifier::derive(&peripheral("m1"), b"secret");
        let gateway = GatewayId::new("gw").expect("a gateway id");
        let proof = verifier.prove(&gateway, RegistrationId::new(7));
        assert!(verifier.is_proven_by(&proof, &gateway, RegistrationId::new(7)));
        assert!(!verifier.is_proven_by(&proof, &gateway, RegistrationId::new(8)));
        let other = GatewayId::new("other").expect("a gateway id");
        assert!(!verifier.is_proven_by(&proof, &other, RegistrationId::new(7)));
    }

    #[test]
    fn a_verifier_never_shows_in_a_debug_print() {
        let verifier = PasswordVerifier::derive(&peripheral("m1"), b"secret");
        assert_eq!(format!("{verifier:?}"), "PasswordVerifier(…)");
    }

    #[test]
    fn a_pre_shared_key_is_hexadecimal_of_some_length_and_never_shows() {
        let key: PreSharedKey = "000102030405060708090a0b0c0d0e0F".parse().expect("a key");
        assert_eq!(key.as_bytes(), (0..16).collect::<Vec<u8>>());
        assert_eq!(serde_json::to_string(&key).expect("JSON"), "\"000102030405060708090a0b0c0d0e0f\"");
        assert_eq!(format!("{key:?}"), "PreSharedKey(…)");
        for text in ["", "00", "0001020304050607f", "secret secret secr", "é0010203040506070"] {
            assert_eq!(text.parse::<PreSharedKey>(), Err(PreSharedKeyError), "{text}");
        }
        assert!(PreSharedKey::new(&[0; 65]).is_err());
    }
}
