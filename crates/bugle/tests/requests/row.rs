//! A row of a table: what is sent and done, and what must become of it for every member.

use std::collections::BTreeSet;

use bugle_core::{Outcome, Stage, State};
use serde_json::Value;

use super::cast::{Actor, CAST};

/// One row.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) steps: Vec<Step>,
    /// Who is woken: each once, by its own means. One that wakes by itself is not.
    pub(crate) woken: &'static str,
    pub(crate) deaf: Deaf,
    /// In which order peripherals get what is sent, where that is not the order of sending.
    pub(crate) order: Option<Vec<usize>>,
}

/// Who does not wake when woken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Deaf {
    Nobody,
    /// Whatever is done.
    Always(&'static str),
    /// The first time, so that these are woken twice.
    Once(&'static str),
}

/// What is done in a row, one after the other. Who is meant is said in words: see [`Actor::is_named_by`].
#[derive(Debug)]
pub(crate) enum Step {
    Send(Sent),
    /// The same with the same idempotency key: it is the same request.
    Again(Sent),
    /// Something else with the same idempotency key: it is refused.
    Contradict(Sent),
    /// A schedule sends it, a second later.
    Scheduled(Sent),
    /// Foresight of this tells members, active, woken, waiting, skipped and late.
    Foreseen(Sent, [u64; 6]),
    /// All these come to be in this stage of the latest request.
    Seen(&'static str, Stage),
    /// All these come to have their outcome of the latest request.
    Have(&'static str),
    /// All these come to be in this state in the application's group configuration; or are not in it.
    Are(&'static str, Option<State>),
    /// All these have come to be in this state since the row began, if only for a moment.
    Become(&'static str, State),
    /// They wake by themselves, or come.
    Come(&'static str),
    /// They deregister.
    Leave(&'static str),
    /// They are gone without a word.
    Vanish(&'static str),
    /// The application ends their registration.
    Dismiss(&'static str),
    /// The application asks for them to be woken, or put into standby.
    Activate(&'static str),
    ActivateGroup(&'static str),
    PutIntoStandby(&'static str),
    PutGroupIntoStandby(&'static str),
    /// The first request is cancelled.
    Cancel,
    /// A part dies, and lives again: the platform, the application, or the gateway of this id.
    Kill(&'static str),
    Start(&'static str),
    /// The second group lies in the first.
    Nest(&'static str, &'static str),
}

/// A request, and what must become of it.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    pub(crate) group: &'static str,
    pub(crate) request: Value,
    pub(crate) idempotency_key: Option<&'static str>,
    /// Who ends how; the first that names a member counts. [`NO_MEMBER`] is none.
    pub(crate) expected: Vec<(&'static str, &'static str)>,
}

/// Whoever ends so is no member.
pub(crate) const NO_MEMBER: &str = "no member";

/// A row in which this is done, and nobody is woken.
pub(crate) fn row(name: &'static str, steps: Vec<Step>) -> Row {
    Row { name, steps, woken: "", deaf: Deaf::Nobody, order: None }
}

/// A row with one request, of which this becomes.
pub(crate) fn sends<const N: usize>(
    name: &'static str,
    group: &'static str,
    request: Value,
    expected: [(&'static str, &'static str); N],
) -> Row {
    row(name, vec![Step::Send(sent(group, request, expected))])
}

pub(crate) fn sent<const N: usize>(
    group: &'static str,
    request: Value,
    expected: [(&'static str, &'static str); N],
) -> Sent {
    Sent { group, request, idempotency_key: None, expected: expected.to_vec() }
}

impl Row {
    pub(crate) fn waking(self, woken: &'static str) -> Self {
        Self { woken, ..self }
    }

    pub(crate) fn with_deaf(self, deaf: Deaf) -> Self {
        Self { deaf, ..self }
    }

    pub(crate) fn in_order<const N: usize>(self, order: [usize; N]) -> Self {
        Self { order: Some(order.to_vec()), ..self }
    }
}

impl Sent {
    pub(crate) fn with_key(self, key: &'static str) -> Self {
        Self { idempotency_key: Some(key), ..self }
    }

    /// The members that it must have, each with how it must end.
    pub(crate) fn members(&self) -> Vec<(&'static Actor, &'static str)> {
        let in_group = CAST.iter().filter(|actor| actor.is_in(self.group));
        let expected = in_group.map(|actor| {
            let found = self.expected.iter().find(|(who, _)| actor.is_named_by(who));
            (actor, found.unwrap_or_else(|| panic!("nothing is expected of {}", actor.id)).1)
        });
        expected.filter(|(_, outcome)| *outcome != NO_MEMBER).collect()
    }
}

/// Those of the cast that are meant.
pub(crate) fn named(who: &'static str) -> impl Iterator<Item = &'static Actor> {
    let found: Vec<_> = CAST.iter().filter(|actor| actor.is_named_by(who)).collect();
    assert!(!found.is_empty() || who.is_empty(), "{who:?} is nobody");
    found.into_iter()
}

pub(crate) fn ids(who: &'static str) -> BTreeSet<&'static str> {
    named(who).map(|actor| actor.id).collect()
}

/// An outcome in the words of a table: `executed 7`, `refused 4.04`, `expired asleep`.
pub(crate) fn told(outcome: &Outcome) -> String {
    let detail = match outcome {
        Outcome::Executed { answer } => answer.as_text().unwrap_or("bytes").to_owned(),
        Outcome::Refused { code, .. } => code.clone(),
        Outcome::Failed { reason } => reason.clone(),
        Outcome::Expired { cause } => {
            let cause = serde_json::to_value(cause).expect("a cause is JSON");
            cause.as_str().expect("a word").replace('_', " ")
        }
        _ => String::new(),
    };
    format!("{} {detail}", outcome.kind()).trim_end().to_owned()
}
