//! Who lives at the gateways, and what each of them is like.

use std::fmt::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bugle_core::PeripheralId;
use bugle_core::credential::PreSharedKey;
use bugle_dtls::ClientCredential;
use bugle_load::mqtt::{self, Announcing, Reconnecting, Sleeping};
use bugle_load::{MqttVersion, Peripheral, lwm2m};
use bugle_lwm2m::client::{Sleep, WakesWith};

use super::system::System;

/// The gateways; the first has the small disk.
pub(crate) const GATEWAYS: [&str; 2] = ["north", "south"];
/// How long those that sleep are awake, and asleep.
const AWAKE: Duration = Duration::from_secs(2);
const ASLEEP: Duration = Duration::from_secs(4);
const KEY_BYTES: usize = 16;

/// What a peripheral speaks, and whether it sleeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Mqtt5,
    Mqtt311,
    MqttSleeper,
    Coap,
    CoapSleeper,
    Dtls,
    DtlsSleeper,
}

impl Kind {
    pub(crate) const ALL: [Self; 7] =
        [Self::Mqtt5, Self::Mqtt311, Self::MqttSleeper, Self::Coap, Self::CoapSleeper, Self::Dtls, Self::DtlsSleeper];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Mqtt5 => "mqtt5",
            Self::Mqtt311 => "mqtt311",
            Self::MqttSleeper => "mqtt-sleeper",
            Self::Coap => "coap",
            Self::CoapSleeper => "coap-sleeper",
            Self::Dtls => "dtls",
            Self::DtlsSleeper => "dtls-sleeper",
        }
    }

    pub(crate) const fn is_mqtt(self) -> bool {
        matches!(self, Self::Mqtt5 | Self::Mqtt311 | Self::MqttSleeper)
    }

    pub(crate) const fn sleeps(self) -> bool {
        matches!(self, Self::MqttSleeper | Self::CoapSleeper | Self::DtlsSleeper)
    }

    const fn is_secured(self) -> bool {
        matches!(self, Self::Dtls | Self::DtlsSleeper)
    }

    /// The group of those that are like it, beside the one of all.
    const fn group(self) -> &'static str {
        if self.is_mqtt() { "messages" } else { "resources" }
    }
}

/// One of them.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    pub(crate) id: PeripheralId,
    pub(crate) kind: Kind,
    pub(crate) gateway: &'static str,
    /// Its pre-shared key, in hexadecimal digits.
    key: String,
}

/// All of them, in the order of their places.
pub(crate) struct Fleet {
    pub(crate) members: Vec<Member>,
}

impl Fleet {
    /// So many of each kind at each gateway.
    pub(crate) fn new(of_each: usize) -> Self {
        let mut members = Vec::new();
        for gateway in GATEWAYS {
            for kind in Kind::ALL {
                members.extend((0..of_each).map(|number| Member {
                    id: format!("{gateway}-{}-{number}", kind.name()).parse().expect("a peripheral id"),
                    kind,
                    gateway,
                    key: key(),
                }));
            }
        }
        Self { members }
    }

    /// The file of allocations of a gateway.
    pub(crate) fn allocations(&self, gateway: &str) -> String {
        let mut file = "[defaults]\napplication = \"metering\"\n".to_owned();
        for member in self.members.iter().filter(|member| member.gateway == gateway) {
            let Member { id, kind, key, .. } = member;
            let _ = write!(file, "\n[[peripheral]]\nid = \"{id}\"\ngroups = [\"all\", \"{}\"]\n", kind.group());
            if kind.is_secured() {
                let _ = writeln!(file, "pre_shared_key = \"{key}\"");
            }
            if kind.sleeps() && !kind.is_mqtt() {
                let _ = writeln!(file, "idle = {}", AWAKE.as_secs());
            }
        }
        file
    }

    /// The peripherals, to be simulated.
    pub(crate) fn peripherals(&self, system: &System) -> Vec<Peripheral> {
        self.members.iter().map(|member| member.peripheral(system)).collect()
    }
}

impl Member {
    fn peripheral(&self, system: &System) -> Peripheral {
        let gateway = &system.gateways[self.gateway];
        let at = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        if self.kind.is_mqtt() {
            let behaviour = Arc::new(mqtt_behaviour(self.kind));
            return mqtt::Peripheral { id: self.id.clone(), server: at(gateway.mqtt), credentials: None, behaviour }
                .into();
        }
        let credential = self.kind.is_secured().then(|| ClientCredential::PreSharedKey {
            identity: self.id.as_str().as_bytes().to_vec(),
            key: self.key.parse::<PreSharedKey>().expect("a key"),
        });
        let server = at(if self.kind.is_secured() { gateway.coaps } else { gateway.coap });
        lwm2m::Peripheral { id: self.id.clone(), server, credential, behaviour: Arc::new(lwm2m_behaviour(self.kind)) }
            .into()
    }
}

fn mqtt_behaviour(kind: Kind) -> mqtt::Behaviour {
    let version = if kind == Kind::Mqtt5 { MqttVersion::Mqtt5 } else { MqttVersion::Mqtt311 };
    let sleeping = Sleeping { awake: AWAKE, asleep: ASLEEP, jitter: ASLEEP / 2, announcing: Announcing::NextWake };
    mqtt::Behaviour {
        keep_alive: Duration::from_secs(10),
        patience: Duration::from_secs(15),
        sleeping: kind.sleeps().then_some(sleeping),
        reconnecting: Reconnecting { first: Duration::from_millis(100), most: Duration::from_secs(1), tries: None },
        ..mqtt::Behaviour::steady(version)
    }
}

fn lwm2m_behaviour(kind: Kind) -> lwm2m::Behaviour {
    let sleep = match kind.sleeps() {
        true => Sleep::QueueMode { awake: AWAKE, every: ASLEEP, wakes_with: WakesWith::Update },
        false => Sleep::Never,
    };
    lwm2m::Behaviour {
        sleep,
        jitter: ASLEEP / 2,
        retry: Duration::from_millis(500),
        retry_max: Duration::from_secs(10),
        ..lwm2m::Behaviour::steady()
    }
}

fn key() -> String {
    let mut bytes = [0; KEY_BYTES];
    getrandom::fill(&mut bytes).expect("the system has random bytes");
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
