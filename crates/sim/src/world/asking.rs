//! Calls of the HTTP API, and the people who make some of them until they have an answer.

use std::time::Duration;

use bugle_core::platform::{Cancel, IdempotencyKey, PutSchedule, RequestState, Submitted, Timing};
use bugle_core::{ApplicationId, Operation, RequestId, ScheduleId};

use super::{Happening, World};
use crate::call::{Ask, CallId, Reply};
use crate::fact::Fact;
use crate::network::Place;
use crate::work::{Choice, Since, Work};

/// After how long somebody asks again who has no answer.
const PATIENCE: Duration = Duration::from_secs(4);

/// Who has made a call.
#[derive(Debug, Clone, Copy)]
pub(super) enum Caller {
    /// A process of an application, which has its own name for the call.
    Process { application: usize, start: u32, call: CallId },
    /// Somebody who wants something.
    Wish(usize),
}

/// Something that somebody wants, until it is granted or refused.
#[derive(Debug)]
pub(super) struct Wish {
    application: usize,
    ask: Ask,
    answer: Option<Reply>,
}

impl Wish {
    pub(super) const fn is_granted(&self) -> bool {
        self.answer.is_some()
    }
}

/// Of so many requests that were accepted last people cancel one.
const LAST_ACCEPTED: usize = 2;

impl World {
    pub(super) fn call_of_application(&mut self, application: usize, call: CallId, ask: Ask) {
        let start = self.applications[application].starts();
        self.call(Place::Application(application), Caller::Process { application, start, call }, ask);
    }

    /// The platform answers a call.
    pub(super) fn reply(&mut self, call: CallId, reply: Reply) {
        let Some(caller) = self.calls.get(&call) else { return };
        let (Caller::Process { application, .. } | Caller::Wish(application)) = *caller;
        let application = match caller {
            Caller::Process { .. } => application,
            Caller::Wish(wish) => self.wishes[*wish].application,
        };
        for at in self.network.call(self.now, Place::Platform, Place::Application(application)) {
            self.schedule.plan(at, Happening::Replied { call, reply: reply.clone() });
        }
    }

    pub(super) fn on_replied(&mut self, call: CallId, reply: Reply) {
        match self.calls.get(&call).copied() {
            Some(Caller::Process { application, start, call }) if self.applications[application].starts() == start => {
                let mut out = Vec::new();
                self.applications[application].handle_reply(self.now, call, reply, &mut out);
                self.carry_application(application, out);
            }
            Some(Caller::Wish(number)) => self.on_wish_answered(number, reply),
            _ => {}
        }
    }

    /// Somebody wants something.
    pub(super) fn want(&mut self, work: Work) {
        let (application, ask) = match work {
            Work::Submit { application, submitted, regret } => {
                if let (Some(regret), Operation::Message { content }) = (regret, &submitted.operation) {
                    self.regrets.insert(content.bytes.clone(), (application, regret));
                }
                let key = format!("wish-{}", self.wishes.len());
                let key = IdempotencyKey::new(key).expect("visible ASCII");
                let of = self.applications[application].id().clone();
                (application, Ask::Submit { application: of, key, submitted })
            }
            Work::Cancel { application, choice } => {
                let request = match choice {
                    Choice::OfLast(choice) => self.one_of_last(application, choice),
                    Choice::This(request) => Some(request),
                };
                let Some(request) = request else { return };
                let of = self.applications[application].id().clone();
                (application, Ask::Cancel(Cancel { application: of, request }))
            }
            Work::Schedule { application, not_before, submitted } => {
                (application, Ask::PutSchedule(Box::new(self.schedule(application, not_before, *submitted))))
            }
            Work::Direct { application, direct } => (application, Ask::Direct(direct)),
            Work::DirectGroup { application, direct } => (application, Ask::DirectGroup(direct)),
            Work::Nest { application, nest } => (application, Ask::Nest(nest)),
            Work::Unnest { application, unnest } => (application, Ask::Unnest(unnest)),
            Work::Edit { gateway, allocation } => return self.edit(gateway, allocation),
        };
        self.note(&Place::Application(application), format_args!("wants {ask:?}"));
        self.wishes.push(Wish { application, ask, answer: None });
        self.look_after(self.wishes.len() - 1);
    }

    /// One of the last that are not over or, if all are, one that is.
    fn one_of_last(&self, application: usize, choice: u64) -> Option<RequestId> {
        let rows = self.platform.kept().requests();
        let accepted = &self.accepted[application];
        let is_open = |request: &&RequestId| rows.get(*request).is_some_and(|row| row.state == RequestState::Open);
        let mut last: Vec<RequestId> = accepted.iter().rev().filter(is_open).take(LAST_ACCEPTED).copied().collect();
        if last.is_empty() {
            last.extend(accepted.last());
        }
        (!last.is_empty()).then(|| last[(choice % last.len() as u64) as usize])
    }

    /// A request has been accepted, or has left for a member: who regrets it cancels it soon.
    pub(super) fn regret(&mut self, content: &[u8], request: RequestId, since: Since) {
        if let Some((application, regret)) = self.regrets.get(content).copied()
            && regret.since == since
        {
            self.regrets.remove(content);
            let cancel = Work::Cancel { application, choice: Choice::This(request) };
            self.schedule.plan(self.now + regret.after, Happening::Work(cancel));
        }
    }

    /// A schedule that is due once.
    fn schedule(&self, application: usize, not_before: Duration, submitted: Submitted) -> PutSchedule {
        let of: ApplicationId = self.applications[application].id().clone();
        let id = ScheduleId::new(format!("schedule-{}", self.wishes.len())).expect("a schedule id");
        let due = self.now + not_before;
        PutSchedule { key: (of, id), submitted, timing: Timing::Once(due), first_due: due }
    }

    /// Asks, and again if no answer comes.
    pub(super) fn look_after(&mut self, number: usize) {
        let wish = &self.wishes[number];
        if wish.is_granted() {
            return;
        }
        let (place, ask) = (Place::Application(wish.application), wish.ask.clone());
        self.call(place, Caller::Wish(number), ask);
        self.schedule.plan(self.now + PATIENCE, Happening::Wish(number));
    }

    fn on_wish_answered(&mut self, number: usize, reply: Reply) {
        let wish = &mut self.wishes[number];
        if wish.answer.is_some() || reply == Reply::Unavailable {
            return;
        }
        wish.answer = Some(reply.clone());
        let application = wish.application;
        self.note(&Place::Application(application), format_args!("wish {number} is answered {reply:?}"));
        if let Reply::Accepted(request) = reply {
            self.accepted[application].push(request);
            self.tell(&Fact::Accepted { request });
        }
    }

    fn call(&mut self, from: Place, caller: Caller, ask: Ask) {
        self.calls_made += 1;
        let call = CallId(self.calls_made);
        self.calls.insert(call, caller);
        for at in self.network.call(self.now, from, Place::Platform) {
            self.schedule.plan(at, Happening::Asked { call, ask: ask.clone() });
        }
    }

    fn edit(&mut self, number: usize, allocation: bugle_core::Allocation) {
        self.note(&Place::Gateway(number), format_args!("its file is edited: {}", allocation.peripheral));
        let gateway = &mut self.gateways[number];
        let before = gateway.file.len();
        gateway.file.retain(|known| known.peripheral != allocation.peripheral);
        if gateway.file.len() == before {
            gateway.file.push(allocation);
        }
        let mut out = Vec::new();
        gateway.reload(self.now, &mut out);
        self.carry_gateway(number, out);
    }
}
