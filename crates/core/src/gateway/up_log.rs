//! The up log: what the platform has not acknowledged yet.

use std::collections::VecDeque;

use super::Effect;
use super::change::Change;
use super::outbox::Outbox;
use crate::{ApplicationId, Report, UpEntry, limits};

#[derive(Debug, Default)]
pub(super) struct UpLog {
    last: u64,
    acknowledged: u64,
    /// The reports among the entries, oldest first.
    reports: VecDeque<(u64, ApplicationId)>,
}

impl UpLog {
    /// The log as it was kept: entries after `acknowledged` up to `last`, with the reports among them.
    pub(super) fn restore(acknowledged: u64, last: u64, reports: VecDeque<(u64, ApplicationId)>) -> Self {
        Self { last, acknowledged, reports }
    }

    pub(super) fn append(&mut self, outbox: &mut Outbox, entry: UpEntry) {
        self.last += 1;
        outbox.record(Change::Up { sequence: self.last, entry });
        outbox.effect(Effect::UpAvailable { through: self.last });
    }

    /// Appends a report. With too many in the log, the oldest gives way to a notice of its loss.
    pub(super) fn report(&mut self, outbox: &mut Outbox, application: ApplicationId, report: Report) {
        if self.reports.len() >= limits::UP_LOG_REPORTS_MAX
            && let Some((sequence, application)) = self.reports.pop_front()
        {
            let entry = UpEntry::ReportsLost { application, count: 1 };
            outbox.record(Change::Up { sequence, entry });
        }
        self.append(outbox, UpEntry::Report { application: application.clone(), report });
        self.reports.push_back((self.last, application));
    }

    /// Forgets what the platform has. An acknowledgement of what was never sent is noise.
    pub(super) fn trim(&mut self, through: u64) -> Option<Change> {
        if through <= self.acknowledged || through > self.last {
            return None;
        }
        self.acknowledged = through;
        while self.reports.front().is_some_and(|(sequence, _)| *sequence <= through) {
            self.reports.pop_front();
        }
        Some(Change::UpTrimmed { through })
    }

    pub(super) const fn len(&self) -> u64 {
        self.last - self.acknowledged
    }

    pub(super) const fn has_room(&self) -> bool {
        self.len() < limits::UP_LOG_ENTRIES_MAX as u64
    }
}
