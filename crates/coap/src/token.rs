//! Message ids and tokens: which message, and which request a response belongs to.
//!
//! A token is a keyed hash over a counter: none comes twice (RFC 9175 §4), and whoever cannot see the
//! datagrams cannot guess one (RFC 7252 §5.3.1).

use std::fmt;
use std::hash::{Hash, Hasher};

use bugle_core::Time;
use siphasher::sip::{SipHasher13, SipHasher24};

/// Tells the messages of one sender to one peer apart (RFC 7252 §4.4).
///
/// The upper half of the numbers is the caller's: an identity that must be durable before the first
/// transmission is made of [`MessageId::supplied`]. The endpoint draws from the lower half, so the two never meet.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId(u16);

impl MessageId {
    const SUPPLIED: u16 = 0x8000;

    /// The id as it stands in a message.
    #[must_use]
    pub const fn new(number: u16) -> Self {
        Self(number)
    }

    /// An id of the caller's own; of `number` the lower 15 bits count.
    #[must_use]
    pub const fn supplied(number: u16) -> Self {
        Self(number | Self::SUPPLIED)
    }

    /// The one that the endpoint draws at `step` from the start that it drew for a peer.
    pub(crate) const fn drawn(step: u16) -> Self {
        Self(step & !Self::SUPPLIED)
    }

    /// Its number.
    #[must_use]
    pub const fn number(self) -> u16 {
        self.0
    }
}

impl fmt::Debug for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "mid:{:04x}", self.0)
    }
}

/// Matches a response with its request: up to 8 bytes, chosen by whoever asks.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Token {
    length: u8,
    bytes: [u8; Self::BYTES_MAX],
}

impl Token {
    /// The most bytes that a token has.
    pub const BYTES_MAX: usize = 8;
    /// The token without bytes.
    pub const EMPTY: Self = Self { length: 0, bytes: [0; Self::BYTES_MAX] };

    /// The token of these bytes; none if there are more than eight.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Option<Self> {
        let mut token = Self { length: u8::try_from(bytes.len()).ok()?, bytes: [0; Self::BYTES_MAX] };
        token.bytes.get_mut(..bytes.len())?.copy_from_slice(bytes);
        Some(token)
    }

    /// Its bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("token:")?;
        self.as_bytes().iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// What a request is known by on the wire: kept before the first transmission, it makes a
/// retransmission after a crash recognisable as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identity {
    /// The id of its first message.
    pub message_id: MessageId,
    /// The token of its first message.
    pub token: Token,
}

/// Makes all that must not be guessed, from one secret.
#[derive(Clone)]
pub(crate) struct Generator {
    secret: [u8; 16],
    count: u64,
}

/// What a number is drawn for, so that one never tells anything of another.
#[derive(Hash)]
enum Purpose {
    Token,
    Number,
    Peer,
    Echo,
    Digest,
}

impl Generator {
    pub(crate) const fn new(secret: [u8; 16]) -> Self {
        Self { secret, count: 0 }
    }

    /// A token that was never given out before.
    pub(crate) fn token(&mut self) -> Token {
        Token { length: 8, bytes: self.draw(&Purpose::Token).to_be_bytes() }
    }

    /// A number from 0 to `bound`, `bound` included.
    pub(crate) fn up_to(&mut self, bound: u64) -> u64 {
        let random = self.draw(&Purpose::Number);
        // The upper half of the product spreads the draw evenly enough over a bound this small.
        ((u128::from(random) * (u128::from(bound) + 1)) >> 64) as u64
    }

    /// Where a peer is in a hash table. Keyed, so that nobody can choose addresses that collide.
    pub(crate) fn place(&self, peer: &impl Hash) -> u64 {
        let mut hasher = SipHasher13::new_with_key(&self.secret);
        (Purpose::Peer, peer).hash(&mut hasher);
        hasher.finish()
    }

    /// A proof that this endpoint sent something to `peer` in the second `at` (RFC 9175 §2.3).
    pub(crate) fn echo(&self, peer: &impl Hash, at: Time) -> u64 {
        let mut hasher = SipHasher24::new_with_key(&self.secret);
        (Purpose::Echo, peer, at).hash(&mut hasher);
        hasher.finish()
    }

    /// A digest of a representation, to tell one from its successor.
    pub(crate) fn digest(&self, representation: &[u8]) -> u64 {
        let mut hasher = SipHasher24::new_with_key(&self.secret);
        (Purpose::Digest, representation).hash(&mut hasher);
        hasher.finish()
    }

    fn draw(&mut self, purpose: &Purpose) -> u64 {
        self.count += 1;
        let mut hasher = SipHasher24::new_with_key(&self.secret);
        (purpose, self.count).hash(&mut hasher);
        hasher.finish()
    }
}

impl fmt::Debug for Generator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Generator").field("count", &self.count).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_token_has_at_most_eight_bytes() {
        assert_eq!(Token::new(&[1; 9]), None);
        assert_eq!(Token::new(&[7; 8]).expect("eight bytes").as_bytes(), [7; 8]);
        assert_ne!(Token::new(&[0]), Token::new(&[0, 0]));
    }

    #[test]
    fn no_token_comes_twice_and_another_secret_gives_others() {
        let mut generator = Generator::new([1; 16]);
        let tokens: BTreeSet<_> = (0..10_000).map(|_| generator.token()).collect();
        assert_eq!(tokens.len(), 10_000);
        let mut other = Generator::new([2; 16]);
        assert!((0..10_000).all(|_| !tokens.contains(&other.token())));
    }

    #[test]
    fn a_drawn_number_reaches_both_ends_of_its_range_and_no_further() {
        let mut generator = Generator::new([3; 16]);
        let numbers: BTreeSet<_> = (0..1_000).map(|_| generator.up_to(9)).collect();
        assert_eq!(numbers, (0..=9).collect());
    }

    #[test]
    fn supplied_and_drawn_message_ids_never_meet() {
        for number in [0, 1, 0x7fff, 0x8000, 0xffff] {
            assert_ne!(MessageId::supplied(number), MessageId::drawn(number));
        }
    }

    #[test]
    fn a_generator_does_not_print_its_secret() {
        assert!(!format!("{:?}", Generator::new([0xab; 16])).contains("171"));
    }
}
