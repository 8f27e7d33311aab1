//! Ephemeral Diffie-Hellman on secp256r1 (RFC 8422).

use p256::elliptic_curve::sec1::ToEncodedPoint;
use p256::{PublicKey, SecretKey};
use zeroize::Zeroizing;

use super::generator::Generator;

/// One side's key pair of one handshake.
pub(crate) struct Ephemeral(SecretKey);

impl Ephemeral {
    pub(crate) fn draw(generator: &mut Generator) -> Self {
        loop {
            let bytes = Zeroizing::new(generator.draw::<32>());
            // Zero, and what is not below the order, are no keys; they hardly ever come.
            if let Ok(key) = SecretKey::from_slice(&*bytes) {
                return Self(key);
            }
        }
    }

    /// The public key as an uncompressed point.
    pub(crate) fn public(&self) -> Vec<u8> {
        self.0.public_key().to_encoded_point(false).as_bytes().to_vec()
    }

    /// What both sides come to; none if what the peer sent is no point of the curve.
    pub(crate) fn agree(&self, public: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let public = PublicKey::from_sec1_bytes(public).ok()?;
        let shared = p256::ecdh::diffie_hellman(self.0.to_nonzero_scalar(), public.as_affine());
        Some(Zeroizing::new(shared.raw_secret_bytes().to_vec()))
    }
}

impl std::fmt::Debug for Ephemeral {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Ephemeral")
    }
}
