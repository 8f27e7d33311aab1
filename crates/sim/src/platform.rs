//! The platform: a process that holds no truth, over rows that outlive it.
//!
//! What the service does, in virtual time: procedures are performed one after another on rows as the
//! writer sees them, and what they decide leaves when it is committed. Whoever reads sees what is
//! committed.

mod link;

use std::collections::BTreeMap;
use std::time::Duration;

use bugle_core::platform::{
    ApplyUp, Changes, Close, Closed, Fire, Memory, PeripheralKey, PeripheralRow, Procedure, RequestState, ScheduleKey,
    Submit,
};
use bugle_core::{ApplicationId, Event, GatewayId, Presence, PresenceChanged, RequestId, State, Time};
use bugle_wire::{CloseReason, FromPlatform, proto};
use prost::Message;

use crate::call::{Ask, CallId, Reply};
use crate::clock::Clock;
use crate::disk::{Disk, Fate};
use crate::network::StreamId;
use crate::random::Random;
use link::{Link, LinkOutput, closing};

/// After a failure of the store nothing is closed or fired for so long.
const RETRY_INTERVAL: Duration = Duration::from_millis(500);

/// How much goes at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Windows {
    /// Entries that are sent ahead of their acknowledgement.
    pub(crate) ahead: u64,
    /// Entries of one message.
    pub(crate) message: u64,
    /// Entries and members of one transaction, about.
    pub(crate) weight: usize,
}

/// What the platform does to the world.
#[derive(Debug)]
pub(crate) enum Output {
    Tell {
        stream: StreamId,
        frame: Vec<u8>,
    },
    Close {
        stream: StreamId,
    },
    Commit {
        takes: Duration,
    },
    /// Changes are on disk.
    Kept(Box<Changes>),
    /// A down log is trimmed, on disk.
    Trimmed {
        gateway: GatewayId,
        through: u64,
    },
    Reply {
        call: CallId,
        reply: Reply,
    },
    Note(String),
    Broken(String),
    Died,
}

pub(crate) struct Platform {
    windows: Windows,
    pub(crate) wall: Clock,
    pub(crate) disk: Disk,
    kept: Memory,
    process: Option<Process>,
    starts: u32,
    random: Random,
}

struct Process {
    clock: Clock,
    /// The rows as the writer sees them.
    live: Memory,
    waiting: Vec<Write>,
    in_commit: Vec<Write>,
    links: BTreeMap<StreamId, Link>,
    closes_after: Time,
    /// It dies after so many outputs.
    dies_after: Option<u32>,
}

/// Something on its way to disk.
struct Write {
    what: What,
    then: Then,
}

enum What {
    Changes(Box<Changes>, Time),
    DownAcknowledged { gateway: GatewayId, through: u64 },
    EventsTrimmed { application: ApplicationId, through: u64 },
}

/// What follows when it is on disk.
enum Then {
    Nothing,
    AcknowledgeUp {
        stream: StreamId,
        through: u64,
    },
    /// Nothing; without it the link must end, so that the gateway says again how far it is.
    HoldLink {
        stream: StreamId,
    },
    Reply {
        call: CallId,
        reply: Reply,
    },
    /// Nothing: what came should never have come.
    Break(String),
}

impl Platform {
    pub(crate) fn new(windows: Windows, gateways: impl Iterator<Item = GatewayId>, disk: Disk, random: Random) -> Self {
        let mut kept = Memory::default();
        gateways.for_each(|gateway| kept.add_gateway(gateway));
        Self { windows, wall: Clock::new(0), disk, kept, process: None, starts: 0, random }
    }

    pub(crate) const fn is_running(&self) -> bool {
        self.process.is_some()
    }

    /// Which of its processes runs or ran last.
    pub(crate) const fn starts(&self) -> u32 {
        self.starts
    }

    /// What is on its disk.
    pub(crate) const fn kept(&self) -> &Memory {
        &self.kept
    }

