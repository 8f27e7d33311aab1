//! What an operator may set.

use std::net::SocketAddr;
use std::num::{NonZeroU16, NonZeroU32};
use std::path::PathBuf;
use std::time::Duration;

use bugle_core::GatewayId;
use bugle_core::gateway::{self, Undecided};
use bugle_core::limits::PACING_MAX;
use bugle_edge::Settings;
use bugle_runtime::listener::{ListenError, PlainReach, check_plain};
use bugle_runtime::tls::{TlsError, TlsFiles, server_config};
use serde::Deserialize;
use thiserror::Error;

use crate::dtls::{self, DtlsError};

/// The configuration of a gateway, as its file has it. All of it is checked before a port is bound.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Which gateway this is; the platform must know it by the same name.
    pub id: GatewayId,
    /// Where it keeps its store, key and certificates.
    pub data_folder: PathBuf,
    /// The file of allocations, TOML or CSV; none if all are made through the platform.
    #[serde(default)]
    pub allocations: Option<PathBuf>,
    /// Where the gateway says how it is doing.
    #[serde(default = "default_http")]
    pub http_listen: SocketAddr,
    /// How far `http_listen` may be reached from.
    #[serde(default)]
    pub http_plain: PlainReach,
    /// MQTT peripherals.
    #[serde(default)]
    pub mqtt: Mqtt,
    /// LwM2M peripherals.
    #[serde(default)]
    pub lwm2m: Lwm2m,
    /// Registering.
    #[serde(default)]
    pub registration: Registration,
    /// How fast peripherals are served and woken.
    #[serde(default)]
    pub pacing: Pacing,
    /// Waking peripherals.
    #[serde(default)]
    pub wake: Wake,
    /// The platform.
    pub platform: Platform,
}

fn default_http() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 8483))
}

/// MQTT peripherals.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Mqtt {
    /// Where they connect without encryption; none if they do not.
    pub listen: Option<SocketAddr>,
    /// How far `listen` may be reached from.
    pub plain: PlainReach,
    /// Where they connect with TLS; none if they do not.
    pub tls_listen: Option<SocketAddr>,
    /// The certificate and key for that.
    pub tls: Option<TlsFiles>,
    /// The largest packet that is taken, in bytes.
    pub packet_bytes_max: u32,
    /// The longest that a session outlives its connection, in seconds.
    pub session_expiry_max_seconds: u64,
    /// The longest keep-alive, in seconds.
    pub keep_alive_max_seconds: u16,
    /// Publications in flight from one peripheral.
    pub receive_maximum: NonZeroU16,
}

impl Default for Mqtt {
    fn default() -> Self {
        let defaults = bugle_mqtt::Config::default();
        Self {
            listen: Some(SocketAddr::from(([127, 0, 0, 1], 1883))),
            plain: PlainReach::Loopback,
            tls_listen: None,
            tls: None,
            packet_bytes_max: defaults.packet_bytes_max,
            session_expiry_max_seconds: defaults.session_expiry_max.as_secs(),
            keep_alive_max_seconds: u16::try_from(defaults.keep_alive_max.as_secs()).unwrap_or(u16::MAX),
            receive_maximum: defaults.receive_maximum,
        }
    }
}

/// LwM2M peripherals, over CoAP.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Lwm2m {
    /// Where they register without encryption; none if they do not.
    pub listen: Option<SocketAddr>,
    /// How far `listen` may be reached from.
    pub plain: PlainReach,
    /// Where they register under DTLS; none if they do not.
    pub dtls_listen: Option<SocketAddr>,
    /// The gateway's certificate, and whose it trusts; without it only pre-shared keys are taken.
    pub dtls: Option<TlsFiles>,
}

/// Registering.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Registration {
    /// How long the application may take to decide, in seconds.
    pub decision_seconds: u64,
    /// What happens when it takes longer: `refuse`, or `hold`.
    pub undecided: UndecidedWord,
    /// After how many seconds a refused peripheral is asked to try again.
    pub retry_after_seconds: u64,
    /// How many peripherals may ask their application within any second. The others are told when to try again.
    /// A 0 sets no bound.
    pub admissions_per_second: u32,
    /// How many seconds a peripheral may take to acknowledge a request, and again to answer it.
    pub answer_seconds: u64,
}

