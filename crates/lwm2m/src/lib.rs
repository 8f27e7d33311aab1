//! LwM2M device management: registration, operations and data formats, for servers and clients.

mod attributes;
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
