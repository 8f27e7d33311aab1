//! What is known of peers that have proven who they are.

/// Who a peer has shown to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identity {
    /// It has the key that belongs to this identity.
    PreSharedKey(Vec<u8>),
    /// It has the key of a certificate that leads to a trust anchor.
    Certificate(PeerCertificate),
}

/// The certificate of a peer, verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerCertificate {
    /// The peer's own first, each in DER.
    pub chain: Vec<Vec<u8>>,
    /// The last common name of the subject, if it has one.
    pub common_name: Option<String>,
}
