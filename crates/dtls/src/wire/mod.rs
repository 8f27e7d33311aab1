//! What is on the wire: records, handshake messages, and what is in them.

mod alert;
mod extension;
mod fragment;
mod hello;
mod reader;
mod record;
mod writer;

pub use alert::Alert;
pub(crate) use alert::AlertLevel;
pub(crate) use extension::Extensions;
pub(crate) use fragment::{Fragment, HEADER_BYTES as FRAGMENT_HEADER_BYTES, MessageType, put_message};
pub(crate) use hello::{ClientHello, ServerHello, hello_verify_request};
pub(crate) use reader::Reader;
pub(crate) use record::{ContentType, HEADER_BYTES as RECORD_HEADER_BYTES, Record, Records, Version, put_plain};
pub(crate) use writer::{put_u16, put_u24, put_u48, put_vector8, put_vector16, put_vector24};
