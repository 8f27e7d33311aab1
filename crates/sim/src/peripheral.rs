//! A peripheral: an MQTT client with a mind of its own.
//!
//! It connects, takes the requests that come, answers them or not, reports, and does what peripherals
//! do: sleep, leave, roam, lose power, lose their connection. It remembers on its flash which requests
//! it has done and what it has yet to send, so that it does nothing twice and loses nothing.

mod packet;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::num::NonZeroU16;
use std::time::Duration;

use bugle_core::{PeripheralId, RequestId, Time};
use bugle_mqtt::Version;

use crate::network::{Stamp, StreamId};
use crate::random::Random;
pub(crate) use packet::{FromGateway, Packets};
use packet::{Message, Parting, Start, ToGateway};

/// How long a peripheral waits for an answer before it gives a connection up.
const PATIENCE: Duration = Duration::from_secs(40);
/// How long the first wait before it tries again is; the next are longer.
const FIRST_WAIT: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_secs(16);
/// How often a peripheral without keep-alive lets hear from it all the same, once it behaves.
const KEEP_ALIVE_CALM: Duration = Duration::from_secs(20);
/// How long it waits after a no for good, once it behaves.
const LONG_WAIT: Duration = Duration::from_secs(120);
/// Refusals that say to try again: unavailable, busy and too many at once, in both versions.
const PASSING: [u8; 4] = [0x88, 0x89, 0x97, 3];
/// Messages that wait to be sent; with more it does not report.
const OUTBOX_MAX: usize = 20;

/// What a peripheral is like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Character {
    pub(crate) version: Version,
    pub(crate) keep_alive: Duration,
    /// Zero if its session ends with its connection.
    pub(crate) session_expiry: Duration,
    pub(crate) answering: Answering,
    /// The gateways that it may connect to.
    pub(crate) gateways: Vec<usize>,
    /// How long it goes on between two deeds, in seconds.
    pub(crate) calm_seconds: u64,
    /// How long it is away, at most, in seconds.
    pub(crate) away_seconds: u64,
    /// How often in a thousand it sleeps when it could do something else.
    pub(crate) sleepiness: u64,
}

/// What it does with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answering {
    /// It says what it has done.
    Answers,
    /// It says no.
    Refuses,
    /// It acknowledges and says nothing.
    Silent,
    /// Now and then it does not even acknowledge.
    Deaf,
}

/// Whether a peripheral does what peripherals do, or behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mood {
    Wild,
    Calm,
}

/// What is to be done for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Output {
    /// Open a stream to this gateway.
    Open {
        gateway: usize,
    },
    Send {
        stream: StreamId,
        bytes: Vec<u8>,
    },
    /// End the stream, in good order.
    Close {
        stream: StreamId,
    },
    /// End the stream without a word: the gateway does not learn of it.
    Vanish {
        stream: StreamId,
    },
    /// Something happened, with this gateway, that others want to know.
    Tell {
        gateway: usize,
        word: Word,
    },
}

/// What others want to know of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Word {
    Connected {
        is_resumed: bool,
    },
    Refused {
        code: u8,
    },
    /// A request came.
    Received {
        request: RequestId,
        is_repeat: bool,
        session: u64,
        sent: Stamp,
    },
    /// It answered a request for the first time.
    Answered {
        request: RequestId,
        answer: Option<Vec<u8>>,
    },
    /// The gateway has a report of it.
    ReportTaken {
        report: String,
    },
    Did(&'static str),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Not connected; it connects then.
    Away { until: Time },
    /// It awaits the gateway's word until then.
    Waiting { until: Time },
    /// It is in, and does something then.
    Present { until: Time },
}

/// A message that the gateway has not acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Unsent {
    id: NonZeroU16,
    topic: String,
    payload: Vec<u8>,
    refusal: Option<String>,
    is_sent: bool,
}

#[derive(Debug)]
pub(crate) struct Peripheral {
    id: PeripheralId,
    character: Character,
    mood: Mood,
    random: Random,
    phase: Phase,
    failures: u32,
    /// Which of its gateways it turns to.
    turn: usize,
    stream: Option<StreamId>,
    packets: Packets,
    /// When it last sent anything, and whether it waits for a pong.
    last_sent: Time,
    pinged: Option<Time>,
    /// Counts its sessions at each gateway, as far as it knows.
    sessions: BTreeMap<usize, u64>,
    /// On its flash.
    done: BTreeSet<RequestId>,
    answers: BTreeMap<RequestId, Option<Vec<u8>>>,
    outbox: VecDeque<Unsent>,
    last_packet: u16,
    reports: u64,
    outputs: VecDeque<Output>,
}

