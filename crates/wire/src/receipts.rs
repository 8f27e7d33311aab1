//! Receipts as bytes, without the schema's messages in between.
//!
//! A group request brings as many receipts as it has members. Written are the bytes that the messages would have been
//! written as: fields in ascending order, those left out that say nothing. Read is what was so written. Whatever else
//! the schema allows, and all outcomes but the two that nearly all members have, is left to the messages.

use std::str;

use bugle_core::{Content, MemberOutcome, Outcome, RequestId, Sighting, UpEntry};
use prost::Message;

use crate::convert::{Word, time};
use crate::proto;

/// Fields, as they begin: the number of the field and how its value is written.
mod field {
    const VARINT: u8 = 0;
    const FIXED64: u8 = 1;
    const BYTES: u8 = 2;

    pub(super) const RECEIPTS_ENTRY: u8 = key(7, BYTES);

    pub(super) const REQUEST: u8 = key(1, FIXED64);
    pub(super) const RECEIPTS: u8 = key(2, BYTES);

    pub(super) const PERIPHERAL: u8 = key(1, BYTES);
    pub(super) const SETTLED_AT: u8 = key(2, VARINT);
    pub(super) const EXECUTED: u8 = key(3, BYTES);
    pub(super) const DELIVERED: u8 = key(4, BYTES);
    pub(super) const SEEN: u8 = key(13, BYTES);

    pub(super) const ANSWER: u8 = key(1, BYTES);
    pub(super) const CONTENT_TYPE: u8 = key(1, BYTES);
    pub(super) const CONTENT: u8 = key(2, BYTES);

    pub(super) const STAGE: u8 = key(1, VARINT);
    pub(super) const SEEN_AT: u8 = key(2, VARINT);

    const fn key(number: u8, kind: u8) -> u8 {
        number << 3 | kind
    }
}

/// An entry of the up log.
pub(crate) fn write_entry(request: RequestId, receipts: &[MemberOutcome]) -> Vec<u8> {
    let mut out = Vec::new();
    write_part(&mut out, field::RECEIPTS_ENTRY, |out| {
        out.push(field::REQUEST);
        out.extend_from_slice(&request.number().to_le_bytes());
        write(out, receipts);
    });
    out
}

/// The entry of the up log that was so written.
pub(crate) fn read_entry(bytes: &[u8]) -> Option<UpEntry> {
    let mut entry = Reader(bytes);
    let mut message = entry.part(field::RECEIPTS_ENTRY)?;
    let request = RequestId::from_number(message.fixed64(field::REQUEST)?)?;
    let receipts = read(message.0)?;
    entry.0.is_empty().then_some(UpEntry::Receipts { request, receipts })
}

/// Receipts, one after the other.
pub(crate) fn write(out: &mut Vec<u8>, receipts: &[MemberOutcome]) {
    for receipt in receipts {
        write_part(out, field::RECEIPTS, |out| write_receipt(out, receipt));
    }
}

/// The receipts that were so written.
pub(crate) fn read(bytes: &[u8]) -> Option<Vec<MemberOutcome>> {
    let mut reader = Reader(bytes);
    let mut receipts = Vec::new();
    while !reader.0.is_empty() {
        let receipt = reader.part(field::RECEIPTS)?;
        receipts.push(read_receipt(receipt).or_else(|| proto::MemberOutcome::decode(receipt.0).ok()?.try_into().ok())?);
    }
    Some(receipts)
}

fn write_receipt(out: &mut Vec<u8>, receipt: &MemberOutcome) {
    match &receipt.outcome {
        Outcome::Executed { answer } => write_settled(out, receipt, field::EXECUTED, |out| {
            write_part(out, field::ANSWER, |out| {
                write_bytes(out, field::CONTENT_TYPE, answer.content_type.as_bytes());
                write_bytes(out, field::CONTENT, &answer.bytes);
            });
        }),
        Outcome::Delivered => write_settled(out, receipt, field::DELIVERED, |_| {}),
        _ => out.extend_from_slice(&proto::MemberOutcome::from(receipt).encode_to_vec()),
    }
}

fn write_settled(out: &mut Vec<u8>, receipt: &MemberOutcome, outcome: u8, write_outcome: impl FnOnce(&mut Vec<u8>)) {
    write_bytes(out, field::PERIPHERAL, receipt.peripheral.as_str().as_bytes());
    write_number(out, field::SETTLED_AT, receipt.at.as_millis());
    write_part(out, outcome, write_outcome);
    for sighting in &receipt.seen {
        write_part(out, field::SEEN, |out| {
            write_number(out, field::STAGE, sighting.stage.to_number().unsigned_abs().into());
            write_number(out, field::SEEN_AT, sighting.at.as_millis());
        });
    }
}

fn read_receipt(mut reader: Reader<'_>) -> Option<MemberOutcome> {
    let peripheral = str::from_utf8(reader.bytes(field::PERIPHERAL)?).ok()?.parse().ok()?;
    let at = time(reader.number(field::SETTLED_AT)?).ok()?;
    let outcome = match reader.part(field::EXECUTED) {
        Some(executed) => Outcome::Executed { answer: read_answer(executed)? },
        None => reader.part(field::DELIVERED)?.0.is_empty().then_some(Outcome::Delivered)?,
    };
    let mut seen = Vec::new();
    while !reader.0.is_empty() {
        let mut sighting = reader.part(field::SEEN)?;
        let stage = i32::try_from(sighting.number(field::STAGE)?).ok()?;
        let at = time(sighting.number(field::SEEN_AT)?).ok()?;
        seen.push(Sighting { stage: Word::from_number(stage).ok()?, at });
        sighting.0.is_empty().then_some(())?;
    }
    Some(MemberOutcome { peripheral, outcome, at, seen })
}

