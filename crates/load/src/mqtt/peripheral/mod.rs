//! One simulated peripheral as a pure machine: it knows no clock and no socket.
//!
//! 1. A timer asks for a connection ([`Output::Open`]); once it is there, CONNECT goes out.
//! 2. CONNACK accepts: at a gateway, it is registered. If the server does not remember the subscription,
//!    SUBSCRIBE goes out. It is active then, and what was under way before goes out again.
//! 3. A message is acknowledged at once. A request that came before is not carried out again, but
//!    answered as it was.
//! 4. It departs, asleep or for good, once nothing of its own is under way.
//! 5. However else the connection ends, a timer brings it back, each time a little later.

#[cfg(test)]
mod any_order;
mod departure;
mod identity;
mod outbox;
mod requests;
mod resources;
#[cfg(test)]
mod tests;
mod timers;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::Duration;

use bugle_core::Time;
use bugle_mqtt::Version;
use bytes::Bytes;
use bytestring::ByteString;

use self::departure::Departure;
pub use self::identity::{Credentials, Peripheral};
use self::outbox::{Draft, Outbox, Purpose, Room};
use self::requests::{Answer, Reply, Request, Requests};
use self::resources::Resources;
use self::timers::{Timer, Timers};
use crate::command::Command;
use crate::event::{Delivery, Ending, Happening, Session};
use crate::mqtt::behaviour::{Answering, Behaviour, Subscription};
use crate::mqtt::packet::{Connect, Dup, FromServer, Message, Start, ToServer};
use crate::seed::Numbers;

/// The reason code for what was given up because too much waits: Quota exceeded (MQTT 5, 2.4).
const QUOTA_EXCEEDED: u8 = 0x97;
/// The shortest time between two reports: time is counted in milliseconds.
const SHORTEST: Duration = Duration::from_millis(1);

/// What the machine wants done.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Output {
    /// A connection opened.
    Open,
    /// A packet sent.
    Send(ToServer),
    /// The connection closed, after what was sent before has gone out.
    Close,
    /// An event told; that a message is acknowledged, when the acknowledgement has gone out.
    Happened(Happening),
}

/// How far it has got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// No connection.
    Away,
    /// A connection has been asked for.
    Opening,
    /// CONNECT has gone out.
    Connecting,
    /// So has SUBSCRIBE.
    Subscribing(NonZeroU16),
    /// Subscribed.
    Active,
}

/// Whether the server knows what it subscribes to, as far as the server keeps its session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Subscribed {
    No,
    Yes,
}

/// Whether the answer to a PINGREQ is outstanding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pong {
    Awaited,
    None,
}

/// One simulated peripheral.
#[derive(Debug)]
pub(crate) struct SimulatedPeripheral {
    peripheral: Peripheral,
    numbers: Numbers,
    phase: Phase,
    departure: Option<Departure>,
    subscribed: Subscribed,
    pong: Pong,
    keep_alive: Duration,
    last_sent: Time,
    failures: u32,
    timers: Timers,
    outbox: Outbox,
    requests: Requests,
    resources: Resources,
    outputs: VecDeque<Output>,
}

impl SimulatedPeripheral {
    /// A peripheral that connects at its first timeout, which is `now`.
    pub(crate) fn new(now: Time, peripheral: Peripheral, numbers: Numbers) -> Self {
        let mut timers = Timers::default();
        timers.set(Timer::Connect, now);
        Self {
            peripheral,
            numbers,
            phase: Phase::Away,
            departure: None,
            subscribed: Subscribed::No,
            pong: Pong::None,
            keep_alive: Duration::ZERO,
            last_sent: now,
            failures: 0,
            timers,
            outbox: Outbox::new(),
            requests: Requests::default(),
            resources: Resources::default(),
            outputs: VecDeque::new(),
        }
    }

    pub(crate) const fn server(&self) -> SocketAddr {
        self.peripheral.server
    }

