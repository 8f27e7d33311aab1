//! The link to the platform, from the gateway's end: what the service does, in virtual time.

use std::collections::VecDeque;
use std::time::Duration;

use bugle_core::gateway::Memory;
use bugle_core::{DownEntry, GatewayId, Time};
use bugle_wire::{
    CloseReason, Entries, FromGateway, FromPlatform, Hello, Incoming, Outgoing, Span, VERSION, decode_down, encode_up,
    proto,
};
use bytes::Bytes;
use prost::Message;

use crate::network::StreamId;

const FIRST_WAIT: Duration = Duration::from_millis(200);
const LONGEST_WAIT: Duration = Duration::from_secs(5);
const PING_INTERVAL: Duration = Duration::from_secs(10);
const SILENCE_MAX: Duration = Duration::from_secs(30);

/// How much goes at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Windows {
    /// Entries that are sent ahead of their acknowledgement.
    pub(crate) ahead: u64,
    /// Entries of one message.
    pub(crate) message: u64,
    /// Entries of the down log that the gateway may have yet to make durable.
    pub(crate) undone: u64,
}

/// What the link is to do, or has done.
#[derive(Debug)]
pub(super) enum LinkOutput {
    Dial,
    Tell {
        stream: StreamId,
        frame: Vec<u8>,
    },
    Close {
        stream: StreamId,
    },
    Up,
    Down,
    Entry {
        sequence: u64,
        entry: Box<DownEntry>,
    },
    UpAcknowledged {
        through: u64,
    },
    /// A promise is broken: the two ends do not fit together.
    Broken(String),
}

/// How far the gateway's logs are, on disk.
pub(super) struct Logs<'a> {
    pub(super) kept: &'a Memory,
    pub(super) up_available: u64,
    pub(super) down_acknowledged: u64,
}

#[derive(Debug)]
pub(super) struct Link {
    gateway: GatewayId,
    windows: Windows,
    boot: u64,
    state: State,
    failures: u32,
}

#[derive(Debug)]
enum State {
    Away { retry_at: Time },
    Dialling,
    Greeting { stream: StreamId, until: Time, hello: Hello },
    Up(Box<Session>),
}

#[derive(Debug)]
struct Session {
    stream: StreamId,
    outgoing: Outgoing,
    incoming: Incoming,
    /// How far the platform was told that the down log is applied.
    told: u64,
    unread: VecDeque<FromPlatform>,
    ping_at: Time,
    silent_at: Time,
}

impl Link {
    pub(super) const fn new(gateway: GatewayId, windows: Windows, boot: u64, now: Time) -> Self {
        Self { gateway, windows, boot, state: State::Away { retry_at: now }, failures: 0 }
    }

    pub(super) fn stream(&self) -> Option<StreamId> {
        match &self.state {
            State::Away { .. } | State::Dialling => None,
            State::Greeting { stream, .. } => Some(*stream),
            State::Up(session) => Some(session.stream),
        }
    }

    pub(super) fn next_timeout(&self) -> Time {
        match &self.state {
            State::Away { retry_at } => *retry_at,
            State::Dialling => Time::MAX,
            State::Greeting { until, .. } => *until,
            State::Up(session) => session.ping_at.min(session.silent_at),
        }
    }

    /// The stream that was dialled.
    pub(super) fn handle_dialled(&mut self, now: Time, stream: StreamId, logs: &Logs<'_>, out: &mut Vec<LinkOutput>) {
        let oldest = logs.kept.up_after(0).next().map(|(sequence, _)| sequence);
        let hello = Hello {
            version: VERSION,
            gateway: self.gateway.clone(),
            down_received: logs.down_acknowledged,
            up_first: oldest.unwrap_or(logs.up_available + 1),
            up_last: logs.up_available,
            boot: self.boot,
            software: "a simulated gateway".into(),
        };
        out.push(tell(stream, FromGateway::Hello(hello.clone())));
        self.state = State::Greeting { stream, until: now + SILENCE_MAX, hello };
    }

    pub(super) fn handle_frame(&mut self, now: Time, bytes: &[u8], logs: &Logs<'_>, out: &mut Vec<LinkOutput>) {
        let message = proto::FromPlatform::decode(bytes).map_err(|error| error.to_string());
        let message = message.and_then(|message| FromPlatform::try_from(message).map_err(|error| error.to_string()));
        let message = match message {
            Ok(message) => message,
            Err(error) => {
                return out.push(LinkOutput::Broken(format!("the platform sent what is no message: {error}")));
            }
        };
        match &mut self.state {
            State::Greeting { .. } => self.on_greeted(now, message, out),
            State::Up(session) => {
                session.silent_at = now + SILENCE_MAX;
                session.unread.push_back(message);
                self.work(now, logs, out);
            }
            State::Away { .. } | State::Dialling => {}
        }
    }

    /// The stream has ended.
    pub(super) fn handle_closed(&mut self, now: Time, out: &mut Vec<LinkOutput>) {
        self.fail(now, out);
    }

