//! Takes a message apart from the front. `None` means that it is shorter than it says.

/// What is left to read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reader<'d>(&'d [u8]);

impl<'d> Reader<'d> {
    pub(crate) const fn new(bytes: &'d [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) const fn remaining(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn take(&mut self, count: usize) -> Option<&'d [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*taken)
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(crate) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    pub(crate) fn u24(&mut self) -> Option<usize> {
        self.array().map(|[a, b, c]: [u8; 3]| u32::from_be_bytes([0, a, b, c]) as usize)
    }

    pub(crate) fn u48(&mut self) -> Option<u64> {
        self.array().map(|[a, b, c, d, e, f]: [u8; 6]| u64::from_be_bytes([0, 0, a, b, c, d, e, f]))
    }

    /// A vector with its length in one byte.
    pub(crate) fn vector8(&mut self) -> Option<&'d [u8]> {
        let count = self.u8()?;
        self.take(count.into())
    }

    /// A vector with its length in two bytes.
    pub(crate) fn vector16(&mut self) -> Option<&'d [u8]> {
        let count = self.u16()?;
        self.take(count.into())
    }

    /// A vector with its length in three bytes.
    pub(crate) fn vector24(&mut self) -> Option<&'d [u8]> {
        let count = self.u24()?;
        self.take(count)
    }

    /// The value, if there is nothing after it.
    pub(crate) fn only<T>(self, value: T) -> Option<T> {
        self.is_empty().then_some(value)
    }
}
