//! JSON web tokens (RFC 7519) signed with a peripheral's own key, as evidence of who it is.
//!
//! Claims: `sub` the peripheral id, `aud` the application id, `exp` the end of its validity; where
//! given, `nbf` its begin, `iat` when it was made, and `gateway` the one gateway that it is meant for.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::{Deserialize, Deserializer, de};
use thiserror::Error;

use crate::{ApplicationId, GatewayId, PeripheralId, Time};

/// By how much the clock of a peripheral may be off.
const LEEWAY: Duration = Duration::from_secs(30);
const ED25519_KEY_BYTES: usize = 32;

/// The public key of a peripheral: Ed25519 (for tokens signed with `EdDSA`) or P-256 (`ES256`).
///
/// Read from PEM, as `openssl pkey -pubout` writes it.
#[derive(Clone)]
pub struct PublicKey {
    key: DecodingKey,
    algorithm: Algorithm,
    pem: String,
}

/// Why a text is no public key. The fault is of whoever wrote it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a public key is PEM (\"-----BEGIN PUBLIC KEY-----\") of an Ed25519 or a P-256 key")]
pub struct PublicKeyError;

/// Why a token shows nothing. The fault is of the peripheral.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum TokenError {
    /// It is no JSON web token with the claims that are needed.
    #[error("the token is malformed or lacks one of the claims sub, aud and exp")]
    Malformed,
    /// It was signed with another key, or another algorithm.
    #[error("the token is not signed with the peripheral's key")]
    Signature,
    /// It is about another peripheral.
    #[error("the token is about another peripheral")]
    Subject,
    /// It is for another application.
    #[error("the token is for another application")]
    Audience,
    /// It is for another gateway.
    #[error("the token is for another gateway")]
    Gateway,
    /// Its time is over.
    #[error("the token has expired")]
    Expired,
    /// Its time has not come.
    #[error("the token is not valid yet")]
    NotYetValid,
}

#[derive(Deserialize)]
struct Claims {
    exp: f64,
    #[serde(default)]
    nbf: Option<f64>,
    #[serde(default)]
    iat: Option<f64>,
    #[serde(default)]
    gateway: Option<String>,
}

impl PublicKey {
    /// Checks that `token` was signed with this key, by this peripheral, for this application, and
    /// may be shown at this gateway now.
    ///
    /// # Errors
    /// With the first of these that does not hold.
    pub fn verify(
        &self,
        token: &str,
        now: Time,
        peripheral: &PeripheralId,
        application: &ApplicationId,
        gateway: &GatewayId,
    ) -> Result<(), TokenError> {
        let mut validation = Validation::new(self.algorithm);
        // Left to the library these two would read the clock.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        validation.set_required_spec_claims(&["exp", "sub", "aud"]);
        validation.set_audience(&[application.as_str()]);
        validation.sub = Some(peripheral.as_str().to_owned());

        let claims = jsonwebtoken::decode::<Claims>(token, &self.key, &validation).map_err(reason)?.claims;
        let seconds = std::time::Duration::from_millis(now.as_millis()).as_secs_f64();
        let leeway = LEEWAY.as_secs_f64();
        if claims.exp < seconds - leeway {
            return Err(TokenError::Expired);
        }
        if [claims.nbf, claims.iat].into_iter().flatten().any(|begin| begin > seconds + leeway) {
            return Err(TokenError::NotYetValid);
        }
        match claims.gateway {
            Some(named) if named != gateway.as_str() => Err(TokenError::Gateway),
            _ => Ok(()),
        }
    }
}

fn reason(error: jsonwebtoken::errors::Error) -> TokenError {
    match error.kind() {
        ErrorKind::InvalidSignature | ErrorKind::InvalidAlgorithm => TokenError::Signature,
        ErrorKind::InvalidSubject => TokenError::Subject,
        ErrorKind::InvalidAudience => TokenError::Audience,
        _ => TokenError::Malformed,
    }
}

impl FromStr for PublicKey {
    type Err = PublicKeyError;

    fn from_str(pem: &str) -> Result<Self, PublicKeyError> {
        let bytes = pem.trim().as_bytes();
        let (key, algorithm) = match DecodingKey::from_ed_pem(bytes) {
            Ok(key) if key.as_bytes().len() == ED25519_KEY_BYTES => (key, Algorithm::EdDSA),
            _ => (DecodingKey::from_ec_pem(bytes).map_err(|_| PublicKeyError)?, Algorithm::ES256),
        };
        // That the key is a point of its curve shows only when it is used.
        jsonwebtoken::crypto::verify("", b"", &key, algorithm).map_err(|_| PublicKeyError)?;
        Ok(Self { key, algorithm, pem: pem.trim().to_owned() })
    }
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.pem == other.pem
    }
}

impl Eq for PublicKey {}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({:?})", self.algorithm)
    }
}

