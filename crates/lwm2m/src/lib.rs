//! LwM2M device management: registration, operations and data formats, for servers and clients.

pub mod codec;
mod format;
pub mod limits;
mod message;
pub mod objects;
mod path;
#[cfg(test)]
mod testing;
mod value;
mod version;

pub use format::{ContentFormat, ContentFormats};
pub use message::{Code, Method, Observe, Request, Response};
pub use objects::{Access, Instances};
pub use path::{Path, PathError};
pub use value::{DataType, ObjectLink, TypeError, Value};
pub use version::{Version, VersionError};
