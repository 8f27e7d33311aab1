//! A simulated device: an LwM2M client as a pure machine, honest enough to test servers with.
//!
//! It has the objects 0 Security, 1 Server, 3 Device, 5 Firmware Update, 19 Binary App Data Container,
//! 3303 Temperature and 3311 Light Control. It registers, updates and leaves, sleeps and wakes in
//! queue mode, answers every operation in the format asked for, and notifies and sends.
//!
//! Whoever drives it puts requests and responses on the wire, and brings the time:
//!
//! ```
//! use bugle_core::{PeripheralId, Time};
//! use bugle_lwm2m::client::{Device, Input, Output, Settings};
//! use bugle_lwm2m::Response;
//!
//! let mut device = Device::new(Settings::new(PeripheralId::new("lamp-1")?));
//! let now = Time::from_millis(1);
//! device.handle_input(now, Input::Start);
//! let Some(Output::Ask { exchange, request }) = device.poll_output() else { panic!("it registers") };
//! assert_eq!(request.path, ["rd"]);
//! let response = Response::created(vec!["rd".into(), "1".into()]);
//! device.handle_input(now, Input::Answered { exchange, response });
//! assert!(matches!(device.poll_output(), Some(Output::Registered { .. })));
//! assert!(device.next_timeout() > Some(now));
//! # Ok::<(), bugle_core::IdError>(())
//! ```

mod answer;
mod firmware;
mod observation;
mod session;
mod settings;
mod tree;

use std::collections::VecDeque;
use std::time::Duration;

use bugle_core::Time;

pub use settings::{Offer, Settings, Sleep, WakesWith};

use crate::codec::Record;
use crate::{Code, ContentFormat, Method, Path, Request, Response, SEND_RESOURCE, Transmission, Value, Version, codec};
use answer::Effect;
use observation::Observations;
use session::{Session, Turn, Voice};
use tree::Tree;

/// How long a device takes to start.
const START_TIME: Duration = Duration::from_secs(1);
/// How long a device takes to install a package.
const INSTALL_TIME: Duration = Duration::from_secs(2);

/// Something happens to a device.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// It is switched on.
    Start,
    /// It is to leave.
    Leave,
    /// It is woken from outside.
    Wake,
    /// The server has answered.
    Answered {
        /// What, as in [`Output::Ask`].
        exchange: u64,
        /// The answer.
        response: Response,
    },
    /// The server has not answered after all tries.
    Unanswered {
        /// What, as in [`Output::Ask`].
        exchange: u64,
    },
    /// The server asks.
    Asked {
        /// Comes back in the answer, and in notifications if the request opens an observation.
        token: u64,
        /// What.
        request: Request,
    },
    /// The server has rejected a notification.
    Forgotten {
        /// As in [`Output::Notify`].
        token: u64,
    },
    /// Something in it changes by itself.
    Set {
        /// Where.
        path: Path,
        /// What it is now.
        value: Value,
    },
    /// It is to send values without being asked, from 1.1 on.
    Send {
        /// Which.
        paths: Vec<Path>,
    },
}

/// A device does something.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// It asks the server.
    Ask {
        /// Comes back with the answer.
        exchange: u64,
        /// What.
        request: Request,
    },
    /// It answers the server.
    Answer {
        /// As in [`Input::Asked`].
        token: u64,
        /// The answer.
        response: Response,
    },
    /// It tells the server of a change.
    Notify {
        /// As in the [`Input::Asked`] that opened the observation.
        token: u64,
        /// The values.
        response: Response,
        /// Whether it wants an acknowledgement.
        transmission: Transmission,
    },
    /// It is registered.
    Registered {
        /// Where.
        location: Vec<String>,
    },
    /// The server does not want it; it tries again later.
    Refused {
        /// Which no.
        code: Code,
    },
    /// It is not registered any more.
    Left,
    /// From now on it hears nothing.
    Asleep {
        /// When it wakes by itself.
        until: Time,
    },
    /// It hears again.
    Awake,
    /// The server has written these.
    Written {
        /// The values.
        records: Vec<Record>,
    },
    /// The server has executed this.
    Executed {
        /// What.
        path: Path,
        /// With which arguments.
        arguments: String,
    },
}

/// Whether a device hears.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ear {
    Open,
    /// Queue mode, and awake until then.
    OpenUntil(Time),
    /// Queue mode, and asleep until then.
    Closed(Time),
}

/// A simulated device.
#[derive(Debug)]
pub struct Device {
    settings: Settings,
    tree: Tree,
    session: Session,
    observations: Observations,
    ear: Ear,
    /// When the installation of a package is over.
    installed_at: Option<Time>,
    /// By how many seconds its clock differs from the time it is given.
    clock_offset: i64,
    outputs: VecDeque<Output>,
}

