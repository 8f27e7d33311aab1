//! The link's schema and its conversion to the words of the core.
//!
//! The schema is `proto/bugle/link/v1/link.proto`; its messages are in [`proto`]. Above them are three
//! layers that know no transport:
//!
//! - log entries: [`encode_up`], [`decode_up`], [`encode_down`], [`decode_down`] between bytes and the
//!   core's [`UpEntry`](bugle_core::UpEntry) and [`DownEntry`](bugle_core::DownEntry);
//! - the stream's messages: [`FromGateway`] and [`FromPlatform`], checked;
//! - replay: [`Outgoing`] and [`Incoming`] decide what is sent next and what is new, so that no entry
//!   is lost or taken twice, however often the stream breaks.
//!
//! What comes from the peer is never trusted: a [`WireError`] or a [`ReplayError`] is the peer's fault.
//! Nothing here opens a connection; that is for the runtime.

mod convert;
mod entry;
mod error;
mod message;
pub mod proto;
mod receipts;
mod replay;
#[cfg(test)]
mod strategies;

pub use entry::{decode_down, decode_receipts, decode_up, encode_down, encode_receipts, encode_up};
pub use error::WireError;
pub use message::{CloseReason, Entries, FromGateway, FromPlatform, Hello, VERSION};
pub use replay::{Incoming, LogConflict, Outgoing, ReplayError, Span};
