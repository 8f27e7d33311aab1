//! A datagram as it goes out, and as it is kept to go out again.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

/// The bytes of one datagram. Cheap to clone; short ones (acknowledgements, resets, most responses
/// without a payload) need no memory of their own.
#[derive(Clone)]
pub struct Datagram(Bytes);

#[derive(Clone)]
enum Bytes {
    Short { length: u8, bytes: [u8; Datagram::SHORT_MAX] },
    Long(Arc<[u8]>),
}

impl Datagram {
    /// As much as an answer to Register takes, of which one is kept of every registered client.
    const SHORT_MAX: usize = 30;

    /// The datagram of these bytes.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Self {
        if bytes.len() > Self::SHORT_MAX {
            return Self(Bytes::Long(Arc::from(bytes)));
        }
        let mut short = [0; Self::SHORT_MAX];
        short[..bytes.len()].copy_from_slice(bytes);
        Self(Bytes::Short { length: bytes.len() as u8, bytes: short })
    }

    /// How many bytes of memory it takes beside itself.
    pub(crate) fn heap_bytes(&self) -> usize {
        match &self.0 {
            Bytes::Short { .. } => 0,
            Bytes::Long(bytes) => bytes.len(),
        }
    }
}

impl Deref for Datagram {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.0 {
            Bytes::Short { length, bytes } => &bytes[..usize::from(*length)],
            Bytes::Long(bytes) => bytes,
        }
    }
}

impl AsRef<[u8]> for Datagram {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl PartialEq for Datagram {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Datagram {}

impl fmt::Debug for Datagram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_datagram_holds_what_was_put_into_it_whatever_its_length() {
        for length in [0, 4, Datagram::SHORT_MAX, Datagram::SHORT_MAX + 1, 1200] {
            let bytes: Vec<u8> = (0..length).map(|index| index as u8).collect();
            assert_eq!(*Datagram::new(&bytes), bytes);
        }
    }

    #[test]
    fn a_datagram_is_no_larger_than_four_words() {
        assert_eq!(size_of::<Datagram>(), 32);
        assert_eq!(Datagram::new(&[0; Datagram::SHORT_MAX]).heap_bytes(), 0);
        assert_eq!(Datagram::new(&[0; 120]).heap_bytes(), 120);
    }
}
