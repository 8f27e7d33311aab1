//! The simulated peripherals of the town, over real sockets: MQTT, and LwM2M under DTLS.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use bugle_core::credential::PreSharedKey;
use bugle_dtls::ClientCredential;
use bugle_load::mqtt::{Announcing, Behaviour, Credentials, Peripheral, Reconnecting, Sleeping};
use bugle_load::{Command, Event, Happening, MqttVersion, Options, Peripherals, lwm2m};

use super::parts::Parts;
use super::town::{Kind, Speaks, Town};
use crate::failure::Failure;

/// Events that wait for the story to look at them.
const EVENTS_MAX: usize = 100_000;
/// After how long a lamp that speaks LwM2M asks again.
const RETRY: Duration = Duration::from_millis(500);
/// How a meter sleeps by itself.
const METER_AWAKE: Duration = Duration::from_secs(30);
const METER_ASLEEP: Duration = Duration::from_secs(15);
const METER_JITTER: Duration = Duration::from_secs(10);

/// The simulated peripherals at work.
#[derive(Debug)]
pub(crate) struct Residents {
    peripherals: Peripherals,
}

impl Residents {
    /// Has them all connect, each to its gateway.
    pub(crate) fn start(town: &Town, parts: &Parts, password: &str) -> Result<Self, Failure> {
        let lamp = Arc::new(Behaviour { reconnecting: soon(), ..Behaviour::steady(MqttVersion::Mqtt5) });
        let sleeping = Sleeping {
            awake: METER_AWAKE,
            asleep: METER_ASLEEP,
            jitter: METER_JITTER,
            announcing: Announcing::NextWake,
        };
        let meter = Behaviour::steady(MqttVersion::Mqtt311);
        let meter = Arc::new(Behaviour { sleeping: Some(sleeping), reconnecting: soon(), ..meter });
        let key: PreSharedKey = password.parse().context("the password in the data folder is no key")?;
        let lwm2m_lamp = Arc::new(lwm2m::Behaviour { retry: RETRY, ..lwm2m::Behaviour::steady() });
        let all = town.peripherals.iter().map(|resident| -> Result<bugle_load::Peripheral, Failure> {
            let (gateway, mqtt) = &parts.gateways[resident.gateway];
            let id = resident.id.clone();
            Ok(match resident.speaks {
                Speaks::Mqtt => Peripheral {
                    credentials: Some(Credentials { username: id.to_string(), password: password.to_owned() }),
                    id,
                    server: *mqtt,
                    behaviour: Arc::clone(if resident.kind == Kind::Lamp { &lamp } else { &meter }),
                }
                .into(),
                Speaks::Lwm2m => lwm2m::Peripheral {
                    credential: Some(ClientCredential::PreSharedKey {
                        identity: id.as_str().as_bytes().to_vec(),
                        key: key.clone(),
                    }),
                    id,
                    server: gateway.lwm2m_dtls_address().context("the gateway listens for LwM2M under DTLS")?,
                    behaviour: Arc::clone(&lwm2m_lamp),
                }
                .into(),
            })
        });
        Ok(Self { peripherals: start(all.collect::<Result<_, _>>()?, Options::default())? })
    }

    /// Tells the one at this place of the town what to do.
    pub(crate) fn command(&self, place: usize, command: Command) {
        self.peripherals.command(place, command);
    }
}

/// One that no gateway knows asks to register, once; returns what it was told.
pub(crate) async fn stranger_asks(town: &Town, parts: &Parts) -> Result<String, Failure> {
    let reconnecting = Reconnecting { tries: Some(1), ..soon() };
    let stranger = Peripheral {
        id: town.stranger.clone(),
        server: parts.gateways[0].1,
        credentials: None,
        behaviour: Arc::new(Behaviour { reconnecting, ..Behaviour::steady(MqttVersion::Mqtt5) }),
    };
    let stranger = start(vec![stranger.into()], Options { events_max: EVENTS_MAX, ..Options::default() })?;
    let asked = tokio::task::spawn_blocking(move || {
        while let Some(Event { what, .. }) = stranger.next_event(Duration::from_secs(10)) {
            if let Happening::Refused { code, reason } = what {
                return Some(format!("{code:#04x} {}", reason.unwrap_or_default()).trim_end().to_owned());
            }
        }
        None
    });
    let refusal = asked.await.context("the stranger was broken off")?;
    Ok(refusal.context("the gateway has not refused the stranger")?)
}

fn start(peripherals: Vec<bugle_load::Peripheral>, options: Options) -> Result<Peripherals, Failure> {
    Ok(Peripherals::start(peripherals, options).context("the peripherals cannot be simulated")?)
}

/// Back at once after a restart: nobody wants to wait for a story.
const fn soon() -> Reconnecting {
    Reconnecting { first: Duration::from_millis(200), most: Duration::from_secs(2), tries: None }
}
