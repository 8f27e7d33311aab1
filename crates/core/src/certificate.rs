//! X.509 certificates (RFC 5280): what a peripheral shows, and whose word is taken for it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls_pki_types::{CertificateDer, SignatureVerificationAlgorithm, TrustAnchor, UnixTime};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use thiserror::Error;
use webpki::{EndEntityCert, KeyUsage, ring as algorithms};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::{Time, limits};

/// What certificates may be signed with.
const ALGORITHMS: &[&dyn SignatureVerificationAlgorithm] = &[
    algorithms::ECDSA_P256_SHA256,
    algorithms::ECDSA_P256_SHA384,
    algorithms::ECDSA_P384_SHA256,
    algorithms::ECDSA_P384_SHA384,
    algorithms::ED25519,
    algorithms::RSA_PKCS1_2048_8192_SHA256,
    algorithms::RSA_PKCS1_2048_8192_SHA384,
    algorithms::RSA_PKCS1_2048_8192_SHA512,
];

/// A chain of certificates in DER, as it was shown: the holder's own first. What it is worth,
/// [`TrustAnchors::verify`] tells.
///
/// In JSON a list of base 64, as in the `x5c` of RFC 7515 §4.1.6.
#[derive(Clone, PartialEq, Eq)]
pub struct CertificateChain(Arc<[Box<[u8]>]>);

/// Why certificates are no chain. The fault is of whoever shows them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum CertificateChainError {
    /// There is none.
    #[error("a chain has at least one certificate")]
    Empty,
    /// There are too many.
    #[error("a chain has at most {max} certificates", max = limits::CERTIFICATES_PER_CHAIN_MAX)]
    Certificates,
    /// They are too long.
    #[error("a chain has at most {max} bytes", max = limits::CERTIFICATE_CHAIN_BYTES_MAX)]
    Bytes,
}

impl CertificateChain {
    /// The chain of these certificates.
    ///
    /// # Errors
    /// If there is none, or too much.
    pub fn new(certificates: impl IntoIterator<Item = Vec<u8>>) -> Result<Self, CertificateChainError> {
        let mut chain = Vec::new();
        let mut bytes = 0_usize;
        for certificate in certificates {
            if chain.len() == limits::CERTIFICATES_PER_CHAIN_MAX {
                return Err(CertificateChainError::Certificates);
            }
            bytes = bytes.saturating_add(certificate.len());
            if bytes > limits::CERTIFICATE_CHAIN_BYTES_MAX {
                return Err(CertificateChainError::Bytes);
            }
            chain.push(certificate.into_boxed_slice());
        }
        if chain.is_empty() { Err(CertificateChainError::Empty) } else { Ok(Self(chain.into())) }
    }

    /// The holder's own certificate.
    #[must_use]
    pub fn own(&self) -> &[u8] {
        &self.0[0]
    }

    /// All of them, the holder's own first.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.0.iter().map(AsRef::as_ref)
    }

    /// The last common name of the holder, if it has one.
    #[must_use]
    pub fn common_name(&self) -> Option<String> {
        let (_, certificate) = X509Certificate::from_der(self.own()).ok()?;
        let name = certificate.subject().iter_common_name().last()?.as_str().ok()?;
        Some(name.to_owned())
    }

    /// Whether the holder is called just so: by its common name, or by a subject alternative name that is a
    /// DNS name or a URI. A `*` in a name stands for itself.
    #[must_use]
    pub fn is_of(&self, name: &str) -> bool {
        if self.common_name().as_deref() == Some(name) {
            return true;
        }
        let Ok((_, certificate)) = X509Certificate::from_der(self.own()) else { return false };
        let alternatives = certificate.subject_alternative_name().ok().flatten();
        alternatives.is_some_and(|alternatives| {
            alternatives.value.general_names.iter().any(|alternative| match alternative {
                GeneralName::DNSName(shown) | GeneralName::URI(shown) => *shown == name,
                _ => false,
            })
        })
    }
}

impl fmt::Debug for CertificateChain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CertificateChain({} of {:?})", self.0.len(), self.common_name())
    }
}

impl Serialize for CertificateChain {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter().map(|certificate| STANDARD.encode(certificate)))
    }
}

impl<'de> Deserialize<'de> for CertificateChain {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let texts = Vec::<String>::deserialize(deserializer)?;
        let certificates = texts.into_iter().map(|text| STANDARD.decode(text)).collect::<Result<Vec<_>, _>>();
        let certificates = certificates.map_err(|error| de::Error::custom(format!("base64: {error}")))?;
        Self::new(certificates).map_err(de::Error::custom)
    }
}

/// Authorities whose word is taken for who others are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustAnchors(Arc<[TrustAnchor<'static>]>);

