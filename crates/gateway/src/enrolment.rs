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
    let Token { text: token, fingerprint } = token(config)?;
    let key = KeyPair::generate()?;
    let csr_pem = CertificateParams::default().serialize_request(&key)?.pem()?;
    let client = Client::without_token(&config.platform.url)?;
    let enrolled = client.enrol(&Enrollment { token, csr_pem }).await?;
    if Authority::fingerprint_of(&enrolled.ca_pem).ok() != Some(fingerprint) {
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

/// A token and the fingerprint in it: `bugle-enroll.<fingerprint>.<secret>`.
struct Token {
    text: String,
    fingerprint: String,
}

fn token(config: &Config) -> Result<Token, EnrolmentError> {
    let platform = &config.platform;
    let text = match (&platform.enrollment_token, &platform.enrollment_token_file) {
        (Some(token), _) => token.clone(),
        (None, Some(path)) => {
            std::fs::read_to_string(path).map_err(|source| EnrolmentError::TokenFile { path: path.clone(), source })?
        }
        (None, None) => return Err(EnrolmentError::NoToken(config.id.clone())),
    };
    let text = text.trim();
    let parts: Vec<&str> = text.split('.').collect();
    match parts[..] {
        ["bugle-enroll", fingerprint, _] => Ok(Token { text: text.to_owned(), fingerprint: fingerprint.to_owned() }),
        _ => Err(EnrolmentError::Token),
    }
}

impl From<Kept> for Enrolment {
    fn from(kept: Kept) -> Self {
        let Kept { link_address, ca_pem, certificate_pem, key_pem, .. } = kept;
        Self { identity: LinkIdentity { ca_pem, certificate_pem, key_pem }, link_address }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use axum::routing::post;
    use axum::{Json, Router};
    use bugle_api::Enrolled;
    use bugle_runtime::Clock;
    use tempfile::TempDir;
    use tokio::net::TcpListener;

    use super::*;

    /// A platform that enrols everybody as one gateway.
    struct Platform {
        url: String,
        authority: Arc<Authority>,
        enrolled: Arc<AtomicUsize>,
    }

    impl Platform {
        async fn enrolling(gateway: &'static str) -> Self {
            let now = Clock::start().now();
            let authority = Arc::new(Authority::create(now).expect("an authority"));
            let enrolled = Arc::new(AtomicUsize::new(0));
            let (signing, counting) = (Arc::clone(&authority), Arc::clone(&enrolled));
            let enrol = move |Json(enrollment): Json<Enrollment>| async move {
                counting.fetch_add(1, Ordering::Relaxed);
                let gateway: GatewayId = gateway.parse().expect("a gateway id");
                let certificate_pem = signing.sign_gateway(&enrollment.csr_pem, &gateway, now).expect("signed");
                let ca_pem = signing.certificate_pem().to_owned();
                Json(Enrolled { gateway, certificate_pem, ca_pem, link_address: "platform:7443".into() })
            };
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
            let url = format!("http://{}", listener.local_addr().expect("it listens"));
            let router = Router::new().route("/v1/enrollments", post(enrol));
            tokio::spawn(async move { axum::serve(listener, router).await });
            Self { url, authority, enrolled }
        }

        fn token(&self) -> String {
            format!("bugle-enroll.{}.secret", self.authority.fingerprint())
        }

        fn enrolled(&self) -> usize {
            self.enrolled.load(Ordering::Relaxed)
        }
    }

    fn folder() -> (TempDir, DataFolder) {
        let outer = tempfile::tempdir().expect("a folder");
        let folder = DataFolder::open(outer.path()).expect("a data folder");
        (outer, folder)
    }

    fn config(id: &str, url: &str, token: Option<&str>) -> Config {
        let token = token.map_or(String::new(), |token| format!("enrollment_token = {token:?}\n"));
        let text = format!("id = {id:?}\ndata_folder = \"unused\"\n[platform]\nurl = {url:?}\n{token}");
        toml::from_str(&text).expect("a configuration")
    }

    #[tokio::test]
    async fn a_gateway_enrols_once_and_then_needs_neither_token_nor_platform() {
        let platform = Platform::enrolling("north").await;
        let (_outer, folder) = folder();
        let first = ensure(&config("north", &platform.url, Some(&platform.token())), &folder).await;
        let first = first.expect("it is enrolled");
        let again = ensure(&config("north", "http://127.0.0.1:1", None), &folder).await.expect("it was enrolled");
        assert_eq!(platform.enrolled(), 1);
        assert_eq!((first.link_address.as_str(), again.link_address.as_str()), ("platform:7443", "platform:7443"));
        assert_eq!(first.identity.key_pem, again.identity.key_pem);
        assert_eq!(first.identity.certificate_pem, again.identity.certificate_pem);
    }

    #[tokio::test]
    async fn a_platform_that_the_token_is_not_from_is_turned_away_and_nothing_is_kept() {
        let (platform, imposter) = (Platform::enrolling("north").await, Platform::enrolling("north").await);
        let (_outer, folder) = folder();
        let refused = ensure(&config("north", &imposter.url, Some(&platform.token())), &folder).await;
        assert!(matches!(refused, Err(EnrolmentError::Imposter(_))), "{refused:?}");
        assert_eq!(folder.read(FILE).expect("readable"), None);
    }

    #[tokio::test]
    async fn a_token_of_another_gateway_is_not_taken() {
        let platform = Platform::enrolling("south").await;
        let (_outer, folder) = folder();
        let refused = ensure(&config("north", &platform.url, Some(&platform.token())), &folder).await;
        let error = refused.expect_err("it is for another");
        assert_eq!(error.to_string(), "the token is for gateway south, and this is north");
        assert!(error.needs_a_person());
        assert_eq!(folder.read(FILE).expect("readable"), None);
    }

    #[tokio::test]
    async fn a_folder_of_another_gateway_is_not_taken() {
        let platform = Platform::enrolling("north").await;
        let (_outer, folder) = folder();
        ensure(&config("north", &platform.url, Some(&platform.token())), &folder).await.expect("it is enrolled");
        let refused = ensure(&config("south", &platform.url, None), &folder).await;
        assert!(matches!(refused, Err(EnrolmentError::OtherFolder { .. })), "{refused:?}");
    }

    #[tokio::test]
    async fn without_a_token_the_way_to_one_is_told() {
        let (_outer, folder) = folder();
        let error = ensure(&config("north", "http://127.0.0.1:1", None), &folder).await.expect_err("no token");
        assert!(error.to_string().contains("`bugle gateway enroll north`"), "{error}");
    }

    #[tokio::test]
    async fn what_is_no_token_is_never_sent() {
        let platform = Platform::enrolling("north").await;
        let (_outer, folder) = folder();
        for token in ["", "secret", "bugle-enroll.secret", "other.00.secret", "bugle-enroll.00.se.cret"] {
            let refused = ensure(&config("north", &platform.url, Some(token)), &folder).await;
            assert!(matches!(refused, Err(EnrolmentError::Token)), "{token:?}: {refused:?}");
        }
        assert_eq!(platform.enrolled(), 0);
    }

    #[tokio::test]
    async fn a_platform_out_of_reach_may_be_back() {
        let (_outer, folder) = folder();
        let refused = ensure(&config("north", "http://127.0.0.1:1", Some("bugle-enroll.00.secret")), &folder).await;
        assert!(!refused.expect_err("nobody is there").needs_a_person());
    }
}