impl<'de> Deserialize<'de> for PublicKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::{EncodingKey, Header};
    use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519, SignatureAlgorithm};
    use serde_json::{Value, json};

    use super::*;

    const NOW: u64 = 1_790_000_000;

    /// A key made for this test, and what signs with it.
    fn key(algorithm: &'static SignatureAlgorithm) -> (PublicKey, Algorithm, EncodingKey) {
        let pair = KeyPair::generate_for(algorithm).expect("a key");
        let public = pair.public_key_pem().parse().expect("a public key");
        let private = pair.serialize_der();
        if algorithm == &PKCS_ED25519 {
            (public, Algorithm::EdDSA, EncodingKey::from_ed_der(&private))
        } else {
            (public, Algorithm::ES256, EncodingKey::from_ec_der(&private))
        }
    }

    fn sign(algorithm: Algorithm, key: &EncodingKey, claims: &Value) -> String {
        jsonwebtoken::encode(&Header::new(algorithm), claims, key).expect("is signed")
    }

    fn claims() -> Value {
        json!({"sub": "m1", "aud": "metering", "exp": NOW + 60})
    }

    fn with(name: &str, value: Value) -> Value {
        let mut claims = claims();
        claims[name] = value;
        claims
    }

    fn verify(key: &PublicKey, token: &str) -> Result<(), TokenError> {
        let peripheral = PeripheralId::new("m1").expect("a peripheral id");
        let application = ApplicationId::new("metering").expect("an application id");
        let gateway = GatewayId::new("gw").expect("a gateway id");
        key.verify(token, Time::from_millis(NOW * 1_000), &peripheral, &application, &gateway)
    }

    #[test]
    fn a_token_signed_with_either_kind_of_key_shows_who_a_peripheral_is() {
        for algorithm in [&PKCS_ED25519, &PKCS_ECDSA_P256_SHA256] {
            let (public, algorithm, private) = key(algorithm);
            assert_eq!(verify(&public, &sign(algorithm, &private, &claims())), Ok(()));
            let many = with("aud", json!(["other", "metering"]));
            assert_eq!(verify(&public, &sign(algorithm, &private, &many)), Ok(()));
        }
    }

    #[test]
    fn a_token_signed_with_another_key_or_another_algorithm_shows_nothing() {
        let (public, algorithm, _) = key(&PKCS_ED25519);
        let (_, _, other) = key(&PKCS_ED25519);
        assert_eq!(verify(&public, &sign(algorithm, &other, &claims())), Err(TokenError::Signature));
        let (_, es256, elliptic) = key(&PKCS_ECDSA_P256_SHA256);
        assert_eq!(verify(&public, &sign(es256, &elliptic, &claims())), Err(TokenError::Signature));
        // The key is public: a token keyed with its bytes is anybody's.
        let shared = EncodingKey::from_secret(public.pem.as_bytes());
        assert_eq!(verify(&public, &sign(Algorithm::HS256, &shared, &claims())), Err(TokenError::Signature));
        let unsigned = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJtMSJ9.";
        assert!(verify(&public, unsigned).is_err());
    }

    #[test]
    fn a_token_is_of_one_peripheral_for_one_application_and_maybe_one_gateway() {
        let (public, algorithm, private) = key(&PKCS_ED25519);
        let shown = |claims| verify(&public, &sign(algorithm, &private, &claims));
        assert_eq!(shown(with("sub", json!("m2"))), Err(TokenError::Subject));
        assert_eq!(shown(with("aud", json!("lighting"))), Err(TokenError::Audience));
        assert_eq!(shown(with("gateway", json!("other"))), Err(TokenError::Gateway));
        assert_eq!(shown(with("gateway", json!("gw"))), Ok(()));
    }

    #[test]
    fn a_token_counts_from_its_begin_to_its_end_with_some_leeway() {
        let (public, algorithm, private) = key(&PKCS_ED25519);
        let shown = |claims| verify(&public, &sign(algorithm, &private, &claims));
        assert_eq!(shown(with("exp", json!(NOW - 29))), Ok(()));
        assert_eq!(shown(with("exp", json!(NOW - 31))), Err(TokenError::Expired));
        for begin in ["nbf", "iat"] {
            assert_eq!(shown(with(begin, json!(NOW + 29))), Ok(()));
            assert_eq!(shown(with(begin, json!(NOW + 31))), Err(TokenError::NotYetValid));
        }
    }

    #[test]
    fn a_token_without_one_of_the_claims_that_are_needed_shows_nothing() {
        let (public, algorithm, private) = key(&PKCS_ED25519);
        for name in ["sub", "aud", "exp"] {
            let mut claims = claims();
            claims.as_object_mut().expect("an object").remove(name);
            assert_eq!(verify(&public, &sign(algorithm, &private, &claims)), Err(TokenError::Malformed), "{name}");
        }
        for text in ["", "a.b.c", "eyJ", "eyJhbGciOiJFZERTQSJ9.e30"] {
            assert!(verify(&public, text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_text_that_is_no_public_key_of_the_two_kinds_is_refused() {
        let other_curve = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).expect("a key").public_key_pem();
        let private = KeyPair::generate_for(&PKCS_ED25519).expect("a key").serialize_pem();
        // An Ed25519 key that is too short, and a P-256 point that is not on its curve.
        let short = "-----BEGIN PUBLIC KEY-----\nMBIwBQYDK2VwAwkAAQIDBAUGBwg=\n-----END PUBLIC KEY-----\n";
        for text in [other_curve.as_str(), private.as_str(), short, "", "-----BEGIN PUBLIC KEY-----"] {
            assert_eq!(text.parse::<PublicKey>(), Err(PublicKeyError), "{text}");
        }
    }
}
