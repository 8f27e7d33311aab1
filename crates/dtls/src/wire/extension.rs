//! The extensions of hellos that mean something here.

use super::reader::Reader;
use super::writer::{put_u16, put_vector8, put_vector16};
use crate::suite::{NAMED_CURVE, SIGNATURE_SCHEMES};

const SUPPORTED_GROUPS: u16 = 10;
const EC_POINT_FORMATS: u16 = 11;
const SIGNATURE_ALGORITHMS: u16 = 13;
const EXTENDED_MASTER_SECRET: u16 = 23;
const CONNECTION_ID: u16 = 54;
const RENEGOTIATION_INFO: u16 = 0xff01;

/// What a hello says besides its fields. Extensions that are not known are ignored (RFC 5246 §7.4.1.4).
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Extensions<'d> {
    /// RFC 7627.
    pub(crate) has_extended_master_secret: bool,
    /// RFC 5746: that the sender knows of the attack. Its value is empty in all handshakes, since none is renegotiated.
    pub(crate) has_renegotiation_info: bool,
    pub(crate) has_point_formats: bool,
    /// RFC 9146: the connection id that the sender wants to receive under.
    pub(crate) connection_id: Option<&'d [u8]>,
    /// Two bytes each.
    pub(crate) groups: Option<&'d [u8]>,
    /// Two bytes each.
    pub(crate) signature_algorithms: Option<&'d [u8]>,
}

impl<'d> Extensions<'d> {
    /// What a client of ours says.
    pub(crate) fn of_client() -> Self {
        Self { has_renegotiation_info: true, ..Self::default() }
    }

    /// Reads the extensions at the end of a hello. There may be none at all.
    pub(crate) fn read(mut reader: Reader<'d>) -> Option<Self> {
        let mut extensions = Self::default();
        if reader.is_empty() {
            return Some(extensions);
        }
        let mut list = Reader::new(reader.vector16()?);
        while !list.is_empty() {
            let (kind, value) = (list.u16()?, list.vector16()?);
            extensions.take(kind, Reader::new(value))?;
        }
        reader.only(extensions)
    }

    fn take(&mut self, kind: u16, mut value: Reader<'d>) -> Option<()> {
        match kind {
            SUPPORTED_GROUPS => self.groups = Some(value.vector16()?),
            SIGNATURE_ALGORITHMS => self.signature_algorithms = Some(value.vector16()?),
            EC_POINT_FORMATS => self.has_point_formats = true,
            EXTENDED_MASTER_SECRET => self.has_extended_master_secret = true,
            CONNECTION_ID => self.connection_id = Some(value.vector8()?),
            RENEGOTIATION_INFO => {
                // RFC 5746 §3.6, §3.4: in a first handshake it must be empty.
                value.vector8()?.is_empty().then_some(())?;
                self.has_renegotiation_info = true;
            }
            _ => {}
        }
        Some(())
    }

    /// Whether the sender can do key exchange and signatures with the curve that we do.
    pub(crate) fn allows_our_curve(&self) -> bool {
        let has = |list: Option<&[u8]>, wanted: u16| {
            list.is_none_or(|list| list.chunks_exact(2).any(|entry| entry == wanted.to_be_bytes()))
        };
        has(self.groups, NAMED_CURVE) && has(self.signature_algorithms, SIGNATURE_SCHEMES[0])
    }

    /// Writes what a ServerHello says. Without any extension, nothing is written (RFC 5246 §7.4.1.3).
    pub(crate) fn put_for_server(&self, out: &mut Vec<u8>) {
        let mut list = Vec::new();
        self.put_common(&mut list);
        if self.has_point_formats {
            put_extension(&mut list, EC_POINT_FORMATS, &[1, 0]);
        }
        if !list.is_empty() {
            put_vector16(out, &list);
        }
    }

    /// Writes what a ClientHello says: for `curves`, also which curve and signatures it can do.
    pub(crate) fn put_for_client(&self, out: &mut Vec<u8>, curves: Curves) {
        let mut list = Vec::new();
        self.put_common(&mut list);
        if curves == Curves::Wanted {
            let mut value = Vec::new();
            put_vector16(&mut value, &NAMED_CURVE.to_be_bytes());
            put_extension(&mut list, SUPPORTED_GROUPS, &value);
            put_extension(&mut list, EC_POINT_FORMATS, &[1, 0]);
            value.clear();
            put_vector16(&mut value, &SIGNATURE_SCHEMES.map(u16::to_be_bytes).concat());
            put_extension(&mut list, SIGNATURE_ALGORITHMS, &value);
        }
        put_vector16(out, &list);
    }

    fn put_common(&self, list: &mut Vec<u8>) {
        if self.has_renegotiation_info {
            put_extension(list, RENEGOTIATION_INFO, &[0]);
        }
        if self.has_extended_master_secret {
            put_extension(list, EXTENDED_MASTER_SECRET, &[]);
        }
        if let Some(connection_id) = self.connection_id {
            let mut value = Vec::new();
            put_vector8(&mut value, connection_id);
            put_extension(list, CONNECTION_ID, &value);
        }
    }
}

/// Whether a hello offers suites that need a curve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Curves {
    Wanted,
    NotWanted,
}

fn put_extension(list: &mut Vec<u8>, kind: u16, value: &[u8]) {
    put_u16(list, kind.into());
    put_vector16(list, value);
}
