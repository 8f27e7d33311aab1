//! Gateways: adding them, enrolling them, and whom they met without an allocation.

use bugle_core::{GatewayId, PeripheralId, Protocol, Time};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A gateway to add, or to enrol again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewGateway {
    /// Which.
    pub id: GatewayId,
    /// How long the enrolment token is good for; an hour without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_in_seconds: Option<u64>,
}

/// Lets a gateway enrol, once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EnrollmentToken {
    /// Which gateway.
    pub gateway: GatewayId,
    /// The token, `bugle-enroll.<fingerprint>.<secret>`. Told only now.
    pub token: String,
    /// SHA-256 of the platform's CA certificate (DER), in hexadecimal. It is the middle part of the
    /// token too, so that the gateway can tell that what it gets is from this platform.
    pub ca_fingerprint: String,
    /// Until when the token is good.
    pub expires_at: Time,
}

/// A gateway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Gateway {
    /// Which.
    pub id: GatewayId,
    /// Since when the platform knows it.
    pub created_at: Time,
    /// Whether it has a certificate.
    pub is_enrolled: bool,
    /// Whether its link is up now.
    pub is_connected: bool,
    /// When its link was last known to be up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_seen: Option<Time>,
    /// The last entry of its up log that is applied.
    pub up_applied: u64,
    /// The last entry of its down log.
    pub down_last: u64,
    /// The last entry of its down log that it has acknowledged.
    pub down_acknowledged: u64,
}

/// What a gateway sends to enrol. No other token is needed for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Enrollment {
    /// The enrolment token.
    pub token: String,
    /// A certificate signing request (PKCS #10) for the gateway's key, in PEM. Its subject counts
    /// for nothing: the certificate names the gateway that the token is for.
    pub csr_pem: String,
}

/// What an enrolled gateway needs for its link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Enrolled {
    /// Which gateway it is from now on.
    pub gateway: GatewayId,
    /// Its certificate, in PEM.
    pub certificate_pem: String,
    /// The CA certificate that vouches for it and for the platform's link, in PEM.
    pub ca_pem: String,
    /// Where to dial, as `host:port`.
    pub link_address: String,
}

/// A peripheral without an allocation that asked to register.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StrangerRecord {
    /// At which gateway.
    pub gateway: GatewayId,
    /// Who it says it is.
    pub peripheral: PeripheralId,
    /// Which protocol it speaks.
    pub protocol: Protocol,
    /// From where.
    pub address: String,
    /// When it last asked, by the gateway's clock.
    pub at: Time,
}