impl Default for Registration {
    fn default() -> Self {
        Self {
            decision_seconds: 10,
            undecided: UndecidedWord::Refuse,
            retry_after_seconds: 30,
            admissions_per_second: 500,
            answer_seconds: 30,
        }
    }
}

/// How fast peripherals are served and woken, whatever requests ask for. A 0 sets no bound.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Pacing {
    /// Deliveries that begin within any second.
    pub members_per_second: u32,
    /// Deliveries that are under way at any instant.
    pub members_in_flight: u32,
    /// Wake-ups that are sent within any minute.
    pub activations_per_minute: u32,
}

impl Default for Pacing {
    fn default() -> Self {
        Self { members_per_second: 2_000, members_in_flight: 10_000, activations_per_minute: 600 }
    }
}

impl Pacing {
    const fn bounds(&self) -> bugle_core::Pacing {
        bugle_core::Pacing {
            members_per_second: NonZeroU32::new(self.members_per_second),
            members_in_flight: NonZeroU32::new(self.members_in_flight),
            activations_per_minute: NonZeroU32::new(self.activations_per_minute),
        }
    }
}

/// Waking peripherals.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Wake {
    /// The folder of the programs that an allocation may name to wake its peripheral; none are run
    /// without it.
    pub programs: Option<PathBuf>,
}

/// What happens to a peripheral about which the application does not decide in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UndecidedWord {
    /// It is refused, with a hint when to try again.
    Refuse,
    /// It waits.
    Hold,
}

/// The platform.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Platform {
    /// Its HTTP API, which the gateway needs once, to enrol.
    pub url: String,
    /// The one-time token that `bugle gateway enroll` prints.
    #[serde(default)]
    pub enrollment_token: Option<String>,
    /// A file that holds that token.
    #[serde(default)]
    pub enrollment_token_file: Option<PathBuf>,
}

/// What is wrong with a configuration. The fault is of whoever wrote it.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// A plain listener beyond loopback was not asked for by name.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// Certificate or key are of no use.
    #[error("mqtt.tls: {0}")]
    Tls(#[from] TlsError),
    /// Certificates for DTLS are of no use.
    #[error("lwm2m.dtls: {0}")]
    Dtls(#[from] DtlsError),
    /// Half of TLS is configured.
    #[error("mqtt.tls_listen and [mqtt.tls] go together: set both, or neither")]
    HalfTls,
    /// Nobody could connect.
    #[error(
        "set mqtt.listen, mqtt.tls_listen, lwm2m.listen or lwm2m.dtls_listen: without one of them no peripheral can connect"
    )]
    NoListener,
    /// A number is out of its range.
    #[error("{setting} must be from {min} to {max}")]
    Range {
        /// Which setting.
        setting: &'static str,
        /// The least that it may be.
        min: u64,
        /// The most that it may be.
        max: u64,
    },
    /// The enrolment token is given twice.
    #[error("set platform.enrollment_token or platform.enrollment_token_file, not both")]
    TwoTokens,
}

impl Config {
    /// Checks what the types leave open, and returns the TLS configuration, if there is one.
    ///
    /// # Errors
    /// If something is wrong with it.
    pub fn check(&self) -> Result<Option<std::sync::Arc<rustls::ServerConfig>>, ConfigError> {
        check_plain("http_listen", self.http_listen, "http_plain", self.http_plain)?;
        if let Some(listen) = self.mqtt.listen {
            check_plain("mqtt.listen", listen, "mqtt.plain", self.mqtt.plain)?;
        }
        if let Some(listen) = self.lwm2m.listen {
            check_plain("lwm2m.listen", listen, "lwm2m.plain", self.lwm2m.plain)?;
        }
        for (setting, value, min, max) in [
            ("mqtt.packet_bytes_max", u64::from(self.mqtt.packet_bytes_max), 1_024, 268_435_455),
            ("mqtt.keep_alive_max_seconds", u64::from(self.mqtt.keep_alive_max_seconds), 1, 65_535),
            ("registration.decision_seconds", self.registration.decision_seconds, 1, 3_600),
            ("registration.retry_after_seconds", self.registration.retry_after_seconds, 1, 86_400),
            (
                "registration.admissions_per_second",
                self.registration.admissions_per_second.into(),
                0,
                PACING_MAX.into(),
            ),
            ("registration.answer_seconds", self.registration.answer_seconds, 1, 86_400),
            ("pacing.members_per_second", self.pacing.members_per_second.into(), 0, PACING_MAX.into()),
            ("pacing.members_in_flight", self.pacing.members_in_flight.into(), 0, PACING_MAX.into()),
            ("pacing.activations_per_minute", self.pacing.activations_per_minute.into(), 0, PACING_MAX.into()),
        ] {
            if value < min || value > max {
                return Err(ConfigError::Range { setting, min, max });
            }
        }
        if self.platform.enrollment_token.is_some() && self.platform.enrollment_token_file.is_some() {
            return Err(ConfigError::TwoTokens);
        }
        match (self.mqtt.tls_listen, &self.mqtt.tls) {
            (Some(_), Some(files)) => Ok(Some(server_config(files, &["mqtt"])?)),
            (None, None) if self.mqtt.listen.or(self.lwm2m.listen).or(self.lwm2m.dtls_listen).is_none() => {
                Err(ConfigError::NoListener)
            }
            (None, None) => Ok(None),
            _ => Err(ConfigError::HalfTls),
        }
    }