    /// What is not done yet, if it runs.
    pub(crate) fn unfinished(&self) -> Option<String> {
        let Some(process) = &self.process else { return Some("it is down".into()) };
        let is_open = |(_, row): &(&RequestId, &bugle_core::platform::RequestRow)| row.state != RequestState::Complete;
        if let Some((request, row)) = self.kept.requests().iter().find(is_open) {
            return Some(format!("request {request} is {}", row.state));
        }
        if let Some((_, (application, schedule))) = next_firing(&self.kept) {
            return Some(format!("schedule {schedule} of {application} has not been seen to"));
        }
        if let Some((gateway, _)) = self.kept.gateways().iter().find(|(_, logs)| logs.down_waiting() > 0) {
            return Some(format!("{gateway} has not taken all of its down log"));
        }
        let is_kept = process.in_commit.is_empty() && process.waiting.is_empty();
        (!is_kept).then(|| "something is not on disk yet".into())
    }

    /// The process does not die after all.
    pub(crate) const fn spare(&mut self) {
        if let Some(process) = &mut self.process {
            process.dies_after = None;
        }
    }

    /// The process dies after so many more outputs.
    pub(crate) fn doom(&mut self, outputs: u32) {
        if let Some(process) = &mut self.process {
            process.dies_after = Some(outputs);
        }
    }

    pub(crate) fn start(&mut self, now: Time, out: &mut Vec<Output>) {
        if self.process.is_some() {
            return;
        }
        self.starts += 1;
        self.process = Some(Process {
            clock: self.wall,
            live: self.kept.clone(),
            waiting: Vec::new(),
            in_commit: Vec::new(),
            links: BTreeMap::new(),
            closes_after: Time::ZERO,
            dies_after: None,
        });
        self.turn(now, out);
    }

    /// The process dies. Its streams are returned: they are nobody's now.
    pub(crate) fn die(&mut self, out: &mut Vec<Output>) -> Vec<StreamId> {
        let Some(process) = self.process.take() else { return Vec::new() };
        let survivors = self.disk.survivors(process.in_commit.len());
        for write in process.in_commit.into_iter().take(survivors) {
            keep(&mut self.kept, write.what, out);
        }
        process.links.into_keys().collect()
    }

    pub(crate) fn knows(&self, stream: StreamId) -> bool {
        self.process.as_ref().is_some_and(|process| process.links.contains_key(&stream))
    }

    pub(crate) fn handle_opened(&mut self, now: Time, stream: StreamId) {
        if let Some(process) = &mut self.process {
            process.links.insert(stream, Link::new(process.clock.show(now)));
        }
    }

    pub(crate) fn handle_bytes(&mut self, now: Time, stream: StreamId, bytes: &[u8], out: &mut Vec<Output>) {
        let Some(process) = &mut self.process else { return };
        let shown = process.clock.show(now);
        let mut done = Vec::new();
        if let Some(link) = process.links.get_mut(&stream) {
            link.handle_frame(shown, bytes, &mut done);
        }
        self.on_link(now, stream, done, out);
        self.turn(now, out);
    }

    pub(crate) fn handle_closed(&mut self, now: Time, stream: StreamId, out: &mut Vec<Output>) {
        if let Some(process) = &mut self.process {
            process.links.remove(&stream);
        }
        self.turn(now, out);
    }

    /// A call arrives.
    pub(crate) fn handle_call(&mut self, now: Time, call: CallId, ask: Ask, out: &mut Vec<Output>) {
        let Some(process) = &self.process else { return };
        let shown = process.clock.show(now);
        let then = |reply| Then::Reply { call, reply };
        match ask {
            Ask::Events { application, after, limit } => {
                out.push(Output::Reply { call, reply: self.events(&application, after, limit) });
            }
            Ask::Snapshot { application } => out.push(Output::Reply { call, reply: self.snapshot(&application) }),
            Ask::Decide(decide) => self.perform(now, &decide, out, |decided| {
                then(match decided {
                    Ok(results) => Reply::Decided(results),
                    Err(refusal) => Reply::Refused(refusal.to_string()),
                })
            }),
            Ask::Submit { application, key, submitted } => {
                let id = RequestId::compose(shown, self.random.next() as u32);
                let submit = Submit { application, id, idempotency_key: Some(key), submitted, schedule: None };
                self.perform(now, &submit, out, |accepted| {
                    then(accepted.map_or_else(|refusal| Reply::Refused(refusal.to_string()), Reply::Accepted))
                });
            }
            Ask::Cancel(cancel) => self.perform(now, &cancel, out, |done| then(done_or_refused(done))),
            Ask::Direct(direct) => self.perform(now, &direct, out, |done| then(done_or_refused(done))),
            Ask::DirectGroup(direct) => self.perform(now, &direct, out, |done| then(done_or_refused(done))),
            Ask::Nest(nest) => self.perform(now, &nest, out, |done| then(done_or_refused(done))),
            Ask::Unnest(unnest) => self.perform(now, &unnest, out, |done| then(done_or_refused(done))),
            Ask::PutSchedule(put) => self.perform(now, &*put, out, |done| then(done_or_refused(done))),
        }
        self.turn(now, out);
    }

