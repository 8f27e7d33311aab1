//! Who a simulated LwM2M peripheral is, and what it does, as data.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bugle_core::PeripheralId;
use bugle_dtls::ClientCredential;
use bugle_lwm2m::client::{Settings, Sleep, WakesWith};
use bugle_lwm2m::{ContentFormat, ContentFormats, Version};

use crate::seed::Numbers;

/// A peripheral to simulate.
#[derive(Debug, Clone)]
pub struct Peripheral {
    /// Who it is; its endpoint name.
    pub id: PeripheralId,
    /// Where it registers.
    pub server: SocketAddr,
    /// What it shows under DTLS; without it, it speaks plain CoAP.
    pub credential: Option<ClientCredential>,
    /// What it does.
    pub behaviour: Arc<Behaviour>,
}

/// What a simulated peripheral does.
///
/// It registers, updates its registration in time, answers what it is asked, notifies whoever observes
/// it, and comes back when its server has forgotten it; the rest is told here.
#[derive(Debug, Clone)]
pub struct Behaviour {
    /// The newest version that it speaks.
    pub version: Version,
    /// How long its registration lasts without an update; it sends one before.
    pub lifetime: Duration,
    /// Whether it sleeps.
    pub sleep: Sleep,
    /// By how much its sleeps are longer than that, up to, so that a fleet does not wake as one. Each
    /// peripheral keeps to its own.
    pub jitter: Duration,
    /// Where it comes back from when it wakes.
    pub port: Port,
    /// The formats that it offers and understands, beside plain text and opaque.
    pub formats: ContentFormats,
    /// What it answers in if the server leaves it the choice.
    pub preferred: ContentFormat,
    /// Whether it reports.
    pub reporting: Option<Reporting>,
    /// Whether it deregisters, and how long after it has registered.
    pub leaves_after: Option<Duration>,
    /// After how long it tries again to register; each further time after twice as long,
    pub retry: Duration,
    /// up to so long.
    pub retry_max: Duration,
    /// How many tries in a row may fail; without a limit it never gives up.
    pub tries: Option<u32>,
}

/// Where a peripheral comes back from when it wakes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Port {
    /// From where it was.
    Kept,
    /// From another port, as behind an address translator that has forgotten it.
    Another,
}

/// A change of its temperature that repeats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reporting {
    /// How often.
    pub every: Duration,
    /// Who is told.
    pub telling: Telling,
}

/// Who is told of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Telling {
    /// Whoever observes it.
    Observers,
    /// The server, with Send, from 1.1 on; and whoever observes it.
    Server,
}

impl Behaviour {
    /// Always there.
    #[must_use]
    pub fn steady() -> Self {
        Self {
            version: Version::V1_1,
            lifetime: Duration::from_secs(300),
            sleep: Sleep::Never,
            jitter: Duration::ZERO,
            port: Port::Kept,
            formats: [ContentFormat::SENML_JSON, ContentFormat::SENML_CBOR, ContentFormat::TLV].into_iter().collect(),
            preferred: ContentFormat::SENML_JSON,
            reporting: None,
            leaves_after: None,
            retry: Duration::from_secs(2),
            retry_max: Duration::from_secs(3600),
            tries: None,
        }
    }

    /// As [`steady`](Self::steady), but in queue mode and mostly asleep: awake for a moment, then gone for
    /// `asleep`.
    #[must_use]
    pub fn sleepy(asleep: Duration) -> Self {
        let sleep = Sleep::QueueMode { awake: Duration::from_secs(2), every: asleep, wakes_with: WakesWith::Update };
        Self { sleep, jitter: asleep / 8, ..Self::steady() }
    }

    /// The device that behaves so.
    pub(super) fn settings(&self, endpoint: PeripheralId, numbers: &mut Numbers) -> Settings {
        let sleep = match self.sleep {
            Sleep::Never => Sleep::Never,
            Sleep::QueueMode { awake, every, wakes_with } => {
                Sleep::QueueMode { awake, every: every + numbers.duration(self.jitter), wakes_with }
            }
        };
        Settings {
            version: self.version,
            lifetime: self.lifetime,
            sleep,
            formats: self.formats,
            preferred: self.preferred,
            retry: self.retry,
            retry_max: self.retry_max,
            ..Settings::new(endpoint)
        }
    }
}
