//! An LwM2M peripheral: a simulated device over CoAP, with a mind of its own.
//!
//! It registers, stays, sleeps in queue mode, and carries out what it is asked. Now and then it leaves,
//! loses its power and its memory with it, speaks from another port, or turns to another gateway.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bugle_core::{PeripheralId, Time};
use bugle_edge::carriage::{self, CoapDevice};
use bugle_lwm2m::client::{self, Input, Settings, Sleep};
use bugle_lwm2m::{Path, Value, Version, objects};

use crate::network::Stamp;
use crate::peripheral::Mood;
use crate::random::Random;

/// For so long a device knows a request that comes again (RFC 7252 §4.8.2, EXCHANGE_LIFETIME, and some less).
const REMEMBERED: Duration = Duration::from_secs(240);
/// For so long it stays away when its gateway sends it away.
const DISABLED_SECONDS: i64 = 10;
/// The port that it speaks from at first.
const PORT: u16 = 40_000;

/// What a device is like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Character {
    pub(crate) version: Version,
    pub(crate) lifetime: Duration,
    pub(crate) sleep: Sleep,
    /// The gateways that it may turn to.
    pub(crate) gateways: Vec<usize>,
    /// How long it goes on between two deeds, in seconds.
    pub(crate) calm_seconds: u64,
    /// How long it is off, at most, in seconds.
    pub(crate) away_seconds: u64,
}

/// What is to be done for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Output {
    /// A datagram for a gateway, from a port.
    Send { gateway: usize, port: u16, datagram: Vec<u8> },
    /// Something happened, with this gateway, that others want to know.
    Tell { gateway: usize, word: Word },
}

/// What others want to know of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Word {
    Registered,
    /// It was handed this, which it cannot have known from before, or can.
    Taken {
        content: Vec<u8>,
        is_repeat: bool,
        session: u64,
        sent: Stamp,
    },
    Did(&'static str),
}

#[derive(Debug)]
pub(crate) struct Device {
    id: PeripheralId,
    character: Character,
    mood: Mood,
    random: Random,
    /// Which of its gateways it turns to.
    turn: usize,
    port: u16,
    power: Option<Box<Power>>,
    /// How often it was switched on.
    starts: u64,
    /// When it does something next, or is switched on.
    acts_at: Time,
    outputs: VecDeque<Output>,
}

/// What is lost with the power.
#[derive(Debug)]
struct Power {
    device: CoapDevice<usize>,
    taken: BTreeMap<Vec<u8>, Time>,
    /// It has said that it leaves, and is switched off then.
    is_leaving: bool,
}

impl Device {
    pub(crate) fn new(now: Time, id: PeripheralId, character: Character, mut random: Random) -> Self {
        let acts_at = now + random.millis(0..5_000);
        Self {
            id,
            character,
            mood: Mood::Wild,
            random,
            turn: 0,
            port: PORT,
            power: None,
            starts: 0,
            acts_at,
            outputs: VecDeque::new(),
        }
    }

    pub(crate) const fn id(&self) -> &PeripheralId {
        &self.id
    }

    /// The gateway that it turns to.
    pub(crate) fn gateway(&self) -> usize {
        self.character.gateways[self.turn]
    }

    /// Whether it is registered, as far as it knows.
    pub(crate) fn is_settled(&self) -> bool {
        self.power.as_ref().is_some_and(|power| power.device.device().is_registered())
    }

    pub(crate) fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    pub(crate) fn next_timeout(&self) -> Time {
        let Some(power) = &self.power else { return self.acts_at };
        power.device.next_timeout().unwrap_or(Time::MAX).min(self.acts_at)
    }

    /// From now on it behaves.
    pub(crate) fn calm(&mut self, now: Time) {
        self.mood = Mood::Calm;
        self.acts_at = now;
        if !self.is_settled() {
            // One that was told to stay away, or refused often, tries again after a day.
            self.power = None;
        }
    }

    /// A datagram has come, to a port.
    pub(crate) fn handle_datagram(&mut self, now: Time, gateway: usize, port: u16, datagram: &[u8], sent: Stamp) {
        let is_heard = |power: &&mut Box<Power>| port == self.port && !power.device.device().is_asleep();
        let Some(power) = self.power.as_mut().filter(is_heard) else { return };
        power.device.handle_datagram(now, gateway, datagram);
        self.run(now, gateway, sent);
    }

