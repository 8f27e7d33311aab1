//! Who plays: peripherals of both protocols at two gateways, and how each of them is woken.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bugle_core::PeripheralId;
use bugle_core::certificate::TrustAnchors;
use bugle_core::credential::PreSharedKey;
use bugle_dtls::{Certificates, ClientCredential, OwnCertificate};
use bugle_load::mqtt::{Announcing, Answering, Reconnecting, Sleeping};
use bugle_load::{MqttVersion, Peripheral, lwm2m, mqtt};
use bugle_lwm2m::Version;
use bugle_lwm2m::client::{Sleep, WakesWith};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};

use super::system::{Authority, GatewayPart};
use super::wakers::Wakers;

/// One peripheral.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Actor {
    pub(crate) id: &'static str,
    pub(crate) gateway: &'static str,
    pub(crate) speaks: Speaks,
    pub(crate) rests: Rests,
    temper: Temper,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Speaks {
    Mqtt5,
    Mqtt311,
    /// Over plain CoAP.
    Lwm2m(Version),
    /// LwM2M under DTLS, with a key that the gateway has too.
    PreSharedKey,
    /// LwM2M under DTLS, with a certificate.
    Certificate,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rests {
    Never,
    /// In standby until it is woken so.
    Until(Means),
}

/// What wakes a sleeper.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Means {
    Window,
    WakeOnLan,
    Coap,
    Http,
    Exec,
}

/// What it makes of requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Temper {
    Willing,
    /// It takes them, and says no.
    Refusing,
    /// It takes them, and says nothing.
    Mute,
    /// It is willing, and hard to wake: its gateway tries again after a second.
    Sleepy,
    /// It answers as nobody should (`odd.rs`).
    Odd,
}

const fn actor(id: &'static str, gateway: &'static str, speaks: Speaks, rests: Rests) -> Actor {
    Actor { id, gateway, speaks, rests, temper: Temper::Willing }
}

const fn asleep(id: &'static str, gateway: &'static str, speaks: Speaks, means: Means) -> Actor {
    actor(id, gateway, speaks, Rests::Until(means))
}

const fn awake(id: &'static str, gateway: &'static str, speaks: Speaks) -> Actor {
    actor(id, gateway, speaks, Rests::Never)
}

const fn troubled(id: &'static str, gateway: &'static str, speaks: Speaks, temper: Temper) -> Actor {
    let rests = match temper {
        Temper::Sleepy => Rests::Until(Means::Http),
        Temper::Willing | Temper::Refusing | Temper::Mute | Temper::Odd => Rests::Never,
    };
    Actor { temper, ..actor(id, gateway, speaks, rests) }
}

/// All of them. Each waker is there once at each gateway, for MQTT at the one and for LwM2M at the other.
pub(crate) const CAST: [Actor; 23] = [
    awake("n-mqtt5", "north", Speaks::Mqtt5),
    awake("n-mqtt3", "north", Speaks::Mqtt311),
    awake("n-lwm2m", "north", Speaks::Lwm2m(Version::V1_1)),
    awake("n-key", "north", Speaks::PreSharedKey),
    asleep("n-window", "north", Speaks::Mqtt311, Means::Window),
    asleep("n-lan", "north", Speaks::Mqtt5, Means::WakeOnLan),
    asleep("n-coap", "north", Speaks::Lwm2m(Version::V1_1), Means::Coap),
    asleep("n-http", "north", Speaks::Mqtt311, Means::Http),
    asleep("n-exec", "north", Speaks::PreSharedKey, Means::Exec),
    awake("s-mqtt5", "south", Speaks::Mqtt5),
    awake("s-mqtt3", "south", Speaks::Mqtt311),
    awake("s-lwm2m", "south", Speaks::Lwm2m(Version::V1_0)),
    awake("s-cert", "south", Speaks::Certificate),
    asleep("s-window", "south", Speaks::Lwm2m(Version::V1_1), Means::Window),
    asleep("s-lan", "south", Speaks::Lwm2m(Version::V1_2), Means::WakeOnLan),
    asleep("s-coap", "south", Speaks::Mqtt5, Means::Coap),
    asleep("s-http", "south", Speaks::Lwm2m(Version::V1_0), Means::Http),
    asleep("s-exec", "south", Speaks::Mqtt311, Means::Exec),
    troubled("n-refusing", "north", Speaks::Mqtt5, Temper::Refusing),
    troubled("s-mute", "south", Speaks::Mqtt311, Temper::Mute),
    troubled("n-sleepy", "north", Speaks::Mqtt5, Temper::Sleepy),
    troubled("n-stern", "north", Speaks::Mqtt5, Temper::Odd),
    troubled("s-garbled", "south", Speaks::Lwm2m(Version::V1_1), Temper::Odd),
];

