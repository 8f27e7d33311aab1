//! A member of a group request, as a line of its page.
//!
//! ```text
//! id  stage  at_gateway  asleep  activating  sent  kind  at  detail
//! ```
//!
//! with tabs between, those at the end left out: when it was seen in each stage and when it had its outcome in
//! milliseconds, the kind of the outcome, and the whole outcome in JSON where the kind does not tell all.

use bugle_core::platform::MemberRow;
use bugle_core::{Content, Outcome, PeripheralId, Seen, Sighting, Stage, Time};

use crate::platform::column::{damaged, json};
use crate::platform::list::MembersShown;
use crate::sqlite::StoreError;

const SEEN: [Stage; 4] = [Stage::AtGateway, Stage::Asleep, Stage::Activating, Stage::Sent];

/// Begins a line behind those that are there.
pub(super) fn separate(lines: &mut String) {
    if !lines.is_empty() {
        lines.push('\n');
    }
}

/// Writes a member.
pub(super) fn write(line: &mut String, id: &PeripheralId, row: &MemberRow) -> Result<(), StoreError> {
    line.push_str(id.as_str());
    line.push('\t');
    line.push_str(row.stage.as_str());
    for stage in SEEN {
        line.push('\t');
        if let Some(at) = row.seen.at(stage) {
            write_time(line, at);
        }
    }
    if let Some((outcome, at)) = &row.outcome {
        line.push('\t');
        line.push_str(outcome.kind().as_str());
        line.push('\t');
        write_time(line, *at);
        line.push('\t');
        line.push_str(&detail(outcome)?);
    }
    line.truncate(line.trim_end_matches('\t').len());
    Ok(())
}

fn write_time(line: &mut String, at: Time) {
    line.push_str(itoa::Buffer::new().format(at.as_millis()));
}

/// The whole outcome, where its kind does not tell all.
fn detail(outcome: &Outcome) -> Result<String, StoreError> {
    match outcome {
        Outcome::Delivered
        | Outcome::Skipped
        | Outcome::Left
        | Outcome::Cancelled
        | Outcome::Aborted
        | Outcome::Replaced => Ok(String::new()),
        // Whoever has done something mostly has nothing to say to it.
        Outcome::Executed { answer } if *answer == Content::default() => Ok(String::new()),
        // In JSON a tab or the end of a line is told by other signs.
        Outcome::Executed { .. } | Outcome::Refused { .. } | Outcome::Failed { .. } | Outcome::Expired { .. } => {
            json(outcome)
        }
    }
}

/// Who a line is about.
pub(super) fn id(line: &str) -> &str {
    line.split_once('\t').map_or(line, |(id, _)| id)
}

/// A line, taken apart.
pub(super) struct Line<'t> {
    id: &'t str,
    stage: &'t str,
    seen: [&'t str; SEEN.len()],
    kind: &'t str,
    at: &'t str,
    detail: &'t str,
}

impl<'t> Line<'t> {
    pub(super) fn read(line: &'t str) -> Self {
        let mut fields = line.split('\t');
        let mut next = || fields.next().unwrap_or_default();
        Self {
            id: next(),
            stage: next(),
            seen: [next(), next(), next(), next()],
            kind: next(),
            at: next(),
            detail: next(),
        }
    }

    pub(super) const fn id(&self) -> &'t str {
        self.id
    }

    pub(super) fn is_shown(&self, shown: MembersShown) -> bool {
        match shown {
            MembersShown::All => true,
            MembersShown::Waiting => self.kind.is_empty(),
            MembersShown::At(stage) => self.kind.is_empty() && self.stage == stage.as_str(),
            MembersShown::Ended(kind) => self.kind == kind.as_str(),
        }
    }

    pub(super) fn row(&self) -> Result<MemberRow, StoreError> {
        let stage = Stage::ALL.iter().find(|stage| stage.as_str() == self.stage);
        let stage = *stage.ok_or_else(|| damaged("members", &format!("{} is no stage", self.stage)))?;
        let mut seen = Seen::default();
        for (stage, at) in SEEN.into_iter().zip(self.seen).filter(|(_, at)| !at.is_empty()) {
            seen.note(Sighting { stage, at: time(at)? });
        }
        Ok(MemberRow { stage, seen, outcome: self.outcome()? })
    }

    fn outcome(&self) -> Result<Option<(Outcome, Time)>, StoreError> {
        let outcome = match self.kind {
            "" => return Ok(None),
            "delivered" => Outcome::Delivered,
            "skipped" => Outcome::Skipped,
            "left" => Outcome::Left,
            "cancelled" => Outcome::Cancelled,
            "aborted" => Outcome::Aborted,
            "replaced" => Outcome::Replaced,
            "executed" if self.detail.is_empty() => Outcome::Executed { answer: Content::default() },
            _ => serde_json::from_str(self.detail).map_err(|error| damaged("members", &error))?,
        };
        Ok(Some((outcome, time(self.at)?)))
    }
}

fn time(millis: &str) -> Result<Time, StoreError> {
    millis.parse().map(Time::from_millis).map_err(|error| damaged("members", &error))
}
