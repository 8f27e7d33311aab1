//! What `check` and `test` do, step by step.

use crate::step::Action::{Call, Cargo, Tests};
use crate::step::OnFailure::{GoOn, Stop};
use crate::step::{Step, has_program};
use crate::tally::Tally;
use crate::workspace::Workspace;
use crate::{fuzz, layout, setup, sim, step};

/// Steps in order.
pub(crate) struct Plan {
    /// The steps.
    pub(crate) steps: &'static [Step],
}

/// The quick loop. The order is by how soon a step tells something.
const CHECK: &[Step] = &[
    LAYOUT,
    FORMAT,
    LINTS,
    Step { name: "unit tests", action: Call(unit_tests), on_failure: GoOn },
    DOCUMENTATION_TESTS,
    DOCUMENTATION,
    Step { name: "install the licence check", action: Call(setup::licence_check), on_failure: Stop },
    Step {
        name: "licences, bans and sources",
        action: Cargo(&["deny", "check", "licenses", "bans", "sources"], &[]),
        on_failure: GoOn,
    },
];

/// Everything but the licences, whose check takes long to install; from a clean clone.
const TEST: &[Step] = &[
    LAYOUT,
    FORMAT,
    Step { name: "room on the disk", action: Call(setup::disk), on_failure: Stop },
    Step { name: "install Debian packages", action: Call(setup::debian_packages), on_failure: Stop },
    Step { name: "install Python packages", action: Call(setup::python_packages), on_failure: Stop },
    Step { name: "install Node packages", action: Call(setup::node_packages), on_failure: Stop },
    Step { name: "install the fuzzer", action: Call(setup::fuzzer), on_failure: Stop },
    Step { name: "tests", action: Call(all_tests), on_failure: GoOn },
    DOCUMENTATION_TESTS,
    Step { name: "simulation", action: Call(sim::run_some), on_failure: GoOn },
    LINTS,
    DOCUMENTATION,
    Step { name: "fuzzing, briefly", action: Call(fuzz::run_all), on_failure: GoOn },
];

const LAYOUT: Step = Step { name: "layout", action: Call(layout_check), on_failure: GoOn };
const FORMAT: Step = Step { name: "format", action: Cargo(&["fmt", "--all", "--check"], &[]), on_failure: GoOn };
const LINTS: Step = Step {
    name: "lints",
    action: Cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"], &[]),
    on_failure: GoOn,
};
const DOCUMENTATION_TESTS: Step = Step {
    name: "documentation tests",
    action: Tests(&["test", "--workspace", "--doc", "--no-fail-fast"]),
    on_failure: GoOn,
};
const DOCUMENTATION: Step = Step {
    name: "documentation",
    action: Cargo(&["doc", "--workspace", "--no-deps"], &[("RUSTDOCFLAGS", "-D warnings")]),
    on_failure: GoOn,
};

impl Plan {
    /// The quick loop.
    pub(crate) const fn check() -> Self {
        Self { steps: CHECK }
    }

    /// Everything, with what it needs installed first.
    pub(crate) const fn test() -> Self {
        Self { steps: TEST }
    }
}

fn layout_check(workspace: &Workspace) -> anyhow::Result<Tally> {
    let faults = layout::faults(workspace);
    for fault in &faults {
        eprintln!("error: {fault}");
    }
    Ok(if faults.is_empty() { Tally::PASSED } else { Tally { passed: 0, failed: faults.len() as u64 } })
}

fn unit_tests(workspace: &Workspace) -> anyhow::Result<Tally> {
    run_tests(workspace, &["--lib", "--bins"])
}

fn all_tests(workspace: &Workspace) -> anyhow::Result<Tally> {
    run_tests(workspace, &["--tests", "--examples"])
}

/// With cargo's own runner where the machine has not got the faster one.
fn run_tests(workspace: &Workspace, which: &[&str]) -> anyhow::Result<Tally> {
    let runner: &[&str] = if has_program(workspace, "cargo-nextest") {
        &["nextest", "run", "--workspace", "--no-fail-fast"]
    } else {
        &["test", "--workspace", "--no-fail-fast"]
    };
    step::run_tests(step::command(workspace, "cargo").args(runner).args(which))
}