    /// Sends and takes what there is, and does what is due.
    pub(super) fn work(&mut self, now: Time, logs: &Logs<'_>, out: &mut Vec<LinkOutput>) {
        match &mut self.state {
            State::Away { retry_at } if *retry_at <= now => {
                self.state = State::Dialling;
                out.push(LinkOutput::Dial);
            }
            State::Greeting { stream, until, .. } if *until <= now => {
                out.push(LinkOutput::Close { stream: *stream });
                self.fail(now, out);
            }
            State::Up(session) if session.silent_at <= now => {
                out.push(LinkOutput::Close { stream: session.stream });
                self.fail(now, out);
            }
            State::Up(session) => {
                if let Err(broken) = session.read(now, self.windows, logs, out) {
                    out.push(LinkOutput::Close { stream: session.stream });
                    if let Some(broken) = broken {
                        out.push(LinkOutput::Broken(broken));
                    }
                    return self.fail(now, out);
                }
                session.write(now, self.windows, logs, out);
            }
            State::Away { .. } | State::Dialling | State::Greeting { .. } => {}
        }
    }

    fn on_greeted(&mut self, now: Time, message: FromPlatform, out: &mut Vec<LinkOutput>) {
        let State::Greeting { stream, hello, .. } = &self.state else { return };
        let (stream, hello) = (*stream, hello.clone());
        let FromPlatform::Welcome { up_applied } = message else {
            if matches!(message, FromPlatform::Closing { reason: CloseReason::LogConflict, .. }) {
                out.push(LinkOutput::Broken("the platform says that the logs do not fit together".into()));
            }
            out.push(LinkOutput::Close { stream });
            return self.fail(now, out);
        };
        match Outgoing::resume(up_applied, hello.up_first, hello.up_last, self.windows.ahead) {
            Ok(outgoing) => {
                out.push(LinkOutput::UpAcknowledged { through: up_applied });
                out.push(LinkOutput::Up);
                self.failures = 0;
                self.state = State::Up(Box::new(Session {
                    stream,
                    outgoing,
                    incoming: Incoming::new(hello.down_received),
                    told: hello.down_received,
                    unread: VecDeque::new(),
                    ping_at: now + PING_INTERVAL,
                    silent_at: now + SILENCE_MAX,
                }));
            }
            Err(conflict) => out.push(LinkOutput::Broken(format!("the up log: {conflict}"))),
        }
    }

    fn fail(&mut self, now: Time, out: &mut Vec<LinkOutput>) {
        if matches!(self.state, State::Up(_)) {
            out.push(LinkOutput::Down);
        }
        let wait = (FIRST_WAIT * 2_u32.pow(self.failures.min(8))).min(LONGEST_WAIT);
        self.failures += 1;
        self.state = State::Away { retry_at: now + wait };
    }
}

impl Session {
    /// Takes what came, as far as there is room. An error ends the stream; one with a text breaks a
    /// promise.
    fn read(
        &mut self,
        now: Time,
        windows: Windows,
        logs: &Logs<'_>,
        out: &mut Vec<LinkOutput>,
    ) -> Result<(), Option<String>> {
        while self.incoming.received().saturating_sub(logs.down_acknowledged) < windows.undone {
            let Some(message) = self.unread.pop_front() else { return Ok(()) };
            match message {
                FromPlatform::Down(entries) => {
                    let news = self.incoming.handle_entries(entries).map_err(|error| Some(error.to_string()))?;
                    for (sequence, bytes) in news.into_iter().flatten() {
                        let entry = decode_down(&bytes, now).map_err(|error| Some(error.to_string()))?;
                        out.push(LinkOutput::Entry { sequence, entry: Box::new(entry) });
                    }
                }
                FromPlatform::UpAcknowledged { through } => {
                    if self.outgoing.handle_acknowledged(through).map_err(|error| Some(error.to_string()))? {
                        out.push(LinkOutput::UpAcknowledged { through });
                    }
                }
                FromPlatform::Pong { .. } => {}
                FromPlatform::Closing { .. } => return Err(None),
                FromPlatform::Welcome { .. } => return Err(Some("a second welcome".into())),
            }
        }
        Ok(())
    }

    fn write(&mut self, now: Time, windows: Windows, logs: &Logs<'_>, out: &mut Vec<LinkOutput>) {
        if logs.down_acknowledged > self.told {
            self.told = logs.down_acknowledged;
            out.push(tell(self.stream, FromGateway::DownAcknowledged { through: self.told }));
        }
        self.outgoing.handle_available(logs.up_available);
        while let Some(Span { after, count }) = self.outgoing.next() {
            let count = count.min(windows.message) as usize;
            let entries: Vec<_> = logs.kept.up_after(after).take(count).collect();
            let is_whole = entries.iter().zip(after + 1..).all(|((sequence, _), expected)| *sequence == expected);
            if entries.is_empty() || !is_whole {
                return out.push(LinkOutput::Broken(format!("the up log has a gap after {after}")));
            }
            let bytes = entries.iter().map(|(_, entry)| Bytes::from(encode_up(entry))).collect();
            let entries = Entries::new(after + 1, bytes).expect("there are some");
            self.outgoing.handle_sent(entries.last());
            out.push(tell(self.stream, FromGateway::Up(entries)));
        }
        if self.ping_at <= now {
            self.ping_at = now + PING_INTERVAL;
            out.push(tell(self.stream, FromGateway::Ping { token: now.as_millis() }));
        }
    }
}

fn tell(stream: StreamId, message: FromGateway) -> LinkOutput {
    LinkOutput::Tell { stream, frame: proto::FromGateway::from(message).encode_to_vec() }
}
