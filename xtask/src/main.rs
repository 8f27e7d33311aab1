//! Sets up and runs every check of the project.
//!
//! `cargo xtask check` is the quick loop while writing; `cargo xtask test` installs what the tests
//! need, runs everything and closes with one summary. What each of them does is a table of steps in
//! [`plan`]; what must be installed is a table in [`setup`]; which crate may depend on which is a
//! table in [`layout`].

mod endurance;
mod fuzz;
mod layout;
mod mutate;
mod mutations;
mod plan;
mod report;
mod setup;
mod sim;
mod step;
mod tally;
mod workspace;

use std::process::ExitCode;

use anyhow::Context;

use crate::plan::Plan;
use crate::workspace::Workspace;

const USAGE: &str = "usage: cargo xtask check | test | sim OPTIONS | mutate [WORD] | endurance [OPTIONS]

  check      the quick loop: layout, format, lints, unit tests, documentation, licences
  test       installs what the tests need, then runs all of them and everything of check but the licences
  sim        runs the simulation of the whole: --seeds N [--from SEED] runs many seeds, --seed SEED runs one
             and prints everything that happens in it
  mutate     breaks promises in a copy of the code, one at a time, and shows that the simulation finds each;
             with a word, only those whose description has it
  endurance  kills the real parts, cuts their links and fills a disk for ten minutes under load, and compares
             what was promised with what came of it: --minutes N, --seed N, --release. Takes root, to mount
             a small disk

Advisories are not looked up: the advisory database is a download that neither of them makes.";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.iter().any(|argument| matches!(argument.as_str(), "help" | "--help" | "-h")) {
        println!("{USAGE}");
        return ExitCode::SUCCESS;
    }
    let plan = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["check"] => Plan::check(),
        ["test"] => Plan::test(),
        ["sim", ref options @ ..] => return do_alone(|workspace| sim::run_with(workspace, options)),
        ["endurance", ref options @ ..] => return do_alone(|workspace| endurance::run_with(workspace, options)),
        ["mutate"] => return do_alone(|workspace| mutate::run(workspace, "")),
        ["mutate", word] => return do_alone(|workspace| mutate::run(workspace, word)),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match Workspace::load().context("cannot read the workspace") {
        Ok(workspace) => report::run(&plan, &workspace),
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn do_alone(action: impl FnOnce(&Workspace) -> anyhow::Result<()>) -> ExitCode {
    match Workspace::load().and_then(|workspace| action(&workspace)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
