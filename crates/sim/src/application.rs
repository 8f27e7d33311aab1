//! An application: it decides about registrations and keeps the group configurations.
//!
//! What the shipped one does, in virtual time: one call for events at a time, one commit of what they
//! change, one load of answers on its way.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Range;
use std::time::Duration;

use bugle_core::application::{
    Answer, Approval, Authorizer, Change, Decision, GroupConfigurations, Recorded, Registration, RegistrationQuestion,
};
use bugle_core::platform::{Decide, Decision as Decided};
use bugle_core::{ApplicationId, Event, GroupId, PeripheralId, Time};

use crate::call::{Ask, CallId, Reply};
use crate::clock::Clock;
use crate::disk::{Disk, Fate};
use crate::random::Random;

/// Answers in one call.
const LOAD_MAX: usize = 8;
/// How many events it takes at once, at least, when it is calm.
const BATCH_CALM: usize = 20;
/// How long a call may take.
const CALL_TIME: Duration = Duration::from_secs(5);
/// How long after a failure it is tried again.
const RETRY_INTERVAL: Duration = Duration::from_millis(500);

/// What an application is like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Habits {
    /// Whom it refuses.
    pub(crate) refused: BTreeSet<PeripheralId>,
    /// How long gateways may re-admit on their own.
    pub(crate) lease: Duration,
    /// How long it waits between two calls for events, in milliseconds.
    pub(crate) pause: Range<u64>,
    /// The same once everything is mended.
    pub(crate) calm_pause: Range<u64>,
    /// Events that it takes at once.
    pub(crate) batch: usize,
}

impl Authorizer for Habits {
    fn authorize(&self, _: Time, question: &RegistrationQuestion<'_>) -> Decision {
        if self.refused.contains(&question.asked.peripheral) {
            Decision::refused("not this one")
        } else {
            Decision::Authorized { groups: question.asked.groups.clone(), lease: self.lease }
        }
    }
}

/// What an application does to the world.
#[derive(Debug)]
pub(crate) enum Output {
    Call {
        call: CallId,
        ask: Box<Ask>,
    },
    Commit {
        takes: Duration,
    },
    /// A change is on disk.
    Kept(Box<Change>),
    /// An event was taken.
    Taken {
        sequence: u64,
    },
    /// It has started over, with all events up to this one.
    StartedOver {
        sequence: u64,
    },
    /// It goes on from what its disk holds.
    Restarted,
    Note(String),
    Died,
}

/// What is on its disk.
#[derive(Debug, Clone, Default)]
struct Kept {
    cursor: u64,
    registrations: BTreeMap<u64, (PeripheralId, Registration)>,
    groups: BTreeMap<GroupId, Time>,
    approvals: BTreeMap<PeripheralId, Approval>,
    outgoing: BTreeMap<u64, Answer>,
    last_answer: u64,
}

pub(crate) struct Application {
    id: ApplicationId,
    habits: Habits,
    pub(crate) wall: Clock,
    pub(crate) disk: Disk,
    kept: Kept,
    process: Option<Process>,
    starts: u32,
    calls: u64,
    random: Random,
    /// It takes no events until then.
    pub(crate) idle_until: Time,
}

struct Process {
    clock: Clock,
    configurations: GroupConfigurations,
    in_commit: Option<Commit>,
    reading: Calling,
    /// It starts over from a snapshot.
    is_lost: bool,
    carrying: Calling,
    /// Answers that wait, by number; those of the load under way among them.
    outgoing: VecDeque<(u64, Answer)>,
    load: usize,
    dies_after: Option<u32>,
}

/// What is being committed, and how far the cursor is with it.
enum Commit {
    Changes { cursor: u64, changes: Vec<Change> },
    Delivered { through: u64 },
}

/// A call that is made again and again.
#[derive(Debug, Clone, Copy)]
enum Calling {
    Idle { until: Time },
    Under { call: CallId, until: Time },
}

impl Application {
    pub(crate) fn new(id: ApplicationId, habits: Habits, disk: Disk, random: Random) -> Self {
        Self {
            id,
            habits,
            wall: Clock::new(0),
            disk,
            kept: Kept::default(),
            process: None,
            starts: 0,
            calls: 0,
            random,
            idle_until: Time::ZERO,
        }
    }

    pub(crate) const fn id(&self) -> &ApplicationId {
        &self.id
    }

    pub(crate) const fn is_running(&self) -> bool {
        self.process.is_some()
    }

    /// Which of its processes runs or ran last.
    pub(crate) const fn starts(&self) -> u32 {
        self.starts
    }

    /// Whether it lets a peripheral in.
    pub(crate) fn admits(&self, peripheral: &PeripheralId) -> bool {
        !self.habits.refused.contains(peripheral)
    }

