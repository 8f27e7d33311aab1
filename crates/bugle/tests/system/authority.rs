//! Who certifies gateways and peripherals.

use std::fs;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};

/// An authority of its own for each system, with keys of ECDSA P-256.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    folder: PathBuf,
    /// Its own certificate.
    pub(crate) certificate: PathBuf,
}

/// A certificate with its key, in files.
pub(crate) struct Certified {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

impl Authority {
    /// Keeps its files in a folder of its own in this one.
    pub(crate) fn new(folder: &Path) -> Self {
        let folder = folder.join("certificates");
        fs::create_dir_all(&folder).expect("the folder is made");
        let mut params = named("authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a certificate");
        let certificate = write(folder.join("authority.pem"), &certificate.pem());
        Self { issuer: Issuer::new(params, key), folder, certificate }
    }

    /// Whoever trusts this authority from now on trusts the other as well.
    pub(crate) fn join(&self, other: &Self) {
        let pem = |path: &Path| fs::read_to_string(path).expect("the certificate is read");
        write(self.certificate.clone(), &(pem(&self.certificate) + &pem(&other.certificate)));
    }

    /// A certificate of somebody with this common name.
    pub(crate) fn certify(&self, name: &str) -> Certified {
        let key = KeyPair::generate().expect("a key");
        let certificate: Certificate = named(name).signed_by(&key, &self.issuer).expect("a certificate");
        Certified {
            certificate: write(self.folder.join(format!("{name}-certificate.pem")), &certificate.pem()),
            key: write(self.folder.join(format!("{name}-key.pem")), &key.serialize_pem()),
        }
    }
}

fn named(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new(vec![name.to_owned(), "127.0.0.1".to_owned()]).expect("names");
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

fn write(path: PathBuf, pem: &str) -> PathBuf {
    fs::write(&path, pem).expect("the file is written");
    path
}
