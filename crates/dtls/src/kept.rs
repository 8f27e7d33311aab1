//! What is kept of a session, so that it outlives the process.

use crate::connection_id::{ConnectionId, THEIRS_BYTES_MAX};
use crate::crypto::{Aead, RecordKey};
use crate::wire::{Reader, put_vector8};

/// Of the bytes.
const VERSION: u8 = 1;

/// A session, as another server can go on with it: see [`Server::keep`](crate::Server::keep).
///
/// The keys are in it. Whoever has it can read what was said in the session and speak in it.
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
    /// What [`Server::confirm_kept`](crate::Server::confirm_kept) wants to know it by.
    #[must_use]
    pub const fn mark(&self) -> u64 {
        self.resumes_with
    }

    /// As bytes, to be stored where secrets may be.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION, self.aead.code()];
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

    /// Reads what [`to_bytes`](Self::to_bytes) wrote; none if it is not that.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        if reader.u8()? != VERSION {
            return None;
        }
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
            for (place, code) in [(0, VERSION + 1), (1, 0)] {
                let mut other = bytes.clone();
                other[place] = code;
                assert!(KeptSession::from_bytes(&other).is_none());
            }
        }
    }

    #[test]
    fn its_keys_are_not_shown() {
        assert!(!format!("{:?}", kept(None, &[])).contains("[1, 1"));
    }
}