    /// DTLS for the edge, if anybody is to speak it; all but the seed.
    ///
    /// # Errors
    /// If certificates are of no use.
    pub(crate) fn dtls(&self) -> Result<Option<bugle_dtls::Config>, ConfigError> {
        if self.lwm2m.dtls_listen.is_none() {
            return Ok(None);
        }
        let certificates = self.lwm2m.dtls.as_ref().map(dtls::certificates).transpose()?;
        Ok(Some(bugle_dtls::Config { certificates, ..bugle_dtls::Config::default() }))
    }

    pub(crate) fn settings(&self) -> Settings {
        let gateway = gateway::Config {
            decision_time: Duration::from_secs(self.registration.decision_seconds),
            undecided: match self.registration.undecided {
                UndecidedWord::Refuse => Undecided::Refuse,
                UndecidedWord::Hold => Undecided::Hold,
            },
            retry_after: Duration::from_secs(self.registration.retry_after_seconds),
            admissions_per_second: NonZeroU32::new(self.registration.admissions_per_second),
            answer_time: Duration::from_secs(self.registration.answer_seconds),
            pacing: self.pacing.bounds(),
            ..gateway::Config::new(self.id.clone())
        };
        let mut settings = Settings::new(gateway);
        settings.mqtt.packet_bytes_max = self.mqtt.packet_bytes_max;
        settings.mqtt.session_expiry_max = Duration::from_secs(self.mqtt.session_expiry_max_seconds);
        settings.mqtt.keep_alive_max = Duration::from_secs(u64::from(self.mqtt.keep_alive_max_seconds));
        settings.mqtt.receive_maximum = self.mqtt.receive_maximum;
        settings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(more: &str) -> Config {
        let text =
            format!("id = \"gw\"\ndata_folder = \"/tmp/gw\"\n{more}\n[platform]\nurl = \"http://127.0.0.1:1\"\n");
        toml::from_str(&text).expect("a configuration")
    }

    #[test]
    fn the_defaults_are_sound_and_on_loopback() {
        let config = config("");
        assert!(config.check().is_ok_and(|tls| tls.is_none()));
        assert!(config.mqtt.listen.is_some_and(|address| address.ip().is_loopback()));
        assert!(config.http_listen.ip().is_loopback());
    }

    #[test]
    fn a_plain_listener_beyond_loopback_must_be_asked_for_by_name() {
        let wide = "[mqtt]\nlisten = \"0.0.0.0:1883\"\n";
        let error = config(wide).check().expect_err("it is refused");
        assert!(error.to_string().contains("mqtt.plain"), "{error}");
        assert!(config(&format!("{wide}plain = \"anywhere\"\n")).check().is_ok());
    }

    #[test]
    fn half_a_tls_configuration_is_refused() {
        let half = config("[mqtt]\ntls_listen = \"127.0.0.1:8883\"\n");
        assert!(matches!(half.check(), Err(ConfigError::HalfTls)));
    }

    #[test]
    fn a_number_out_of_range_is_refused() {
        let zero = config("[registration]\ndecision_seconds = 0\n");
        assert!(matches!(zero.check(), Err(ConfigError::Range { setting: "registration.decision_seconds", .. })));
    }
}
