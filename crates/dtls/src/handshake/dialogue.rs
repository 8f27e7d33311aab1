//! The messages of one side of a handshake: what was said, how it is sent, and sent again.

use std::time::Duration;

use bugle_core::Time;

use super::reassembly::{Message, Reassembly};
use crate::config::Retransmission;
use crate::session::Session;
use crate::wire::{ContentType, FRAGMENT_HEADER_BYTES, Fragment, MessageType, Version, put_message, put_plain};

/// What a record of a fragment needs beside the fragment, at most: header, connection id, nonce, type and tag.
const RECORD_OVERHEAD_BYTES: usize = 13 + 32 + 8 + 1 + 16;

/// The body of a ChangeCipherSpec.
const CHANGE_CIPHER_SPEC: [u8; 1] = [1];

/// A part of a flight.
#[derive(Debug)]
enum Part {
    Message { message_type: MessageType, sequence: u16, body: Vec<u8> },
    ChangeCipherSpec,
}

/// One side's view of the messages.
#[derive(Debug)]
pub(crate) struct Dialogue {
    /// Everything that was said and that counts, in order (RFC 6347 §4.2.6).
    pub(crate) transcript: Vec<u8>,
    pub(crate) incoming: Reassembly,
    flight: Vec<Part>,
    next_message: u16,
    next_record: u64,
    datagram_bytes_max: usize,
    retry: Retry,
}

/// What messages came under.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protection {
    /// Anybody may have made them up.
    None,
    /// The keys of the session.
    Session,
}

impl Protection {
    /// Of all messages only the last of each side is protected, and that always is.
    pub(crate) fn suits(self, message_type: MessageType) -> bool {
        (message_type == MessageType::FINISHED) == (self == Self::Session)
    }
}

/// When a flight is sent again.
#[derive(Debug)]
struct Retry {
    due: Time,
    wait: Duration,
    left: u32,
}

impl Dialogue {
    pub(crate) fn new(
        incoming: Reassembly,
        next_message: u16,
        next_record: u64,
        datagram_bytes_max: usize,
        retransmission: Retransmission,
    ) -> Self {
        let retry = Retry { due: Time::MAX, wait: retransmission.first, left: retransmission.tries };
        Self {
            transcript: Vec::new(),
            incoming,
            flight: Vec::new(),
            next_message,
            next_record,
            datagram_bytes_max,
            retry,
        }
    }

    /// The peer has said this.
    pub(crate) fn hear(&mut self, message: &Message) {
        put_message(&mut self.transcript, message.message_type, message.sequence, &message.body);
    }

    /// The peer has answered, so what we said has arrived.
    pub(crate) fn begin_flight(&mut self, retransmission: Retransmission) {
        self.flight.clear();
        self.retry.wait = retransmission.first;
        self.retry.left = retransmission.tries;
    }

    /// Adds a message to the flight, and says its number.
    pub(crate) fn say(&mut self, message_type: MessageType, body: Vec<u8>) -> u16 {
        let sequence = self.next_message;
        self.next_message = sequence.wrapping_add(1);
        put_message(&mut self.transcript, message_type, sequence, &body);
        self.flight.push(Part::Message { message_type, sequence, body });
        sequence
    }

    /// Adds what says that the next message is protected.
    pub(crate) fn change_cipher_spec(&mut self) {
        self.flight.push(Part::ChangeCipherSpec);
    }

    /// Sends the flight. What follows a ChangeCipherSpec is protected by the session.
    pub(crate) fn transmit(&mut self, now: Time, session: Option<&mut Session>, out: &mut Vec<Vec<u8>>) {
        self.retry.due = now + self.retry.wait;
        let mut session = session;
        let mut packer = Packer { current: Vec::new(), bytes_max: self.datagram_bytes_max, out };
        let mut is_protected = false;
        let fragment_bytes_max =
            self.datagram_bytes_max.saturating_sub(RECORD_OVERHEAD_BYTES + FRAGMENT_HEADER_BYTES).max(1);
        for part in &self.flight {
            match part {
                Part::ChangeCipherSpec => {
                    let body = &CHANGE_CIPHER_SPEC;
                    packer.put(&plain(ContentType::ChangeCipherSpec, &mut self.next_record, body));
                    is_protected = true;
                }
                Part::Message { message_type, sequence, body } => {
                    for fragment in fragments(*message_type, *sequence, body, fragment_bytes_max) {
                        packer.put(&match session.as_deref_mut().filter(|_| is_protected) {
                            Some(session) => {
                                let mut record = Vec::new();
                                session.seal(ContentType::Handshake, &fragment, &mut record);
                                record
                            }
                            None => plain(ContentType::Handshake, &mut self.next_record, &fragment),
                        });
                    }
                }
            }
        }
        packer.finish();
    }

    /// An alert that nothing protects.
    pub(crate) fn plain_alert(&mut self, body: [u8; 2]) -> Vec<u8> {
        plain(ContentType::Alert, &mut self.next_record, &body)
    }

    /// When the peer should have answered.
    pub(crate) const fn due(&self) -> Time {
        self.retry.due
    }

    /// The peer has not answered in time. Whether the flight may be sent again (RFC 6347 §4.2.4.1).
    pub(crate) fn may_retry(&mut self, retransmission: Retransmission) -> bool {
        if self.retry.left == 0 {
            return false;
        }
        self.retry.left -= 1;
        self.retry.wait = (self.retry.wait * 2).min(retransmission.longest);
        true
    }

    /// The number that the next record has that nothing protects.
    pub(crate) const fn next_record(&self) -> u64 {
        self.next_record
    }
}

fn plain(content_type: ContentType, next_record: &mut u64, body: &[u8]) -> Vec<u8> {
    let mut record = Vec::with_capacity(13 + body.len());
    put_plain(&mut record, content_type, Version::DTLS_1_2, *next_record, body);
    *next_record += 1;
    record
}

fn fragments(message_type: MessageType, sequence: u16, body: &[u8], bytes_max: usize) -> impl Iterator<Item = Vec<u8>> {
    let count = body.len().div_ceil(bytes_max).max(1);
    (0..count).map(move |number| {
        let offset = number * bytes_max;
        let part = &body[offset..body.len().min(offset + bytes_max)];
        let mut fragment = Vec::with_capacity(FRAGMENT_HEADER_BYTES + part.len());
        Fragment { message_type, length: body.len(), sequence, offset, body: part }.put(&mut fragment);
        fragment
    })
}

/// Puts as many records into a datagram as there is room for.
struct Packer<'o> {
    current: Vec<u8>,
    bytes_max: usize,
    out: &'o mut Vec<Vec<u8>>,
}

impl Packer<'_> {
    fn put(&mut self, record: &[u8]) {
        if !self.current.is_empty() && self.current.len() + record.len() > self.bytes_max {
            self.out.push(std::mem::take(&mut self.current));
        }
        self.current.extend_from_slice(record);
    }

    fn finish(self) {
        if !self.current.is_empty() {
            self.out.push(self.current);
        }
    }
}