    /// Events of an application are kept no longer.
    pub(crate) fn trim_events(&mut self, now: Time, application: ApplicationId, through: u64, out: &mut Vec<Output>) {
        let Some(process) = &mut self.process else { return };
        process.waiting.push(Write { what: What::EventsTrimmed { application, through }, then: Then::Nothing });
        self.turn(now, out);
    }

    /// The time of a commit is over.
    pub(crate) fn handle_committed(&mut self, now: Time, out: &mut Vec<Output>) {
        let Some(process) = &mut self.process else { return };
        let writes = std::mem::take(&mut process.in_commit);
        match self.disk.fate() {
            Fate::Done => {
                for Write { what, then } in writes {
                    keep(&mut self.kept, what, out);
                    self.follow(then, out);
                }
            }
            Fate::Failed => {
                out.push(Output::Note("a commit failed".into()));
                process.live = self.kept.clone();
                process.closes_after = process.clock.show(now) + RETRY_INTERVAL;
                let waiting = std::mem::take(&mut process.waiting);
                for Write { then, .. } in writes.into_iter().chain(waiting) {
                    self.renounce(then, out);
                }
            }
        }
        self.turn(now, out);
    }

    /// When [`turn`](Self::turn) has something to do next.
    pub(crate) fn next_timeout(&self, now: Time) -> Time {
        let Some(process) = &self.process else { return Time::MAX };
        let silent = process.links.values().map(|link| link.silent_at).min().unwrap_or(Time::MAX);
        let closes = next_closing(&process.live).map_or(Time::MAX, |(at, _)| at.max(process.closes_after));
        let fires = next_firing(&process.live).map_or(Time::MAX, |(at, _)| at.max(process.closes_after));
        process.clock.when(now, silent.min(closes).min(fires))
    }

    /// Does what is due.
    pub(crate) fn turn(&mut self, now: Time, out: &mut Vec<Output>) {
        self.close_due(now, out);
        self.fire_due(now, out);
        self.work_links(now, out);
        if let Some(process) = &mut self.process
            && process.in_commit.is_empty()
            && !process.waiting.is_empty()
        {
            process.in_commit = std::mem::take(&mut process.waiting);
            out.push(Output::Commit { takes: self.disk.commit_time() });
        }
        if let Some(process) = &mut self.process
            && let Some(left) = &mut process.dies_after
        {
            *left = left.saturating_sub(out.len() as u32);
            if *left == 0 {
                out.push(Output::Died);
            }
        }
    }

    fn perform<P: Procedure>(
        &mut self,
        now: Time,
        procedure: &P,
        out: &mut Vec<Output>,
        then: impl FnOnce(Result<P::Answer, P::Refusal>) -> Then,
    ) {
        let Some(process) = &mut self.process else { return };
        let shown = process.clock.show(now);
        let mut work = process.live.load(&procedure.needs());
        match procedure.decide(&mut work, shown) {
            Ok(answer) => {
                let changes = work.into_changes();
                process.live.write(&changes, shown);
                process.waiting.push(Write { what: What::Changes(Box::new(changes), shown), then: then(Ok(answer)) });
            }
            // What is refused changes nothing that would have to be on disk first.
            Err(refusal) => {
                let then = then(Err(refusal));
                self.follow(then, out);
            }
        }
    }

