//! What is kept of a session, so that it outlives the process.

use std::fmt;

use ring::aead::{AES_128_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use zeroize::{Zeroize, Zeroizing};

use crate::connection_id::{ConnectionId, THEIRS_BYTES_MAX};
use crate::crypto::{Aead, RecordKey};
use crate::wire::{Reader, put_vector8};

/// What is authenticated beside the bytes: what they are, and how they are written.
const VERSION: &[u8] = b"a session of bugle-dtls, 1";

/// What sessions are encrypted with where they are kept.
///
/// An older state of what was kept must never be gone on from, since record numbers would be used twice. So whoever
/// puts back a copy of it must not put back this key with it.
#[derive(Clone)]
pub struct KeepingKey([u8; Self::BYTES]);

impl KeepingKey {
    /// How long it is.
    pub const BYTES: usize = 16;

    /// The key of these bytes, which must be random.
    #[must_use]
    pub const fn new(bytes: [u8; Self::BYTES]) -> Self {
        Self(bytes)
    }

    fn cipher(&self) -> LessSafeKey {
        LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &self.0).expect("the key has the length of the algorithm's"))
    }
}

impl Drop for KeepingKey {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for KeepingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeepingKey")
    }
}

/// A session as it is to be stored: see [`Server::keep`](crate::Server::keep).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// What to store, encrypted.
    pub sealed: Vec<u8>,
    /// What [`Server::confirm_kept`](crate::Server::confirm_kept) wants to know it by.
    pub mark: u64,
}

/// A session as another server can go on with it: see [`Server::resume`](crate::Server::resume).
#[derive(Debug, Clone)]
pub struct KeptSession {
    pub(crate) aead: Aead,
    pub(crate) read: RecordKey,
    pub(crate) write: RecordKey,
    /// Records of the peer below this sequence number are not taken any more.
    pub(crate) taken_to: u64,
    /// No record was sent under this sequence number, nor under a later one.
    pub(crate) resumes_with: u64,
    pub(crate) ours: Option<ConnectionId>,
    pub(crate) theirs: Box<[u8]>,
}

impl KeptSession {
    /// Encrypts it, with a nonce that was drawn for this.
    pub(crate) fn seal(&self, key: &KeepingKey, nonce: [u8; NONCE_LEN]) -> Kept {
        let mut bytes = self.to_bytes();
        let tag = key
            .cipher()
            .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), Aad::from(VERSION), &mut bytes)
            .expect("it is shorter than the cipher's limit");
        Kept { sealed: [&nonce[..], &bytes, tag.as_ref()].concat(), mark: self.resumes_with }
    }

    /// As of [`Kept`]: higher where the same session was kept later.
    #[must_use]
    pub const fn mark(&self) -> u64 {
        self.resumes_with
    }

    /// Decrypts what was stored; none if it was kept under another key, or is no session.
    #[must_use]
    pub fn open(key: &KeepingKey, sealed: &[u8]) -> Option<Self> {
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE_LEN>()?;
        let mut bytes = Zeroizing::new(sealed.to_vec());
        let nonce = Nonce::assume_unique_for_key(*nonce);
        Self::from_bytes(key.cipher().open_in_place(nonce, Aad::from(VERSION), &mut bytes).ok()?)
    }

    fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![self.aead.code()];
        for RecordKey { key, salt } in [&self.read, &self.write] {
            bytes.extend_from_slice(key);
            bytes.extend_from_slice(salt);
        }
        bytes.extend_from_slice(&self.taken_to.to_be_bytes());
        bytes.extend_from_slice(&self.resumes_with.to_be_bytes());
        put_vector8(&mut bytes, self.ours.as_ref().map_or(&[], ConnectionId::as_bytes));
        put_vector8(&mut bytes, &self.theirs);
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        let aead = Aead::from_code(reader.u8()?)?;
        let mut key = || Some(RecordKey { key: reader.array()?, salt: reader.array()? });
        let (read, write) = (key()?, key()?);
        let mut number = || reader.array().map(u64::from_be_bytes);
        let (taken_to, resumes_with) = (number()?, number()?);
        let ours = match reader.vector8()? {
            [] => None,
            id => Some(ConnectionId::from_bytes(id)?),
        };
        let theirs = reader.vector8().filter(|id| id.len() <= THEIRS_BYTES_MAX)?.into();
        reader.only(Self { aead, read, write, taken_to, resumes_with, ours, theirs })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(ours: Option<ConnectionId>, theirs: &[u8]) -> KeptSession {
        let key = |byte| RecordKey { key: [byte; 16], salt: [byte + 1; 4] };
        let (taken_to, resumes_with) = (9, 4_103);
        let theirs = theirs.into();
        KeptSession { aead: Aead::Aes128Ccm, read: key(1), write: key(3), taken_to, resumes_with, ours, theirs }
    }

    #[test]
    fn what_was_kept_reads_back_and_nothing_else_does() {
        for session in [kept(None, &[]), kept(Some(ConnectionId::new(5, [6; 4])), &[7; THEIRS_BYTES_MAX])] {
            let bytes = session.to_bytes();
            let read = KeptSession::from_bytes(&bytes).expect("it was written");
            assert_eq!(read.to_bytes(), bytes);
            assert_eq!((read.ours, read.theirs), (session.ours, session.theirs));
            for length in 0..bytes.len() {
                assert!(KeptSession::from_bytes(&bytes[..length]).is_none(), "{length} of {}", bytes.len());
            }
            assert!(KeptSession::from_bytes(&[&bytes[..], &[0]].concat()).is_none(), "more than it says");
        }
    }

    #[test]
    fn only_who_has_the_key_can_go_on_with_it() {
        let session = kept(None, &[]);
        let Kept { sealed, mark } = session.seal(&KeepingKey::new([1; 16]), [2; NONCE_LEN]);
        assert_eq!(mark, session.resumes_with);
        assert!(!sealed.windows(16).any(|window| window == session.read.key), "the keys are not in the open");
        let open = |key, sealed: &[u8]| KeptSession::open(&KeepingKey::new([key; 16]), sealed);
        assert_eq!(open(1, &sealed).map(|opened| opened.to_bytes()), Some(session.to_bytes()));
        assert!(open(2, &sealed).is_none() && open(1, &[]).is_none());
        for touched in 0..sealed.len() {
            let mut other = sealed.clone();
            other[touched] ^= 1;
            assert!(open(1, &other).is_none(), "byte {touched}");
        }
    }

    #[test]
    fn keys_are_not_shown() {
        assert!(!format!("{:?} {:?}", kept(None, &[]), KeepingKey::new([1; 16])).contains("[1, 1"));
    }
}
