//! Who is at either end of a link, and how certificates say so.

use std::fmt;

use bugle_core::GatewayId;
use rustls::pki_types::CertificateDer;
use x509_parser::extensions::GeneralName;

/// The DNS name in the certificate of the platform's end. It does not depend on where the platform
/// is reached: the authority that vouches for it is the platform's own.
pub const PLATFORM_NAME: &str = "platform.bugle";

const GATEWAY_URI: &str = "bugle:gateway:";

/// One end's certificate and key, and the authority that vouches for both ends.
#[derive(Clone)]
pub struct LinkIdentity {
    /// The authority's certificate, in PEM.
    pub ca_pem: String,
    /// This end's certificate, in PEM.
    pub certificate_pem: String,
    /// Its private key, in PEM.
    pub key_pem: String,
}

impl fmt::Debug for LinkIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LinkIdentity").field("certificate_pem", &self.certificate_pem).finish_non_exhaustive()
    }
}

/// The URI that names a gateway in its certificate.
#[must_use]
pub fn gateway_uri(gateway: &GatewayId) -> String {
    format!("{GATEWAY_URI}{gateway}")
}

/// The gateway that a certificate names, if it names one and only one.
#[must_use]
pub fn gateway_of(certificate: &CertificateDer<'_>) -> Option<GatewayId> {
    let (_, certificate) = x509_parser::parse_x509_certificate(certificate).ok()?;
    let names = certificate.subject_alternative_name().ok()??;
    let mut gateways = names.value.general_names.iter().filter_map(|name| match name {
        GeneralName::URI(uri) => uri.strip_prefix(GATEWAY_URI),
        _ => None,
    });
    match (gateways.next(), gateways.next()) {
        (Some(gateway), None) => gateway.parse().ok(),
        _ => None,
    }
}