    fn follow(&mut self, then: Then, out: &mut Vec<Output>) {
        let Some(process) = &mut self.process else { return };
        match then {
            Then::Nothing | Then::HoldLink { .. } => {}
            Then::Break(what) => out.push(Output::Broken(what)),
            Then::Reply { call, reply } => out.push(Output::Reply { call, reply }),
            Then::AcknowledgeUp { stream, through } => {
                if let Some(link) = process.links.get_mut(&stream) {
                    link.applying -= 1;
                    out.push(tell(stream, FromPlatform::UpAcknowledged { through }));
                }
            }
        }
    }

    /// What did not come to be on disk is not promised.
    fn renounce(&mut self, then: Then, out: &mut Vec<Output>) {
        match then {
            Then::Nothing | Then::Break(_) => {}
            Then::Reply { call, .. } => out.push(Output::Reply { call, reply: Reply::Unavailable }),
            Then::AcknowledgeUp { stream, .. } | Then::HoldLink { stream } => self.end_link(stream, None, out),
        }
    }

    fn close_due(&mut self, now: Time, out: &mut Vec<Output>) {
        while let Some(process) = &self.process
            && let Some((at, request)) = next_closing(&process.live)
            && at.max(process.closes_after) <= process.clock.show(now)
        {
            let mut after = None;
            loop {
                let mut closed = Closed::Wholly;
                self.perform(now, &Close { request, after: after.take() }, out, |done| {
                    let Ok(done) = done;
                    closed = done;
                    Then::Nothing
                });
                match closed {
                    Closed::Partly { after: next } => after = next,
                    Closed::Wholly => break,
                }
            }
            let is_open = |process: &Process| {
                process.live.requests().get(&request).is_some_and(|row| row.state != RequestState::Complete)
            };
            if self.process.as_ref().is_some_and(is_open) {
                return out.push(Output::Broken(format!("request {request} is closed and not complete")));
            }
        }
    }

    fn fire_due(&mut self, now: Time, out: &mut Vec<Output>) {
        while let Some(process) = &self.process
            && let Some((due, key)) = next_firing(&process.live)
            && due.max(process.closes_after) <= process.clock.show(now)
        {
            let submitted = process.live.schedules()[&key].submitted.clone();
            let id = RequestId::compose(process.clock.show(now), self.random.next() as u32);
            // One whose id is taken is due all the same, and draws another.
            self.perform(now, &Fire { key, due, submitted, id, next_due: None }, out, |_| Then::Nothing);
        }
    }

    fn work_links(&mut self, now: Time, out: &mut Vec<Output>) {
        let Some(process) = &self.process else { return };
        let shown = process.clock.show(now);
        let streams: Vec<StreamId> = process.links.keys().copied().collect();
        for stream in streams {
            let mut done = Vec::new();
            let process = self.process.as_mut().expect("it runs");
            let Some(link) = process.links.get_mut(&stream) else { continue };
            if link.silent_at <= shown {
                done.push(LinkOutput::End);
            } else {
                link.work(shown, self.windows, &self.kept, &mut done);
            }
            self.on_link(now, stream, done, out);
        }
    }

    fn on_link(&mut self, now: Time, stream: StreamId, done: Vec<LinkOutput>, out: &mut Vec<Output>) {
        for output in done {
            match output {
                LinkOutput::Greeted(gateway) => self.replace_link(&gateway, stream, out),
                LinkOutput::Send(message) => out.push(tell(stream, message)),
                LinkOutput::Apply { gateway, entries } => {
                    self.perform(now, &ApplyUp { gateway, entries }, out, |applied| match applied {
                        Ok(applied) => Then::AcknowledgeUp { stream, through: applied.up_applied },
                        Err(error) => Then::Break(error.to_string()),
                    });
                }
                LinkOutput::AcknowledgeDown { gateway, through } => {
                    let Some(process) = &mut self.process else { return };
                    process.live.acknowledge_down(&gateway, through);
                    let what = What::DownAcknowledged { gateway, through };
                    process.waiting.push(Write { what, then: Then::HoldLink { stream } });
                }
                LinkOutput::End => self.end_link(stream, None, out),
                LinkOutput::Conflict(what) => {
                    self.end_link(stream, Some(CloseReason::LogConflict), out);
                    out.push(Output::Note(what));
                }
                LinkOutput::Broken(what) => {
                    self.end_link(stream, Some(CloseReason::Protocol), out);
                    out.push(Output::Broken(what));
                }
            }
        }
    }