/// Why certificates are of no use as trust anchors. The fault is of whoever configured them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum TrustAnchorsError {
    /// There is none.
    #[error("there is no certificate")]
    Empty,
    /// One is not X.509 in DER.
    #[error("a certificate cannot be read")]
    Unreadable,
}

/// What a certificate is shown for (RFC 5280 §4.2.1.12).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyPurpose {
    /// To a server.
    ClientAuthentication,
    /// To a client.
    ServerAuthentication,
}

/// Why a chain shows nothing. The fault is of whoever shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum CertificateError {
    /// Its time is over.
    #[error("the certificate has expired")]
    Expired,
    /// Its time has not come.
    #[error("the certificate is not valid yet")]
    NotYetValid,
    /// It leads to none of the authorities.
    #[error("the certificate is from no authority that is trusted")]
    Authority,
    /// It cannot be read, is signed as none may be, or is for another purpose.
    #[error("the certificate is malformed, or not for this purpose")]
    Unacceptable,
}

impl TrustAnchors {
    /// These certificates of authorities, in DER.
    ///
    /// # Errors
    /// If there is none, or one cannot be read.
    pub fn new<'c>(certificates: impl IntoIterator<Item = &'c [u8]>) -> Result<Self, TrustAnchorsError> {
        let anchor = |der: &[u8]| {
            let der = CertificateDer::from(der);
            webpki::anchor_from_trusted_cert(&der).map(|anchor| anchor.to_owned())
        };
        let anchors: Result<Vec<_>, _> = certificates.into_iter().map(anchor).collect();
        let anchors = anchors.map_err(|_| TrustAnchorsError::Unreadable)?;
        if anchors.is_empty() { Err(TrustAnchorsError::Empty) } else { Ok(Self(anchors.into())) }
    }

    /// Checks that a chain leads to one of these authorities now (RFC 5280 §6). That whoever shows it has the
    /// key, it does not tell.
    ///
    /// # Errors
    /// If it does not.
    pub fn verify(&self, now: Time, chain: &CertificateChain, purpose: KeyPurpose) -> Result<(), CertificateError> {
        let own = CertificateDer::from(chain.own());
        let others: Vec<CertificateDer<'_>> = chain.iter().skip(1).map(CertificateDer::from).collect();
        let time = UnixTime::since_unix_epoch(Duration::from_millis(now.as_millis()));
        let usage = match purpose {
            KeyPurpose::ClientAuthentication => KeyUsage::client_auth(),
            KeyPurpose::ServerAuthentication => KeyUsage::server_auth(),
        };
        let certificate = EndEntityCert::try_from(&own).map_err(reason)?;
        certificate.verify_for_usage(ALGORITHMS, &self.0, &others, time, usage, None, None).map_err(reason)?;
        Ok(())
    }
}

