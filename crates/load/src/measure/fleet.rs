//! The simulated peripherals of one measurement, and waiting until all of them have got somewhere.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use bugle_core::Protocol;
use bugle_dtls::ClientCredential;
use bugle_lwm2m::Version;

use super::target::{Member, Shown, Target};
use super::{MeasureError, Watch};
use crate::command::Command;
use crate::event::{Ending, Event, Happening};
use crate::peripherals::{Options, Peripheral, Peripherals, StartError};
use crate::{MqttVersion, lwm2m, mqtt};

/// Events that one peripheral brings at most between two looks: a few of a connection, two of a message.
const EVENTS_PER_PERIPHERAL: usize = 8;
/// How often it is looked whether anything has happened.
const LOOK_INTERVAL: Duration = Duration::from_millis(2);
/// How often whoever watches is told how far it is.
const WATCH_INTERVAL: Duration = Duration::from_millis(100);
/// Longer than any measurement takes, so that nobody has to say that it is still there.
const LIFETIME: Duration = Duration::from_secs(86_400);

/// Simulated peripherals at one server.
pub(super) struct Fleet<'w> {
    server: &'static str,
    pub(super) peripherals: Peripherals,
    patience: Duration,
    watch: &'w Watch,
}

/// What all members of a measurement do.
#[derive(Debug, Clone)]
pub(super) enum Conduct {
    Mqtt(Arc<mqtt::Behaviour>),
    Lwm2m(Arc<lwm2m::Behaviour>),
}

impl Conduct {
    /// As little as can be asked of a member: to be there, and to acknowledge. With MQTT it subscribes to
    /// `subscription`, and its session outlives its connection by `session_expiry`.
    pub(super) fn new(protocol: Protocol, subscription: mqtt::Subscription, session_expiry: Duration) -> Self {
        let mqtt = |version| {
            let subscriber = mqtt::Behaviour::subscriber(version, subscription);
            Self::Mqtt(Arc::new(mqtt::Behaviour { session_expiry, ..subscriber }))
        };
        let lwm2m = |version| {
            let steady = lwm2m::Behaviour::steady();
            Self::Lwm2m(Arc::new(lwm2m::Behaviour { version, lifetime: LIFETIME, ..steady }))
        };
        match protocol {
            Protocol::Mqtt311 => mqtt(MqttVersion::Mqtt311),
            Protocol::Mqtt5 => mqtt(MqttVersion::Mqtt5),
            Protocol::Lwm2m10 => lwm2m(Version::V1_0),
            Protocol::Lwm2m11 => lwm2m(Version::V1_1),
            Protocol::Lwm2m12 => lwm2m(Version::V1_2),
        }
    }

    /// What a member has got to when it is to be reached.
    pub(super) fn ready(&self, members: usize) -> Goal {
        match self {
            Self::Mqtt(_) => Goal::new("subscribed", members, |what| matches!(what, Happening::Subscribed)),
            Self::Lwm2m(_) => Goal::accepted(members),
        }
    }

    fn peripheral(&self, member: Member) -> Peripheral {
        let Member { id, gateway: server, shows } = member;
        match self {
            Self::Mqtt(behaviour) => {
                let credentials = match shows {
                    Some(Shown::Password(credentials)) => Some(credentials),
                    Some(Shown::PreSharedKey(_)) | None => None,
                };
                mqtt::Peripheral { id, server, credentials, behaviour: Arc::clone(behaviour) }.into()
            }
            Self::Lwm2m(behaviour) => {
                let credential = match shows {
                    Some(Shown::PreSharedKey(key)) => {
                        Some(ClientCredential::PreSharedKey { identity: id.as_str().into(), key })
                    }
                    Some(Shown::Password(_)) | None => None,
                };
                lwm2m::Peripheral { id, server, credential, behaviour: Arc::clone(behaviour) }.into()
            }
        }
    }
}

/// What all are to get to, and when the last has.
pub(super) struct Goal {
    what: &'static str,
    is_reached_by: fn(&Happening) -> bool,
    reached: Vec<bool>,
    count: usize,
    last: Option<Instant>,
}

