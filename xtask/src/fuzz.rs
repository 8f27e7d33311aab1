//! Runs every fuzz target for a short while: enough to show that it builds and that nothing breaks
//! at once. Long runs are for a machine of their own.

use anyhow::{Context, ensure};

use crate::step::{command, run};
use crate::tally::Tally;
use crate::workspace::Workspace;

/// How long each target is run, in seconds.
const SECONDS: u32 = 10;

/// Every target of `fuzz/`, one after another. Each counts as one check.
pub(crate) fn run_all(workspace: &Workspace) -> anyhow::Result<Tally> {
    let mut tally = Tally::default();
    for target in targets(workspace)? {
        match run_one(workspace, &target) {
            Ok(()) => tally += Tally::PASSED,
            Err(error) => {
                eprintln!("error: {error:#}");
                tally += Tally::FAILED;
            }
        }
    }
    Ok(tally)
}

fn targets(workspace: &Workspace) -> anyhow::Result<Vec<String>> {
    let output = command(workspace, "cargo").args(["fuzz", "list"]).output().context("cannot start cargo fuzz")?;
    ensure!(
        output.status.success(),
        "cannot list the fuzz targets: {}",
        String::from_utf8_lossy(&output.stderr).trim_end()
    );
    let targets: Vec<String> = String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect();
    ensure!(!targets.is_empty(), "fuzz/ has no targets");
    Ok(targets)
}

fn run_one(workspace: &Workspace, target: &str) -> anyhow::Result<()> {
    let limit = format!("-max_total_time={SECONDS}");
    run(command(workspace, "cargo")
        .args(["fuzz", "run", target, "--target-dir"])
        .arg(workspace.target.join("fuzz"))
        .args(["--", &limit, "-print_final_stats=1", "-verbosity=0"])
        // Coverage instrumentation is not stable; the pinned stable compiler has it all the same.
        .env("RUSTC_BOOTSTRAP", "1"))
}