    /// A wake-up has come.
    pub(crate) fn handle_wake_up(&mut self, now: Time) {
        if let Some(power) = &mut self.power {
            power.device.handle_input(now, Input::Wake);
            self.run(now, self.gateway(), Stamp::MAX);
        }
    }

    /// Does what is due.
    pub(crate) fn handle_timeout(&mut self, now: Time) {
        if self.acts_at <= now {
            self.act(now);
        }
        if let Some(power) = &mut self.power {
            power.device.handle_timeout(now);
        }
        self.run(now, self.gateway(), Stamp::MAX);
    }

    fn act(&mut self, now: Time) {
        let next = self.random.millis(1_000..self.character.calm_seconds * 1_000 + 2_000);
        self.acts_at = if self.mood == Mood::Calm { Time::MAX } else { now + next };
        let Some(power) = &mut self.power else { return self.switch_on(now) };
        if power.is_leaving || self.mood == Mood::Calm {
            return;
        }
        match self.random.of(0..100) {
            0..20 => {
                self.tell(Word::Did("loses power"));
                self.switch_off(now);
            }
            20..32 => {
                self.tell(Word::Did("leaves"));
                if let Some(power) = &mut self.power {
                    power.is_leaving = true;
                    power.device.handle_input(now, Input::Leave);
                }
            }
            32..45 => {
                self.tell(Word::Did("speaks from another port"));
                self.port += 1;
            }
            45..52 => {
                self.tell(Word::Did("turns to another gateway"));
                self.switch_off(now);
                self.turn = (self.turn + 1) % self.character.gateways.len();
            }
            _ => {}
        }
    }

    fn switch_on(&mut self, now: Time) {
        self.starts += 1;
        let Character { version, lifetime, sleep, .. } = self.character;
        let retry = Duration::from_secs(2);
        let settings = Settings { version, lifetime, sleep, retry, ..Settings::new(self.id.clone()) };
        let secret = self.random.next().to_be_bytes();
        let secret = std::array::from_fn(|position| secret[position % secret.len()]);
        let mut device = CoapDevice::new(settings, secret);
        let path = Path::of_resource(objects::SERVER, 0, 5);
        device.handle_input(now, Input::Set { path, value: Value::Integer(DISABLED_SECONDS) });
        device.handle_input(now, Input::Start);
        self.power = Some(Box::new(Power { device, taken: BTreeMap::new(), is_leaving: false }));
    }

    fn switch_off(&mut self, now: Time) {
        self.power = None;
        let away = self.random.millis(100..self.character.away_seconds * 1_000 + 200);
        self.acts_at = if self.mood == Mood::Calm { now } else { now + away };
    }

    /// Carries out what the device gives out, now that a gateway's datagram has come.
    fn run(&mut self, now: Time, from: usize, sent: Stamp) {
        let gateway = self.gateway();
        while let Some(output) = self.power.as_mut().and_then(|power| power.device.poll_output(now, gateway)) {
            match output {
                carriage::Output::Transmit { peer, datagram } => {
                    let port = self.port;
                    self.outputs.push_back(Output::Send { gateway: peer, port, datagram: datagram.to_vec() });
                }
                carriage::Output::Did(output) => self.on_device(now, output, from, sent),
                carriage::Output::Unanswered => {}
            }
        }
    }

    fn on_device(&mut self, now: Time, output: client::Output, from: usize, sent: Stamp) {
        let Some(power) = &mut self.power else { return };
        match output {
            client::Output::Written { records } => {
                for record in records {
                    if let Value::Opaque(content) = record.value {
                        let before = power.taken.insert(content.clone(), now);
                        let is_repeat = before.is_some_and(|before| now - before >= REMEMBERED);
                        let session = self.starts;
                        let word = Word::Taken { content, is_repeat, session, sent };
                        self.outputs.push_back(Output::Tell { gateway: from, word });
                    }
                }
            }
            client::Output::Registered { .. } => self.tell(Word::Registered),
            client::Output::Left => {
                self.tell(Word::Did("has left"));
                self.switch_off(now);
            }
            client::Output::Ask { .. }
            | client::Output::Answer { .. }
            | client::Output::Executed { .. }
            | client::Output::Notify { .. }
            | client::Output::Refused { .. }
            | client::Output::Asleep { .. }
            | client::Output::Awake => {}
        }
    }

    fn tell(&mut self, word: Word) {
        self.outputs.push_back(Output::Tell { gateway: self.gateway(), word });
    }
}
