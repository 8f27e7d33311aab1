//! Bars that show how a group request comes along: one for each way in which members end, and one for
//! each stage in which they still are.

use std::io::{self, IsTerminal};
use std::time::Duration;

use bugle_api::Request;
use bugle_core::{OutcomeKind, Stage};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::following::word_of;
use crate::output::Output;

/// How often a bar that stands still shows that it lives.
const TICK: Duration = Duration::from_millis(200);
/// The longest word beside a bar.
const WORD_WIDTH: usize = 10;

/// The bars of one request, on standard error, and only where a person looks.
pub(crate) struct Bars {
    all: MultiProgress,
    head: ProgressBar,
    lines: Vec<(Line, ProgressBar)>,
}

/// What a bar counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Line {
    /// Members that are there.
    On(Stage),
    /// Members that ended so.
    Ended(OutcomeKind),
}

impl Line {
    fn word(self) -> String {
        match self {
            Self::On(stage) => stage.as_str().replace('_', " "),
            Self::Ended(kind) => kind.to_string(),
        }
    }
}

/// The bars that a request calls for, in order, and how far each goes.
fn lines(request: &Request) -> Vec<(Line, u64)> {
    let ways = Stage::ALL.iter().map(|stage| (Line::On(*stage), request.stages.count(*stage)));
    let ends = OutcomeKind::ALL.iter().map(|kind| (Line::Ended(*kind), request.totals.count(*kind)));
    ways.chain(ends).filter(|(_, members)| *members > 0).collect()
}

/// Members that are known, or are on record where the gateway has not told them.
fn members(request: &Request) -> u64 {
    request.totals.members + request.stages.accepted
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the template is sound").progress_chars("=> ")
}

impl Bars {
    pub(crate) fn new(output: Output, request: &Request) -> Self {
        let target = match output {
            Output::People if io::stderr().is_terminal() => ProgressDrawTarget::stderr(),
            Output::People | Output::Json => ProgressDrawTarget::hidden(),
        };
        let all = MultiProgress::with_draw_target(target);
        let head = all.add(ProgressBar::new(members(request)));
        head.set_style(style("{prefix} {spinner} {pos} of {len}, {elapsed}"));
        head.set_prefix(format!("{} to {}", word_of(&request.operation), request.group));
        head.enable_steady_tick(TICK);
        Self { all, head, lines: Vec::new() }
    }

    /// Whether anybody sees them.
    pub(crate) fn are_seen(&self) -> bool {
        !self.all.is_hidden()
    }

    pub(crate) fn show(&mut self, request: &Request) {
        let shown = lines(request);
        let is_gone = |line: Line| shown.iter().all(|(other, _)| *other != line);
        for (_, bar) in self.lines.extract_if(.., |(line, _)| is_gone(*line)) {
            self.all.remove(&bar);
        }
        self.head.set_length(members(request));
        self.head.set_position(request.totals.settled());
        for (place, (line, count)) in shown.into_iter().enumerate() {
            if self.lines.get(place).is_none_or(|(there, _)| *there != line) {
                let bar = self.all.insert(place + 1, ProgressBar::new(0));
                bar.set_style(style("  {prefix} [{bar:32}] {pos}/{len}"));
                bar.set_prefix(format!("{:WORD_WIDTH$}", line.word()));
                self.lines.insert(place, (line, bar));
            }
            let (_, bar) = &self.lines[place];
            bar.set_length(members(request));
            bar.set_position(count);
        }
    }

    pub(crate) fn clear(self) {
        self.head.finish_and_clear();
        for (_, bar) in self.lines {
            bar.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use bugle_api::RequestState;
    use bugle_core::{
        Activation, Content, LateJoiners, Operation, Pacing, Priority, Receipt, RequestId, Sleepers, StageTotals, Time,
        Totals,
    };

    use super::*;

    fn request(stages: StageTotals, delivered: u64) -> Request {
        Request {
            id: RequestId::from_number(1).expect("a request id"),
            application: "a".parse().expect("an application id"),
            group: "lamps".parse().expect("a group id"),
            operation: Operation::Message { content: Content::text("on") },
            activation: Activation::All,
            priority: Priority::Normal,
            pacing: Pacing::default(),
            abort: None,
            collapse_key: None,
            sleepers: Sleepers::Queue,
            receipt: Receipt::Delivered,
            late_joiners: LateJoiners::Exclude,
            contained: std::collections::BTreeSet::new(),
            state: RequestState::Open,
            accepted_at: Time::ZERO,
            deadline: Time::MAX,
            completed_at: None,
            gateways: 1,
            gateways_fixed: 1,
            totals: Totals { members: 5, delivered, ..Totals::default() },
            stages,
            schedule: None,
            foresight: None,
        }
    }

    const NONE: StageTotals = StageTotals { accepted: 0, at_gateway: 0, asleep: 0, activating: 0, sent: 0 };

    #[test]
    fn there_is_a_bar_for_each_stage_and_outcome_that_members_are_in() {
        let young = lines(&request(StageTotals { asleep: 3, sent: 2, ..NONE }, 0));
        assert_eq!(young, [(Line::On(Stage::Asleep), 3), (Line::On(Stage::Sent), 2)]);
        let old = lines(&request(StageTotals { asleep: 1, ..NONE }, 4));
        assert_eq!(old, [(Line::On(Stage::Asleep), 1), (Line::Ended(OutcomeKind::Delivered), 4)]);
    }

    #[test]
    fn bars_come_and_go_with_what_they_count_and_stay_in_order() {
        let first = request(StageTotals { sent: 5, ..NONE }, 0);
        let mut bars = Bars::new(Output::Json, &first);
        let words = |bars: &Bars| bars.lines.iter().map(|(line, _)| line.word()).collect::<Vec<_>>();
        bars.show(&first);
        assert_eq!(words(&bars), ["sent"]);
        bars.show(&request(StageTotals { at_gateway: 1, sent: 2, ..NONE }, 2));
        assert_eq!(words(&bars), ["at gateway", "sent", "delivered"]);
        bars.show(&request(NONE, 5));
        assert_eq!(words(&bars), ["delivered"]);
        assert_eq!(bars.lines[0].1.position(), 5);
    }

    #[test]
    fn every_word_fits_beside_its_bar() {
        let ways = Stage::ALL.iter().map(|stage| Line::On(*stage));
        let ends = OutcomeKind::ALL.iter().map(|kind| Line::Ended(*kind));
        assert!(ways.chain(ends).all(|line| line.word().len() <= WORD_WIDTH));
    }
}
