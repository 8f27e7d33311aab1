//! Runs a plan, shows progress, and closes with one summary.

use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use crate::plan::Plan;
use crate::step::OnFailure;
use crate::tally::Tally;
use crate::workspace::Workspace;

/// One line of the summary.
struct Line {
    name: &'static str,
    tally: Tally,
    took: Duration,
}

/// Runs every step of `plan`, or up to one whose failure leaves the rest no sense.
pub(crate) fn run(plan: &Plan, workspace: &Workspace) -> ExitCode {
    let mut lines = Vec::with_capacity(plan.steps.len());
    for (index, step) in plan.steps.iter().enumerate() {
        println!("\n==> {} of {}: {}", index + 1, plan.steps.len(), step.name);
        let began = Instant::now();
        let tally = step.run(workspace);
        lines.push(Line { name: step.name, tally, took: began.elapsed() });
        if tally.failed > 0 && step.on_failure == OnFailure::Stop {
            println!("the remaining steps need this one and are not run");
            break;
        }
    }
    let (summary, tally) = summary(&lines);
    println!("\n{summary}");
    if tally.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The table of steps, and as its last line the total.
fn summary(lines: &[Line]) -> (String, Tally) {
    let width = lines.iter().map(|line| line.name.len()).max().unwrap_or_default().max("step".len());
    let mut text = String::new();
    let mut total = Tally::default();
    let _ = writeln!(text, "{:width$}  {:>7}  {:>7}  {:>8}", "step", "passed", "failed", "seconds");
    for line in lines {
        let Tally { passed, failed } = line.tally;
        let seconds = line.took.as_secs_f64();
        let _ = writeln!(text, "{:width$}  {passed:>7}  {failed:>7}  {seconds:>8.1}", line.name);
        total += line.tally;
    }
    let _ = write!(text, "\n{} passed, {} failed", total.passed, total.failed);
    (text, total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_ends_with_the_plain_total() {
        let lines = [
            Line { name: "layout", tally: Tally::PASSED, took: Duration::from_millis(100) },
            Line { name: "tests", tally: Tally { passed: 40, failed: 2 }, took: Duration::from_secs(9) },
        ];
        let (text, total) = summary(&lines);
        assert_eq!(text.lines().last(), Some("41 passed, 2 failed"));
        assert_eq!(total, Tally { passed: 41, failed: 2 });
    }
}