    pub(crate) fn version(&self) -> Version {
        self.behaviour().version
    }

    fn behaviour(&self) -> &Behaviour {
        &self.peripheral.behaviour
    }

    pub(crate) fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    pub(crate) fn next_timeout(&self) -> Option<Time> {
        self.timers.next()
    }

    /// The connection that was asked for is there.
    pub(crate) fn handle_opened(&mut self, now: Time) {
        if self.phase != Phase::Opening {
            return;
        }
        self.phase = Phase::Connecting;
        self.timers.set(Timer::Patience, now + self.behaviour().patience);
        let connect = Connect {
            client_id: self.peripheral.id.as_str().into(),
            credentials: self.peripheral.credentials.clone(),
            start: Start::Resume,
            keep_alive: self.behaviour().keep_alive,
            session_expiry: self.behaviour().session_expiry,
        };
        self.send(now, ToServer::Connect(connect));
    }

    /// The connection has ended, or could not be had; `reason` is none if the server closed it.
    pub(crate) fn handle_closed(&mut self, now: Time, reason: Option<String>) {
        if self.phase == Phase::Away {
            return;
        }
        match (reason, self.departure) {
            // A gateway that is told of a deregistration may close at once.
            (None, Some(Departure::ForGood)) => self.depart(now, Departure::ForGood),
            (None, _) => self.fail(now, Some(Ending::ByServer { code: None })),
            (Some(reason), _) => self.fail(now, Some(Ending::Broken { reason })),
        }
    }

    /// A packet has come.
    pub(crate) fn handle_packet(&mut self, now: Time, packet: FromServer) {
        match (self.phase, packet) {
            (Phase::Away | Phase::Opening, _) => {}
            (Phase::Connecting, FromServer::Connected { session, keep_alive, receive_max }) => {
                self.on_connected(now, session, keep_alive, receive_max);
            }
            (Phase::Connecting, FromServer::Refused { code, reason }) => {
                self.happened(Happening::Refused { code, reason });
                self.fail(now, None);
            }
            (Phase::Subscribing(awaited), FromServer::Subscribed { id }) if id == awaited => {
                self.subscribed = Subscribed::Yes;
                self.happened(Happening::Subscribed);
                self.on_active(now);
            }
            (Phase::Subscribing(awaited), FromServer::SubscriptionRefused { id, code }) if id == awaited => {
                self.happened(Happening::Refused { code, reason: None });
                self.send(now, ToServer::Disconnect { session_expiry: None });
                self.fail(now, None);
            }
            (_, FromServer::Message(message)) => self.on_message(now, &message),
            (_, FromServer::Acknowledged { id, code }) => self.on_acknowledged(id, code),
            (_, FromServer::Pong) => self.pong = Pong::None,
            (_, FromServer::Disconnect { code }) => self.fail(now, Some(Ending::ByServer { code })),
            (_, _) => {}
        }
        self.settle(now);
    }

    /// Time has come.
    pub(crate) fn handle_timeout(&mut self, now: Time) {
        while let Some(timer) = self.timers.take_due(now) {
            match timer {
                Timer::Connect => self.open(),
                Timer::Patience => {
                    let reason = "the server did not answer in time".to_owned();
                    self.fail(now, Some(Ending::Broken { reason }));
                }
                Timer::KeepAlive => self.on_keep_alive(now),
                Timer::Answer => self.answer(now),
                Timer::Report => self.report(now),
                Timer::Sleep => self.fall_asleep(),
                Timer::Leave => self.leave(now),
            }
        }
        self.settle(now);
    }

