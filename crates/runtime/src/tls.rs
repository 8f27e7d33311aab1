//! TLS for listeners.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Where the certificates of a listener are, all in PEM.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsFiles {
    /// The certificate, followed by those between it and the root.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// The roots that clients must have their certificates from; without it clients need none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_ca: Option<PathBuf>,
}

/// Why certificates are of no use. The fault is of whoever configured them.
#[derive(Debug, Error)]
pub enum TlsError {
    /// A file cannot be read as PEM.
    #[error("{path}: {source}")]
    File {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        source: pem::Error,
    },
    /// A file holds no certificate.
    #[error("{path}: no certificate in it")]
    NoCertificate {
        /// Which file.
        path: PathBuf,
    },
    /// Certificate and key do not fit together, or are of an unknown kind.
    #[error("{path}: {source}")]
    Certificate {
        /// The certificate's file.
        path: PathBuf,
        /// What is wrong with it.
        source: rustls::Error,
    },
    /// The roots for clients are of no use.
    #[error("{path}: {reason}")]
    ClientCa {
        /// The roots' file.
        path: PathBuf,
        /// What is wrong with them.
        reason: String,
    },
}

/// The cryptography that is used everywhere.
#[must_use]
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// Makes it the default of the process, for libraries that ask for one. Doing so twice does nothing.
pub fn install_provider() {
    // An error means that it was done before.
    let _ = ring::default_provider().install_default();
}

/// TLS 1.2 and 1.3 for a listener; `protocols` are offered by ALPN, in order of preference.
///
/// # Errors
/// If a file cannot be read or does not fit the others.
pub fn server_config(files: &TlsFiles, protocols: &[&str]) -> Result<Arc<ServerConfig>, TlsError> {
    let provider = provider();
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .expect("the provider speaks TLS 1.2 and 1.3");
    let builder = match &files.client_ca {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let unusable = |reason: String| TlsError::ClientCa { path: path.clone(), reason };
            let mut roots = RootCertStore::empty();
            for certificate in certificates(path)? {
                roots.add(certificate).map_err(|error| unusable(error.to_string()))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            builder.with_client_cert_verifier(verifier.map_err(|error| unusable(error.to_string()))?)
        }
    };
    let unreadable = |source| TlsError::File { path: files.key.clone(), source };
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(unreadable)?;
    let misfit = |source| TlsError::Certificate { path: files.certificate.clone(), source };
    let mut config = builder.with_single_cert(certificates(&files.certificate)?, key).map_err(misfit)?;
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
    Ok(Arc::new(config))
}

/// The certificates in a PEM file, in order.
///
/// # Errors
/// If it cannot be read, or there is none in it.
pub fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let unreadable = |source| TlsError::File { path: path.to_owned(), source };
    let certificates: Vec<_> =
        CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<_, _>>).map_err(unreadable)?;
    if certificates.is_empty() {
        return Err(TlsError::NoCertificate { path: path.to_owned() });
    }
    Ok(certificates)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    struct Pki {
        folder: tempfile::TempDir,
    }

    impl Pki {
        fn new() -> Self {
            let folder = tempfile::tempdir().expect("a folder");
            for name in ["one", "two"] {
                let key = rcgen::KeyPair::generate().expect("a key");
                let params = rcgen::CertificateParams::new(["localhost".to_owned()]).expect("a name");
                let certificate = params.self_signed(&key).expect("a certificate");
                fs::write(folder.path().join(format!("{name}.pem")), certificate.pem()).expect("written");
                fs::write(folder.path().join(format!("{name}.key")), key.serialize_pem()).expect("written");
            }
            fs::write(folder.path().join("empty"), "").expect("written");
            Self { folder }
        }

        fn files(&self, certificate: &str, key: &str, client_ca: Option<&str>) -> TlsFiles {
            let path = |name: &str| self.folder.path().join(name);
            TlsFiles { certificate: path(certificate), key: path(key), client_ca: client_ca.map(path) }
        }
    }

    #[test]
    fn certificate_and_key_that_fit_make_a_listener() {
        let pki = Pki::new();
        let config = server_config(&pki.files("one.pem", "one.key", Some("two.pem")), &["mqtt"]).expect("a listener");
        assert_eq!(config.alpn_protocols, [b"mqtt"]);
    }

    #[test]
    fn what_is_wrong_is_told_with_the_file() {
        let pki = Pki::new();
        let error = |files| server_config(&files, &[]).expect_err("of no use");
        let missing = error(pki.files("none.pem", "one.key", None));
        assert!(matches!(&missing, TlsError::File { path, .. } if path.ends_with("none.pem")), "{missing}");
        let empty = error(pki.files("empty", "one.key", None));
        assert!(matches!(&empty, TlsError::NoCertificate { path } if path.ends_with("empty")), "{empty}");
        let no_key = error(pki.files("one.pem", "one.pem", None));
        assert!(matches!(&no_key, TlsError::File { path, .. } if path.ends_with("one.pem")), "{no_key}");
        let other_key = error(pki.files("one.pem", "two.key", None));
        assert!(matches!(&other_key, TlsError::Certificate { .. }), "{other_key}");
        let no_roots = error(pki.files("one.pem", "one.key", Some("empty")));
        assert!(matches!(&no_roots, TlsError::NoCertificate { path } if path.ends_with("empty")), "{no_roots}");
    }
}