    /// The group configurations, if it runs.
    pub(crate) fn configurations(&self) -> Option<&GroupConfigurations> {
        self.process.as_ref().map(|process| &process.configurations)
    }

    /// What is not done yet, if it runs.
    pub(crate) fn unfinished(&self) -> Option<String> {
        let Some(process) = &self.process else { return Some("it is down".into()) };
        if process.in_commit.is_some() {
            Some("something is not on disk yet".into())
        } else {
            (!process.outgoing.is_empty()).then(|| format!("{} answers wait", process.outgoing.len()))
        }
    }

    /// From now on it is as quick as it can be, and does not die.
    pub(crate) fn calm(&mut self, now: Time) {
        self.disk.calm();
        self.idle_until = now;
        self.habits.pause = self.habits.calm_pause.clone();
        // One event at a time may be too slow for ever, over a slow network.
        self.habits.batch = self.habits.batch.max(BATCH_CALM);
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
        let shown = self.wall.show(now);
        let Kept { cursor, registrations, groups, approvals, outgoing, .. } = self.kept.clone();
        let recorded = Recorded {
            cursor,
            registrations: registrations.into_values().collect(),
            groups: groups.into_iter().collect(),
            approvals: approvals.into_iter().collect(),
        };
        self.process = Some(Process {
            clock: self.wall,
            configurations: GroupConfigurations::restore(recorded),
            in_commit: None,
            reading: Calling::Idle { until: shown },
            is_lost: false,
            carrying: Calling::Idle { until: shown },
            outgoing: outgoing.into_iter().collect(),
            load: 0,
            dies_after: None,
        });
        out.push(Output::Restarted);
    }

    pub(crate) fn die(&mut self, out: &mut Vec<Output>) {
        let Some(process) = self.process.take() else { return };
        if let Some(commit) = process.in_commit
            && self.disk.survivors(1) == 1
        {
            keep(&mut self.kept, commit, out);
        }
    }

    /// The platform answers a call.
    pub(crate) fn handle_reply(&mut self, now: Time, call: CallId, reply: Reply, out: &mut Vec<Output>) {
        let Some(process) = &mut self.process else { return };
        let shown = process.clock.show(now);
        let is = |calling: Calling| matches!(calling, Calling::Under { call: known, .. } if known == call);
        if is(process.reading) {
            let pause = self.random.millis(self.habits.pause.clone());
            process.reading = Calling::Idle { until: shown + pause };
            self.on_read(shown, reply, out);
        } else if is(process.carrying) {
            process.carrying = Calling::Idle { until: shown + RETRY_INTERVAL };
            if let Reply::Decided(_) = reply
                && let Some((through, _)) = process.outgoing.get(process.load.wrapping_sub(1))
            {
                let through = *through;
                process.outgoing.drain(..process.load);
                process.load = 0;
                process.carrying = Calling::Idle { until: shown };
                self.commit(Commit::Delivered { through }, out);
            }
        }
        self.turn(now, out);
    }

    /// The time of a commit is over.
    pub(crate) fn handle_committed(&mut self, now: Time, out: &mut Vec<Output>) {
        let Some(process) = &mut self.process else { return };
        let Some(commit) = process.in_commit.take() else { return };
        match self.disk.fate() {
            Fate::Done => {
                let answers = keep(&mut self.kept, commit, out);
                process.outgoing.extend(answers);
            }
            Fate::Failed => {
                // What is in memory is worth nothing: everything begins anew from the disk.
                out.push(Output::Note("a commit failed".into()));
                self.process = None;
                self.start(now, out);
                if let Some(process) = &mut self.process {
                    let until = process.clock.show(now) + RETRY_INTERVAL;
                    (process.reading, process.carrying) = (Calling::Idle { until }, Calling::Idle { until });
                }
            }
        }
        self.turn(now, out);
    }

    /// When [`turn`](Self::turn) has something to do next.
    pub(crate) fn next_timeout(&self, now: Time) -> Time {
        let Some(process) = &self.process else { return Time::MAX };
        if process.in_commit.is_some() {
            return Time::MAX;
        }
        let (Calling::Idle { until: read } | Calling::Under { until: read, .. }) = process.reading;
        let (Calling::Idle { until: carry } | Calling::Under { until: carry, .. }) = process.carrying;
        let read = process.clock.when(now, read).max(self.idle_until);
        let carry = process.clock.when(now, carry);
        if process.outgoing.is_empty() { read } else { read.min(carry) }
    }

