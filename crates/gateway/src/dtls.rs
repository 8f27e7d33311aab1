//! The certificates of DTLS, from their files.

use std::path::{Path, PathBuf};

use bugle_core::certificate::{TrustAnchors, TrustAnchorsError};
use bugle_dtls::{Certificates, OwnCertificate, OwnCertificateError};
use bugle_runtime::tls::TlsFiles;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use thiserror::Error;

/// Why certificates are of no use for DTLS. The fault is of whoever configured them.
#[derive(Debug, Error)]
pub enum DtlsError {
    /// A file cannot be read as PEM.
    #[error("{path}: {source}")]
    File {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        source: pem::Error,
    },
    /// Certificate and key do not fit together, or are of a kind that DTLS is not spoken with here.
    #[error("{path}: {source}")]
    Certificate {
        /// The certificate's file.
        path: PathBuf,
        /// What is wrong with it.
        source: OwnCertificateError,
    },
    /// The authorities cannot be trusted.
    #[error("{path}: {source}")]
    Authorities {
        /// Their file.
        path: PathBuf,
        /// What is wrong with it.
        source: TrustAnchorsError,
    },
    /// Nobody's certificates are trusted.
    #[error("client_ca is missing: every peripheral with a certificate must have it from somebody")]
    NoAuthority,
}

/// Reads our certificate and the authorities of the peripherals'.
pub(crate) fn certificates(files: &TlsFiles) -> Result<Certificates, DtlsError> {
    let chain = read(&files.certificate)?.into_iter().map(|der| der.to_vec()).collect();
    let key = PrivatePkcs8KeyDer::from_pem_file(&files.key)
        .map_err(|source| DtlsError::File { path: files.key.clone(), source })?;
    let own = OwnCertificate::new(chain, key.secret_pkcs8_der())
        .map_err(|source| DtlsError::Certificate { path: files.certificate.clone(), source })?;
    let authorities = files.client_ca.as_ref().ok_or(DtlsError::NoAuthority)?;
    let trusted = TrustAnchors::new(read(authorities)?.iter().map(AsRef::as_ref))
        .map_err(|source| DtlsError::Authorities { path: authorities.clone(), source })?;
    Ok(Certificates { own, trusted })
}

fn read(path: &Path) -> Result<Vec<CertificateDer<'static>>, DtlsError> {
    let failed = |source| DtlsError::File { path: path.to_owned(), source };
    CertificateDer::pem_file_iter(path).map_err(failed)?.collect::<Result<_, _>>().map_err(failed)
}
