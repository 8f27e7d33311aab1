//! The stream between a gateway and the platform: HTTP/2 with mutual TLS.
//!
//! The gateway [`dial`]s, the platform has a [`Listener`]. Either gets a [`Sender`] and a [`Receiver`] of
//! the messages of `bugle-wire`, already checked, and who the other is, as certificates say. Both are
//! bounded: a sender waits while the other side does not read.
//!
//! What the messages are for is not known here; nor is anything sent again. That is for those at
//! either end, with the replay of `bugle-wire`.

mod client;
mod identity;
mod server;

use std::marker::PhantomData;
use std::time::Duration;

use bugle_core::limits;
use bugle_wire::{FromGateway, FromPlatform, WireError, proto};
pub use client::{DialError, dial};
pub use identity::{LinkIdentity, PLATFORM_NAME, gateway_of, gateway_uri};
pub use server::{Connected, ListenError, Listener};
use thiserror::Error;
use tokio::sync::mpsc;

mod service {
    //! The link's service, as `tonic` generates it.
    #![expect(unreachable_pub, reason = "the schema documents it")]

    tonic::include_proto!("bugle.link.v1");
}

/// The largest message: one entry of the up log that holds as many receipts as it may, each with as
/// long an answer as it may have.
pub const MESSAGE_BYTES_MAX: usize =
    limits::RECEIPTS_PER_ENTRY_MAX * (limits::PERIPHERAL_PAYLOAD_BYTES_MAX + 1024) + 1024;
/// Messages that wait on their way out of a [`Sender`].
const MESSAGES_WAITING_MAX: usize = 8;
/// What one stream may have on its way without the other side having read it, and a connection.
const STREAM_WINDOW_BYTES: u32 = 1024 * 1024;
const CONNECTION_WINDOW_BYTES: u32 = 2 * STREAM_WINDOW_BYTES;
/// How long a connection and its handshake may take to come about.
const CONNECT_TIME: Duration = Duration::from_secs(10);

/// How a side finds out that the other is gone without a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeepAlive {
    /// How often it asks for a sign of life.
    pub interval: Duration,
    /// How long it waits for one.
    pub answer: Duration,
}

impl Default for KeepAlive {
    fn default() -> Self {
        Self { interval: Duration::from_secs(10), answer: Duration::from_secs(10) }
    }
}

/// A message of the link, in one direction.
pub trait LinkMessage: TryFrom<Self::Message, Error = WireError> {
    /// As the schema has it.
    type Message: From<Self> + prost::Message + Default + 'static;
}

impl LinkMessage for FromGateway {
    type Message = proto::FromGateway;
}

impl LinkMessage for FromPlatform {
    type Message = proto::FromPlatform;
}

/// Sends messages to the other side. When all clones are dropped, the stream ends in this direction.
#[derive(Debug)]
pub struct Sender<M: LinkMessage>(mpsc::Sender<M::Message>);

impl<M: LinkMessage> Clone for Sender<M> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

/// The stream has ended; the [`Receiver`] tells why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the link is down")]
pub struct Ended;

impl<M: LinkMessage> Sender<M> {
    fn new() -> (Self, mpsc::Receiver<M::Message>) {
        let (sender, messages) = mpsc::channel(MESSAGES_WAITING_MAX);
        (Self(sender), messages)
    }

    /// Sends a message, and waits for room first.
    ///
    /// # Errors
    /// If the stream has ended.
    pub async fn send(&self, message: M) -> Result<(), Ended> {
        self.0.send(message.into()).await.map_err(|_| Ended)
    }
}

/// Receives messages from the other side. When it is dropped, the stream ends.
#[derive(Debug)]
pub struct Receiver<M: LinkMessage> {
    messages: tonic::Streaming<M::Message>,
    message: PhantomData<M>,
}

/// Why no message came.
#[derive(Debug, Error)]
pub enum ReceiveError {
    /// It is not one of this version of the link. The fault is the other side's.
    #[error("the other side misbehaves: {0}")]
    Misbehaved(#[from] WireError),
    /// The stream broke.
    #[error("the link broke: {0}")]
    Broken(String),
}

impl<M: LinkMessage> Receiver<M> {
    const fn new(messages: tonic::Streaming<M::Message>) -> Self {
        Self { messages, message: PhantomData }
    }

    /// The next message; none when the stream has ended. (The platform's end cannot always tell whether
    /// the gateway meant it to.) Giving up on the wait loses nothing.
    ///
    /// # Errors
    /// If the stream broke, or what came is no message.
    pub async fn next(&mut self) -> Result<Option<M>, ReceiveError> {
        match self.messages.message().await {
            Ok(Some(message)) => Ok(Some(message.try_into()?)),
            Ok(None) => Ok(None),
            Err(status) => Err(ReceiveError::Broken(describe(&status))),
        }
    }
}

/// A status with what is beneath it, in one line.
fn describe(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(beneath) = cause {
        let beneath_text = beneath.to_string();
        if !text.contains(&beneath_text) {
            text.push_str(": ");
            text.push_str(&beneath_text);
        }
        cause = beneath.source();
    }
    text
}