impl Device {
    /// A device that is switched off.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self {
            tree: settings.tree(),
            session: Session::new(settings.version),
            observations: Observations::default(),
            ear: Ear::Open,
            installed_at: None,
            clock_offset: 0,
            outputs: VecDeque::new(),
            settings,
        }
    }

    /// Whether it is registered, as far as it knows.
    #[must_use]
    pub const fn is_registered(&self) -> bool {
        self.session.is_registered()
    }

    /// Whether it hears nothing.
    #[must_use]
    pub const fn is_asleep(&self) -> bool {
        matches!(self.ear, Ear::Closed(_))
    }

    /// The value at a path.
    #[must_use]
    pub fn value(&self, path: &Path) -> Option<&Value> {
        self.tree.value(path)
    }

    /// Takes what happens.
    pub fn handle_input(&mut self, now: Time, input: Input) {
        match input {
            Input::Start => self.speak(now, |session, voice| session.register(voice)),
            Input::Leave => {
                self.wake(now);
                self.speak(now, |session, voice| session.deregister(voice, None));
            }
            Input::Wake => self.wake_and_say_so(now),
            // It sleeps only when it waits for nothing: this answers what it has forgotten.
            Input::Answered { .. } | Input::Unanswered { .. } if self.is_asleep() => {}
            Input::Answered { exchange, response } => {
                let turn = self.speak(now, |session, voice| session.handle_answer(voice, exchange, &response));
                self.on_turn(turn);
                self.stay_awake(now);
            }
            Input::Unanswered { exchange } => {
                let turn = self.speak(now, |session, voice| session.handle_no_answer(voice, exchange));
                self.on_turn(turn);
            }
            Input::Asked { token, request } => self.on_asked(now, token, &request),
            Input::Forgotten { token } => self.observations.forget(token),
            Input::Set { path, value } => {
                self.tree.set(path, value);
                self.observations.handle_change(&self.tree);
            }
            Input::Send { paths } => self.send(now, &paths),
        }
        self.notify(now);
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Time) {
        if matches!(self.ear, Ear::Closed(until) if until <= now) {
            self.wake_and_say_so(now);
        }
        if !self.is_asleep() {
            self.speak(now, |session, voice| session.handle_timeout(voice));
        }
        if matches!(self.ear, Ear::OpenUntil(until) if until <= now) && self.session.is_quiet() {
            self.fall_asleep(now);
        }
        if self.installed_at.is_some_and(|at| at <= now) {
            self.installed_at = None;
            firmware::finish(&mut self.tree);
            self.restart(now);
        }
        self.notify(now);
    }

    /// Takes the next thing that it does; drain it after every input and timeout.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When it has to be called next, should nothing happen before.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Time> {
        let ear = match self.ear {
            Ear::Open => None,
            Ear::OpenUntil(until) => self.session.is_quiet().then_some(until),
            Ear::Closed(until) => Some(until),
        };
        let session = self.session.next_timeout().filter(|_| !self.is_asleep());
        let observations = self.observations.next_timeout(&self.tree).filter(|_| self.is_registered());
        [ear, session, observations, self.installed_at].into_iter().flatten().min()
    }

    fn speak<T>(&mut self, now: Time, say: impl FnOnce(&mut Session, &mut Voice<'_>) -> T) -> T {
        let mut outputs = Vec::new();
        let mut voice = Voice { now, settings: &self.settings, tree: &self.tree, outputs: &mut outputs };
        let said = say(&mut self.session, &mut voice);
        self.outputs.extend(outputs);
        said
    }

    fn on_turn(&mut self, turn: Option<Turn>) {
        match turn {
            Some(Turn::Registered) => self.observations.clear(),
            Some(Turn::Left) => {
                self.observations.clear();
                self.ear = Ear::Open;
                self.outputs.push_back(Output::Left);
            }
            None => {}
        }
    }

    fn on_asked(&mut self, now: Time, token: u64, request: &Request) {
        if self.is_asleep() {
            return;
        }
        self.stay_awake(now);
        let seconds = i64::try_from(now.as_millis() / 1000).unwrap_or(i64::MAX);
        // It looks at its clock for whoever reads.
        if matches!(request.method, Method::Get | Method::Fetch) {
            self.tree.set(settings::CURRENT_TIME, Value::Time(seconds.saturating_add(self.clock_offset)));
        }
        let (mut response, effect) = answer::answer(&mut self.tree, &self.settings, request);
        if let Some(Effect::Observed(observed)) = &effect {
            response.observe = self.observations.open(now, token, observed.clone(), &self.tree);
        }
        self.outputs.push_back(Output::Answer { token, response });
        match effect {
            Some(Effect::Written(records)) => self.on_written(now, seconds, records),
            Some(Effect::Executed { path, arguments }) => self.on_executed(now, path, arguments),
            Some(Effect::InstancesChanged) => self.speak(now, |session, voice| session.handle_objects_change(voice)),
            Some(Effect::Cancelled(paths)) => self.observations.cancel(&paths),
            Some(Effect::Observed(_)) | None => {}
        }
        self.observations.handle_change(&self.tree);
    }

    fn on_written(&mut self, now: Time, seconds: i64, records: Vec<Record>) {
        firmware::handle_written(&mut self.tree, &records);
        for record in &records {
            if record.path == settings::LIFETIME {
                self.speak(now, |session, voice| session.handle_lifetime_change(voice));
            }
            if let (settings::CURRENT_TIME, Value::Time(told)) = (record.path, &record.value) {
                self.clock_offset = told.saturating_sub(seconds);
            }
        }
        self.outputs.push_back(Output::Written { records });
    }

    fn on_executed(&mut self, now: Time, path: Path, arguments: String) {
        match path {
            settings::UPDATE_TRIGGER => self.speak(now, |session, voice| session.update(voice)),
            settings::DISABLE => {
                let seconds = self.tree.value(&settings::DISABLE_TIMEOUT).and_then(Value::as_integer).unwrap_or(86_400);
                let back_at = now + Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
                self.speak(now, |session, voice| session.deregister(voice, Some(back_at)));
            }
            settings::REBOOT => self.restart(now),
            settings::FIRMWARE_UPDATE => {
                firmware::begin(&mut self.tree);
                self.installed_at = Some(now + INSTALL_TIME);
            }
            _ => {}
        }
        self.outputs.push_back(Output::Executed { path, arguments });
    }

    /// Forgets what it knew of its registration and registers anew.
    fn restart(&mut self, now: Time) {
        self.observations.clear();
        self.ear = Ear::Open;
        self.session.restart(now, START_TIME);
    }

    fn send(&mut self, now: Time, paths: &[Path]) {
        if !self.is_registered() || self.session.version() == Version::V1_0 {
            return;
        }
        let format = match self.settings.preferred.canonical() {
            format @ (ContentFormat::SENML_CBOR | ContentFormat::LWM2M_CBOR) => format,
            _ => ContentFormat::SENML_JSON,
        };
        let records: Vec<Record> = paths.iter().flat_map(|path| self.tree.read(path).unwrap_or_default()).collect();
        let Ok(payload) = codec::encode(format, &Path::ROOT, &records) else { return };
        let request = Request::new(Method::Post, vec![SEND_RESOURCE.to_owned()]).with_payload(format, payload);
        self.wake(now);
        self.speak(now, |session, voice| session.send(voice, request));
    }

    fn notify(&mut self, now: Time) {
        if !self.is_registered() {
            return;
        }
        for due in self.observations.take_due(now, &self.tree) {
            self.wake(now);
            let observation::Notification { token, response, transmission } = due;
            self.outputs.push_back(Output::Notify { token, response, transmission });
        }
    }

    /// Listens for as long as queue mode has it after a word in either direction (LwM2M 1.1 core, 6.5).
    fn stay_awake(&mut self, now: Time) {
        if let (Sleep::QueueMode { awake, .. }, true) = (self.settings.sleep, self.is_registered()) {
            self.ear = Ear::OpenUntil(now + awake);
        }
    }

    fn fall_asleep(&mut self, now: Time) {
        let Sleep::QueueMode { every, .. } = self.settings.sleep else { return };
        let update_at = self.session.next_timeout().unwrap_or(Time::MAX);
        let until = update_at.min(now + every);
        self.ear = Ear::Closed(until);
        self.outputs.push_back(Output::Asleep { until });
    }

    fn wake(&mut self, now: Time) {
        if self.is_asleep() {
            self.outputs.push_back(Output::Awake);
            self.stay_awake(now);
        }
    }

    /// Wakes, and lets the server know: without a word it would not.
    fn wake_and_say_so(&mut self, now: Time) {
        let Sleep::QueueMode { wakes_with, .. } = self.settings.sleep else { return };
        if !self.is_asleep() {
            return;
        }
        self.wake(now);
        match wakes_with {
            WakesWith::Update => self.speak(now, |session, voice| session.update(voice)),
            WakesWith::Register => self.speak(now, |session, voice| session.register(voice)),
        }
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
