//! Handshake messages, which may come in fragments (RFC 6347 §4.2.2).

use super::reader::Reader;
use super::writer::{put_u16, put_u24};

/// Type, length, sequence number, and the fragment's offset and length.
pub(crate) const HEADER_BYTES: usize = 12;

/// The kind of a handshake message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MessageType(u8);

impl MessageType {
    pub(crate) const CLIENT_HELLO: Self = Self(1);
    pub(crate) const SERVER_HELLO: Self = Self(2);
    pub(crate) const HELLO_VERIFY_REQUEST: Self = Self(3);
    pub(crate) const CERTIFICATE: Self = Self(11);
    pub(crate) const SERVER_KEY_EXCHANGE: Self = Self(12);
    pub(crate) const CERTIFICATE_REQUEST: Self = Self(13);
    pub(crate) const SERVER_HELLO_DONE: Self = Self(14);
    pub(crate) const CERTIFICATE_VERIFY: Self = Self(15);
    pub(crate) const CLIENT_KEY_EXCHANGE: Self = Self(16);
    pub(crate) const FINISHED: Self = Self(20);
}

/// A part of a handshake message, or all of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fragment<'d> {
    pub(crate) message_type: MessageType,
    /// Of the whole message.
    pub(crate) length: usize,
    pub(crate) sequence: u16,
    pub(crate) offset: usize,
    pub(crate) body: &'d [u8],
}

impl<'d> Fragment<'d> {
    pub(crate) fn read(reader: &mut Reader<'d>) -> Option<Self> {
        let message_type = MessageType(reader.u8()?);
        let length = reader.u24()?;
        let sequence = reader.u16()?;
        let offset = reader.u24()?;
        let body = reader.vector24()?;
        (offset + body.len() <= length).then_some(Self { message_type, length, sequence, offset, body })
    }

    pub(crate) const fn is_whole(&self) -> bool {
        self.body.len() == self.length
    }

    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        out.push(self.message_type.0);
        put_u24(out, self.length);
        put_u16(out, self.sequence.into());
        put_u24(out, self.offset);
        put_u24(out, self.body.len());
        out.extend_from_slice(self.body);
    }
}

/// Writes a message as one fragment, as it also counts for the transcript (RFC 6347 §4.2.6).
pub(crate) fn put_message(out: &mut Vec<u8>, message_type: MessageType, sequence: u16, body: &[u8]) {
    Fragment { message_type, length: body.len(), sequence, offset: 0, body }.put(out);
}
