//! What two peers have when the handshake is done: keys, and which records were sent and taken.
//!
//! A session can be kept, to go on in another process after this one has died. Under the same keys no sequence number
//! may be used twice (RFC 5288 §3, RFC 6655 §3), and how many were used when the process dies nobody knows. So what is
//! kept goes on well ahead of them, and until it is durable that something further ahead is kept, no number is used
//! from there on.

use std::num::NonZeroU64;

use crate::connection_id::{ConnectionId, THEIRS_BYTES_MAX};
use crate::crypto::{Aead, RecordKey};
use crate::kept::KeptSession;
use crate::replay::{ReplayWindow, Standing};
use crate::wire::{ContentType, RECORD_HEADER_BYTES, Record, Version, put_u16, put_u48};

/// The explicit part of the nonce, in front of the text of every record.
const NONCE_BYTES: usize = 8;

/// The epoch of all records under the keys. There is no second one: nothing is renegotiated.
const EPOCH: u16 = 1;

/// Sequence numbers that data leaves to the last words.
const LAST_WORDS: u64 = 16;

/// No sequence number is as high.
const SEQUENCE_END: u64 = 1 << 48;

/// How many records are sent, at most, before a session that is kept must be kept anew.
const KEPT_AHEAD: u64 = 1 << 12;

/// One session, from one side.
#[derive(Debug)]
pub(crate) struct Session {
    aead: Aead,
    read: RecordKey,
    write: RecordKey,
    window: ReplayWindow,
    next_sequence: u64,
    /// Where the sequence numbers end that may be used: with those that it would go on with after a restart.
    sequence_end: u64,
    /// With which sequence number it would go on by what was kept last; none if it was not kept.
    kept_to: Option<NonZeroU64>,
    ours: Option<ConnectionId>,
    /// Empty if the peer has none.
    theirs: Box<[u8]>,
}

/// Which connection ids both have agreed to use.
#[derive(Debug, Clone, Default)]
pub(crate) struct ConnectionIds {
    /// What the peer puts on records to us.
    pub(crate) ours: Option<ConnectionId>,
    /// What we put on records to the peer.
    pub(crate) theirs: Box<[u8]>,
}

/// What was in a record.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Opened {
    pub(crate) content_type: ContentType,
    pub(crate) text: Vec<u8>,
    pub(crate) standing: Standing,
}

/// Why a record is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unopened {
    /// It is under another epoch, or another connection id, than those of this session.
    Foreign,
    /// It came before.
    Replayed,
    /// It was not made with the keys of this session.
    Forged,
}

impl Session {
    pub(crate) fn new(aead: Aead, read: RecordKey, write: RecordKey, ids: ConnectionIds) -> Self {
        let ConnectionIds { ours, theirs } = ids;
        Self {
            aead,
            read,
            write,
            window: ReplayWindow::default(),
            next_sequence: 0,
            sequence_end: SEQUENCE_END,
            kept_to: None,
            ours,
            theirs,
        }
    }

    /// What the peer finds this session by, whatever its address.
    pub(crate) const fn connection_id(&self) -> Option<ConnectionId> {
        self.ours
    }

    /// Whether data may be sent. If not, and the session is kept, it may once it is kept anew.
    pub(crate) const fn may_send(&self) -> bool {
        self.next_sequence + LAST_WORDS < self.sequence_end
    }

    /// Whether a last word may be sent.
    pub(crate) const fn may_end(&self) -> bool {
        self.next_sequence < self.sequence_end
    }

    /// What brings it back in another process, once that is durable.
    pub(crate) fn keep(&mut self) -> KeptSession {
        let resumes_with = (self.next_sequence + KEPT_AHEAD).min(SEQUENCE_END);
        if self.kept_to.is_none() {
            // Nothing older is durable that another process could go on from.
            self.sequence_end = resumes_with;
        }
        self.kept_to = NonZeroU64::new(resumes_with);
        KeptSession {
            aead: self.aead,
            read: self.read.clone(),
            write: self.write.clone(),
            taken_to: self.window.next(),
            resumes_with,
            ours: self.ours,
            theirs: self.theirs.clone(),
        }
    }

