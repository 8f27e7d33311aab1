//! Enrolling: a one-time token for a certificate, once in the life of a gateway.
//!
//! 1. The gateway makes a key, which never leaves its data folder, and a request to sign it.
//! 2. It shows the token to the platform, which answers with a certificate and that of its authority.
//! 3. The token names the authority by its fingerprint: an answer from anybody else is worth nothing.
//!
//! Key, certificates and the link's address are kept in the data folder. What is kept is used.

use bugle_api::Enrollment;
use bugle_client::{Client, ClientError};
use bugle_core::GatewayId;
use bugle_runtime::link::LinkIdentity;
use bugle_runtime::{Authority, DataFolder, DataFolderError};
use rcgen::{CertificateParams, KeyPair};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::Config;

const FILE: &str = "link.toml";

/// What a gateway needs to reach the platform.
#[derive(Debug)]
pub(crate) struct Enrolment {
    pub(crate) identity: LinkIdentity,
    pub(crate) link_address: String,
}

/// The file that keeps it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    gateway: GatewayId,
    link_address: String,
    ca_pem: String,
    certificate_pem: String,
    key_pem: String,
}

/// Why a gateway is not enrolled.
#[derive(Debug, Error)]
pub(crate) enum EnrolmentError {
    #[error("not enrolled: get a token with `bugle gateway enroll {0}` and set platform.enrollment_token")]
    NoToken(GatewayId),
    #[error("{path} cannot be read: {source}")]
    TokenFile { path: std::path::PathBuf, source: std::io::Error },
    #[error("the enrolment token is not one: it has the form that `bugle gateway enroll` prints")]
    Token,
    #[error("the gateway cannot be enrolled: {0}")]
    Client(#[from] ClientError),
    #[error("whoever answers at {0} is not the platform that the token is from")]
    Imposter(String),
    #[error("the token is for gateway {enrolled}, and this is {configured}")]
    OtherGateway { enrolled: GatewayId, configured: GatewayId },
    #[error("the folder was enrolled as gateway {kept}, and the configuration says {configured}")]
    OtherFolder { kept: GatewayId, configured: GatewayId },
    #[error("{FILE} in the data folder is damaged: {0}; remove it and enrol anew")]
    Damaged(toml::de::Error),
    #[error("no key could be made: {0}")]
    Key(#[from] rcgen::Error),
    #[error(transparent)]
    DataFolder(#[from] DataFolderError),
}

impl EnrolmentError {
    /// Whether it will not pass by itself.
    pub(crate) const fn needs_a_person(&self) -> bool {
        match self {
            Self::Client(error) => !error.is_passing(),
            _ => true,
        }
    }
}

/// What the data folder keeps, or else what the platform gives for the token.
pub(crate) async fn ensure(config: &Config, folder: &DataFolder) -> Result<Enrolment, EnrolmentError> {
    if let Some(text) = folder.read(FILE)? {
        let kept: Kept = toml::from_str(&text).map_err(EnrolmentError::Damaged)?;
        if kept.gateway != config.id {
            return Err(EnrolmentError::OtherFolder { kept: kept.gateway, configured: config.id.clone() });
        }
        return Ok(kept.into());
    }
    let token = token(config)?;
    let key = KeyPair::generate()?;
    let csr_pem = CertificateParams::default().serialize_request(&key)?.pem()?;
    let client = Client::without_token(&config.platform.url)?;
    let enrolled = client.enrol(&Enrollment { token: token.clone(), csr_pem }).await?;
    let fingerprint = token.split('.').nth(1).ok_or(EnrolmentError::Token)?;
    if Authority::fingerprint_of(&enrolled.ca_pem).ok().as_deref() != Some(fingerprint) {
        return Err(EnrolmentError::Imposter(config.platform.url.clone()));
    }
    if enrolled.gateway != config.id {
        return Err(EnrolmentError::OtherGateway { enrolled: enrolled.gateway, configured: config.id.clone() });
    }
    let kept = Kept {
        gateway: enrolled.gateway,
        link_address: enrolled.link_address,
        ca_pem: enrolled.ca_pem,
        certificate_pem: enrolled.certificate_pem,
        key_pem: key.serialize_pem(),
    };
    folder.write(FILE, toml::to_string(&kept).expect("texts are TOML").as_bytes())?;
    tracing::info!(gateway = %kept.gateway, "enrolled at the platform");
    Ok(kept.into())
}

fn token(config: &Config) -> Result<String, EnrolmentError> {
    let platform = &config.platform;
    let text = match (&platform.enrollment_token, &platform.enrollment_token_file) {
        (Some(token), _) => token.clone(),
        (None, Some(path)) => {
            std::fs::read_to_string(path).map_err(|source| EnrolmentError::TokenFile { path: path.clone(), source })?
        }
        (None, None) => return Err(EnrolmentError::NoToken(config.id.clone())),
    };
    let token = text.trim().to_owned();
    if token.split('.').count() == 3 { Ok(token) } else { Err(EnrolmentError::Token) }
}

impl From<Kept> for Enrolment {
    fn from(kept: Kept) -> Self {
        let Kept { link_address, ca_pem, certificate_pem, key_pem, .. } = kept;
        Self { identity: LinkIdentity { ca_pem, certificate_pem, key_pem }, link_address }
    }
}
