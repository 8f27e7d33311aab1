//! CoAP over UDP as a pure machine, in both roles, with any number of peers behind one socket.
//!
//! An [`Endpoint`] takes datagrams and the time, and gives out datagrams and [`Event`]s: confirmable and
//! non-confirmable exchanges with retransmission, deduplication, piggybacked and separate responses
//! (RFC 7252), observing (RFC 7641), bodies in blocks (RFC 7959), hints when to ask again (RFC 8516) and
//! tokens that are not guessed (RFC 9175). The caller sees whole [`Request`]s and [`Response`]s.
//!
//! It opens no socket, reads no clock, draws nothing at random but from the secret that it is given, and
//! keeps nothing durable: a caller that must survive a crash gives a request an [`Identity`] that it has
//! kept, and the peer recognises the retransmission. It knows no resources either: whatever is asked for
//! is the caller's to answer. What is remembered of a peer is gone once the standard no longer asks for it,
//! and costs less than 150 bytes until then.
//!
//! This is how it is driven: put in what came, do all that comes out, sleep until the next timeout.
//!
//! ```
//! use std::time::Duration;
//!
//! use bugle_coap::{Code, Config, ContentFormat, Delivery, Endpoint, Event, Method, Output, Request, Response};
//! use bugle_core::Time;
//!
//! let mut now = Time::from_millis(1_000);
//! let mut client: Endpoint<&str> = Endpoint::new(Config::default(), [1; 16]);
//! let mut server: Endpoint<&str> = Endpoint::new(Config::default(), [2; 16]);
//!
//! let request = Request::new(Method::Get).with_path("/3/0/9")?;
//! let exchange = client.request(now, "server", request, Delivery::default())?;
//!
//! let mut answer = None;
//! while answer.is_none() {
//!     while let Some(output) = client.poll_output() {
//!         match output {
//!             // Here a shell sends; the two of this example are on the same desk.
//!             Output::Transmit { datagram, .. } => server.handle_datagram(now, "client", &datagram),
//!             Output::Event(Event::Response { exchange: of, response, .. }) if of == exchange => {
//!                 answer = Some(response);
//!             }
//!             Output::Event(other) => panic!("{other:?}"),
//!         }
//!     }
//!     while let Some(output) = server.poll_output() {
//!         match output {
//!             Output::Transmit { datagram, .. } => client.handle_datagram(now, "server", &datagram),
//!             Output::Event(Event::Request { handle, request, .. }) => {
//!                 assert_eq!(request.path().collect::<Vec<_>>(), ["3", "0", "9"]);
//!                 let response = Response::new(Code::CONTENT).with_payload(ContentFormat::TEXT, "95");
//!                 server.respond(now, handle, response)?;
//!             }
//!             Output::Event(other) => panic!("{other:?}"),
//!         }
//!     }
//!     // Here a shell sleeps until a datagram comes, or the earlier of these.
//!     let timeouts = [client.next_timeout(), server.next_timeout()];
//!     now = timeouts.into_iter().flatten().min().unwrap_or(now + Duration::from_secs(1));
//!     client.handle_timeout(now);
//!     server.handle_timeout(now);
//! }
//! assert_eq!(answer.expect("the loop ends with one").payload, "95");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod block;
mod code;
mod datagram;
mod deduplication;
mod echo;
mod endpoint;
mod event;
mod exchange;
mod limits;
mod message;
mod observe;
mod option;
mod options;
mod peers;
mod request;
mod response;
mod retransmission;
mod sweep;
mod timers;
mod token;

pub use block::BlockSize;
pub use code::{Code, ContentFormat, Method};
pub use datagram::Datagram;
pub use endpoint::{Census, Config, Counters, Endpoint};
pub use event::{
    Departure, Event, ExchangeId, Failure, Freshness, Gone, Observation, ObserverId, Output, RequestError,
    RequestHandle,
};
pub use exchange::{Delivery, Reliability};
pub use limits::Limits;
pub use message::{DecodeError, FormatError, Message, MessageType};
pub use option::OptionNumber;
pub use options::{OptionEntries, OptionEntry, OptionValueError, Options, OptionsView};
pub use request::{Observe, Request};
pub use response::{Response, RetryHint};
pub use retransmission::Transmission;
pub use token::{Identity, MessageId, Token};
