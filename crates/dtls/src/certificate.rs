//! Certificates (RFC 5280): our own, and what others show.

use std::fmt;
use std::sync::Arc;

use bugle_core::certificate::{CertificateChain, CertificateChainError};
use p256::SecretKey;
use p256::ecdsa::signature::Signer;
use p256::ecdsa::{DerSignature, SigningKey};
use p256::pkcs8::DecodePrivateKey;
use rustls_pki_types::CertificateDer;
use thiserror::Error;
use webpki::{EndEntityCert, ring as algorithms};
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::error::HandshakeError;
use crate::suite::SIGNATURE_SCHEMES;
use crate::wire::{Reader, put_u24, put_vector24};

/// A certificate of ours with its key, which is one of secp256r1.
#[derive(Clone)]
pub struct OwnCertificate {
    chain: Arc<[Vec<u8>]>,
    key: SigningKey,
}

impl OwnCertificate {
    /// Of a chain in DER, our own certificate first, and its private key in PKCS #8.
    pub fn new(chain: Vec<Vec<u8>>, key_pkcs8: &[u8]) -> Result<Self, OwnCertificateError> {
        let own = chain.first().ok_or(OwnCertificateError::Empty)?;
        let (_, parsed) = X509Certificate::from_der(own).map_err(|_| OwnCertificateError::Unreadable)?;
        let secret = SecretKey::from_pkcs8_der(key_pkcs8).map_err(|_| OwnCertificateError::KeyUnreadable)?;
        let key = SigningKey::from(secret);
        let point = key.verifying_key().to_encoded_point(false);
        if parsed.public_key().subject_public_key.data.as_ref() != point.as_bytes() {
            return Err(OwnCertificateError::KeyOfAnother);
        }
        Ok(Self { chain: chain.into(), key })
    }

    /// The body of a Certificate message.
    pub(crate) fn message(&self) -> Vec<u8> {
        write_chain(&self.chain)
    }

    /// ECDSA with SHA-256, deterministic (RFC 6979).
    pub(crate) fn sign(&self, message: &[u8]) -> Vec<u8> {
        let signature: DerSignature = self.key.sign(message);
        signature.as_bytes().to_vec()
    }
}

impl fmt::Debug for OwnCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnCertificate").field("chain", &self.chain.len()).finish_non_exhaustive()
    }
}

/// Why a certificate cannot be ours. The fault is of whoever configured them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum OwnCertificateError {
    /// There is none.
    #[error("there is no certificate")]
    Empty,
    /// It is not X.509 in DER.
    #[error("the certificate cannot be read")]
    Unreadable,
    /// It is not PKCS #8 in DER, or not of secp256r1.
    #[error("the private key is not one of secp256r1 in PKCS #8")]
    KeyUnreadable,
    /// It is not the certificate's.
    #[error("the private key is not that of the certificate")]
    KeyOfAnother,
}

/// Whether the signature of `scheme` over `message` was made with the key of the certificate.
pub(crate) fn is_signed_by(der: &[u8], scheme: u16, message: &[u8], signature: &[u8]) -> bool {
    let der = CertificateDer::from(der);
    let Ok(certificate) = EndEntityCert::try_from(&der) else { return false };
    // In TLS 1.2 a scheme names the hash; the curve is that of the key.
    let candidates = match SIGNATURE_SCHEMES.iter().position(|known| *known == scheme) {
        Some(0) => [algorithms::ECDSA_P256_SHA256, algorithms::ECDSA_P384_SHA256],
        Some(1) => [algorithms::ECDSA_P256_SHA384, algorithms::ECDSA_P384_SHA384],
        _ => return false,
    };
    candidates.into_iter().any(|algorithm| certificate.verify_signature(algorithm, message, signature).is_ok())
}

/// The body of a Certificate message. A client without a certificate sends an empty one.
pub(crate) fn write_chain(chain: &[Vec<u8>]) -> Vec<u8> {
    let bytes: usize = chain.iter().map(|certificate| 3 + certificate.len()).sum();
    let mut body = Vec::with_capacity(3 + bytes);
    put_u24(&mut body, bytes);
    chain.iter().for_each(|certificate| put_vector24(&mut body, certificate));
    body
}

/// Reads the body of a Certificate message.
pub(crate) fn read_chain(body: &[u8]) -> Result<CertificateChain, HandshakeError> {
    let certificates = read_certificates(body).ok_or(HandshakeError::Malformed)?;
    CertificateChain::new(certificates).map_err(|error| match error {
        // A client that has none (RFC 5246 §7.4.6).
        CertificateChainError::Empty => HandshakeError::Certificate,
        CertificateChainError::Certificates | CertificateChainError::Bytes => HandshakeError::Malformed,
    })
}

fn read_certificates(body: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut reader = Reader::new(body);
    let mut list = Reader::new(reader.vector24()?);
    let mut certificates = Vec::new();
    while !list.is_empty() {
        certificates.push(list.vector24()?.to_vec());
    }
    reader.only(certificates)
}
