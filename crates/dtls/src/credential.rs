//! What is known of peers that have proven who they are.

use bugle_core::certificate::CertificateChain;

/// Who a peer has shown to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identity {
    /// It has the key that belongs to this identity.
    PreSharedKey(Vec<u8>),
    /// It has the key of a certificate that leads to a trust anchor.
    Certificate(CertificateChain),
}
