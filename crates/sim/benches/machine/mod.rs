//! A gateway's machine whose changes count as durable at once, for what needs neither disk nor network.

use std::collections::VecDeque;
use std::time::Duration;

use bugle_core::gateway::{Config, Effect, Gateway, Hold, Link, Output, Presented, Reach, RegistrationRequest, Slot};
use bugle_core::{
    Allocation, ApplicationId, Description, GatewayId, GroupId, InitialState, PeripheralId, Protocol, Time, UpEntry,
    Waker,
};

/// How long a registration lasts without a word.
const LIFETIME: Duration = Duration::from_secs(7 * 86_400);

pub(crate) struct Machine {
    pub(crate) gateway: Gateway,
    /// What the platform has not taken yet.
    pub(crate) up: VecDeque<(u64, UpEntry)>,
}

impl Machine {
    pub(crate) fn new(id: &GatewayId) -> Self {
        let mut gateway = Gateway::new(Config::new(id.clone()), 1);
        gateway.handle_link(Link::Up);
        Self { gateway, up: VecDeque::new() }
    }

    /// All that is to be done now.
    pub(crate) fn effects(&mut self, now: Time) -> Vec<Effect> {
        let mut effects = Vec::new();
        while let Some(output) = self.gateway.poll_output(now) {
            match output {
                Output::Effect(effect) => effects.push(effect),
                Output::Persist(batch) => {
                    for change in batch.changes {
                        if let bugle_core::gateway::Change::Up { sequence, entry } = change {
                            self.up.push_back((sequence, entry));
                        }
                    }
                    self.gateway.handle_persisted(batch.ticket);
                }
            }
        }
        effects
    }

    /// A peripheral asks to register, and takes requests as soon as it is let in. One that sleeps by itself
    /// is awake for so long after each word.
    pub(crate) fn ask(&mut self, now: Time, peripheral: &PeripheralId, awake: Option<Duration>) -> Slot {
        let request = RegistrationRequest {
            peripheral: peripheral.clone(),
            asker: 1,
            presented: Presented::default(),
            description: Description {
                protocol: Protocol::Lwm2m11,
                address: "192.0.2.1:5683".into(),
                lifetime: LIFETIME,
                objects: String::new(),
            },
            hold: Hold::Word { awake },
        };
        self.gateway.handle_registration(now, request);
        self.gateway.slot(peripheral).expect("it is allocated")
    }

    /// It takes requests.
    pub(crate) fn open(&mut self, now: Time, slot: Slot) {
        self.gateway.handle_reach(now, slot, Reach::Open);
    }
}

pub(crate) fn application() -> ApplicationId {
    "metering".parse().expect("an application id")
}

pub(crate) fn group() -> GroupId {
    "meters".parse().expect("a group id")
}

/// An allocation in the group.
pub(crate) fn allocation(peripheral: PeripheralId, waker: Waker) -> Allocation {
    Allocation {
        peripheral,
        application: application(),
        groups: [group()].into(),
        initial_state: InitialState::Allocated,
        credential: None,
        waker,
        labels: [].into(),
        lifetime: None,
        idle: None,
    }
}
