//! What a simulated peripheral does, as data.

use std::time::Duration;

use bugle_core::Content;
use bugle_mqtt::Version;

/// What a simulated peripheral does.
///
/// It connects, subscribes, acknowledges what it gets, and comes back when it loses its connection;
/// the rest is told here.
#[derive(Debug, Clone)]
pub struct Behaviour {
    /// What it speaks.
    pub version: Version,
    /// After how long without a word from it the server gives it up; in whole seconds, zero for never.
    pub keep_alive: Duration,
    /// How long its session outlives its connection, in whole seconds. MQTT 3.1.1 knows only whether
    /// it does.
    pub session_expiry: Duration,
    /// What it subscribes to.
    pub subscription: Subscription,
    /// Whether and how it answers requests.
    pub answering: Answering,
    /// Whether it sleeps.
    pub sleeping: Option<Sleeping>,
    /// Whether it reports.
    pub reporting: Option<Reporting>,
    /// Whether it deregisters, and how long after it has registered.
    pub leaves_after: Option<Duration>,
    /// How it comes back.
    pub reconnecting: Reconnecting,
    /// How long it waits for the answer to CONNECT, and to SUBSCRIBE.
    pub patience: Duration,
}

/// What a simulated peripheral subscribes to, with QoS 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subscription {
    /// Its own requests, as at a Bugle gateway.
    Requests,
    /// This topic, as at a server that knows nothing of Bugle.
    Topic(String),
}

/// Whether and how requests are answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answering {
    /// They are acknowledged, no more.
    Never,
    /// They are carried out on the peripheral's own few resources, and answered so long after they
    /// came, give or take the jitter.
    Honestly {
        /// How long it takes.
        after: Duration,
        /// By how much it varies, up to.
        jitter: Duration,
    },
    /// They are refused, for this reason.
    Refusing(String),
}

/// A sleep that repeats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sleeping {
    /// How long it stays awake after it has connected; longer while answers are under way.
    pub awake: Duration,
    /// How long it sleeps.
    pub asleep: Duration,
    /// By how much a sleep varies, up to, so that a fleet does not wake as one.
    pub jitter: Duration,
    /// Whether it says so before.
    pub announcing: Announcing,
}

/// Whether a peripheral that goes to sleep says when it will wake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Announcing {
    /// It does, on its standby topic.
    NextWake,
    /// It just goes.
    Nothing,
}

/// A report that repeats.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reporting {
    /// The last part of the topic.
    pub name: String,
    /// How often.
    pub every: Duration,
    /// What.
    pub content: Content,
}

/// How a peripheral comes back after it has lost its connection or was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reconnecting {
    /// The first wait. Each further one is twice as long, with up to half of it added at random.
    pub first: Duration,
    /// The longest wait, before what is added.
    pub most: Duration,
    /// How many tries in a row may fail; without a limit it never gives up.
    pub tries: Option<u32>,
}

impl Default for Reconnecting {
    fn default() -> Self {
        Self { first: Duration::from_secs(1), most: Duration::from_secs(30), tries: None }
    }
}

impl Behaviour {
    /// Always connected, answers honestly and quickly.
    #[must_use]
    pub fn steady(version: Version) -> Self {
        Self {
            version,
            keep_alive: Duration::from_secs(30),
            session_expiry: Duration::from_secs(3600),
            subscription: Subscription::Requests,
            answering: Answering::Honestly { after: Duration::from_millis(50), jitter: Duration::from_millis(50) },
            sleeping: None,
            reporting: None,
            leaves_after: None,
            reconnecting: Reconnecting::default(),
            patience: Duration::from_secs(60),
        }
    }

    /// As [`steady`](Self::steady), but mostly asleep: awake for a moment, then gone for `asleep`.
    #[must_use]
    pub fn sleepy(version: Version, asleep: Duration) -> Self {
        let sleeping =
            Sleeping { awake: Duration::from_secs(2), asleep, jitter: asleep / 8, announcing: Announcing::NextWake };
        Self { sleeping: Some(sleeping), ..Self::steady(version) }
    }

    /// Subscribes to `subscription` and acknowledges, as little as can be asked of a subscriber. For measurements.
    #[must_use]
    pub fn subscriber(version: Version, subscription: Subscription) -> Self {
        Self {
            subscription,
            answering: Answering::Never,
            keep_alive: Duration::from_secs(300),
            ..Self::steady(version)
        }
    }
}