/// How long a client in queue mode listens after its last word, and after how long its gateway counts it as in
/// standby.
const LISTENS: Duration = Duration::from_millis(1_500);
const IDLE_SECONDS: u64 = 2;
/// By themselves sleepers stay as they are for as long as a test lasts.
const LONG: Duration = Duration::from_secs(3_600);

impl fmt::Display for Means {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Window => "window",
            Self::WakeOnLan => "lan",
            Self::Coap => "coap",
            Self::Http => "http",
            Self::Exec => "exec",
        })
    }
}

impl Actor {
    pub(crate) fn is_mqtt(&self) -> bool {
        matches!(self.speaks, Speaks::Mqtt5 | Speaks::Mqtt311)
    }

    /// Whether it is played by those simulated peripherals that do as they should; they come first in the cast.
    pub(crate) fn is_simulated(&self) -> bool {
        self.temper != Temper::Odd
    }

    /// How it is woken; none if it is always there.
    pub(crate) fn means(&self) -> Option<Means> {
        match self.rests {
            Rests::Never => None,
            Rests::Until(means) => Some(means),
        }
    }

    /// Whether a word is one for it: its id, its protocol, its waker, or one of its groups.
    fn answers_to(&self, word: &str) -> bool {
        let protocol = match self.speaks {
            Speaks::Mqtt5 => ["mqtt", "mqtt5"],
            Speaks::Mqtt311 => ["mqtt", "mqtt3"],
            Speaks::Lwm2m(_) => ["lwm2m", "plain"],
            Speaks::PreSharedKey | Speaks::Certificate => ["lwm2m", "secured"],
        };
        let means = self.means().map(|means| means.to_string());
        word == self.id || protocol.contains(&word) || means.as_deref() == Some(word) || self.groups().contains(&word)
    }

    /// Whether it is one of those that `who` names: all words of any alternative, which have commas between, are
    /// words for it.
    pub(crate) fn is_named_by(&self, who: &str) -> bool {
        who.split(',').any(|words| {
            let mut words = words.split_whitespace().peekable();
            words.peek().is_some() && words.all(|word| self.answers_to(word))
        })
    }

    fn groups(&self) -> Vec<&'static str> {
        match (self.temper, self.rests) {
            (Temper::Willing, Rests::Never) => vec!["town", "lamps", self.gateway],
            (Temper::Willing, Rests::Until(_)) => vec!["town", "meters", self.gateway],
            (Temper::Refusing | Temper::Mute | Temper::Sleepy | Temper::Odd, _) => vec!["trouble"],
        }
    }

    /// Whether it is in this group, or in one that lies in it.
    pub(crate) fn is_in(&self, group: &str) -> bool {
        match group {
            // It contains the groups of both gateways, and the lamps once more.
            "country" => ["north", "south", "lamps"].iter().any(|inner| self.is_in(inner)),
            "world" => self.is_in("country"),
            _ => self.groups().contains(&group),
        }
    }

    /// For how long it says that it sleeps: at each gateway wake-on-lan, coap, http, exec and window in this order.
    /// LwM2M has no word for it.
    pub(crate) fn sleeps(&self) -> Duration {
        let hours = match self.means() {
            Some(Means::WakeOnLan) | None => 1,
            Some(Means::Coap) => 2,
            Some(Means::Http) => 3,
            Some(Means::Exec) => 4,
            Some(Means::Window) => 5,
        };
        LONG * hours
    }

    fn behaviour(&self, version: MqttVersion) -> mqtt::Behaviour {
        let sleeping = Sleeping { awake: LONG, asleep: LONG, jitter: Duration::ZERO, announcing: Announcing::NextWake };
        let steady = mqtt::Behaviour::steady(version);
        mqtt::Behaviour {
            sleeping: (self.rests != Rests::Never).then_some(sleeping),
            answering: match self.temper {
                Temper::Refusing => Answering::Refusing("not today".into()),
                Temper::Mute => Answering::Never,
                Temper::Willing | Temper::Sleepy | Temper::Odd => steady.answering.clone(),
            },
            reconnecting: Reconnecting {
                first: Duration::from_millis(200),
                most: Duration::from_millis(500),
                tries: None,
            },
            ..steady
        }
    }

    fn lwm2m_behaviour(&self, version: Version) -> lwm2m::Behaviour {
        let wakes_with = if self.means() == Some(Means::Http) { WakesWith::Register } else { WakesWith::Update };
        lwm2m::Behaviour {
            version,
            lifetime: LONG,
            sleep: match self.rests {
                Rests::Never => Sleep::Never,
                Rests::Until(_) => Sleep::QueueMode { awake: LISTENS, every: LONG, wakes_with },
            },
            retry: Duration::from_millis(200),
            ..lwm2m::Behaviour::steady()
        }
    }

    /// Its table in its gateway's file of allocations.
    fn allocation(&self, key: &str, wakers: &Wakers) -> String {
        let mut table = format!("\n[[peripheral]]\nid = {:?}\ngroups = {:?}\n", self.id, self.groups());
        let protocol = if self.is_mqtt() { "mqtt" } else { "lwm2m" };
        table += &format!("labels = {{ zone = {:?}, protocol = {protocol:?}", self.gateway);
        if let Some(means) = self.means() {
            table += &format!(", waker = \"{means}\"");
        }
        table += " }\n";
        match self.speaks {
            Speaks::PreSharedKey => table += &format!("pre_shared_key = {key:?}\n"),
            Speaks::Certificate => table += &format!("certificate = {:?}\n", self.id),
            Speaks::Mqtt5 | Speaks::Mqtt311 | Speaks::Lwm2m(_) => {}
        }
        if let Some(means) = self.means() {
            table += &wakers.of(self.id, means, self.temper == Temper::Sleepy);
            if !self.is_mqtt() {
                table += &format!("idle = {IDLE_SECONDS}\n");
            }
        }
        table
    }
}