    /// What was kept, to go on with that sequence number, is durable.
    pub(crate) fn confirm_kept(&mut self, resumes_with: u64) {
        if self.kept_to.is_some_and(|kept_to| kept_to.get() == resumes_with) {
            self.sequence_end = resumes_with;
        }
    }

    /// Nothing is kept of it any more, and that is durable.
    pub(crate) const fn release(&mut self) {
        (self.kept_to, self.sequence_end) = (None, SEQUENCE_END);
    }

    pub(crate) const fn is_kept(&self) -> bool {
        self.kept_to.is_some()
    }

    /// Goes on with what was kept. Before the first record it must be kept anew: others may have gone on with the
    /// same before.
    pub(crate) fn resume(kept: KeptSession) -> Self {
        let KeptSession { aead, read, write, taken_to, resumes_with, ours, theirs } = kept;
        Self {
            aead,
            read,
            write,
            window: ReplayWindow::from(taken_to),
            next_sequence: resumes_with,
            sequence_end: resumes_with,
            kept_to: NonZeroU64::new(resumes_with),
            ours,
            theirs,
        }
    }

    /// Appends a record that only the peer can open.
    pub(crate) fn seal(&mut self, content_type: ContentType, text: &[u8], out: &mut Vec<u8>) {
        let sequence = self.next_sequence;
        self.next_sequence += 1;
        let has_id = !self.theirs.is_empty();
        let outer = if has_id { ContentType::ConnectionId } else { content_type };
        let text_bytes = text.len() + usize::from(has_id);
        let sealed_bytes = NONCE_BYTES + text_bytes + self.aead.tag_bytes();
        out.reserve(RECORD_HEADER_BYTES + self.theirs.len() + sealed_bytes);
        out.push(outer.code());
        out.extend_from_slice(&Version::DTLS_1_2.0.to_be_bytes());
        out.extend_from_slice(&EPOCH.to_be_bytes());
        put_u48(out, sequence);
        out.extend_from_slice(&self.theirs);
        put_u16(out, sealed_bytes);
        let numbers = numbers(sequence);
        out.extend_from_slice(&numbers);
        let from = out.len();
        out.extend_from_slice(text);
        if has_id {
            // RFC 9146 §4: the type that it really is stands inside.
            out.push(content_type.code());
        }
        let additional = Additional::new(outer, Version::DTLS_1_2, sequence, &self.theirs, text_bytes);
        self.write.seal(self.aead, numbers, additional.as_bytes(), out, from);
    }

    /// Opens a record of the peer, once.
    pub(crate) fn open(&mut self, record: &Record<'_>) -> Result<Opened, Unopened> {
        let ours = self.ours.as_ref().map_or(&[][..], ConnectionId::as_bytes);
        if record.epoch != EPOCH || record.connection_id != ours {
            return Err(Unopened::Foreign);
        }
        let standing = self.window.standing(record.sequence);
        if standing == Standing::Replayed {
            return Err(Unopened::Replayed);
        }
        let (explicit, sealed) = record.body.split_first_chunk().ok_or(Unopened::Forged)?;
        let text_bytes = sealed.len().checked_sub(self.aead.tag_bytes()).ok_or(Unopened::Forged)?;
        let Record { content_type, version, sequence, .. } = *record;
        let additional = Additional::new(content_type, version, sequence, ours, text_bytes);
        let mut text = sealed.to_vec();
        if !self.read.open(self.aead, *explicit, additional.as_bytes(), &mut text) {
            return Err(Unopened::Forged);
        }
        self.window.take(sequence);
        let content_type = match content_type {
            ContentType::ConnectionId => take_inner_type(&mut text).ok_or(Unopened::Forged)?,
            outer => outer,
        };
        Ok(Opened { content_type, text, standing })
    }
}

/// RFC 9146 §4: behind the text is its type, and behind that any number of zeros.
fn take_inner_type(text: &mut Vec<u8>) -> Option<ContentType> {
    let last = text.iter().rposition(|byte| *byte != 0)?;
    let inner = ContentType::from_code(text[last])?;
    text.truncate(last);
    Some(inner)
}

