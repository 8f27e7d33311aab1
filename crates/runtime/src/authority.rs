//! The platform's own certificate authority: it vouches for the platform's end of the link and for
//! every gateway, and for nobody else.

use std::fmt;
use std::time::{Duration, UNIX_EPOCH};

use bugle_core::{GatewayId, Time};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, SanType,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{self, PemObject};
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::link::{self, PLATFORM_NAME};

const DAY: Duration = Duration::from_secs(86_400);
const AUTHORITY_LIFETIME: Duration = Duration::from_secs(30 * 365 * 86_400);
const LIFETIME: Duration = Duration::from_secs(10 * 365 * 86_400);

/// A certificate authority of one platform.
pub struct Authority {
    certificate_pem: String,
    fingerprint: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate with its key.
#[derive(Clone)]
pub struct Issued {
    /// The certificate, in PEM.
    pub certificate_pem: String,
    /// Its private key, in PEM.
    pub key_pem: String,
}

/// Why the authority cannot vouch.
#[derive(Debug, Error)]
pub enum AuthorityError {
    /// The certificate or key of the authority is none. The fault is of whoever keeps it.
    #[error("certificate authority: {0}")]
    Authority(rcgen::Error),
    /// A text is no certificate. The fault is of whoever wrote it.
    #[error("certificate: {0}")]
    Certificate(pem::Error),
    /// The signing request is none, or is not signed with the key that it names. The fault is of
    /// whoever sent it.
    #[error("certificate signing request: {0}")]
    Request(rcgen::Error),
    /// The system's cryptography fails.
    #[error("cannot issue a certificate: {0}")]
    Issue(rcgen::Error),
}

impl Authority {
    /// A new one, with a key of its own.
    ///
    /// # Errors
    /// If the system has no randomness.
    pub fn create(now: Time) -> Result<Self, AuthorityError> {
        let key = KeyPair::generate().map_err(AuthorityError::Issue)?;
        let mut params = parameters("Bugle platform authority", now, AUTHORITY_LIFETIME);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&key).map_err(AuthorityError::Issue)?;
        Ok(Self {
            certificate_pem: certificate.pem(),
            fingerprint: digest(certificate.der()),
            issuer: Issuer::new(params, key),
        })
    }

    /// The one that [`certificate_pem`](Self::certificate_pem) and [`key_pem`](Self::key_pem) were kept of.
    ///
    /// # Errors
    /// If they are not what they were.
    pub fn load(certificate_pem: &str, key_pem: &str) -> Result<Self, AuthorityError> {
        let key = KeyPair::from_pem(key_pem).map_err(AuthorityError::Authority)?;
        let issuer = Issuer::from_ca_cert_pem(certificate_pem, key).map_err(AuthorityError::Authority)?;
        Ok(Self {
            certificate_pem: certificate_pem.to_owned(),
            fingerprint: Self::fingerprint_of(certificate_pem)?,
            issuer,
        })
    }

    /// SHA-256 of a certificate (DER), in hexadecimal.
    ///
    /// # Errors
    /// If the text is no certificate in PEM.
    pub fn fingerprint_of(certificate_pem: &str) -> Result<String, AuthorityError> {
        let certificate =
            CertificateDer::from_pem_slice(certificate_pem.as_bytes()).map_err(AuthorityError::Certificate)?;
        Ok(digest(&certificate))
    }

    /// Its certificate, in PEM.
    #[must_use]
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// Its private key, in PEM.
    #[must_use]
    pub fn key_pem(&self) -> String {
        self.issuer.key().serialize_pem()
    }