    /// Does what is due.
    pub(crate) fn turn(&mut self, now: Time, out: &mut Vec<Output>) {
        let Some(process) = &mut self.process else { return };
        let shown = process.clock.show(now);
        let is_due = |calling: Calling| {
            let (Calling::Idle { until } | Calling::Under { until, .. }) = calling;
            until <= shown
        };
        if process.in_commit.is_none() && is_due(process.reading) && self.idle_until <= now {
            let application = self.id.clone();
            let after = process.configurations.cursor();
            let ask = if process.is_lost {
                Ask::Snapshot { application }
            } else {
                Ask::Events { application, after, limit: self.habits.batch }
            };
            self.calls += 1;
            let call = CallId(self.calls);
            process.reading = Calling::Under { call, until: shown + CALL_TIME };
            out.push(Output::Call { call, ask: Box::new(ask) });
        }
        if process.in_commit.is_none() && !process.outgoing.is_empty() && is_due(process.carrying) {
            process.load = process.outgoing.len().min(LOAD_MAX);
            let decisions = process.outgoing.iter().take(process.load).map(|(_, answer)| decided(answer)).collect();
            self.calls += 1;
            let call = CallId(self.calls);
            process.carrying = Calling::Under { call, until: shown + CALL_TIME };
            let ask = Box::new(Ask::Decide(Decide { application: self.id.clone(), decisions }));
            out.push(Output::Call { call, ask });
        }
        if let Some(left) = &mut process.dies_after {
            *left = left.saturating_sub(out.len() as u32);
            if *left == 0 {
                out.push(Output::Died);
            }
        }
    }

    fn on_read(&mut self, shown: Time, reply: Reply, out: &mut Vec<Output>) {
        let Some(process) = &mut self.process else { return };
        if process.in_commit.is_some() {
            return;
        }
        let mut changes = Vec::new();
        match reply {
            Reply::Events(events) => {
                for (sequence, text) in events {
                    let event: Event = serde_json::from_str(&text).expect("the platform writes events");
                    if GroupConfigurations::rest_on(event.kind()) {
                        process.configurations.handle_event(shown, sequence, &event, &self.habits, &mut changes);
                    } else {
                        process.configurations.pass_over(sequence);
                    }
                    out.push(Output::Taken { sequence });
                }
            }
            Reply::Snapshot { sequence, events } => {
                let read = |text: &String| serde_json::from_str(text).expect("the platform writes events");
                let events: Vec<Event> = events.iter().map(read).collect();
                process.configurations.rebuild(shown, sequence, &events, &self.habits, &mut changes);
                process.is_lost = false;
                out.push(Output::StartedOver { sequence });
            }
            Reply::Gone => process.is_lost = true,
            _ => {}
        }
        let cursor = process.configurations.cursor();
        if !changes.is_empty() {
            self.commit(Commit::Changes { cursor, changes }, out);
        }
    }

    fn commit(&mut self, commit: Commit, out: &mut Vec<Output>) {
        let Some(process) = &mut self.process else { return };
        if process.in_commit.is_some() {
            // That the platform has answers may be forgotten: it takes them again.
            return;
        }
        process.in_commit = Some(commit);
        out.push(Output::Commit { takes: self.disk.commit_time() });
    }
}

fn decided(answer: &Answer) -> Decided {
    let Answer { gateway, peripheral, registration, verdict } = answer.clone();
    Decided { gateway, peripheral, registration, verdict }
}

/// Applies a commit, and returns the answers in it with their numbers.
fn keep(kept: &mut Kept, commit: Commit, out: &mut Vec<Output>) -> Vec<(u64, Answer)> {
    let mut answers = Vec::new();
    match commit {
        Commit::Delivered { through } => kept.outgoing = kept.outgoing.split_off(&(through + 1)),
        Commit::Changes { cursor, changes } => {
            kept.cursor = cursor;
            for change in changes {
                out.push(Output::Kept(Box::new(change.clone())));
                match change {
                    Change::Recorded { peripheral, registration } => {
                        kept.registrations.insert(registration.slot, (peripheral, registration));
                    }
                    Change::Dropped { slot } => drop(kept.registrations.remove(&slot)),
                    Change::GroupCreated { group, since } => drop(kept.groups.insert(group, since)),
                    Change::GroupEnded { group } => drop(kept.groups.remove(&group)),
                    Change::ApprovalRecorded { peripheral, approval } => {
                        kept.approvals.insert(peripheral, approval);
                    }
                    Change::ApprovalDropped { peripheral } => drop(kept.approvals.remove(&peripheral)),
                    Change::Answered(answer) => {
                        kept.last_answer += 1;
                        kept.outgoing.insert(kept.last_answer, answer.clone());
                        answers.push((kept.last_answer, answer));
                    }
                }
            }
        }
    }
    answers
}
