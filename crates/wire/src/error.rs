//! What can be wrong with the bytes of a peer.

use bugle_core::certificate::CertificateChainError;
use bugle_core::credential::{PreSharedKeyError, VerifierError};
use bugle_core::{CoapUriError, IdError, PathError, SelectorError};
use thiserror::Error;

/// Why bytes are no message of this version of the link. The fault is the peer's.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum WireError {
    /// The bytes do not follow the schema.
    #[error("not a {message}: {source}")]
    Malformed {
        /// What they were to be.
        message: &'static str,
        /// Where they do not.
        source: prost::DecodeError,
    },
    /// A part is missing, or of a kind that this version does not know.
    #[error("{field} is missing or of an unknown kind")]
    Missing {
        /// Which part.
        field: &'static str,
    },
    /// A number names none of the words that this version knows.
    #[error("{field} is {value}, which names nothing")]
    Unknown {
        /// Which part.
        field: &'static str,
        /// The number.
        value: i32,
    },
    /// A number is larger or smaller than it may be.
    #[error("{field} is {value}, which is out of range")]
    OutOfRange {
        /// Which part.
        field: &'static str,
        /// The number.
        value: u64,
    },
    /// A text is no identifier.
    #[error(transparent)]
    Id(#[from] IdError),
    /// Numbers make no path.
    #[error(transparent)]
    Path(#[from] PathError),
    /// A text is no password verifier.
    #[error(transparent)]
    Verifier(#[from] VerifierError),
    /// A pre-shared key is too short or too long.
    #[error(transparent)]
    PreSharedKey(#[from] PreSharedKeyError),
    /// A password proof has not 32 bytes.
    #[error("a password proof has 32 bytes, this one has {length}")]
    Proof {
        /// How many it has.
        length: usize,
    },
    /// Certificates are no chain.
    #[error(transparent)]
    Certificates(#[from] CertificateChainError),
    /// A MAC address has not 6 bytes.
    #[error("a MAC address has 6 bytes, this one has {length}")]
    Mac {
        /// How many it has.
        length: usize,
    },
    /// A text is no address and port.
    #[error("{0:?} is no address and port")]
    Address(String),
    /// A text is no label selector.
    #[error(transparent)]
    Selector(#[from] SelectorError),
    /// A text is no CoAP URI.
    #[error(transparent)]
    Coap(#[from] CoapUriError),
}