impl Peripheral {
    pub(crate) fn new(now: Time, id: PeripheralId, character: Character, mut random: Random) -> Self {
        let until = now + random.millis(0..5_000);
        let packets = Packets::new(character.version);
        Self {
            id,
            character,
            mood: Mood::Wild,
            random,
            phase: Phase::Away { until },
            failures: 0,
            turn: 0,
            stream: None,
            packets,
            last_sent: now,
            pinged: None,
            sessions: BTreeMap::new(),
            done: BTreeSet::new(),
            answers: BTreeMap::new(),
            outbox: VecDeque::new(),
            last_packet: 0,
            reports: 0,
            outputs: VecDeque::new(),
        }
    }

    pub(crate) const fn id(&self) -> &PeripheralId {
        &self.id
    }

    /// Its stream, if it has one.
    pub(crate) const fn stream(&self) -> Option<StreamId> {
        self.stream
    }

    /// The gateway that it turns to.
    pub(crate) fn gateway(&self) -> usize {
        self.character.gateways[self.turn]
    }

    /// Whether it is connected and subscribed, and has nothing left to send.
    pub(crate) fn is_settled(&self) -> bool {
        matches!(self.phase, Phase::Present { .. }) && self.outbox.is_empty()
    }

    pub(crate) fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    pub(crate) fn next_timeout(&self) -> Time {
        let (Phase::Away { until } | Phase::Waiting { until } | Phase::Present { until }) = self.phase;
        match self.phase {
            Phase::Present { .. } => until.min(self.ping_at()),
            _ => until,
        }
    }

    /// From now on it behaves.
    pub(crate) fn calm(&mut self, now: Time) {
        self.mood = Mood::Calm;
        self.failures = 0;
        if self.character.keep_alive.is_zero() {
            // Or it would never know that its gateway was without power.
            self.character.keep_alive = KEEP_ALIVE_CALM;
        }
        match &mut self.phase {
            Phase::Away { until } => *until = (*until).min(now + FIRST_WAIT),
            Phase::Waiting { .. } | Phase::Present { .. } => {}
        }
    }

    /// The stream that was asked for.
    pub(crate) fn handle_stream(&mut self, stream: StreamId) {
        self.stream = Some(stream);
    }

    /// The gateway is there and takes bytes.
    pub(crate) fn handle_opened(&mut self, now: Time) {
        let start = if self.mood == Mood::Wild && self.random.chance(80) { Start::Clean } else { Start::Resume };
        let packet = ToGateway::Connect {
            client_id: self.id.to_string(),
            start,
            keep_alive: self.character.keep_alive,
            session_expiry: self.character.session_expiry,
        };
        self.phase = Phase::Waiting { until: now + PATIENCE };
        self.send(now, packet);
    }

    /// The stream is over.
    pub(crate) fn handle_closed(&mut self, now: Time) {
        self.stream = None;
        self.fail(now);
    }

    pub(crate) fn handle_bytes(&mut self, now: Time, bytes: &[u8], sent: Stamp) {
        self.packets.receive(bytes);
        while self.stream.is_some()
            && let Some(packet) = self.packets.read()
        {
            self.on_packet(now, packet, sent);
        }
    }

    /// A wake-up has come.
    pub(crate) fn handle_wake_up(&mut self, now: Time) {
        // Some boot for so long that they are called again.
        let longest = *self.random.pick(&[500, 3_000, 20_000]);
        let stirs_at = now + self.random.millis(50..longest);
        match &mut self.phase {
            Phase::Away { until } if self.stream.is_none() => *until = (*until).min(stirs_at),
            _ => {}
        }
    }

    /// Does what is due.
    pub(crate) fn handle_timeout(&mut self, now: Time) {
        match self.phase {
            Phase::Away { until } if until <= now => {
                self.phase = Phase::Waiting { until: now + PATIENCE };
                self.packets = Packets::new(self.character.version);
                self.pinged = None;
                self.outputs.push_back(Output::Open { gateway: self.gateway() });
            }
            Phase::Waiting { until } if until <= now => self.hang_up(now),
            Phase::Present { .. } if self.ping_at() <= now => self.ping(now),
            Phase::Present { until } if until <= now => self.act(now),
            _ => {}
        }
    }

