//! Connection ids (RFC 9146): a peer whose address changes is recognised.

/// How long ours are.
pub(crate) const OURS_BYTES: usize = 8;

/// The longest of a peer's that is used. With a longer one, it is as if it had offered none.
pub(crate) const THEIRS_BYTES_MAX: usize = 32;

/// One of ours: where the association is kept, so that it is found, and a part that is drawn, so that it is not
/// taken for another that was kept there before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ConnectionId([u8; OURS_BYTES]);

impl ConnectionId {
    pub(crate) fn new(place: u32, drawn: [u8; 4]) -> Self {
        let [a, b, c, d] = place.to_be_bytes();
        let [e, f, g, h] = drawn;
        Self([a, b, c, d, e, f, g, h])
    }

    pub(crate) const fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// One of ours, if it can be that.
    pub(crate) fn from_bytes(id: &[u8]) -> Option<Self> {
        id.try_into().ok().map(Self)
    }

    /// Where its association is kept.
    pub(crate) fn at(self) -> u32 {
        let [a, b, c, d, ..] = self.0;
        u32::from_be_bytes([a, b, c, d])
    }
}
