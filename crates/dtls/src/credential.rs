//! What is known of peers that have proven who they are.

use bugle_core::certificate::CertificateChain;
use bugle_core::credential::PreSharedKey;

/// Who a peer has shown to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identity {
    /// It has the key that belonged to an identity when they shook hands.
    PreSharedKey {
        /// The identity.
        identity: Vec<u8>,
        /// The key.
        key: PreSharedKey,
    },
    /// It has the key of a certificate that leads to a trust anchor.
    Certificate(CertificateChain),
}