fn reason(error: webpki::Error) -> CertificateError {
    match error {
        webpki::Error::CertExpired { .. } => CertificateError::Expired,
        webpki::Error::CertNotValidYet { .. } => CertificateError::NotYetValid,
        // From another authority that calls itself the same.
        webpki::Error::UnknownIssuer | webpki::Error::InvalidSignatureForPublicKey => CertificateError::Authority,
        _ => CertificateError::Unacceptable,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use rcgen::{
        BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
        SanType, date_time_ymd,
    };

    use super::*;

    /// In the year 2030.
    pub(crate) const NOW: Time = Time::from_millis(1_900_000_000_000);

    pub(crate) struct Authority {
        issuer: Issuer<'static, KeyPair>,
        der: Vec<u8>,
    }

    impl Authority {
        pub(crate) fn new() -> Self {
            let (params, key) = (authority("authority"), KeyPair::generate().expect("a key"));
            let der = params.self_signed(&key).expect("a certificate").der().to_vec();
            Self { issuer: Issuer::new(params, key), der }
        }

        /// An authority below this one.
        fn below(&self) -> Self {
            let (params, key) = (authority("below"), KeyPair::generate().expect("a key"));
            let der = params.signed_by(&key, &self.issuer).expect("a certificate").der().to_vec();
            Self { issuer: Issuer::new(params, key), der }
        }

        fn issue(&self, params: &CertificateParams) -> Vec<u8> {
            let key = KeyPair::generate().expect("a key");
            params.signed_by(&key, &self.issuer).expect("a certificate").der().to_vec()
        }

        /// A certificate of this name, and every time another.
        pub(crate) fn chain_of(&self, name: &str) -> CertificateChain {
            chain(&[&self.issue(&named(name))])
        }

        pub(crate) fn anchors(&self) -> TrustAnchors {
            TrustAnchors::new([self.der.as_slice()]).expect("an authority")
        }

        fn verify(&self, now: Time, chain: &CertificateChain) -> Result<(), CertificateError> {
            self.anchors().verify(now, chain, KeyPurpose::ClientAuthentication)
        }
    }

    fn authority(name: &str) -> CertificateParams {
        let mut params = named(name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
    }

    fn named(name: &str) -> CertificateParams {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        params
    }

    fn chain(certificates: &[&[u8]]) -> CertificateChain {
        CertificateChain::new(certificates.iter().map(|der| der.to_vec())).expect("a chain")
    }

    #[test]
    fn a_chain_leads_to_its_authority_over_those_between() {
        let authority = Authority::new();
        let direct = authority.issue(&named("m1"));
        assert_eq!(authority.verify(NOW, &chain(&[&direct])), Ok(()));
        let between = authority.below();
        let below = between.issue(&named("m1"));
        assert_eq!(authority.verify(NOW, &chain(&[&below, &between.der])), Ok(()));
        assert_eq!(authority.verify(NOW, &chain(&[&below])), Err(CertificateError::Authority));
        assert_eq!(Authority::new().verify(NOW, &chain(&[&direct])), Err(CertificateError::Authority));
    }

    #[test]
    fn a_certificate_counts_from_its_begin_to_its_end_for_its_purpose() {
        let authority = Authority::new();
        let mut params = named("m1");
        params.not_before = date_time_ymd(2029, 1, 1);
        params.not_after = date_time_ymd(2031, 1, 1);
        let limited = chain(&[&authority.issue(&params)]);
        let year = 365 * 86_400_000;
        let at = |years: i64| Time::from_millis(NOW.as_millis().saturating_add_signed(years * year));
        assert_eq!(authority.verify(at(-3), &limited), Err(CertificateError::NotYetValid));
        assert_eq!(authority.verify(at(0), &limited), Ok(()));
        assert_eq!(authority.verify(at(3), &limited), Err(CertificateError::Expired));

        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let server = chain(&[&authority.issue(&params)]);
        assert_eq!(authority.verify(NOW, &server), Err(CertificateError::Unacceptable));
        assert_eq!(authority.anchors().verify(NOW, &server, KeyPurpose::ServerAuthentication), Ok(()));
        assert_eq!(authority.verify(NOW, &chain(&[b"no certificate"])), Err(CertificateError::Unacceptable));
    }

    #[test]
    fn a_holder_is_called_by_its_common_name_or_an_alternative_one_to_the_letter() {
        let authority = Authority::new();
        let text = |name: &str| name.try_into().expect("a name");
        let mut params = named("m1");
        params.subject_alt_names = vec![
            SanType::DnsName(text("m2.example")),
            SanType::DnsName(text("*.example")),
            SanType::URI(text("urn:imei:3")),
            SanType::Rfc822Name(text("m4@example")),
        ];
        let shown = chain(&[&authority.issue(&params)]);
        assert_eq!(shown.common_name().as_deref(), Some("m1"));
        for name in ["m1", "m2.example", "urn:imei:3"] {
            assert!(shown.is_of(name), "{name}");
        }
        for name in ["m", "M1", "m5.example", "m4@example", ""] {
            assert!(!shown.is_of(name), "{name}");
        }
        assert!(!chain(&[b"no certificate"]).is_of(""));
    }

    #[test]
    fn a_chain_is_bounded() {
        assert_eq!(CertificateChain::new([]), Err(CertificateChainError::Empty));
        let many = vec![vec![0]; limits::CERTIFICATES_PER_CHAIN_MAX];
        assert!(CertificateChain::new(many.clone()).is_ok());
        assert_eq!(CertificateChain::new(many.into_iter().chain([vec![0]])), Err(CertificateChainError::Certificates));
        let long = vec![0; limits::CERTIFICATE_CHAIN_BYTES_MAX];
        assert!(CertificateChain::new([long.clone()]).is_ok());
        assert_eq!(CertificateChain::new([long, vec![0]]), Err(CertificateChainError::Bytes));
    }

    #[test]
    fn a_chain_is_a_list_of_base_64_in_json() {
        let shown = chain(&[&[0xfb, 0xff], b"b"]);
        let json = serde_json::to_string(&shown).expect("JSON");
        assert_eq!(json, r#"["+/8=","Yg=="]"#);
        assert_eq!(serde_json::from_str::<CertificateChain>(&json).expect("a chain"), shown);
        for json in ["[]", r#"["?"]"#, "3"] {
            assert!(serde_json::from_str::<CertificateChain>(json).is_err(), "{json}");
        }
    }

    #[test]
    fn what_is_no_certificate_is_no_trust_anchor() {
        assert_eq!(TrustAnchors::new([]), Err(TrustAnchorsError::Empty));
        assert_eq!(TrustAnchors::new([&b"no certificate"[..]]), Err(TrustAnchorsError::Unreadable));
    }
}
