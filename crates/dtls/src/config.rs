//! How servers and clients behave.

use std::time::Duration;

use bugle_core::certificate::TrustAnchors;
use bugle_core::credential::PreSharedKey;

use crate::certificate::OwnCertificate;
use crate::limits::Limits;
use crate::suite::CipherSuite;

/// How a server behaves.
#[derive(Debug, Clone)]
pub struct Config {
    /// What may be agreed on. Of these, the client's favourite is taken.
    pub suites: Vec<CipherSuite>,
    /// Suites with certificates need one of ours, and authorities of theirs: every client must show a certificate.
    pub certificates: Option<Certificates>,
    /// Whether the keys are bound to all that was said (RFC 7627).
    pub extended_master_secret: ExtendedMasterSecret,
    /// Whether peers whose address changes are recognised (RFC 9146).
    pub connection_ids: ConnectionIdUse,
    /// When messages of a handshake are sent again.
    pub retransmission: Retransmission,
    /// How much is held.
    pub limits: Limits,
    /// The largest datagram of a handshake. Data is sent as it comes.
    pub datagram_bytes_max: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            suites: CipherSuite::ALL.to_vec(),
            certificates: None,
            extended_master_secret: ExtendedMasterSecret::Used,
            connection_ids: ConnectionIdUse::Used,
            retransmission: Retransmission::default(),
            limits: Limits::default(),
            datagram_bytes_max: DATAGRAM_BYTES_MAX,
        }
    }
}

/// What IPv6 carries everywhere (RFC 8200 §5), less the headers of IPv6 and UDP.
const DATAGRAM_BYTES_MAX: usize = 1_280 - 48;

/// A certificate of ours, and whose we accept.
#[derive(Debug, Clone)]
pub struct Certificates {
    /// Ours.
    pub own: OwnCertificate,
    /// Authorities of the peers'.
    pub trusted: TrustAnchors,
}

/// Whether keys are bound to the whole handshake (RFC 7627).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ExtendedMasterSecret {
    /// If the peer does so too.
    Used,
    /// Peers that do not are refused.
    Required,
    /// It is neither offered nor agreed to.
    NotUsed,
}

/// Whether connection ids are used (RFC 9146).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ConnectionIdUse {
    /// If the peer does so too.
    Used,
    /// They are neither offered nor agreed to.
    NotUsed,
}

/// When messages of a handshake are sent again (RFC 6347 §4.2.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retransmission {
    /// After this long the first time, and each time after twice as long.
    pub first: Duration,
    /// At most this long.
    pub longest: Duration,
    /// So many times.
    pub tries: u32,
}

impl Default for Retransmission {
    fn default() -> Self {
        Self { first: Duration::from_secs(1), longest: Duration::from_secs(60), tries: 5 }
    }
}

/// How a client behaves.
#[derive(Debug, Clone)]
pub struct ClientConfig {
    /// What the client proves who it is with.
    pub credential: ClientCredential,
    /// What is offered, the best liked first. Suites that the credential is not for are left out.
    pub suites: Vec<CipherSuite>,
    /// Whether the keys are bound to all that was said (RFC 7627).
    pub extended_master_secret: ExtendedMasterSecret,
    /// Whether the client wants to be recognised when its address changes (RFC 9146).
    pub connection_ids: ConnectionIdUse,
    /// When messages of the handshake are sent again.
    pub retransmission: Retransmission,
    /// The largest datagram of the handshake. Data is sent as it comes.
    pub datagram_bytes_max: usize,
}

impl ClientConfig {
    /// A client with this credential, and otherwise as clients are.
    #[must_use]
    pub fn new(credential: ClientCredential) -> Self {
        let Config { extended_master_secret, connection_ids, retransmission, datagram_bytes_max, .. } =
            Config::default();
        let suites = CipherSuite::ALL.to_vec();
        Self { credential, suites, extended_master_secret, connection_ids, retransmission, datagram_bytes_max }
    }
}

/// What a client proves who it is with.
#[derive(Debug, Clone)]
pub enum ClientCredential {
    /// A key that the server has too.
    PreSharedKey {
        /// What the server finds the key by.
        identity: Vec<u8>,
        /// The key.
        key: PreSharedKey,
    },
    /// A certificate. The server's must lead to one of the trust anchors; which name is in it is not looked at.
    Certificate(Certificates),
}
