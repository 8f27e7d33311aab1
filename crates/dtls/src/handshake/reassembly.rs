//! Puts the peer's handshake messages together, and in order (RFC 6347 §4.2.2, §4.2.3).

use std::collections::BTreeMap;

use crate::wire::{Fragment, MessageType};

/// How many messages ahead of the next one are kept.
const AHEAD_MAX: u16 = 8;

/// A whole message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) message_type: MessageType,
    pub(crate) sequence: u16,
    pub(crate) body: Vec<u8>,
}

/// What has come of the messages that are next.
#[derive(Debug)]
pub(crate) struct Reassembly {
    next: u16,
    partial: BTreeMap<u16, Partial>,
    bytes_max: usize,
    bytes: usize,
}

#[derive(Debug)]
struct Partial {
    message_type: MessageType,
    body: Vec<u8>,
    /// Which bytes have come: from, and up to. They neither touch nor overlap.
    ranges: Vec<(usize, usize)>,
}

impl Partial {
    fn is_whole(&self) -> bool {
        self.body.is_empty() || self.ranges == [(0, self.body.len())]
    }

    fn put(&mut self, offset: usize, bytes: &[u8]) {
        let (mut from, mut to) = (offset, offset + bytes.len());
        self.body[from..to].copy_from_slice(bytes);
        self.ranges.retain(|range| {
            let is_apart = range.1 < from || to < range.0;
            if !is_apart {
                (from, to) = (from.min(range.0), to.max(range.1));
            }
            is_apart
        });
        self.ranges.push((from, to));
    }
}

impl Reassembly {
    /// Of messages from this one on. At once, messages of `bytes_max` together are put together.
    pub(crate) const fn new(next: u16, bytes_max: usize) -> Self {
        Self { next, partial: BTreeMap::new(), bytes_max, bytes: 0 }
    }

    /// Takes a fragment, if it is of use. `false` if its message is longer than what is taken.
    pub(crate) fn push(&mut self, fragment: &Fragment<'_>) -> bool {
        let ahead = fragment.sequence.wrapping_sub(self.next);
        if ahead >= AHEAD_MAX {
            return true;
        }
        if !self.partial.contains_key(&fragment.sequence) {
            if self.bytes + fragment.length > self.bytes_max {
                return false;
            }
            self.bytes += fragment.length;
            let body = vec![0; fragment.length];
            let partial = Partial { message_type: fragment.message_type, body, ranges: Vec::new() };
            self.partial.insert(fragment.sequence, partial);
        }
        let partial = self.partial.get_mut(&fragment.sequence).expect("it was put there");
        let is_same = partial.message_type == fragment.message_type && partial.body.len() == fragment.length;
        if is_same && !partial.is_whole() {
            partial.put(fragment.offset, fragment.body);
        }
        true
    }

    /// The next message, when all of it has come.
    pub(crate) fn pop(&mut self) -> Option<Message> {
        let entry = self.partial.first_entry().filter(|entry| *entry.key() == self.next)?;
        if !entry.get().is_whole() {
            return None;
        }
        let (sequence, Partial { message_type, body, .. }) = entry.remove_entry();
        self.bytes -= body.len();
        self.next = self.next.wrapping_add(1);
        Some(Message { message_type, sequence, body })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fragment(sequence: u16, offset: usize, body: &[u8]) -> Fragment<'_> {
        Fragment { message_type: MessageType::CERTIFICATE, length: 10, sequence, offset, body }
    }

    #[test]
    fn a_message_is_whole_when_all_its_bytes_have_come_in_whatever_order() {
        let mut reassembly = Reassembly::new(3, 100);
        assert!(reassembly.push(&fragment(4, 0, b"0123456789")));
        for (offset, body) in [(6, &b"6789"[..]), (0, b"012"), (0, b"0123"), (3, b"34"), (8, b"89")] {
            assert!(reassembly.push(&fragment(3, offset, body)));
            assert_eq!(reassembly.pop(), None);
        }
        assert!(reassembly.push(&fragment(3, 2, b"23456")));
        let message =
            |sequence| Some(Message { message_type: MessageType::CERTIFICATE, sequence, body: b"0123456789".to_vec() });
        assert_eq!(reassembly.pop(), message(3));
        assert_eq!(reassembly.pop(), message(4));
        assert_eq!((reassembly.pop(), reassembly.bytes), (None, 0));
    }

    #[test]
    fn what_is_long_past_or_far_ahead_is_of_no_use_and_what_is_too_long_is_not_taken() {
        let mut reassembly = Reassembly::new(3, 25);
        assert!(reassembly.push(&fragment(2, 0, b"0123456789")));
        assert!(reassembly.push(&fragment(11, 0, b"0123456789")));
        assert_eq!(reassembly.bytes, 0);
        assert!(reassembly.push(&fragment(3, 0, b"0")));
        assert!(reassembly.push(&fragment(4, 0, b"0")));
        assert!(!reassembly.push(&fragment(5, 0, b"0")));
    }
}