    fn replace_link(&mut self, gateway: &GatewayId, by: StreamId, out: &mut Vec<Output>) {
        let Some(process) = &self.process else { return };
        let is_former = |(stream, link): &(&StreamId, &Link)| **stream != by && link.gateway() == Some(gateway);
        let former: Vec<StreamId> = process.links.iter().filter(is_former).map(|(stream, _)| *stream).collect();
        for stream in former {
            self.end_link(stream, Some(CloseReason::Replaced), out);
        }
    }

    fn end_link(&mut self, stream: StreamId, reason: Option<CloseReason>, out: &mut Vec<Output>) {
        let Some(process) = &mut self.process else { return };
        if process.links.remove(&stream).is_some() {
            out.extend(reason.map(|reason| tell(stream, closing(reason))));
            out.push(Output::Close { stream });
        }
    }

    fn events(&self, application: &ApplicationId, after: u64, limit: usize) -> Reply {
        let last = self.kept.event_last(application);
        let kept: Vec<_> = self.kept.events_after(application, after).take(limit).collect();
        let is_gone = after > last || (after < last && kept.first().is_none_or(|(first, _)| *first != after + 1));
        if is_gone {
            return Reply::Gone;
        }
        Reply::Events(kept.into_iter().map(|(sequence, event)| (sequence, json(event))).collect())
    }

    fn snapshot(&self, application: &ApplicationId) -> Reply {
        let of_application = self.kept.peripherals().iter().filter(|(_, row)| row.application == *application);
        let events = of_application.flat_map(|(key, row)| snapshot(key, row)).map(|event| json(&event)).collect();
        Reply::Snapshot { sequence: self.kept.event_last(application), events }
    }
}

/// The events that lead to a row.
fn snapshot(key: &PeripheralKey, row: &PeripheralRow) -> Vec<Event> {
    let (gateway, peripheral) = key.clone();
    let registered = row.registration.map(|registration| Event::PresenceChanged {
        gateway: gateway.clone(),
        changed: PresenceChanged {
            peripheral,
            registration,
            groups: row.member_of.clone(),
            presence: match row.presence {
                State::Active => Presence::Active,
                State::Activating => Presence::Activating { next_wake: row.next_wake },
                _ => Presence::Standby { next_wake: row.next_wake },
            },
            at: row.since,
        },
    });
    let asked = row.asked.clone().map(|asked| Event::RegistrationAsked { gateway, asked });
    registered.into_iter().chain(asked).collect()
}

fn next_closing(rows: &Memory) -> Option<(Time, RequestId)> {
    let open = rows.requests().iter().filter(|(_, row)| row.state != RequestState::Complete);
    open.map(|(request, row)| (row.closes_at(), *request)).min()
}

fn next_firing(rows: &Memory) -> Option<(Time, ScheduleKey)> {
    rows.schedules().iter().filter_map(|(key, row)| Some((row.next_due?, key.clone()))).min()
}

fn done_or_refused<R: ToString>(done: Result<(), R>) -> Reply {
    done.map_or_else(|refusal| Reply::Refused(refusal.to_string()), |()| Reply::Done)
}

fn json(event: &Event) -> String {
    serde_json::to_string(event).expect("an event is JSON")
}

fn tell(stream: StreamId, message: FromPlatform) -> Output {
    Output::Tell { stream, frame: proto::FromPlatform::from(message).encode_to_vec() }
}

fn keep(kept: &mut Memory, what: What, out: &mut Vec<Output>) {
    match what {
        What::Changes(changes, at) => {
            kept.write(&changes, at);
            out.push(Output::Kept(changes));
        }
        What::DownAcknowledged { gateway, through } => {
            kept.acknowledge_down(&gateway, through);
            out.push(Output::Trimmed { gateway, through });
        }
        What::EventsTrimmed { application, through } => kept.trim_events(&application, through),
    }
}
