//! A device's registration, from its own side (LwM2M 1.1 core, 6.2).
//!
//! 1. Register; on 4.12 with the version before, on another no again after a while.
//! 2. Update in time, and whenever the lifetime or the objects change; on 4.04 register anew.
//! 3. De-register, for good or until the disable timeout is over.

use std::collections::BTreeSet;
use std::time::Duration;

use bugle_core::Time;

use super::tree::Tree;
use super::{Output, Settings};
use crate::registration::{Register, Registration, Update};
use crate::{Code, Method, Request, Response, Version};

/// Where a device's registration stands.
#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    /// Not registered, and not about to be.
    Away,
    /// About to register.
    Waiting { until: Time },
    /// Has asked to register.
    Registering { exchange: u64 },
    /// Registered there, and to be updated then.
    Registered { location: Vec<String>, update_at: Time },
    /// Has said that it is still there.
    Updating { location: Vec<String>, exchange: u64 },
    /// Has asked to leave, to come back then or not at all.
    Leaving { exchange: u64, back_at: Option<Time> },
}

#[derive(Debug)]
pub(super) struct Session {
    state: State,
    version: Version,
    refusals: u32,
    last_exchange: u64,
    /// What the next update has to say beyond that the device is still there.
    news: News,
    /// What it has sent without being asked, and has no answer to yet.
    sends: BTreeSet<u64>,
}

#[derive(Debug, Clone, Copy, Default)]
struct News {
    lifetime: bool,
    objects: bool,
}

/// What else a device may have to do after an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// It is registered anew: what servers observed is over.
    Registered,
    /// It is gone.
    Left,
}

/// What a device of these settings has to say, at one moment.
pub(super) struct Voice<'d> {
    pub(super) now: Time,
    pub(super) settings: &'d Settings,
    pub(super) tree: &'d Tree,
    pub(super) outputs: &'d mut Vec<Output>,
}

impl Session {
    pub(super) const fn new(version: Version) -> Self {
        let news = News { lifetime: false, objects: false };
        Self { state: State::Away, version, refusals: 0, last_exchange: 0, news, sends: BTreeSet::new() }
    }

    pub(super) const fn is_registered(&self) -> bool {
        matches!(self.state, State::Registered { .. } | State::Updating { .. })
    }

    /// Whether it waits for no answer.
    pub(super) fn is_quiet(&self) -> bool {
        matches!(self.state, State::Registered { .. }) && self.sends.is_empty()
    }

    pub(super) const fn version(&self) -> Version {
        self.version
    }

    /// When it has something to say next.
    pub(super) const fn next_timeout(&self) -> Option<Time> {
        match &self.state {
            State::Waiting { until } => Some(*until),
            State::Registered { update_at, .. } => Some(*update_at),
            _ => None,
        }
    }

    pub(super) fn handle_timeout(&mut self, voice: &mut Voice<'_>) {
        match &self.state {
            State::Waiting { until } if *until <= voice.now => self.register(voice),
            State::Registered { update_at, .. } if *update_at <= voice.now => self.update(voice),
            _ => {}
        }
    }

    /// Asks to register.
    pub(super) fn register(&mut self, voice: &mut Voice<'_>) {
        let register = Register {
            endpoint: Some(voice.settings.endpoint.clone()),
            registration: self.registration(voice),
            profiles: None,
        };
        self.news = News::default();
        let exchange = self.ask(voice, register.to_request());
        self.state = State::Registering { exchange };
    }

    /// Registers anew after this long; what was is forgotten.
    pub(super) fn restart(&mut self, now: Time, after: Duration) {
        self.state = State::Waiting { until: now + after };
        self.sends.clear();
    }

    /// Says that it is still there, and what is new.
    pub(super) fn update(&mut self, voice: &mut Voice<'_>) {
        let State::Registered { location, .. } = &self.state else { return };
        let location = location.clone();
        let registration = self.registration(voice);
        let news = std::mem::take(&mut self.news);
        let lifetime = news.lifetime.then(|| registration.lifetime());
        let request = Update::request(location.clone(), lifetime, news.objects.then_some(&registration));
        let exchange = self.ask(voice, request);
        self.state = State::Updating { location, exchange };
    }

    /// The lifetime has changed.
    pub(super) fn handle_lifetime_change(&mut self, voice: &mut Voice<'_>) {
        self.news.lifetime = true;
        self.update(voice);
    }

    /// Object instances have come or gone.
    pub(super) fn handle_objects_change(&mut self, voice: &mut Voice<'_>) {
        self.news.objects = true;
        self.update(voice);
    }

