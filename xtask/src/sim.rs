//! Runs the simulation of the whole, built with all checks and fast enough for hundreds of seeds.

use crate::step::{command, run};
use crate::tally::Tally;
use crate::workspace::Workspace;

/// How many seeds are run with all other tests.
const SEEDS: &str = "300";

/// Runs it with these arguments.
pub(crate) fn run_with(workspace: &Workspace, arguments: &[&str]) -> anyhow::Result<()> {
    let mut command = command(workspace, "cargo");
    command.args(["run", "--quiet", "--profile", "simulation", "--package", "bugle-sim", "--"]).args(arguments);
    run(&mut command)
}

/// Some seeds, which count as one check.
pub(crate) fn run_some(workspace: &Workspace) -> anyhow::Result<Tally> {
    run_with(workspace, &["--seeds", SEEDS])?;
    Ok(Tally::PASSED)
}