impl Goal {
    /// For the first `members` peripherals of a fleet.
    pub(super) fn new(what: &'static str, members: usize, is_reached_by: fn(&Happening) -> bool) -> Self {
        Self { what, is_reached_by, reached: vec![false; members], count: 0, last: None }
    }

    /// To be accepted; at a gateway, that is registered.
    pub(super) fn accepted(members: usize) -> Self {
        Self::new("were accepted", members, |what| matches!(what, Happening::Connected { .. }))
    }

    fn see(&mut self, event: &Event) {
        if (self.is_reached_by)(&event.what)
            && let Some(reached @ false) = self.reached.get_mut(event.peripheral)
        {
            *reached = true;
            self.count += 1;
            self.last = self.last.max(Some(event.at));
        }
    }

    fn is_reached(&self) -> bool {
        self.count == self.reached.len()
    }

    /// How long after `began` the last got there.
    pub(super) fn took(&self, began: Instant) -> Duration {
        self.last.map(|last| last.saturating_duration_since(began)).unwrap_or_default()
    }
}

impl<'w> Fleet<'w> {
    pub(super) fn start(
        target: &Target,
        members: Vec<Member>,
        conduct: &Conduct,
        patience: Duration,
        watch: &'w Watch,
    ) -> Result<Self, StartError> {
        let options = Options {
            connecting_max: target.connecting_max(),
            events_max: members.len() * EVENTS_PER_PERIPHERAL,
            ..Options::default()
        };
        let peripherals = Peripherals::start(members.into_iter().map(|member| conduct.peripheral(member)), options)?;
        Ok(Self { server: target.name(), peripherals, patience, watch })
    }

    /// Forgets what has happened up to now.
    pub(super) fn forget(&self) {
        while self.peripherals.poll_event().is_some() {}
    }

    /// Waits until all have reached every one of `goals`.
    pub(super) fn wait(&self, goals: &mut [Goal]) -> Result<(), MeasureError> {
        let until = Instant::now() + self.patience;
        let mut first_failure = String::new();
        let mut looked = Instant::now();
        loop {
            while let Some(event) = self.peripherals.poll_event() {
                if first_failure.is_empty() {
                    first_failure = failure(&event.what)
                        .map(|failure| format!("; the first failure: {failure}"))
                        .unwrap_or_default();
                }
                goals.iter_mut().for_each(|goal| goal.see(&event));
            }
            let Some(goal) = goals.iter().find(|goal| !goal.is_reached()) else { return Ok(()) };
            let now = Instant::now();
            if now.duration_since(looked) >= WATCH_INTERVAL {
                looked = now;
                (self.watch)(goal.what, goal.count, goal.reached.len());
            }
            if now >= until {
                return Err(self.incomplete(goals, first_failure));
            }
            // Events say when they were. To be woken for each would take their time from what is measured.
            thread::sleep(LOOK_INTERVAL);
        }
    }

    /// Ends the registrations of all, and waits until they are.
    pub(super) fn leave(&self, members: usize) -> Result<(), MeasureError> {
        self.forget();
        self.peripherals.command_all(&Command::Deregister);
        let has_left = |what: &Happening| matches!(what, Happening::Disconnected(Ending::Left));
        self.wait(&mut [Goal::new("deregistered", members, has_left)])
    }

    fn incomplete(&self, goals: &[Goal], first_failure: String) -> MeasureError {
        let (what, done, wanted) = goals
            .iter()
            .find(|goal| !goal.is_reached())
            .map(|goal| (goal.what, goal.count, goal.reached.len()))
            .unwrap_or_default();
        let (server, seconds) = (self.server, self.patience.as_secs());
        MeasureError::Incomplete { server, what, done, wanted, seconds, first_failure }
    }
}

fn failure(happening: &Happening) -> Option<String> {
    match happening {
        Happening::Refused { code, reason } => {
            Some(format!("refused with {code:#04x} {}", reason.as_deref().unwrap_or_default()))
        }
        Happening::Disconnected(Ending::ByServer { code }) => {
            Some(format!("the server closed the connection ({code:?})"))
        }
        Happening::Disconnected(Ending::Broken { reason }) => Some(reason.clone()),
        Happening::Rejected { code } => Some(format!("a message was rejected with {code:#04x}")),
        _ => None,
    }
}