    /// Asks to leave.
    pub(super) fn deregister(&mut self, voice: &mut Voice<'_>, back_at: Option<Time>) {
        match &self.state {
            State::Registered { location, .. } | State::Updating { location, .. } => {
                let request = Request::new(Method::Delete, location.clone());
                let exchange = self.ask(voice, request);
                self.state = State::Leaving { exchange, back_at };
            }
            State::Leaving { .. } => {}
            State::Away | State::Waiting { .. } | State::Registering { .. } => match back_at {
                Some(until) => self.state = State::Waiting { until },
                None => {
                    self.state = State::Away;
                    voice.outputs.push(Output::Left);
                }
            },
        }
    }

    /// Sends without being asked.
    pub(super) fn send(&mut self, voice: &mut Voice<'_>, request: Request) {
        let exchange = self.ask(voice, request);
        self.sends.insert(exchange);
    }

    fn ask(&mut self, voice: &mut Voice<'_>, request: Request) -> u64 {
        self.last_exchange += 1;
        voice.outputs.push(Output::Ask { exchange: self.last_exchange, request });
        self.last_exchange
    }

    pub(super) fn handle_answer(&mut self, voice: &mut Voice<'_>, exchange: u64, response: &Response) -> Option<Turn> {
        self.sends.remove(&exchange);
        match self.state.clone() {
            State::Registering { exchange: asked } if asked == exchange => self.on_registered(voice, response),
            State::Updating { exchange: asked, location } if asked == exchange => {
                self.on_updated(voice, location, response);
                None
            }
            State::Leaving { exchange: asked, back_at } if asked == exchange => Some(self.on_left(back_at)),
            _ => None,
        }
    }

    /// The transport has given up.
    pub(super) fn handle_no_answer(&mut self, voice: &mut Voice<'_>, exchange: u64) -> Option<Turn> {
        self.sends.remove(&exchange);
        match self.state {
            State::Registering { exchange: asked } if asked == exchange => {
                self.wait(voice, None);
                None
            }
            // The server may be another one by now, or have forgotten.
            State::Updating { exchange: asked, .. } if asked == exchange => {
                self.register(voice);
                None
            }
            State::Leaving { exchange: asked, back_at } if asked == exchange => Some(self.on_left(back_at)),
            _ => None,
        }
    }

    fn on_registered(&mut self, voice: &mut Voice<'_>, response: &Response) -> Option<Turn> {
        if response.code == Code::CREATED && !response.location.is_empty() {
            self.refusals = 0;
            let update_at = self.update_at(voice);
            self.state = State::Registered { location: response.location.clone(), update_at };
            voice.outputs.push(Output::Registered { location: response.location.clone() });
            return Some(Turn::Registered);
        }
        if response.code == Code::PRECONDITION_FAILED
            && let Some(version) = self.version.previous()
        {
            self.version = version;
            self.register(voice);
            return None;
        }
        voice.outputs.push(Output::Refused { code: response.code });
        self.wait(voice, response.max_age);
        None
    }

    fn on_updated(&mut self, voice: &mut Voice<'_>, location: Vec<String>, response: &Response) {
        let later = match (response.code, response.max_age) {
            (Code::CHANGED, _) => self.update_at(voice),
            (Code::SERVICE_UNAVAILABLE | Code::TOO_MANY_REQUESTS, Some(seconds)) => {
                voice.now + Duration::from_secs(u64::from(seconds))
            }
            // 4.04: the server knows of no such registration (LwM2M 1.1 core, 6.2.2).
            _ => return self.register(voice),
        };
        self.state = State::Registered { location, update_at: later };
        if self.news.lifetime || self.news.objects {
            self.update(voice);
        }
    }

    fn on_left(&mut self, back_at: Option<Time>) -> Turn {
        self.state = back_at.map_or(State::Away, |until| State::Waiting { until });
        Turn::Left
    }

    /// Tries again when the server says, or after twice the time that it waited before.
    fn wait(&mut self, voice: &mut Voice<'_>, max_age: Option<u32>) {
        let own = voice.settings.retry.saturating_mul(1 << self.refusals.min(16)).min(voice.settings.retry_max);
        self.refusals = self.refusals.saturating_add(1);
        let after = max_age.map_or(own, |seconds| Duration::from_secs(u64::from(seconds)));
        self.state = State::Waiting { until: voice.now + after };
    }

    fn registration(&self, voice: &Voice<'_>) -> Registration {
        voice.settings.registration(self.version, voice.tree)
    }

    /// With a quarter of the lifetime to spare.
    fn update_at(&self, voice: &Voice<'_>) -> Time {
        voice.now + self.registration(voice).lifetime().mul_f64(0.75)
    }
}
