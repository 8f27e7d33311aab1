//! Why handshakes fail.

use thiserror::Error;

use crate::wire::Alert;

/// Why a handshake came to nothing. All are the peer's doing, the network's, or that the two were not made for each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum HandshakeError {
    /// The peer did not answer, however often it was asked.
    #[error("the peer did not finish the handshake in time")]
    TimedOut,
    /// There is no key for the identity. The peer sees what it would see with a wrong key.
    #[error("there is no key for the identity")]
    UnknownIdentity,
    /// The peer has another key than the one for its identity.
    #[error("the peer has another key")]
    WrongKey,
    /// The peer does not speak DTLS 1.2.
    #[error("the peer does not speak DTLS 1.2")]
    Version,
    /// No cipher suite suits both.
    #[error("no cipher suite suits both")]
    NoCommonSuite,
    /// The peer does not bind keys to the handshake, and must.
    #[error("the peer does not know the extended master secret")]
    NoExtendedMasterSecret,
    /// A message that cannot be read, or is longer than what is taken.
    #[error("a message of the peer cannot be read")]
    Malformed,
    /// A message that is not expected where it came.
    #[error("a message of the peer was not expected")]
    Unexpected,
    /// The peer chose what it was not offered, or sent a key that is none.
    #[error("the peer chose what cannot be")]
    Illegal,
    /// No certificate, or one that leads to no trust anchor now.
    #[error("the certificate of the peer is not accepted")]
    Certificate,
    /// The peer does not have the key of its certificate.
    #[error("a signature of the peer is not right")]
    Signature,
    /// The peer has seen another handshake than we.
    #[error("the handshake was tampered with")]
    Finished,
    /// The peer gave up.
    #[error("the peer gave up: {0}")]
    Alert(Alert),
}

impl HandshakeError {
    /// What the peer is told, if anything.
    pub(crate) const fn alert(self) -> Option<Alert> {
        Some(match self {
            Self::TimedOut | Self::Alert(_) => return None,
            // The same for both: who asks does not learn which identities there are.
            Self::UnknownIdentity | Self::WrongKey => Alert::BAD_RECORD_MAC,
            Self::Version => Alert::PROTOCOL_VERSION,
            Self::NoCommonSuite | Self::NoExtendedMasterSecret => Alert::HANDSHAKE_FAILURE,
            Self::Malformed => Alert::DECODE_ERROR,
            Self::Unexpected => Alert::UNEXPECTED_MESSAGE,
            Self::Illegal => Alert::ILLEGAL_PARAMETER,
            Self::Certificate => Alert::BAD_CERTIFICATE,
            Self::Signature | Self::Finished => Alert::DECRYPT_ERROR,
        })
    }
}