    fn on_packet(&mut self, now: Time, packet: FromGateway, sent: Stamp) {
        match packet {
            FromGateway::Connected { is_resumed } => self.on_connected(now, is_resumed),
            FromGateway::Refused { code } => {
                self.tell(Word::Refused { code });
                self.hang_up(now);
                if !PASSING.contains(&code) {
                    match self.mood {
                        Mood::Wild => self.turn_away(),
                        Mood::Calm => self.phase = Phase::Away { until: now + LONG_WAIT },
                    }
                }
            }
            FromGateway::Subscribed => self.on_subscribed(now),
            FromGateway::Request { id, is_repeat, request } => self.on_request(now, id, is_repeat, request, sent),
            FromGateway::Acknowledged { id, code } => self.on_acknowledged(now, id, code),
            FromGateway::Pong => self.pinged = None,
            FromGateway::Disconnect { .. } => self.hang_up(now),
            FromGateway::Nonsense => {
                self.tell(Word::Did("got nonsense"));
                self.hang_up(now);
            }
        }
    }

    fn on_connected(&mut self, now: Time, is_resumed: bool) {
        self.failures = 0;
        let gateway = self.gateway();
        *self.sessions.entry(gateway).or_default() += u64::from(!is_resumed);
        self.tell(Word::Connected { is_resumed });
        self.phase = Phase::Waiting { until: now + PATIENCE };
        let topic = format!("bugle/{}/requests", self.id);
        let id = self.packet_id();
        self.send(now, ToGateway::Subscribe { id, topic });
        for position in 0..self.outbox.len() {
            // In a session that began anew nothing was sent before.
            self.outbox[position].is_sent &= is_resumed;
            self.send_unsent(now, position);
        }
    }

    fn on_subscribed(&mut self, now: Time) {
        self.phase = Phase::Present { until: now + self.next_deed() };
    }

    fn on_request(&mut self, now: Time, id: NonZeroU16, is_repeat: bool, request: RequestId, sent: Stamp) {
        let session = self.sessions.get(&self.gateway()).copied().unwrap_or_default();
        self.tell(Word::Received { request, is_repeat, session, sent });
        if self.character.answering == Answering::Deaf && self.mood == Mood::Wild && self.random.chance(500) {
            return;
        }
        let is_new = self.done.insert(request);
        self.send(now, ToGateway::Acknowledge { id });
        let answer = match self.character.answering {
            Answering::Answers => Some(format!("done by {} as its number {}", self.id, self.done.len()).into_bytes()),
            Answering::Refuses => None,
            Answering::Silent | Answering::Deaf => return,
        };
        if is_new {
            self.answers.insert(request, answer.clone());
            self.tell(Word::Answered { request, answer });
        }
        let topic = format!("bugle/{}/responses/{request}", self.id);
        if self.outbox.iter().any(|unsent| unsent.topic == topic) {
            return;
        }
        let answer = self.answers[&request].clone();
        let refusal = answer.is_none().then(|| "not now".to_owned());
        self.publish(now, topic, answer.unwrap_or_default(), refusal);
    }

    fn on_acknowledged(&mut self, now: Time, id: NonZeroU16, code: u8) {
        let Some(position) = self.outbox.iter().position(|unsent| unsent.id == id && unsent.is_sent) else { return };
        let Some(taken) = self.outbox.remove(position) else { return };
        if code < 0x80 && taken.topic.contains("/reports/") {
            self.tell(Word::ReportTaken { report: String::from_utf8_lossy(&taken.payload).into_owned() });
        } else if taken.topic.ends_with("/deregister") {
            self.leave(now, "has left", Parting::EndSession);
        }
    }

    /// Does something of its own.
    fn act(&mut self, now: Time) {
        self.phase = Phase::Present { until: now + self.next_deed() };
        if self.mood == Mood::Wild && self.random.chance(self.character.sleepiness) {
            return self.leave(now, "goes to sleep", Parting::KeepSession);
        }
        match (self.mood, self.random.of(0..100)) {
            (Mood::Calm, _) | (_, 0..35) => self.report(now),
            (_, 35..55) => self.leave(now, "goes to sleep", Parting::KeepSession),
            (_, 55..60) => {
                let topic = format!("bugle/{}/standby", self.id);
                self.publish(now, topic, b"20".to_vec(), None);
                self.tell(Word::Did("announces standby"));
            }
            (_, 60..66) => {
                let topic = format!("bugle/{}/deregister", self.id);
                self.publish(now, topic, Vec::new(), None);
                self.tell(Word::Did("deregisters"));
            }
            (_, 66..72) => self.leave(now, "leaves", Parting::EndSession),
            (_, 72..82) => {
                self.tell(Word::Did("loses its connection"));
                self.hang_up(now);
            }
            (_, 82..92) => self.lose_power(now),
            _ => self.roam(now),
        }
    }

