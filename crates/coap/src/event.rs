//! What an endpoint tells its caller.

use thiserror::Error;

use crate::code::Code;
use crate::datagram::Datagram;
use crate::option::OptionNumber;
use crate::options::OptionValueError;
use crate::request::Request;
use crate::response::Response;

macro_rules! numbers {
    ($($(#[$doc:meta])* $name:ident;)*) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
            pub struct $name(u64);

            impl $name {
                pub(crate) const fn new(number: u64) -> Self {
                    Self(number)
                }
            }
        )*
    };
}

numbers! {
    /// An exchange that this endpoint began, and the observation that comes of it.
    ExchangeId;
    /// A request of a peer, to be answered.
    RequestHandle;
    /// A peer that observes a resource of ours.
    ObserverId;
}

/// What is to be done, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output<P> {
    /// Send this.
    Transmit {
        /// To whom.
        peer: P,
        /// What.
        datagram: Datagram,
    },
    /// This happened.
    Event(Event<P>),
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event<P> {
    /// A peer asks. It is told once, however often its datagram came.
    Request {
        /// To answer with.
        handle: RequestHandle,
        /// Who asks.
        peer: P,
        /// What.
        request: Request,
        /// Whether the peer has shown just now that it receives what is sent to it.
        freshness: Freshness,
    },
    /// The response to a request, with its whole body. Ends the exchange, unless it began an observation.
    Response {
        /// Of which exchange.
        exchange: ExchangeId,
        /// Who answered.
        peer: P,
        /// What.
        response: Response,
        /// Whether notifications follow.
        observation: Observation,
    },
    /// A request has arrived; the response follows, or [`Event::Failed`].
    Acknowledged {
        /// Of which exchange.
        exchange: ExchangeId,
        /// Who acknowledged.
        peer: P,
    },
    /// An exchange ended without a response.
    Failed {
        /// Which.
        exchange: ExchangeId,
        /// With whom.
        peer: P,
        /// Why.
        failure: Failure,
    },
    /// A peer answered a ping.
    Pong {
        /// Which ping.
        exchange: ExchangeId,
        /// Who answered.
        peer: P,
    },
    /// A newer state of something that we observe, with its whole body.
    Notification {
        /// The exchange that began the observation.
        exchange: ExchangeId,
        /// Who notifies.
        peer: P,
        /// The state.
        response: Response,
    },
    /// The peer ended an observation of ours, with these words.
    ObservationEnded {
        /// The exchange that began the observation.
        exchange: ExchangeId,
        /// Who ended it.
        peer: P,
        /// The last word.
        response: Response,
    },
    /// A separate response, sent confirmably, has arrived.
    ResponseDelivered {
        /// To which request.
        handle: RequestHandle,
        /// To whom.
        peer: P,
    },
    /// A separate response, sent confirmably, was not taken.
    ResponseFailed {
        /// To which request.
        handle: RequestHandle,
        /// By whom.
        peer: P,
        /// Why.
        failure: Failure,
    },
    /// A confirmable notification has arrived.
    NotificationDelivered {
        /// At which observer.
        observer: ObserverId,
        /// Who that is.
        peer: P,
    },
    /// A peer observes no more.
    ObserverGone {
        /// Which observer.
        observer: ObserverId,
        /// Who that was.
        peer: P,
        /// Why.
        departure: Departure,
    },
}

/// Whether a request's sender is known to receive at the address that it is sent from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// It may be forged or delayed.
    Unknown,
    /// It repeats a value that was sent there a short while ago (RFC 9175 §2).
    Echoed,
}

/// Whether notifications follow a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Observation {
    /// None follow.
    None,
    /// They do, under the same exchange id.
    Begun,
}

/// Why an exchange ended without a response. All but [`Failure::Forgotten`] are the peer's or the network's doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Failure {
    /// Nothing came back, however often the message was sent.
    #[error("no acknowledgement after all retransmissions")]
    TimedOut,
    /// The request arrived, or was sent non-confirmably, and no response came.
    #[error("no response in time")]
    NoResponse,
    /// The peer could not deal with the message.
    #[error("the peer reset the exchange")]
    Reset,
    /// The response has a critical option that is not understood, or blocks that do not fit together.
    #[error("the response cannot be understood")]
    Unintelligible,
    /// The body of the response is larger than the limit.
    #[error("the response has a larger body than is taken")]
    BodyTooLarge,
    /// The peer does not know of blocks, and has acted on the first one as if it were the whole body.
    #[error("the peer took a part of the body for the whole")]
    BodyCut,
    /// The body of the response changed again and again while it was fetched.
    #[error("the body of the response kept changing while it was fetched")]
    BodyChanged,
    /// The caller had the peer forgotten.
    #[error("the peer was forgotten")]
    Forgotten,
}

/// Why a peer observes no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Departure {
    /// It said so (RFC 7641 §3.6).
    Cancelled,
    /// It rejected a notification.
    Reset,
    /// It did not acknowledge a notification.
    TimedOut,
    /// The caller notified it of an error, which is the last word (RFC 7641 §4.2).
    Ended(Code),
    /// The caller had the peer forgotten.
    Forgotten,
}

/// Why a request is not sent. The fault is of the caller, or of its pace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum RequestError {
    /// Too many exchanges with this peer have not ended.
    #[error("too many exchanges with this peer have not ended")]
    TooManyExchanges,
    /// There are too many peers.
    #[error("too many peers are remembered")]
    TooManyPeers,
    /// Too many of this peer's resources are observed.
    #[error("too many resources of this peer are observed")]
    TooManyObservations,
    /// The token is in use with this peer.
    #[error("the token is in use with this peer")]
    TokenInUse,
    /// The endpoint writes this option itself.
    #[error("{0:?} is the endpoint's own")]
    ReservedOption(OptionNumber),
    /// An option has a value that it may not have.
    #[error(transparent)]
    Option(#[from] OptionValueError),
    /// The body has more blocks than can be counted.
    #[error("the body is too large to be sent block by block")]
    BodyTooLarge,
}

/// The request, or the observer, is gone: answered, given up by its peer, or forgotten with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("there is nobody to answer any more")]
pub struct Gone;
