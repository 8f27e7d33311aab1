//! The options of one message, kept as they stand on the wire.
//!
//! So taking them out of a datagram is one copy, putting them into one is another, and nothing is
//! parsed that nobody asks for.

use std::fmt;

use smallvec::SmallVec;
use thiserror::Error;

use crate::message::FormatError;
use crate::option::OptionNumber;

/// Enough for the path and the formats of most requests.
const INLINE_BYTES: usize = 32;

/// A value that its option may not have. The fault is of whoever adds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("option {number} may not have this value of {length} bytes")]
pub struct OptionValueError {
    /// Which option.
    pub number: OptionNumber,
    /// How long the value is.
    pub length: usize,
}

/// The options of a message, to be written.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Options {
    bytes: SmallVec<[u8; INLINE_BYTES]>,
}

/// The options of a message, to be read.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct OptionsView<'a> {
    bytes: &'a [u8],
}

/// One option: its number and its value.
pub type OptionEntry<'a> = (OptionNumber, &'a [u8]);

impl Options {
    /// The longest value that an option can carry (RFC 7252 §3.1).
    const VALUE_BYTES_MAX: usize = u16::MAX as usize + 269;

    /// No options.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// To read them.
    #[must_use]
    pub fn view(&self) -> OptionsView<'_> {
        OptionsView { bytes: &self.bytes }
    }

    /// Adds an option after those of the same number.
    ///
    /// # Errors
    /// If the value is none that the option may have.
    pub fn add(&mut self, number: OptionNumber, value: &[u8]) -> Result<(), OptionValueError> {
        if !number.allows(value) || value.len() > Self::VALUE_BYTES_MAX {
            return Err(OptionValueError { number, length: value.len() });
        }
        self.insert(number, value);
        Ok(())
    }

    /// Adds an option whose value is a number, in as few bytes as it needs (RFC 7252 §3.2).
    ///
    /// # Errors
    /// If the number is larger than the option may have.
    pub fn add_uint(&mut self, number: OptionNumber, value: u32) -> Result<(), OptionValueError> {
        self.add(number, uint_bytes(&value.to_be_bytes()))
    }

    /// Removes all options of this number.
    pub fn remove(&mut self, number: OptionNumber) {
        if self.view().entries().any(|(other, _)| other == number) {
            *self = self.view().filtered(|other| other != number);
        }
    }

    /// Puts one option of this number in place of those that are there. For values known to be allowed.
    pub(crate) fn set_uint(&mut self, number: OptionNumber, value: u32) {
        self.remove(number);
        self.insert(number, uint_bytes(&value.to_be_bytes()));
    }

    pub(crate) fn insert(&mut self, number: OptionNumber, value: &[u8]) {
        let mut before = OptionNumber::new(0);
        let mut entries = self.view().entries();
        let mut at = 0;
        let mut following = None;
        while let Some((other, other_value)) = entries.next() {
            if other > number {
                following = Some((other, SmallVec::<[u8; INLINE_BYTES]>::from_slice(other_value)));
                break;
            }
            before = other;
            at = self.bytes.len() - entries.bytes.len();
        }
        let rest: SmallVec<[u8; INLINE_BYTES]> = SmallVec::from_slice(entries.bytes);
        self.bytes.truncate(at);
        self.write(number.number() - before.number(), value);
        // The delta of the option behind it is counted from the new one now.
        if let Some((other, other_value)) = following {
            self.write(other.number() - number.number(), &other_value);
            self.bytes.extend_from_slice(&rest);
        }
    }

    fn write(&mut self, delta: u16, value: &[u8]) {
        let (delta_nibble, delta_extension) = Extension::of(usize::from(delta));
        let (length_nibble, length_extension) = Extension::of(value.len());
        self.bytes.push((delta_nibble << 4) | length_nibble);
        self.bytes.extend_from_slice(delta_extension.as_bytes());
        self.bytes.extend_from_slice(length_extension.as_bytes());
        self.bytes.extend_from_slice(value);
    }
}

impl<'a> OptionsView<'a> {
    /// Splits what follows the token of a message into its options and its payload.
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<(Self, &'a [u8]), FormatError> {
        let mut rest = bytes;
        let mut number = 0_u16;
        while let Some(&first) = rest.first() {
            if first == PAYLOAD_MARKER {
                let payload = &rest[1..];
                let options = Self { bytes: &bytes[..bytes.len() - rest.len()] };
                // RFC 7252 §3: a marker that no payload follows is a format error.
                return if payload.is_empty() { Err(FormatError::EmptyPayload) } else { Ok((options, payload)) };
            }
            let (delta, _, after) = split_first(rest).ok_or(FormatError::Option)?;
            number = number.checked_add(delta).ok_or(FormatError::Option)?;
            rest = after;
        }
        Ok((Self { bytes }, &[]))
    }