fn read_answer(mut executed: Reader<'_>) -> Option<Content> {
    let mut answer = executed.part(field::ANSWER)?;
    let content_type = str::from_utf8(answer.bytes(field::CONTENT_TYPE)?).ok()?.to_owned();
    let bytes = answer.bytes(field::CONTENT)?.to_vec();
    (executed.0.is_empty() && answer.0.is_empty()).then_some(Content { content_type, bytes })
}

/// A field with fields in it.
fn write_part(out: &mut Vec<u8>, key: u8, write: impl FnOnce(&mut Vec<u8>)) {
    out.extend([key, 0]);
    let begins = out.len();
    write(out);
    let length = out.len() - begins;
    match u8::try_from(length) {
        Ok(length @ ..0x80) => out[begins - 1] = length,
        _ => {
            let mut written = Vec::new();
            write_varint(&mut written, length as u64);
            out.splice(begins - 1..begins, written);
        }
    }
}

/// A field with bytes in it, if there are any.
fn write_bytes(out: &mut Vec<u8>, key: u8, bytes: &[u8]) {
    if !bytes.is_empty() {
        out.push(key);
        write_varint(out, bytes.len() as u64);
        out.extend_from_slice(bytes);
    }
}

/// A field with a number in it, unless that is zero.
fn write_number(out: &mut Vec<u8>, key: u8, number: u64) {
    if number != 0 {
        out.push(key);
        write_varint(out, number);
    }
}

/// Seven bits in each byte, the last ones first; all bytes but the last have the eighth set.
fn write_varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// What is left of a message. Of each field it is none if that is not what comes next, or not written as it should be.
#[derive(Clone, Copy)]
struct Reader<'b>(&'b [u8]);

impl<'b> Reader<'b> {
    fn take(&mut self, length: usize) -> Option<&'b [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn next_is(&mut self, key: u8) -> bool {
        let is_next = self.0.first() == Some(&key);
        if is_next {
            self.0 = &self.0[1..];
        }
        is_next
    }

    fn varint(&mut self) -> Option<u64> {
        let mut number = 0;
        // Nine bytes are more than any time or length takes.
        for shift in (0..63).step_by(7) {
            let byte = *self.take(1)?.first()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }

    fn fixed64(&mut self, key: u8) -> Option<u64> {
        if !self.next_is(key) {
            return None;
        }
        Some(u64::from_le_bytes(self.take(8)?.try_into().ok()?))
    }

    fn part(&mut self, key: u8) -> Option<Self> {
        if !self.next_is(key) {
            return None;
        }
        let length = self.varint()?.try_into().ok()?;
        self.take(length).map(Self)
    }

    /// Empty if it was left out.
    fn bytes(&mut self, key: u8) -> Option<&'b [u8]> {
        match self.0.first() == Some(&key) {
            true => self.part(key).map(|part| part.0),
            false => Some(&[]),
        }
    }

    /// Zero if it was left out.
    fn number(&mut self, key: u8) -> Option<u64> {
        if self.next_is(key) { self.varint() } else { Some(0) }
    }
}

#[cfg(test)]
mod tests {
    use bugle_core::{PeripheralId, Stage, Time};
    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::Index;

    use super::*;
    use crate::strategies;

    const REQUEST: RequestId = RequestId::compose(Time::from_millis(1_800_000_000_000), 1);

    fn by_message(receipts: &[MemberOutcome]) -> Vec<u8> {
        let receipts =
            proto::Receipts { request: REQUEST.number(), receipts: receipts.iter().map(Into::into).collect() };
        proto::UpEntry { entry: Some(proto::up_entry::Entry::Receipts(receipts)) }.encode_to_vec()
    }

    fn read_by_message(bytes: &[u8]) -> Option<UpEntry> {
        proto::UpEntry::decode(bytes).ok()?.try_into().ok()
    }

    fn receipt(outcome: Outcome) -> MemberOutcome {
        let sighting = |stage| Sighting { stage, at: Time::from_millis(1_800_000_000_007) };
        let seen = vec![sighting(Stage::Asleep), sighting(Stage::Sent)];
        MemberOutcome { peripheral: PeripheralId::new("m1").expect("an id"), outcome, at: Time::ZERO, seen }
    }

    proptest! {
        #[test]
        fn the_bytes_are_those_of_the_messages(receipts in vec(strategies::member_outcome(), 0..5)) {
            let bytes = by_message(&receipts);
            prop_assert_eq!(&write_entry(REQUEST, &receipts), &bytes);
            prop_assert_eq!(read_entry(&bytes), Some(UpEntry::Receipts { request: REQUEST, receipts }));
        }

        #[test]
        fn what_is_read_of_bytes_that_anybody_wrote_is_what_the_messages_say(
            receipts in vec(strategies::member_outcome(), 1..5),
            (at, byte) in (any::<Index>(), any::<u8>()),
            is_cut: bool,
        ) {
            let mut bytes = by_message(&receipts);
            let at = at.index(bytes.len());
            if is_cut {
                bytes.truncate(at);
            } else {
                bytes[at] = byte;
            }
            if let Some(read) = read_entry(&bytes) {
                prop_assert_eq!(Some(read), read_by_message(&bytes));
            }
        }
    }

    #[test]
    fn what_nearly_all_members_have_is_read_without_a_message() {
        let content = [Content::default(), Content::text("21.5"), Content::text("x".repeat(300))];
        for outcome in content.map(|answer| Outcome::Executed { answer }).into_iter().chain([Outcome::Delivered]) {
            let receipt = receipt(outcome);
            let mut bytes = Vec::new();
            write_receipt(&mut bytes, &receipt);
            assert_eq!(read_receipt(Reader(&bytes)), Some(receipt));
        }
    }
}
