//! What servers and clients tell their callers.

use thiserror::Error;

use crate::credential::Identity;
use crate::error::HandshakeError;
use crate::wire::Alert;

/// What is to be done, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output<P> {
    /// Send this.
    Transmit {
        /// To whom.
        peer: P,
        /// What.
        datagram: Vec<u8>,
    },
    /// This happened.
    Event(Event<P>),
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event<P> {
    /// There is a session with a peer. If there was one before, it was told as closed just before.
    Established {
        /// With whom.
        peer: P,
        /// Who that has shown to be. For a client with a pre-shared key, its own identity.
        identity: Identity,
    },
    /// A peer sent something.
    Received {
        /// Who.
        peer: P,
        /// What.
        plaintext: Vec<u8>,
    },
    /// A peer has another address. A session that there was with the new address was told as closed just before.
    ///
    /// It is the peer, and it is the latest that it said; but whoever sees its datagrams can have one arrive from
    /// elsewhere. That it receives there is for the caller to find out before much is sent (RFC 9146 §6).
    Moved {
        /// From where.
        from: P,
        /// To where.
        to: P,
    },
    /// There is no session with a peer any more.
    Closed {
        /// With whom.
        peer: P,
        /// Why.
        reason: CloseReason,
    },
    /// A handshake came to nothing. A session that there was before is still there.
    HandshakeFailed {
        /// With whom.
        peer: P,
        /// The identity of the pre-shared key that the peer claimed to have, if it came that far.
        claimed: Option<Vec<u8>>,
        /// Why.
        error: HandshakeError,
    },
}

/// Why a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Error)]
pub enum CloseReason {
    /// The peer said so.
    #[error("the peer closed the session")]
    ByPeer,
    /// The peer cannot go on.
    #[error("the peer ended the session: {0}")]
    Alert(Alert),
    /// The caller said so.
    #[error("the session was closed")]
    ByCaller,
    /// The same address has a new session.
    #[error("a new session of the same address replaced it")]
    Replaced,
    /// Another peer has moved to the address.
    #[error("another peer has moved to the address")]
    Displaced,
    /// Nothing was heard of the peer for the time that the limits say.
    #[error("nothing was heard of the peer for too long")]
    Idle,
    /// It was silent for longest when there was no room.
    #[error("it made room for another session")]
    NoRoom,
}

/// Why nothing is sent. The fault is of the caller, or of its pace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SendError {
    /// There is no session.
    #[error("there is no session with this peer")]
    NoSession,
    /// It is longer than a record can be.
    #[error("{0} bytes are more than a record can carry")]
    TooLong(usize),
    /// The session must be [kept](crate::Server::keep) anew, and that be durable, before more is sent.
    #[error("the session must be kept before it sends more")]
    MustBeKept,
    /// So much was sent that the session needs new keys: the peer must shake hands again.
    #[error("the session has sent all that it may under its keys")]
    UsedUp,
}

/// The longest plaintext of a record (RFC 5246 §6.2.1).
pub(crate) const PLAINTEXT_BYTES_MAX: usize = 1 << 14;