    /// The options as they stand on the wire.
    pub(crate) const fn as_bytes(self) -> &'a [u8] {
        self.bytes
    }

    /// All options, by ascending number, those not understood among them.
    #[must_use]
    pub const fn entries(self) -> OptionEntries<'a> {
        OptionEntries { bytes: self.bytes, number: 0 }
    }

    /// The values of an option, other than those that it may not have (RFC 7252 §5.4.3).
    pub fn values(self, number: OptionNumber) -> impl Iterator<Item = &'a [u8]> + Clone {
        self.entries()
            .skip_while(move |(other, _)| *other < number)
            .take_while(move |(other, _)| *other == number)
            .map(|(_, value)| value)
            .filter(move |value| number.allows(value))
    }

    /// The first value of an option.
    #[must_use]
    pub fn first(self, number: OptionNumber) -> Option<&'a [u8]> {
        self.values(number).next()
    }

    /// The value of an option that is a number.
    #[must_use]
    pub fn uint(self, number: OptionNumber) -> Option<u32> {
        let value = self.first(number).filter(|value| value.len() <= 4)?;
        Some(value.iter().fold(0, |high, byte| (high << 8) | u32::from(*byte)))
    }

    /// The values of an option that is text.
    pub fn texts(self, number: OptionNumber) -> impl Iterator<Item = &'a str> + Clone {
        self.values(number).filter_map(|value| std::str::from_utf8(value).ok())
    }

    /// The first critical option that is not understood: one that is not known, that has a value it may
    /// not have, or that comes twice and may not (RFC 7252 §5.4.1, §5.4.3, §5.4.5).
    #[must_use]
    pub fn not_understood(self) -> Option<OptionNumber> {
        let mut before = None;
        for (number, value) in self.entries().filter(|(number, _)| number.is_critical()) {
            let is_understood = number.allows(value)
                && number.definition().is_some_and(|definition| definition.is_repeatable || before != Some(number));
            if !is_understood {
                return Some(number);
            }
            before = Some(number);
        }
        None
    }

    /// Those options whose number is `wanted`.
    pub(crate) fn filtered(self, wanted: impl Fn(OptionNumber) -> bool) -> Options {
        let mut options = Options::new();
        let mut before = 0;
        for (number, value) in self.entries().filter(|(number, _)| wanted(*number)) {
            options.write(number.number() - before, value);
            before = number.number();
        }
        options
    }

    /// A copy to keep.
    #[must_use]
    pub fn to_options(self) -> Options {
        Options { bytes: SmallVec::from_slice(self.bytes) }
    }
}

/// Goes through the options of a message.
#[derive(Debug, Clone)]
pub struct OptionEntries<'a> {
    bytes: &'a [u8],
    number: u16,
}

impl<'a> Iterator for OptionEntries<'a> {
    type Item = OptionEntry<'a>;

    fn next(&mut self) -> Option<OptionEntry<'a>> {
        let (delta, value, rest) = split_first(self.bytes)?;
        self.number += delta;
        self.bytes = rest;
        Some((OptionNumber::new(self.number), value))
    }
}

pub(crate) const PAYLOAD_MARKER: u8 = 0xff;

/// The delta and the value of the first option, and what follows it (RFC 7252 §3.1).
fn split_first(bytes: &[u8]) -> Option<(u16, &[u8], &[u8])> {
    let (&first, rest) = bytes.split_first()?;
    let (delta, rest) = extended(first >> 4, rest)?;
    let (length, rest) = extended(first & 0x0f, rest)?;
    let (value, rest) = rest.split_at_checked(length)?;
    Some((u16::try_from(delta).ok()?, value, rest))
}

fn extended(nibble: u8, bytes: &[u8]) -> Option<(usize, &[u8])> {
    match nibble {
        0..13 => Some((usize::from(nibble), bytes)),
        13 => bytes.split_first().map(|(byte, rest)| (usize::from(*byte) + 13, rest)),
        14 => bytes.split_first_chunk().map(|(pair, rest)| (usize::from(u16::from_be_bytes(*pair)) + 269, rest)),
        _ => None,
    }
}

/// What follows the first byte of an option whose delta or length does not fit into four bits.
struct Extension {
    bytes: [u8; 2],
    length: usize,
}

