//! The links of gateways, from the platform's end: what the service does, in virtual time.

use std::collections::VecDeque;
use std::time::Duration;

use bugle_core::platform::{Memory, weight};
use bugle_core::{GatewayId, Time, UpEntry};
use bugle_wire::{
    CloseReason, Entries, FromGateway, FromPlatform, Hello, Incoming, Outgoing, Span, VERSION, decode_up, encode_down,
    proto,
};
use bytes::Bytes;
use prost::Message;

use super::Windows;

/// A link that is silent for so long is dead.
const SILENCE_MAX: Duration = Duration::from_secs(40);
/// Batches that are on their way to disk at once; no more is read from the gateway meanwhile.
const APPLYING_MAX: usize = 16;

/// A link from its first frame to its end.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) silent_at: Time,
    session: Option<Session>,
    unread: VecDeque<FromGateway>,
    /// Batches on their way to disk.
    pub(super) applying: usize,
}

#[derive(Debug)]
struct Session {
    gateway: GatewayId,
    incoming: Incoming,
    outgoing: Outgoing,
}

/// What a link wants done.
#[derive(Debug)]
pub(super) enum LinkOutput {
    /// The gateway is known now.
    Greeted(GatewayId),
    Send(FromPlatform),
    Apply {
        gateway: GatewayId,
        entries: Vec<(u64, UpEntry)>,
    },
    AcknowledgeDown {
        gateway: GatewayId,
        through: u64,
    },
    /// The link ends.
    End,
    /// So does it, because the logs do not fit together. Whether that breaks a promise the gateway knows: it
    /// may be the late word of a stream that it has given up.
    Conflict(String),
    /// So does it, and a promise is broken.
    Broken(String),
}

impl Link {
    pub(super) fn new(now: Time) -> Self {
        Self { silent_at: now + SILENCE_MAX, session: None, unread: VecDeque::new(), applying: 0 }
    }

    pub(super) fn gateway(&self) -> Option<&GatewayId> {
        self.session.as_ref().map(|session| &session.gateway)
    }

    pub(super) fn handle_frame(&mut self, now: Time, bytes: &[u8], out: &mut Vec<LinkOutput>) {
        self.silent_at = now + SILENCE_MAX;
        let message = proto::FromGateway::decode(bytes).map_err(|error| error.to_string());
        let message = message.and_then(|message| FromGateway::try_from(message).map_err(|error| error.to_string()));
        match message {
            Ok(message) => self.unread.push_back(message),
            Err(error) => out.push(LinkOutput::Broken(format!("a gateway sent what is no message: {error}"))),
        }
    }

    /// Takes what came, as far as there is room, and sends what there is.
    pub(super) fn work(&mut self, now: Time, windows: Windows, kept: &Memory, out: &mut Vec<LinkOutput>) {
        while self.applying < APPLYING_MAX
            && let Some(message) = self.unread.pop_front()
        {
            if let Err(broken) = self.on_message(message, windows, kept, out) {
                out.push(broken.map_or(LinkOutput::End, LinkOutput::Broken));
                return;
            }
        }
        self.write(now, windows, kept, out);
    }

    fn on_message(
        &mut self,
        message: FromGateway,
        windows: Windows,
        kept: &Memory,
        out: &mut Vec<LinkOutput>,
    ) -> Result<(), Option<String>> {
        let Some(session) = &mut self.session else {
            let FromGateway::Hello(hello) = message else { return Err(Some("the first message was no hello".into())) };
            return self.greet(hello, windows, kept, out);
        };
        match message {
            FromGateway::Up(entries) => {
                let news = session.incoming.handle_entries(entries).map_err(|error| Some(error.to_string()))?;
                for entries in batches(news, windows.weight)? {
                    self.applying += 1;
                    out.push(LinkOutput::Apply { gateway: session.gateway.clone(), entries });
                }
            }
            FromGateway::DownAcknowledged { through } => {
                if session.outgoing.handle_acknowledged(through).map_err(|error| Some(error.to_string()))? {
                    out.push(LinkOutput::AcknowledgeDown { gateway: session.gateway.clone(), through });
                }
            }
            FromGateway::Ping { token } => out.push(LinkOutput::Send(FromPlatform::Pong { token })),
            FromGateway::Hello(_) => return Err(Some("a second hello".into())),
        }
        Ok(())
    }

    fn greet(
        &mut self,
        hello: Hello,
        windows: Windows,
        kept: &Memory,
        out: &mut Vec<LinkOutput>,
    ) -> Result<(), Option<String>> {
        let Hello { version, gateway, down_received, up_first, up_last, .. } = hello;
        let logs = kept.gateways().get(&gateway).copied().ok_or(None)?;
        if version != VERSION {
            return Err(Some(format!("version {version} of the link")));
        }
        let up = Outgoing::resume(logs.up_applied, up_first, up_last, windows.ahead);
        let down = Outgoing::resume(down_received, logs.down_acknowledged + 1, logs.down_last, windows.ahead);
        let outgoing = match (up, down) {
            (Ok(_), Ok(outgoing)) => outgoing,
            (Err(conflict), _) | (_, Err(conflict)) => {
                out.push(LinkOutput::Conflict(format!("{gateway}: {conflict}")));
                return Ok(());
            }
        };
        out.push(LinkOutput::Greeted(gateway.clone()));
        out.push(LinkOutput::Send(FromPlatform::Welcome { up_applied: logs.up_applied }));
        out.push(LinkOutput::AcknowledgeDown { gateway: gateway.clone(), through: down_received });
        self.session = Some(Session { gateway, incoming: Incoming::new(logs.up_applied), outgoing });
        Ok(())
    }

    fn write(&mut self, now: Time, windows: Windows, kept: &Memory, out: &mut Vec<LinkOutput>) {
        let Some(Session { gateway, outgoing, .. }) = &mut self.session else { return };
        outgoing.handle_available(kept.gateways().get(gateway).map_or(0, |logs| logs.down_last));
        while let Some(Span { after, count }) = outgoing.next() {
            let count = count.min(windows.message) as usize;
            let entries: Vec<_> = kept.down_after(gateway, after).take(count).collect();
            let is_whole = entries.iter().zip(after + 1..).all(|((sequence, _), expected)| *sequence == expected);
            if entries.is_empty() || !is_whole {
                return out.push(LinkOutput::Broken(format!("the down log of {gateway} has a gap after {after}")));
            }
            let bytes = entries.iter().map(|(_, entry)| Bytes::from(encode_down(entry, now))).collect();
            let entries = Entries::new(after + 1, bytes).expect("there are some");
            outgoing.handle_sent(entries.last());
            out.push(LinkOutput::Send(FromPlatform::Down(entries)));
        }
    }
}

/// The last word on a link.
pub(super) fn closing(reason: CloseReason) -> FromPlatform {
    FromPlatform::Closing { reason, detail: String::new() }
}

/// Decodes entries and puts them into batches of about one weight, in order.
fn batches(entries: Option<Entries>, most: usize) -> Result<Vec<Vec<(u64, UpEntry)>>, Option<String>> {
    let mut batches: Vec<Vec<(u64, UpEntry)>> = Vec::new();
    let mut sum = 0;
    for (sequence, bytes) in entries.into_iter().flatten() {
        let entry = decode_up(&bytes).map_err(|error| Some(error.to_string()))?;
        let added = weight(&entry);
        match batches.last_mut().filter(|_| sum + added <= most) {
            Some(batch) => {
                batch.push((sequence, entry));
                sum += added;
            }
            None => {
                batches.push(vec![(sequence, entry)]);
                sum = added;
            }
        }
    }
    Ok(batches)
}
