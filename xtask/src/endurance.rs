//! Runs the real parts under load while everything dies, for as long as one likes.

use anyhow::{Context, bail};

use crate::step::{command, run};
use crate::workspace::Workspace;

const MINUTES: &str = "10";

/// Runs it with these options: `--minutes N`, `--seed N`, `--release`.
pub(crate) fn run_with(workspace: &Workspace, options: &[&str]) -> anyhow::Result<()> {
    let mut minutes = MINUTES;
    let mut seed = None;
    let mut profile: &[&str] = &[];
    let mut rest = options.iter();
    while let Some(option) = rest.next() {
        let mut value = || rest.next().with_context(|| format!("{option} needs a number"));
        match *option {
            "--minutes" => minutes = value()?,
            "--seed" => seed = Some(*value()?),
            "--release" => profile = &["--release"],
            other => bail!("there is no option {other}"),
        }
    }
    let minutes: f64 = minutes.parse().context("--minutes is no number")?;
    let mut command = command(workspace, "cargo");
    command.args(["test", "--package", "bugle", "--test", "endurance"]).args(profile).args(["--", "--nocapture"]);
    command.env("BUGLE_ENDURANCE_SECONDS", format!("{:.0}", minutes * 60.0));
    if let Some(seed) = seed {
        command.env("BUGLE_ENDURANCE_SEED", seed);
    }
    run(&mut command)
}
