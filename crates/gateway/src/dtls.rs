//! What DTLS has in files: certificates, and the key that sessions are kept under.

use std::io;
use std::path::{Path, PathBuf};

use bugle_core::certificate::{TrustAnchors, TrustAnchorsError};
use bugle_dtls::{Certificates, KeepingKey, OwnCertificate, OwnCertificateError};
use bugle_runtime::DataFolder;
use bugle_runtime::tls::TlsFiles;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use thiserror::Error;

use crate::StartError;

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

/// The file of the key that sessions are kept under. It must never be put back with an older state of the store: the
/// sessions in there would use record numbers twice, which gives away what was said in them.
pub const KEEPING_KEY_FILE: &str = "dtls-sessions.key";

/// The key that sessions are kept under. Where there is none, or none that can be read, it is a new one: the sessions
/// that were kept are over.
pub(crate) fn keeping_key(folder: &DataFolder) -> Result<KeepingKey, StartError> {
    let known = folder.read(KEEPING_KEY_FILE)?.and_then(|text| u128::from_str_radix(text.trim(), 16).ok());
    if let Some(known) = known {
        return Ok(KeepingKey::new(known.to_be_bytes()));
    }
    let mut bytes = [0; KeepingKey::BYTES];
    getrandom::fill(&mut bytes).map_err(|error| io::Error::other(error.to_string()))?;
    let text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    folder.write(KEEPING_KEY_FILE, text.as_bytes())?;
    Ok(KeepingKey::new(bytes))
}

fn read(path: &Path) -> Result<Vec<CertificateDer<'static>>, DtlsError> {
    let failed = |source| DtlsError::File { path: path.to_owned(), source };
    CertificateDer::pem_file_iter(path).map_err(failed)?.collect::<Result<_, _>>().map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_of_sessions_stays_until_its_file_goes() {
        let folder = tempfile::tempdir().expect("a folder");
        let folder = DataFolder::open(folder.path()).expect("a data folder");
        let key = || {
            keeping_key(&folder).expect("a key");
            folder.read(KEEPING_KEY_FILE).expect("it is read").expect("it is there")
        };
        let first = key();
        assert_eq!(key(), first);
        for text in ["", "no key", "ffffffffffffffffffffffffffffffffff"] {
            folder.write(KEEPING_KEY_FILE, text.as_bytes()).expect("it is written");
            let new = key();
            assert!(new != first && new != text && new.len() == 2 * KeepingKey::BYTES, "{new}");
        }
    }
}
