//! The messages that keys are exchanged with (RFC 4279 §2, RFC 8422 §5.4, §5.7).

use crate::suite::{NAMED_CURVE, SIGNATURE_SCHEMES};
use crate::wire::{Reader, put_u16, put_vector8, put_vector16};

/// A curve with a name, and not with its parameters.
const NAMED: u8 = 3;

/// A certificate that can sign with ECDSA.
const ECDSA_SIGN: u8 = 64;

/// The public key of the server, signed together with both randoms.
#[derive(Debug)]
pub(crate) struct ServerKeyExchange<'d> {
    pub(crate) public: &'d [u8],
    pub(crate) signature: Signature<'d>,
    /// What the signature is over, beside the randoms.
    pub(crate) parameters: &'d [u8],
}

/// A signature and how it was made.
#[derive(Debug)]
pub(crate) struct Signature<'d> {
    pub(crate) scheme: u16,
    pub(crate) bytes: &'d [u8],
}

impl<'d> Signature<'d> {
    /// Reads the body of a CertificateVerify.
    pub(crate) fn parse(body: &'d [u8]) -> Option<Self> {
        let mut reader = Reader::new(body);
        let signature = Self::read(&mut reader)?;
        reader.only(signature)
    }

    fn read(reader: &mut Reader<'d>) -> Option<Self> {
        Some(Self { scheme: reader.u16()?, bytes: reader.vector16()? })
    }
}

/// Writes a signature of ours. It is also the body of a CertificateVerify.
pub(crate) fn put_signature(out: &mut Vec<u8>, signature: &[u8]) {
    put_u16(out, SIGNATURE_SCHEMES[0].into());
    put_vector16(out, signature);
}

/// The parameters of a key exchange with this public key.
pub(crate) fn write_parameters(public: &[u8]) -> Vec<u8> {
    let mut parameters = vec![NAMED];
    put_u16(&mut parameters, NAMED_CURVE.into());
    put_vector8(&mut parameters, public);
    parameters
}

impl<'d> ServerKeyExchange<'d> {
    pub(crate) fn parse(body: &'d [u8]) -> Option<Self> {
        let mut reader = Reader::new(body);
        let is_ours = reader.u8()? == NAMED && reader.u16()? == NAMED_CURVE;
        let public = reader.vector8()?;
        let parameters = &body[..body.len() - reader.remaining()];
        let signature = Signature::read(&mut reader)?;
        reader.only(Self { public, signature, parameters }).filter(|_| is_ours)
    }
}

/// What the signature of a ServerKeyExchange is over.
pub(crate) fn signed(client_random: &[u8; 32], server_random: &[u8; 32], parameters: &[u8]) -> Vec<u8> {
    [client_random, server_random, parameters].concat()
}

/// The body of a CertificateRequest: ECDSA, of whatever authority.
pub(crate) fn certificate_request() -> Vec<u8> {
    let mut body = Vec::new();
    put_vector8(&mut body, &[ECDSA_SIGN]);
    put_vector16(&mut body, &SIGNATURE_SCHEMES.map(u16::to_be_bytes).concat());
    put_vector16(&mut body, &[]);
    body
}

/// The body of a ClientKeyExchange with a pre-shared key.
pub(crate) fn write_identity(identity: &[u8]) -> Vec<u8> {
    let mut body = Vec::with_capacity(2 + identity.len());
    put_vector16(&mut body, identity);
    body
}

/// Reads the identity, of which there may be at most 128 bytes (RFC 4279 §5.3).
pub(crate) fn read_identity(body: &[u8]) -> Option<&[u8]> {
    const IDENTITY_BYTES_MAX: usize = 128;
    let mut reader = Reader::new(body);
    let identity = reader.vector16()?;
    reader.only(identity).filter(|identity| identity.len() <= IDENTITY_BYTES_MAX)
}

/// The body of a ClientKeyExchange with a public key.
pub(crate) fn write_public(public: &[u8]) -> Vec<u8> {
    let mut body = Vec::with_capacity(1 + public.len());
    put_vector8(&mut body, public);
    body
}

pub(crate) fn read_public(body: &[u8]) -> Option<&[u8]> {
    let mut reader = Reader::new(body);
    let public = reader.vector8()?;
    reader.only(public)
}
