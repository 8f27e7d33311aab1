//! LwM2M device management: registration, operations and data formats, for servers and clients of
//! LwM2M 1.0, 1.1 and 1.2.
//!
//! For a server: [`ClientRequest`] is what a client asks of it, with [`registration::Registration`] as what
//! is kept of the client; [`operation::DeviceOperation`] is what it asks of the client, and
//! [`operation::Delivery`] the same for an operation of a group request, from the words of an application to a
//! member's outcome. For tests and load, [`client::Device`] is a simulated client.
//!
//! [`codec`] reads and writes every content format: values at paths, whatever they travel in.
//!
//! What travels are [`Request`]s and [`Response`]s. How they do is no matter of this crate: it knows
//! no CoAP message, no retransmission, no block, no address and no clock.

mod attributes;
pub mod client;
mod client_request;
pub mod codec;
mod format;
pub mod limits;
mod link;
mod message;
pub mod objects;
pub mod operation;
mod path;
pub mod registration;
#[cfg(test)]
mod testing;
mod value;
mod version;

pub use attributes::{AttributeChanges, AttributeError, Attributes, Change, Edge, Transmission};
pub use client_request::{ClientRequest, ClientRequestError, SEND_RESOURCE};
pub use format::{ContentFormat, ContentFormats};
pub use link::{Link, LinkError};
pub use message::{Code, Method, Observe, Request, Response};
pub use objects::{Access, Instances};
pub use path::{Path, PathError};
pub use value::{DataType, ObjectLink, TypeError, Value};
pub use version::{Version, VersionError};