/// The place of one in the cast.
pub(crate) fn place_of(id: &str) -> usize {
    CAST.iter().position(|actor| actor.id == id).unwrap_or_else(|| panic!("{id} does not play"))
}

/// The file of allocations of a gateway.
pub(crate) fn allocations(gateway: &str, key: &str, wakers: &Wakers) -> String {
    let here = CAST.iter().filter(|actor| actor.gateway == gateway);
    here.fold("[defaults]\napplication = \"metering\"\n".to_owned(), |file, actor| {
        file + &actor.allocation(key, wakers)
    })
}

/// Those that are simulated, ready to start: in their order.
pub(crate) fn peripherals<'a>(
    gateway: impl Fn(&str) -> &'a GatewayPart,
    authority: &Authority,
    key: &PreSharedKey,
) -> Vec<Peripheral> {
    let one = |actor: &Actor| -> Peripheral {
        let id: PeripheralId = actor.id.parse().expect("a peripheral id");
        let GatewayPart { mqtt, coap, coaps, .. } = gateway(actor.gateway);
        let at = |port: u16| ([127, 0, 0, 1], port).into();
        let over_coap = |version, port, credential| {
            let behaviour = Arc::new(actor.lwm2m_behaviour(version));
            lwm2m::Peripheral { id: id.clone(), server: at(port), credential, behaviour }.into()
        };
        let version = match actor.speaks {
            Speaks::Mqtt5 => MqttVersion::Mqtt5,
            Speaks::Mqtt311 => MqttVersion::Mqtt311,
            Speaks::Lwm2m(version) => return over_coap(version, *coap, None),
            Speaks::PreSharedKey => {
                let credential = ClientCredential::PreSharedKey { identity: actor.id.into(), key: key.clone() };
                return over_coap(Version::V1_1, *coaps, Some(credential));
            }
            Speaks::Certificate => {
                let credential = ClientCredential::Certificate(certificates(authority, actor.id));
                return over_coap(Version::V1_1, *coaps, Some(credential));
            }
        };
        let behaviour = Arc::new(actor.behaviour(version));
        mqtt::Peripheral { id, server: at(*mqtt), credentials: None, behaviour }.into()
    };
    CAST.iter().filter(|actor| actor.is_simulated()).map(one).collect()
}

fn certificates(authority: &Authority, name: &str) -> Certificates {
    let certified = authority.certify(name);
    let read = |path: &Path| CertificateDer::from_pem_file(path).expect("a certificate");
    let key = PrivatePkcs8KeyDer::from_pem_file(&certified.key).expect("a key");
    let chain = vec![read(&certified.certificate).to_vec()];
    let trusted = read(&authority.certificate);
    Certificates {
        own: OwnCertificate::new(chain, key.secret_pkcs8_der()).expect("they fit together"),
        trusted: TrustAnchors::new([trusted.as_ref()]).expect("an authority"),
    }
}
