//! The hellos (RFC 5246 §7.4.1, RFC 6347 §4.2.1).

use super::extension::{Curves, Extensions};
use super::reader::Reader;
use super::record::Version;
use super::writer::{put_vector8, put_vector16};
use crate::suite::CipherSuite;

/// The pseudo suite that stands for an empty renegotiation_info (RFC 5746 §3.3).
const RENEGOTIATION_SCSV: u16 = 0x00ff;

/// A ClientHello.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ClientHello<'d> {
    pub(crate) version: Version,
    pub(crate) random: [u8; 32],
    pub(crate) session_id: &'d [u8],
    pub(crate) cookie: &'d [u8],
    /// Two bytes each, in the order of the client's liking.
    pub(crate) suites: &'d [u8],
    pub(crate) compressions: &'d [u8],
    pub(crate) extensions: Extensions<'d>,
}

impl<'d> ClientHello<'d> {
    pub(crate) fn parse(body: &'d [u8]) -> Option<Self> {
        let mut reader = Reader::new(body);
        let version = Version(reader.u16()?);
        let random = reader.array()?;
        let session_id = reader.vector8()?;
        let cookie = reader.vector8()?;
        let suites = reader.vector16()?;
        let compressions = reader.vector8()?;
        let mut extensions = Extensions::read(reader)?;
        let is_even = suites.len().is_multiple_of(2);
        let signals = |suite: &[u8]| suite == RENEGOTIATION_SCSV.to_be_bytes();
        extensions.has_renegotiation_info |= suites.chunks_exact(2).any(signals);
        // RFC 5246 §7.4.1.2: no compression must be among the methods.
        let is_sound = is_even && session_id.len() <= 32 && compressions.contains(&0);
        is_sound.then_some(Self { version, random, session_id, cookie, suites, compressions, extensions })
    }

    /// The suites that it offers and that we know, the best liked first.
    pub(crate) fn known_suites(&self) -> impl Iterator<Item = CipherSuite> {
        let codes = self.suites.chunks_exact(2).map(|code| u16::from_be_bytes([code[0], code[1]]));
        codes.filter_map(CipherSuite::from_code)
    }

    /// What a client of ours says.
    pub(crate) fn write(
        random: &[u8; 32],
        cookie: &[u8],
        suites: &[CipherSuite],
        extensions: &Extensions<'_>,
    ) -> Vec<u8> {
        let mut body = Vec::with_capacity(128);
        body.extend_from_slice(&Version::DTLS_1_2.0.to_be_bytes());
        body.extend_from_slice(random);
        put_vector8(&mut body, &[]);
        put_vector8(&mut body, cookie);
        let codes: Vec<u8> = suites.iter().flat_map(|suite| suite.code().to_be_bytes()).collect();
        put_vector16(&mut body, &codes);
        put_vector8(&mut body, &[0]);
        let needs_curves = suites.iter().any(|suite| suite.uses_certificates());
        extensions.put_for_client(&mut body, if needs_curves { Curves::Wanted } else { Curves::NotWanted });
        body
    }
}

/// A ServerHello.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ServerHello<'d> {
    pub(crate) version: Version,
    pub(crate) random: [u8; 32],
    pub(crate) suite: u16,
    pub(crate) extensions: Extensions<'d>,
}

impl<'d> ServerHello<'d> {
    pub(crate) fn parse(body: &'d [u8]) -> Option<Self> {
        let mut reader = Reader::new(body);
        let version = Version(reader.u16()?);
        let random = reader.array()?;
        let _session_id = reader.vector8()?;
        let suite = reader.u16()?;
        let compression = reader.u8()?;
        let extensions = Extensions::read(reader)?;
        (compression == 0).then_some(Self { version, random, suite, extensions })
    }

    pub(crate) fn write(random: &[u8; 32], suite: CipherSuite, extensions: &Extensions<'_>) -> Vec<u8> {
        let mut body = Vec::with_capacity(64);
        body.extend_from_slice(&Version::DTLS_1_2.0.to_be_bytes());
        body.extend_from_slice(random);
        // No session can be resumed, so none has an id.
        put_vector8(&mut body, &[]);
        body.extend_from_slice(&suite.code().to_be_bytes());
        body.push(0);
        extensions.put_for_server(&mut body);
        body
    }
}

/// The body of a HelloVerifyRequest. It speaks the oldest version, so that every client can read it.
pub(crate) fn hello_verify_request(cookie: &[u8]) -> Vec<u8> {
    let mut body = Vec::with_capacity(3 + cookie.len());
    body.extend_from_slice(&Version::DTLS_1_0.0.to_be_bytes());
    put_vector8(&mut body, cookie);
    body
}