    /// Somebody tells it what to do.
    pub(crate) fn handle_command(&mut self, now: Time, command: Command) {
        match command {
            Command::Deregister => self.leave(now),
            Command::Sleep(duration) if self.phase != Phase::Away => self.announce(Departure::Asleep(duration)),
            Command::Sleep(_) => {}
            Command::Connect if self.phase == Phase::Away => self.timers.set(Timer::Connect, now),
            Command::Connect => {}
            Command::Vanish => {
                if self.phase != Phase::Away {
                    self.end(Some(Ending::Vanished));
                }
                self.timers.clear(Timer::Connect);
            }
            Command::Publish { topic, payload } => {
                self.publish(topic.into(), payload, None);
            }
            Command::Set { .. } | Command::Send { .. } => {}
        }
        self.settle(now);
    }

    fn open(&mut self) {
        if self.phase == Phase::Away {
            self.phase = Phase::Opening;
            self.outputs.push_back(Output::Open);
        }
    }

    fn on_connected(&mut self, now: Time, session: Session, keep_alive: Option<Duration>, receive_max: u16) {
        self.failures = 0;
        self.happened(Happening::Connected { session });
        self.keep_alive = keep_alive.unwrap_or(self.behaviour().keep_alive);
        self.pong = Pong::None;
        if !self.keep_alive.is_zero() {
            self.timers.set(Timer::KeepAlive, now + self.ping_after());
        }
        if session == Session::New {
            self.subscribed = Subscribed::No;
        }
        self.outbox.reconnect(receive_max, session);
        match self.subscribed {
            Subscribed::Yes => self.on_active(now),
            Subscribed::No => {
                let id = self.outbox.new_id();
                self.phase = Phase::Subscribing(id);
                self.timers.set(Timer::Patience, now + self.behaviour().patience);
                let topic = match &self.behaviour().subscription {
                    Subscription::Requests => self.topic("requests"),
                    Subscription::Topic(topic) => topic.as_str().into(),
                };
                self.send(now, ToServer::Subscribe { id, topic });
            }
        }
    }

    fn on_active(&mut self, now: Time) {
        self.phase = Phase::Active;
        self.timers.clear(Timer::Patience);
        let behaviour = Arc::clone(&self.peripheral.behaviour);
        if let Some(sleeping) = &behaviour.sleeping {
            self.timers.set(Timer::Sleep, now + sleeping.awake);
        }
        if let Some(reporting) = &behaviour.reporting {
            // At a moment of its own, so that a fleet does not report as one.
            self.timers.set(Timer::Report, now + self.numbers.duration(reporting.every));
        }
        if let Some(after) = behaviour.leaves_after
            && !self.timers.is_set(Timer::Leave)
        {
            self.timers.set(Timer::Leave, now + after);
        }
    }

    fn on_message(&mut self, now: Time, message: &Message) {
        let request = Request::read(message);
        let id = request.as_ref().map(|request| request.id);
        let delivery = match (id.and_then(|id| self.requests.recall(id)), message.dup) {
            (None, _) => Delivery::First,
            (Some(_), Dup::Again) => Delivery::Again,
            (Some(_), Dup::First) => Delivery::AskedAgain,
        };
        self.happened(Happening::Received { request: id, delivery });
        if let Some(id) = message.id {
            self.send(now, ToServer::Acknowledge { id });
            self.happened(Happening::Acknowledged);
        }
        if let Some(request) = request {
            self.on_request(now, request, message);
        }
    }

    fn on_request(&mut self, now: Time, request: Request, message: &Message) {
        let id = request.id;
        let (reply, wait) = match (self.requests.recall(id), &self.peripheral.behaviour.answering) {
            // It was done before, so there is nothing to wait for.
            (Some(reply), _) => (reply.clone(), Duration::ZERO),
            (None, Answering::Never) => (None, Duration::ZERO),
            (None, Answering::Refusing(reason)) => (Some(Reply::Refused(reason.clone())), Duration::ZERO),
            (None, Answering::Honestly { after, jitter }) => {
                let reply = match self.resources.carry_out(&self.peripheral.id, request.operation) {
                    Ok(content) => Reply::Done(content),
                    Err(reason) => Reply::Refused(reason),
                };
                (Some(reply), *after + self.numbers.duration(*jitter))
            }
        };
        if self.requests.recall(id).is_none() {
            self.requests.remember(id, reply.clone());
        }
        if let Some(reply) = reply
            && !self.requests.is_due(id)
            && !self.outbox.has_answer_to(id)
        {
            self.requests.keep(Answer {
                due: now + wait,
                request: id,
                reply,
                response_topic: message.response_topic.clone(),
                correlation: message.correlation.clone(),
            });
            self.answer(now);
        }
    }

