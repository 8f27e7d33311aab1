//! The simulated peripherals of one measurement, and waiting until all of them have got somewhere.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::MeasureError;
use super::target::{Member, Target};
use crate::command::Command;
use crate::event::{Ending, Event, Happening};
use crate::mqtt::Behaviour;
use crate::mqtt::Peripheral;
use crate::peripherals::{Options, Peripherals, StartError};

/// Events that one peripheral brings at most between two looks: a few of a connection, two of a message.
const EVENTS_PER_PERIPHERAL: usize = 8;

/// Simulated peripherals at one server.
pub(super) struct Fleet {
    server: &'static str,
    pub(super) peripherals: Peripherals,
    patience: Duration,
}

/// What all are to get to, and when the last has.
pub(super) struct Goal {
    what: &'static str,
    is_reached_by: fn(&Happening) -> bool,
    reached: Vec<bool>,
    count: usize,
    last: Option<Instant>,
}

impl Goal {
    /// For the first `members` peripherals of a fleet.
    pub(super) fn new(what: &'static str, members: usize, is_reached_by: fn(&Happening) -> bool) -> Self {
        Self { what, is_reached_by, reached: vec![false; members], count: 0, last: None }
    }

    fn see(&mut self, event: &Event) {
        if (self.is_reached_by)(&event.what)
            && let Some(reached @ false) = self.reached.get_mut(event.peripheral)
        {
            *reached = true;
            self.count += 1;
            self.last = self.last.max(Some(event.at));
        }
    }

    fn is_reached(&self) -> bool {
        self.count == self.reached.len()
    }

    /// How long after `began` the last got there.
    pub(super) fn took(&self, began: Instant) -> Duration {
        self.last.map(|last| last.saturating_duration_since(began)).unwrap_or_default()
    }
}

impl Fleet {
    pub(super) fn start(
        target: &Target,
        members: Vec<Member>,
        behaviour: Behaviour,
        patience: Duration,
    ) -> Result<Self, StartError> {
        let behaviour = Arc::new(behaviour);
        let options = Options {
            connecting_max: target.connecting_max(),
            events_max: members.len() * EVENTS_PER_PERIPHERAL,
            ..Options::default()
        };
        let peripherals = members.into_iter().map(|member| Peripheral {
            id: member.id,
            server: member.gateway,
            credentials: member.credentials,
            behaviour: Arc::clone(&behaviour),
        });
        Ok(Self { server: target.name(), peripherals: Peripherals::start(peripherals, options)?, patience })
    }

    /// Forgets what has happened up to now.
    pub(super) fn forget(&self) {
        while self.peripherals.next_event(Duration::ZERO).is_some() {}
    }

    /// Waits until all have reached every one of `goals`.
    pub(super) fn wait(&self, goals: &mut [Goal]) -> Result<(), MeasureError> {
        let until = Instant::now() + self.patience;
        let mut first_failure = String::new();
        while !goals.iter().all(Goal::is_reached) {
            let left = until.saturating_duration_since(Instant::now());
            let Some(event) = self.peripherals.next_event(left) else {
                return Err(self.incomplete(goals, first_failure));
            };
            if first_failure.is_empty() {
                first_failure =
                    failure(&event.what).map(|failure| format!("; the first failure: {failure}")).unwrap_or_default();
            }
            goals.iter_mut().for_each(|goal| goal.see(&event));
        }
        Ok(())
    }

    /// Ends the registrations of all, and waits until they are.
    pub(super) fn leave(&self, members: usize) -> Result<(), MeasureError> {
        self.forget();
        self.peripherals.command_all(&Command::Deregister);
        let has_left = |what: &Happening| matches!(what, Happening::Disconnected(Ending::Left));
        self.wait(&mut [Goal::new("deregistered", members, has_left)])
    }

    fn incomplete(&self, goals: &[Goal], first_failure: String) -> MeasureError {
        let (what, done, wanted) = goals
            .iter()
            .find(|goal| !goal.is_reached())
            .map(|goal| (goal.what, goal.count, goal.reached.len()))
            .unwrap_or_default();
        let (server, seconds) = (self.server, self.patience.as_secs());
        MeasureError::Incomplete { server, what, done, wanted, seconds, first_failure }
    }
}

fn failure(happening: &Happening) -> Option<String> {
    match happening {
        Happening::Refused { code, reason } => {
            Some(format!("refused with {code:#04x} {}", reason.as_deref().unwrap_or_default()))
        }
        Happening::Disconnected(Ending::ByServer { code }) => {
            Some(format!("the server closed the connection ({code:?})"))
        }
        Happening::Disconnected(Ending::Broken { reason }) => Some(reason.clone()),
        Happening::Rejected { code } => Some(format!("a message was rejected with {code:#04x}")),
        _ => None,
    }
}
