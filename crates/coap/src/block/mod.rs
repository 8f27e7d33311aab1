//! Bodies that do not fit into one datagram (RFC 7959).
//!
//! ```text
//!   Block1, a body on its way to us          Block2, a body on its way from us
//!   ── PUT 1:0/1/64, 64 bytes ──▶            ── GET ─────────────────────────▶  the caller answers, whole
//!   ◀─ 2.31 1:0/1/64 ──────────              ◀─ 2.05 2:0/1/64, ETag, 64 bytes ─ the rest is kept
//!   ── PUT 1:1/0/64, 10 bytes ──▶ the caller ── GET 2:1/0/64 ────────────────▶  answered from what is kept
//!   ◀─ 2.04 1:1/0/64 ──────────   answers    ◀─ 2.05 2:1/0/64, ETag ──────────
//! ```
//!
//! The caller sees whole bodies only.

mod body;
mod upload;

use std::fmt;

use crate::code::Method;
use crate::options::{Options, OptionsView};

pub(crate) use body::{Bodies, cut};
pub(crate) use upload::{Taken, Uploads};

/// How many bytes a block has: a power of two from 16 to 1024.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlockSize(u8);

impl BlockSize {
    /// 1024 bytes: as large as a block can be.
    pub const MAX: Self = Self(6);
    /// 16 bytes: as small as a block can be.
    pub const MIN: Self = Self(0);

    /// The largest block size of at most so many bytes, but no smaller than there is.
    #[must_use]
    pub fn at_most(bytes: usize) -> Self {
        (0..=Self::MAX.0).rev().map(Self).find(|size| size.bytes() <= bytes).unwrap_or(Self::MIN)
    }

    /// How many bytes.
    #[must_use]
    pub const fn bytes(self) -> usize {
        16 << self.0
    }
}

impl fmt::Debug for BlockSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.bytes().fmt(f)
    }
}

/// Which block of a body, and whether more follow: the value of Block1 and Block2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Block {
    pub(crate) number: u32,
    pub(crate) has_more: bool,
    pub(crate) size: BlockSize,
}

impl Block {
    /// The number has 20 bits.
    const NUMBER_MAX: u32 = (1 << 20) - 1;

    /// The block of a body that begins at `offset`.
    pub(crate) fn at(offset: usize, size: BlockSize, has_more: bool) -> Option<Self> {
        let number = u32::try_from(offset / size.bytes()).ok().filter(|number| *number <= Self::NUMBER_MAX)?;
        Some(Self { number, has_more, size })
    }

    /// Reads an option's value; none if its size is the reserved one (RFC 7959 §2.2).
    pub(crate) fn from_uint(value: u32) -> Option<Self> {
        let exponent = (value & 7) as u8;
        (exponent <= BlockSize::MAX.0).then_some(Self {
            number: value >> 4,
            has_more: value & 8 != 0,
            size: BlockSize(exponent),
        })
    }

    pub(crate) const fn to_uint(self) -> u32 {
        (self.number << 4) | ((self.has_more as u32) << 3) | self.size.0 as u32
    }

    /// Where in the body it begins.
    pub(crate) const fn offset(self) -> usize {
        self.number as usize * self.size.bytes()
    }

    /// Whether a payload has the length that this block must have.
    pub(crate) const fn fits(self, payload: &[u8]) -> bool {
        if self.has_more { payload.len() == self.size.bytes() } else { payload.len() <= self.size.bytes() }
    }
}

/// What the blocks of one body have in common (RFC 7959 §2.5, RFC 9175 §3.3).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct BodyKey {
    method: Method,
    options: Options,
}

impl BodyKey {
    pub(crate) fn new(method: Method, options: OptionsView<'_>) -> Self {
        let is_outside = options.entries().any(|(number, _)| number.is_outside_cache_key());
        let options =
            if is_outside { options.filtered(|number| !number.is_outside_cache_key()) } else { options.to_options() };
        Self { method, options }
    }

    pub(crate) const fn method(&self) -> Method {
        self.method
    }

    /// Before all others.
    fn first() -> Self {
        Self { method: Method::Get, options: Options::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::option::OptionNumber;

    #[test]
    fn a_block_reads_back_as_written_and_the_reserved_size_is_refused() {
        for number in [0, 1, Block::NUMBER_MAX] {
            for size in [BlockSize::MIN, BlockSize::MAX] {
                for has_more in [false, true] {
                    let block = Block { number, has_more, size };
                    assert_eq!(Block::from_uint(block.to_uint()), Some(block));
                }
            }
        }
        assert_eq!(Block::from_uint(7), None);
    }

    /// RFC 7959, figure 2 onwards write a block as 2:1/0/64.
    #[test]
    fn a_block_is_counted_in_its_own_size() {
        let block = Block::at(128, BlockSize::at_most(64), false).expect("far below 20 bits");
        assert_eq!((block.number, block.to_uint()), (2, 0x22));
        assert_eq!(Block::at(usize::MAX / 2, BlockSize::MIN, false), None);
    }

    #[test]
    fn the_block_size_is_the_largest_that_is_asked_for() {
        assert_eq!(BlockSize::at_most(1_500), BlockSize::MAX);
        assert_eq!(BlockSize::at_most(100).bytes(), 64);
        assert_eq!(BlockSize::at_most(3), BlockSize::MIN);
    }

    #[test]
    fn blocks_of_one_body_have_one_key() {
        let mut options = Options::new();
        options.insert(OptionNumber::URI_PATH, b"large");
        let plain = BodyKey::new(Method::Get, options.view());
        for number in [OptionNumber::OBSERVE, OptionNumber::BLOCK2, OptionNumber::SIZE2] {
            options.insert(number, &[]);
        }
        assert_eq!(BodyKey::new(Method::Get, options.view()), plain);
        assert_ne!(BodyKey::new(Method::Fetch, options.view()), plain);
        options.insert(OptionNumber::REQUEST_TAG, &[1]);
        assert_ne!(BodyKey::new(Method::Get, options.view()), plain);
    }
}