    fn on_acknowledged(&mut self, id: NonZeroU16, code: u8) {
        let Some(purpose) = self.outbox.take(id) else { return };
        self.happened(match purpose {
            _ if code >= 0x80 => Happening::Rejected { code },
            Purpose::Answer(request) => Happening::Answered { request },
            Purpose::Own => Happening::Published,
        });
    }

    fn on_keep_alive(&mut self, now: Time) {
        if self.pong == Pong::Awaited {
            return self.fail(now, Some(Ending::Broken { reason: "the server did not answer a ping".to_owned() }));
        }
        if now - self.last_sent >= self.ping_after() {
            self.send(now, ToServer::Ping);
            self.pong = Pong::Awaited;
        }
        self.timers.set(Timer::KeepAlive, self.last_sent + self.ping_after());
    }

    /// A little before the keep-alive has passed, for the way to the server takes time.
    fn ping_after(&self) -> Duration {
        self.keep_alive * 3 / 4
    }

    fn answer(&mut self, now: Time) {
        while let Some(answer) = self.requests.take_due(now) {
            let draft = answer.into_draft(&self.peripheral.id);
            self.enqueue(draft);
        }
        match self.requests.next_due() {
            Some(due) => self.timers.set(Timer::Answer, due),
            None => self.timers.clear(Timer::Answer),
        }
    }

    fn report(&mut self, now: Time) {
        let behaviour = Arc::clone(&self.peripheral.behaviour);
        let Some(reporting) = &behaviour.reporting else { return };
        let topic = self.topic(&format!("reports/{}", reporting.name));
        let content_type = &reporting.content.content_type;
        let content_type = (!content_type.is_empty()).then(|| content_type.as_str().into());
        self.publish(topic, reporting.content.bytes.clone().into(), content_type);
        self.timers.set(Timer::Report, now + reporting.every.max(SHORTEST));
    }

    fn publish(&mut self, topic: ByteString, payload: Bytes, content_type: Option<ByteString>) {
        let draft = Draft { purpose: Purpose::Own, topic, payload, content_type, correlation: None, property: None };
        self.enqueue(draft);
    }

    fn enqueue(&mut self, draft: Draft) {
        if self.outbox.push(draft) == Room::None {
            self.happened(Happening::Rejected { code: QUOTA_EXCEEDED });
        }
    }

    /// Puts under way what can be, and departs if that is wanted and nothing is under way.
    fn settle(&mut self, now: Time) {
        if self.phase != Phase::Active {
            return;
        }
        while let Some(publish) = self.outbox.next() {
            self.send(now, ToServer::Publish(publish));
        }
        if let Some(departure) = self.departure
            && self.outbox.is_empty()
            && !self.requests.has_due()
        {
            let session_expiry = match departure {
                Departure::Asleep(_) => Some(self.behaviour().session_expiry),
                Departure::ForGood => Some(Duration::ZERO),
            };
            self.send(now, ToServer::Disconnect { session_expiry });
            self.depart(now, departure);
        }
    }

    fn send(&mut self, now: Time, packet: ToServer) {
        self.last_sent = now;
        self.outputs.push_back(Output::Send(packet));
    }

    fn happened(&mut self, happening: Happening) {
        self.outputs.push_back(Output::Happened(happening));
    }

    fn topic(&self, last: &str) -> ByteString {
        format!("bugle/{}/{last}", self.peripheral.id).into()
    }
}
