//! Records (RFC 6347 §4.1, RFC 9146 §4): what a datagram is made of.

use super::reader::Reader;
use super::writer::{put_u16, put_u48};

/// Type, version, epoch, sequence number and length.
pub(crate) const HEADER_BYTES: usize = 13;

/// The version in a record's header, which says little: clients begin with one of several.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Version(pub(crate) u16);

impl Version {
    /// DTLS 1.0, which a HelloVerifyRequest speaks (RFC 6347 §4.2.1).
    pub(crate) const DTLS_1_0: Self = Self(0xfeff);
    /// DTLS 1.2.
    pub(crate) const DTLS_1_2: Self = Self(0xfefd);

    /// Whether it is any version of DTLS. Some clients begin with 0xFE00 in the header of the record.
    const fn is_dtls(self) -> bool {
        self.0 >> 8 == 0xfe
    }
}

/// What a record carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ContentType {
    ChangeCipherSpec,
    Alert,
    Handshake,
    ApplicationData,
    /// Whatever is inside, under a connection id.
    ConnectionId,
}

impl ContentType {
    pub(crate) const fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            20 => Self::ChangeCipherSpec,
            21 => Self::Alert,
            22 => Self::Handshake,
            23 => Self::ApplicationData,
            25 => Self::ConnectionId,
            _ => return None,
        })
    }

    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::ChangeCipherSpec => 20,
            Self::Alert => 21,
            Self::Handshake => 22,
            Self::ApplicationData => 23,
            Self::ConnectionId => 25,
        }
    }
}

/// A record as it came.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Record<'d> {
    pub(crate) content_type: ContentType,
    pub(crate) version: Version,
    pub(crate) epoch: u16,
    /// 48 bits.
    pub(crate) sequence: u64,
    /// Of ours, and empty in a record that has none.
    pub(crate) connection_id: &'d [u8],
    pub(crate) body: &'d [u8],
}

/// What cannot be taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Malformed;

/// The records of a datagram. After what is malformed there is nothing more.
#[derive(Debug)]
pub(crate) struct Records<'d> {
    reader: Reader<'d>,
    connection_id_bytes: usize,
}

impl<'d> Records<'d> {
    /// How long our connection ids are is not in the record: both sides know.
    pub(crate) const fn new(datagram: &'d [u8], connection_id_bytes: usize) -> Self {
        Self { reader: Reader::new(datagram), connection_id_bytes }
    }

    fn record(&mut self) -> Option<Record<'d>> {
        let content_type = ContentType::from_code(self.reader.u8()?)?;
        let version = Version(self.reader.u16()?);
        let epoch = self.reader.u16()?;
        let sequence = self.reader.u48()?;
        let connection_id = match content_type {
            ContentType::ConnectionId => self.reader.take(self.connection_id_bytes)?,
            _ => &[],
        };
        let body = self.reader.vector16()?;
        version.is_dtls().then_some(Record { content_type, version, epoch, sequence, connection_id, body })
    }
}

impl<'d> Iterator for Records<'d> {
    type Item = Result<Record<'d>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.reader.is_empty() {
            return None;
        }
        let record = self.record();
        if record.is_none() {
            self.reader = Reader::new(&[]);
        }
        Some(record.ok_or(Malformed))
    }
}

/// Writes a record that nothing protects.
pub(crate) fn put_plain(out: &mut Vec<u8>, content_type: ContentType, version: Version, sequence: u64, body: &[u8]) {
    out.push(content_type.code());
    out.extend_from_slice(&version.0.to_be_bytes());
    out.extend_from_slice(&[0, 0]);
    put_u48(out, sequence);
    put_u16(out, body.len());
    out.extend_from_slice(body);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_datagram_is_taken_apart_into_its_records() {
        let mut datagram = Vec::new();
        put_plain(&mut datagram, ContentType::Handshake, Version(0xfe00), 7, b"one");
        put_plain(&mut datagram, ContentType::Alert, Version::DTLS_1_2, 8, b"");
        let records: Vec<_> = Records::new(&datagram, 0).map(|record| record.expect("well-formed")).collect();
        assert_eq!((records[0].body, records[0].sequence, records[0].epoch), (&b"one"[..], 7, 0));
        assert_eq!((records[1].content_type, records[1].sequence), (ContentType::Alert, 8));
        assert_eq!(records.len(), 2);
    }

    #[test]
    fn what_is_cut_short_or_no_dtls_ends_the_datagram() {
        let mut datagram = Vec::new();
        put_plain(&mut datagram, ContentType::Handshake, Version::DTLS_1_2, 0, b"whole");
        let whole = datagram.len();
        put_plain(&mut datagram, ContentType::Handshake, Version::DTLS_1_2, 1, b"cut");
        let records: Vec<_> = Records::new(&datagram[..whole + 14], 0).map(|record| record.is_ok()).collect();
        assert_eq!(records, [true, false]);
        datagram[1] = 3;
        assert_eq!(Records::new(&datagram, 0).map(|record| record.is_ok()).collect::<Vec<_>>(), [false]);
    }
}