/// Epoch and sequence number in eight bytes.
fn numbers(sequence: u64) -> [u8; 8] {
    (u64::from(EPOCH) << 48 | sequence).to_be_bytes()
}

/// What is authenticated beside the text.
struct Additional {
    bytes: [u8; Self::BYTES_MAX],
    length: usize,
}

impl Additional {
    const BYTES_MAX: usize = 23 + THEIRS_BYTES_MAX;

    fn new(outer: ContentType, version: Version, sequence: u64, connection_id: &[u8], text_bytes: usize) -> Self {
        let mut additional = Self { bytes: [0; Self::BYTES_MAX], length: 0 };
        let text_bytes = (text_bytes as u16).to_be_bytes();
        if outer == ContentType::ConnectionId {
            // RFC 9146 §5.3.
            additional.put(&[0xff; 8]);
            additional.put(&[outer.code(), connection_id.len() as u8, outer.code()]);
            additional.put(&version.0.to_be_bytes());
            additional.put(&numbers(sequence));
            additional.put(connection_id);
        } else {
            // RFC 5246 §6.2.3.3, with the numbers of RFC 6347 §4.1.2.1.
            additional.put(&numbers(sequence));
            additional.put(&[outer.code()]);
            additional.put(&version.0.to_be_bytes());
        }
        additional.put(&text_bytes);
        additional
    }

    fn put(&mut self, bytes: &[u8]) {
        self.bytes[self.length..self.length + bytes.len()].copy_from_slice(bytes);
        self.length += bytes.len();
    }

    fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Records;

    fn key(byte: u8) -> RecordKey {
        RecordKey { key: [byte; 16], salt: [byte; 4] }
    }

    fn pair(ours: Option<ConnectionId>) -> (Session, Session) {
        let theirs = ours.as_ref().map_or(Box::default(), |id| id.as_bytes().into());
        let sender = Session::new(Aead::Aes128Ccm8, key(1), key(2), ConnectionIds { ours: None, theirs });
        let receiver = ConnectionIds { ours, theirs: Box::default() };
        (sender, Session::new(Aead::Aes128Ccm8, key(2), key(1), receiver))
    }

    fn record(datagram: &[u8]) -> Record<'_> {
        Records::new(datagram, 8).next().expect("a record").expect("well-formed")
    }

    #[test]
    fn a_record_is_opened_once_with_and_without_connection_id() {
        for id in [None, Some(ConnectionId::new(5, [6; 4]))] {
            let (mut sender, mut receiver) = pair(id);
            let mut datagram = Vec::new();
            sender.seal(ContentType::ApplicationData, b"open the valve", &mut datagram);
            let opened = receiver.open(&record(&datagram)).expect("not opened before");
            let content_type = ContentType::ApplicationData;
            assert_eq!(opened, Opened { content_type, text: b"open the valve".to_vec(), standing: Standing::Latest });
            assert_eq!(receiver.open(&record(&datagram)), Err(Unopened::Replayed));
        }
    }

    #[test]
    fn no_byte_of_a_record_can_be_changed() {
        for id in [None, Some(ConnectionId::new(5, [6; 4]))] {
            let (mut sender, mut receiver) = pair(id);
            let mut datagram = Vec::new();
            sender.seal(ContentType::ApplicationData, b"open", &mut datagram);
            for touched in 0..datagram.len() {
                let mut other = datagram.clone();
                other[touched] ^= 1;
                let Some(Ok(record)) = Records::new(&other, 8).next() else { continue };
                let opened = receiver.open(&record);
                assert!(matches!(opened, Err(Unopened::Forged | Unopened::Foreign)), "byte {touched}: {opened:?}");
            }
        }
    }

    #[test]
    fn a_record_without_the_agreed_connection_id_is_not_taken() {
        let (mut sender, _) = pair(None);
        let (_, mut receiver) = pair(Some(ConnectionId::new(5, [6; 4])));
        let mut datagram = Vec::new();
        sender.seal(ContentType::ApplicationData, b"open", &mut datagram);
        assert_eq!(receiver.open(&record(&datagram)), Err(Unopened::Foreign));
    }
}