    fn report(&mut self, now: Time) {
        if self.outbox.len() >= OUTBOX_MAX || self.mood == Mood::Calm {
            return;
        }
        self.reports += 1;
        let (topic, report) = (format!("bugle/{}/reports/count", self.id), format!("{} {}", self.id, self.reports));
        self.publish(now, topic, report.into_bytes(), None);
    }

    fn leave(&mut self, now: Time, what: &'static str, parting: Parting) {
        self.tell(Word::Did(what));
        self.send(now, ToGateway::Disconnect(parting));
        self.end_stream(|stream| Output::Close { stream });
        self.go_away(now);
    }

    /// Its memory is gone, its flash is not.
    fn lose_power(&mut self, now: Time) {
        self.tell(Word::Did("loses power"));
        self.end_stream(|stream| Output::Vanish { stream });
        self.go_away(now);
    }

    fn roam(&mut self, now: Time) {
        self.tell(Word::Did("roams"));
        self.hang_up(now);
        self.turn_away();
    }

    /// To the next of its gateways.
    fn turn_away(&mut self) {
        self.turn = (self.turn + 1) % self.character.gateways.len();
    }

    fn end_stream(&mut self, manner: impl FnOnce(StreamId) -> Output) {
        self.outputs.extend(self.stream.take().map(manner));
    }

    fn go_away(&mut self, now: Time) {
        let away = self.random.millis(100..self.character.away_seconds * 1_000 + 200);
        self.phase = Phase::Away { until: now + away };
    }

    /// Ends the connection, and tries again before long.
    fn hang_up(&mut self, now: Time) {
        self.end_stream(|stream| Output::Close { stream });
        self.fail(now);
    }

    fn fail(&mut self, now: Time) {
        let longest = (FIRST_WAIT * 2_u32.pow(self.failures.min(8))).min(LONGEST_WAIT);
        self.failures += 1;
        let wait = self.random.millis(100..longest.as_millis() as u64 + 101);
        self.phase = Phase::Away { until: now + wait };
    }

    fn ping_at(&self) -> Time {
        match self.pinged {
            Some(pinged) => pinged + PATIENCE,
            None if self.character.keep_alive.is_zero() => Time::MAX,
            None => self.last_sent + self.character.keep_alive * 3 / 4,
        }
    }

    fn ping(&mut self, now: Time) {
        if self.pinged.is_some() {
            self.hang_up(now);
        } else {
            self.send(now, ToGateway::Ping);
            self.pinged = Some(now);
        }
    }

    fn publish(&mut self, now: Time, topic: String, payload: Vec<u8>, refusal: Option<String>) {
        let id = self.packet_id();
        self.outbox.push_back(Unsent { id, topic, payload, refusal, is_sent: false });
        self.send_unsent(now, self.outbox.len() - 1);
    }

    fn send_unsent(&mut self, now: Time, position: usize) {
        let unsent = &mut self.outbox[position];
        let is_repeat = std::mem::replace(&mut unsent.is_sent, true);
        let Unsent { id, topic, payload, refusal, .. } = unsent.clone();
        self.send(now, ToGateway::Publish(Message { id, is_repeat, topic, payload, refusal }));
    }

    fn send(&mut self, now: Time, packet: ToGateway) {
        self.last_sent = now;
        let bytes = self.packets.write(packet);
        self.outputs.extend(self.stream.map(|stream| Output::Send { stream, bytes }));
    }

    fn packet_id(&mut self) -> NonZeroU16 {
        loop {
            self.last_packet = self.last_packet.wrapping_add(1);
            if let Some(id) = NonZeroU16::new(self.last_packet)
                && self.outbox.iter().all(|unsent| unsent.id != id)
            {
                return id;
            }
        }
    }

    fn next_deed(&mut self) -> Duration {
        let longest = self.character.calm_seconds * 1_000 + 1;
        self.random.millis(200..longest.max(201) + 200)
    }

    fn tell(&mut self, word: Word) {
        self.outputs.push_back(Output::Tell { gateway: self.gateway(), word });
    }
}
