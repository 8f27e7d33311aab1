//! DTLS 1.2 (RFC 6347) as a pure machine: many peers behind one socket, and one server for a peripheral.
//!
//! A [`Server`] takes datagrams and the time, and gives out datagrams and [`Event`]s: who a peer has shown to be, what
//! it says, and when there is no session with it any more. A [`Client`] is the other side. Peers share a key (RFC 4279,
//! RFC 6655) or show certificates (RFC 7251, RFC 8422), and may be recognised when their address changes (RFC 9146).
//!
//! A session outlives the process where its caller keeps it ([`Server::keep`], [`Server::resume`]).
//!
//! What is sent before a peer has shown that it receives at its address costs nothing but its answer. A peer that comes
//! back from sleep with a new handshake, from the same address, keeps its old session until the new one is there.
//!
//! It opens no socket, reads no clock, and draws nothing at random but from the seed that it is given. It knows no keys
//! either: with each datagram comes what finds them. It has no shorter handshake for who was there before (RFC 5246
//! §7.3), does not renegotiate or compress, and speaks no other version; why it stands on primitives and not on a
//! library of DTLS is in `docs/decisions/`.
//!
//! This is how it is driven: put in what came, do all that comes out, sleep until the next timeout.
//!
//! ```
//! use bugle_core::Time;
//! use bugle_core::credential::PreSharedKey;
//! use bugle_dtls::{Client, ClientConfig, ClientCredential, Config, Event, Identity, Output, Server};
//!
//! let mut now = Time::from_millis(1_000);
//! let key = PreSharedKey::new(b"sixteen bytes ..")?;
//! let credential = ClientCredential::PreSharedKey { identity: b"valve-7".to_vec(), key: key.clone() };
//! let mut client = Client::new(ClientConfig::new(credential), "server", [1; 32]);
//! let mut server: Server<&str> = Server::new(Config::default(), [2; 32]);
//! let keys = |identity: &[u8]| (identity == b"valve-7").then(|| key.clone());
//!
//! client.connect(now);
//! let mut received = None;
//! while received.is_none() {
//!     if let Some(output) = client.poll_output() {
//!         match output {
//!             // Here a shell sends; the two of this example are on the same desk.
//!             Output::Transmit { datagram, .. } => server.handle_datagram(now, "valve", &datagram, &keys),
//!             Output::Event(Event::Established { .. }) => client.send(b"I am open")?,
//!             Output::Event(other) => panic!("{other:?}"),
//!         }
//!     } else if let Some(output) = server.poll_output() {
//!         match output {
//!             Output::Transmit { datagram, .. } => client.handle_datagram(now, &datagram),
//!             Output::Event(Event::Established { identity, .. }) => {
//!                 let shown = Identity::PreSharedKey { identity: b"valve-7".to_vec(), key: key.clone() };
//!                 assert_eq!(identity, shown);
//!             }
//!             Output::Event(Event::Received { plaintext, .. }) => received = Some(plaintext),
//!             Output::Event(other) => panic!("{other:?}"),
//!         }
//!     } else {
//!         // Here a shell sleeps until a datagram comes, or the earlier of these.
//!         let timeouts = [client.next_timeout(), server.next_timeout()];
//!         now = timeouts.into_iter().flatten().min().expect("a handshake is under way");
//!         client.handle_timeout(now);
//!         server.handle_timeout(now);
//!     }
//! }
//! assert_eq!(received.as_deref(), Some(&b"I am open"[..]));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod certificate;
mod client;
mod config;
mod connection_id;
mod cookie;
mod credential;
mod crypto;
mod error;
mod event;
mod handshake;
mod kept;
mod limits;
mod replay;
mod server;
mod session;
mod suite;
mod wire;

pub use certificate::{OwnCertificate, OwnCertificateError};
pub use client::Client;
pub use config::{
    Certificates, ClientConfig, ClientCredential, Config, ConnectionIdUse, ExtendedMasterSecret, Retransmission,
};
pub use credential::Identity;
pub use error::HandshakeError;
pub use event::{CloseReason, Event, Output, SendError};
pub use kept::{KeepingKey, Kept, KeptSession};
pub use limits::{Limits, WhenFull};
pub use server::{Census, Counters, Server};
pub use suite::CipherSuite;
pub use wire::Alert;