    /// SHA-256 of its certificate (DER), in hexadecimal.
    #[must_use]
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// A certificate for the platform's end of the link, with a new key.
    ///
    /// # Errors
    /// If the system has no randomness.
    pub fn issue_platform(&self, now: Time) -> Result<Issued, AuthorityError> {
        let key = KeyPair::generate().map_err(AuthorityError::Issue)?;
        let mut params = parameters("Bugle platform", now, LIFETIME);
        params.subject_alt_names = vec![SanType::DnsName(PLATFORM_NAME.try_into().expect("the name is ASCII"))];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let certificate = params.signed_by(&key, &self.issuer).map_err(AuthorityError::Issue)?;
        Ok(Issued { certificate_pem: certificate.pem(), key_pem: key.serialize_pem() })
    }

    /// A certificate, in PEM, that the holder of the key in `request_pem` is this gateway. What else the
    /// request says counts for nothing.
    ///
    /// # Errors
    /// If the request is none, or is not signed with the key that it names.
    pub fn sign_gateway(&self, request_pem: &str, gateway: &GatewayId, now: Time) -> Result<String, AuthorityError> {
        let request = CertificateSigningRequestParams::from_pem(request_pem).map_err(AuthorityError::Request)?;
        let mut params = parameters("Bugle gateway", now, LIFETIME);
        let uri = link::gateway_uri(gateway).as_str().try_into().expect("a gateway id is ASCII");
        params.subject_alt_names = vec![SanType::URI(uri)];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let certificate = params.signed_by(&request.public_key, &self.issuer).map_err(AuthorityError::Issue)?;
        Ok(certificate.pem())
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority").field("fingerprint", &self.fingerprint).finish_non_exhaustive()
    }
}

impl fmt::Debug for Issued {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Issued").field("certificate_pem", &self.certificate_pem).finish_non_exhaustive()
    }
}

fn parameters(name: &str, now: Time, lifetime: Duration) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    let now = UNIX_EPOCH + (now - Time::ZERO);
    // The clocks of gateways need not agree with the platform's.
    params.not_before = (now - DAY).into();
    params.not_after = (now + lifetime).into();
    params
}

fn digest(certificate: &CertificateDer<'_>) -> String {
    Sha256::digest(certificate).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time::from_millis(1_800_000_000_000);

    #[test]
    fn an_authority_that_was_kept_vouches_on() {
        let created = Authority::create(NOW).expect("an authority");
        let loaded = Authority::load(created.certificate_pem(), &created.key_pem()).expect("the same");
        assert_eq!(loaded.fingerprint(), created.fingerprint());
        assert_eq!(created.fingerprint().len(), 64);
        assert!(loaded.issue_platform(NOW).is_ok());
    }

    #[test]
    fn a_gateway_is_named_by_the_platform_and_not_by_its_request() {
        let authority = Authority::create(NOW).expect("an authority");
        let key = KeyPair::generate().expect("a key");
        let request = CertificateParams::new(["platform.bugle".to_owned()]).expect("a name").serialize_request(&key);
        let request = request.and_then(|request| request.pem()).expect("a request");
        let gateway = GatewayId::new("gw-1").expect("a gateway id");
        let pem = authority.sign_gateway(&request, &gateway, NOW).expect("signed");
        let der = CertificateDer::from_pem_slice(pem.as_bytes()).expect("a certificate");
        assert_eq!(link::gateway_of(&der), Some(gateway));
        let (_, parsed) = x509_parser::parse_x509_certificate(&der).expect("a certificate");
        let names = parsed.subject_alternative_name().expect("well-formed").expect("names").value;
        assert_eq!(names.general_names.len(), 1);
    }

    #[test]
    fn a_request_that_is_none_is_refused() {
        let authority = Authority::create(NOW).expect("an authority");
        let gateway = GatewayId::new("gw-1").expect("a gateway id");
        let refused = authority.sign_gateway("no request", &gateway, NOW);
        assert!(matches!(refused, Err(AuthorityError::Request(_))));
    }

    #[test]
    fn no_key_shows_in_a_debug_print() {
        let authority = Authority::create(NOW).expect("an authority");
        let issued = authority.issue_platform(NOW).expect("issued");
        assert!(!format!("{authority:?}{issued:?}").contains("PRIVATE"));
    }
}
