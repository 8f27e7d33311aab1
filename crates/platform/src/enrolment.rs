//! Enrolling gateways: a token that serves once, for a certificate that names the gateway.

use std::time::Duration;

use bugle_api::{Enrolled, Enrollment, EnrollmentToken};
use bugle_core::GatewayId;
use bugle_runtime::AuthorityError;
use bugle_store::sqlite::StoreError;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use thiserror::Error;

use crate::Platform;
use crate::secret::{self, NoRandomness};

/// How long an enrolment token is good for, unless something else is asked for.
const TOKEN_LIFETIME: Duration = Duration::from_secs(3_600);
/// The longest that may be asked for.
pub(crate) const TOKEN_LIFETIME_MAX: Duration = Duration::from_secs(30 * 86_400);

/// Why a gateway is not enrolled.
#[derive(Debug, Error)]
pub(crate) enum EnrolError {
    /// The token is unknown or used up.
    #[error("the enrolment token is unknown or was used before; ask the platform's operator for a new one")]
    Token,
    /// The token has expired.
    #[error("the enrolment token has expired; ask the platform's operator for a new one")]
    Expired,
    /// The signing request is none.
    #[error("{0}")]
    Request(AuthorityError),
    /// The platform cannot sign, or made what is no certificate.
    #[error("no certificate could be made: {0}")]
    Authority(String),
    /// The store cannot take it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why no enrolment token is issued.
#[derive(Debug, Error)]
pub(crate) enum IssueError {
    /// No secret could be drawn.
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
    /// The store cannot take it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Platform {
    /// Adds a gateway if it is not there, and issues a token for it to enrol with.
    pub(crate) async fn issue_enrolment_token(
        &self,
        gateway: GatewayId,
        lifetime: Option<Duration>,
    ) -> Result<EnrollmentToken, IssueError> {
        let ca_fingerprint = self.authority().fingerprint().to_owned();
        let token = secret::new_enrolment_token(&ca_fingerprint)?;
        let now = self.now();
        let expires_at = now + lifetime.unwrap_or(TOKEN_LIFETIME);
        let hash = secret::hash(token.as_bytes());
        self.store().add_enrollment(hash, &gateway, expires_at, now).recv().await?;
        tracing::info!(%gateway, "may enrol");
        Ok(EnrollmentToken { gateway, token, ca_fingerprint, expires_at })
    }

    /// Enrols a gateway. Its earlier certificate, if it had one, is worthless from now on.
    pub(crate) async fn enrol(&self, enrollment: Enrollment) -> Result<Enrolled, EnrolError> {
        let hash = secret::hash(enrollment.token.as_bytes());
        let (gateway, expires_at) = self.store().enrollment(hash).recv().await?.ok_or(EnrolError::Token)?;
        let now = self.now();
        if now >= expires_at {
            return Err(EnrolError::Expired);
        }
        let signed = self.authority().sign_gateway(&enrollment.csr_pem, &gateway, now);
        let certificate_pem = signed.map_err(|error| match error {
            AuthorityError::Request(_) => EnrolError::Request(error),
            other => EnrolError::Authority(other.to_string()),
        })?;
        let certificate = CertificateDer::from_pem_slice(certificate_pem.as_bytes())
            .map_err(|error| EnrolError::Authority(error.to_string()))?;
        if !self.store().enrol(hash, secret::hash(&certificate)).recv().await? {
            return Err(EnrolError::Token);
        }
        tracing::info!(%gateway, "enrolled");
        Ok(Enrolled {
            gateway,
            certificate_pem,
            ca_pem: self.authority().certificate_pem().to_owned(),
            link_address: self.link_address().to_owned(),
        })
    }
}