impl Extension {
    /// The nibble that announces it, and the extension.
    fn of(number: usize) -> (u8, Self) {
        match number {
            0..13 => (number as u8, Self { bytes: [0; 2], length: 0 }),
            13..269 => (13, Self { bytes: [(number - 13) as u8, 0], length: 1 }),
            _ => (14, Self { bytes: ((number - 269) as u16).to_be_bytes(), length: 2 }),
        }
    }

    fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

/// A number without its leading zero bytes.
fn uint_bytes(bytes: &[u8; 4]) -> &[u8] {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    &bytes[zeros..]
}

impl fmt::Debug for OptionsView<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
        f.debug_list().entries(self.entries().map(|(number, value)| (number.number(), text(value)))).finish()
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.view().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_number_is_written_in_as_few_bytes_as_it_needs() {
        let mut options = Options::new();
        options.add_uint(OptionNumber::MAX_AGE, 0).expect("any number will do");
        assert_eq!(options.view().first(OptionNumber::MAX_AGE), Some(&[][..]));
        options.set_uint(OptionNumber::MAX_AGE, 0x0102);
        assert_eq!(options.view().first(OptionNumber::MAX_AGE), Some(&[1, 2][..]));
        assert_eq!(options.view().uint(OptionNumber::MAX_AGE), Some(0x0102));
        assert!(options.add_uint(OptionNumber::ACCEPT, 0x1_0000).is_err());
    }

    #[test]
    fn a_critical_option_that_is_unknown_misshapen_or_repeated_is_not_understood() {
        let mut options = Options::new();
        options.insert(OptionNumber::URI_PATH, b"rd");
        options.insert(OptionNumber::URI_PATH, b"4");
        options.insert(OptionNumber::new(2048), b"elective");
        assert_eq!(options.view().not_understood(), None);
        for (number, value) in [
            (OptionNumber::new(9), &b""[..]),
            (OptionNumber::ACCEPT, &[0, 0, 0]),
            (OptionNumber::URI_PATH, &[0xc0]),
            (OptionNumber::new(2049), b"critical"),
        ] {
            let mut options = options.clone();
            options.insert(number, value);
            assert_eq!(options.view().not_understood(), Some(number));
        }
        options.insert(OptionNumber::ACCEPT, &[60]);
        assert_eq!(options.view().not_understood(), None);
        options.insert(OptionNumber::ACCEPT, &[60]);
        assert_eq!(options.view().not_understood(), Some(OptionNumber::ACCEPT));
    }

    #[test]
    fn an_option_is_removed_even_if_its_value_is_one_it_may_not_have() {
        let mut options = Options::new();
        options.insert(OptionNumber::IF_NONE_MATCH, &[0]);
        options.remove(OptionNumber::IF_NONE_MATCH);
        assert_eq!(options, Options::new());
    }

    #[test]
    fn an_elective_option_with_a_value_it_may_not_have_is_as_if_it_were_not_there() {
        let mut options = Options::new();
        options.insert(OptionNumber::OBSERVE, &[0; 4]);
        assert_eq!(options.view().uint(OptionNumber::OBSERVE), None);
        assert_eq!(options.view().not_understood(), None);
    }

    fn entry() -> impl Strategy<Value = (u16, Vec<u8>)> {
        (prop_oneof![0..30_u16, 200..320_u16, any::<u16>()], prop::collection::vec(any::<u8>(), 0..300))
    }

    proptest! {
        #[test]
        fn options_read_back_sorted_whatever_the_order_they_were_added_in(
            entries in prop::collection::vec(entry(), 0..12)
        ) {
            let mut options = Options::new();
            for (number, value) in &entries {
                options.insert(OptionNumber::new(*number), value);
            }
            let mut sorted = entries;
            sorted.sort_by_key(|(number, _)| *number);
            let read: Vec<_> =
                options.view().entries().map(|(number, value)| (number.number(), value.to_vec())).collect();
            prop_assert_eq!(&read, &sorted);
            let (parsed, payload) = OptionsView::parse(&options.bytes).expect("written by the same hand");
            prop_assert_eq!(parsed, options.view());
            prop_assert!(payload.is_empty());
        }

        #[test]
        fn removing_an_option_leaves_the_others(entries in prop::collection::vec(entry(), 1..12)) {
            let mut options = Options::new();
            for (number, value) in &entries {
                options.insert(OptionNumber::new(*number), value);
            }
            let removed = entries[0].0;
            options.remove(OptionNumber::new(removed));
            let mut rest: Vec<_> = entries.into_iter().filter(|(number, _)| *number != removed).collect();
            rest.sort_by_key(|(number, _)| *number);
            let read: Vec<_> =
                options.view().entries().map(|(number, value)| (number.number(), value.to_vec())).collect();
            prop_assert_eq!(read, rest);
        }
    }
}
