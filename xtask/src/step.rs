//! One step of a plan, and how it is run.

use std::env;
use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;

use anyhow::{Context, bail};

use crate::tally::Tally;
use crate::workspace::Workspace;

/// One line of a plan.
pub(crate) struct Step {
    /// What it does, in a few words.
    pub(crate) name: &'static str,
    /// How.
    pub(crate) action: Action,
    /// Whether the steps after it make sense if it fails.
    pub(crate) on_failure: OnFailure,
}

/// What a step does.
pub(crate) enum Action {
    /// Runs cargo with these arguments and these variables set, and counts as one check.
    Cargo(&'static [&'static str], &'static [(&'static str, &'static str)]),
    /// Runs cargo with these arguments, and counts the tests that it reports.
    Tests(&'static [&'static str]),
    /// Calls this, which says what it counted.
    Call(fn(&Workspace) -> anyhow::Result<Tally>),
}

/// What a failed step means for those after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnFailure {
    /// They are run all the same.
    GoOn,
    /// They cannot work and are not run.
    Stop,
}

impl Step {
    /// Runs it. A failure is told at once, and counts at least one failed check.
    pub(crate) fn run(&self, workspace: &Workspace) -> Tally {
        let result = match self.action {
            Action::Cargo(arguments, variables) => {
                let mut command = command(workspace, "cargo");
                command.args(arguments).envs(variables.iter().copied());
                run(&mut command).map(|()| Tally::PASSED)
            }
            Action::Tests(arguments) => run_tests(command(workspace, "cargo").args(arguments)),
            Action::Call(call) => call(workspace),
        };
        result.unwrap_or_else(|error| {
            eprintln!("error: {error:#}");
            Tally::FAILED
        })
    }
}

/// A command in the workspace's root that finds what setup has installed.
pub(crate) fn command(workspace: &Workspace, program: &str) -> Command {
    let mut command = Command::new(program);
    command
        .current_dir(&workspace.root)
        .env("PATH", search_path(workspace))
        .env("BUGLE_TEST_PYTHON", workspace.python())
        .env("BUGLE_TEST_NODE_MODULES", workspace.node().join("node_modules"))
        .stdin(Stdio::null());
    command
}

/// The tools that setup has installed come first; Debian keeps servers where not every user looks.
fn search_path(workspace: &Workspace) -> OsString {
    let inherited = env::var_os("PATH").unwrap_or_default();
    let paths: Vec<PathBuf> = [workspace.tools().join("bin")]
        .into_iter()
        .chain(env::split_paths(&inherited))
        .chain([PathBuf::from("/usr/sbin")])
        .collect();
    env::join_paths(paths).unwrap_or(inherited)
}

/// Whether the tests could run `program`.
pub(crate) fn has_program(workspace: &Workspace, program: &str) -> bool {
    env::split_paths(&search_path(workspace)).any(|folder| folder.join(program).is_file())
}

/// Runs `command` with its output going where ours goes.
pub(crate) fn run(command: &mut Command) -> anyhow::Result<()> {
    let text = text_of(command);
    println!("$ {text}");
    let status = command.status().with_context(|| format!("cannot start {text}"))?;
    if !status.success() {
        bail!("{text} failed: {status}");
    }
    Ok(())
}

/// Runs `command`, passes on its output, and adds up the test runs that it reports. If it fails
/// without any failed test, as when something does not compile, that is a failure too.
pub(crate) fn run_tests(command: &mut Command) -> anyhow::Result<Tally> {
    let text = text_of(command);
    println!("$ {text}");
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {text}"))?;
    let out = child.stdout.take().context("its output is piped")?;
    let err = child.stderr.take().context("its errors are piped")?;
    let errors = thread::spawn(move || pass_on(err));
    let mut tally = pass_on(out);
    tally += errors.join().unwrap_or(Tally::FAILED);
    let status = child.wait().with_context(|| format!("cannot wait for {text}"))?;
    if !status.success() && tally.failed == 0 {
        eprintln!("error: {text} failed: {status}");
        tally += Tally::FAILED;
    }
    Ok(tally)
}

fn pass_on(output: impl Read) -> Tally {
    let mut tally = Tally::default();
    for line in BufReader::new(output).split(b'\n').map_while(Result::ok) {
        let line = String::from_utf8_lossy(&line);
        println!("{line}");
        tally += Tally::of_line(&line).unwrap_or_default();
    }
    tally
}

fn text_of(command: &Command) -> String {
    let mut text = command.get_program().to_string_lossy().into_owned();
    for argument in command.get_args() {
        text.push(' ');
        text.push_str(&argument.to_string_lossy());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counts_of_all_runs_in_an_output_are_added_up() {
        let script = "echo 'test result: ok. 2 passed; 0 failed;'; echo 'test result: ok. 3 passed; 0 failed;' >&2";
        let tally = run_tests(Command::new("sh").args(["-c", script])).expect("sh is there");
        assert_eq!(tally, Tally { passed: 5, failed: 0 });
    }

    #[test]
    fn a_run_that_ends_badly_without_a_failed_test_is_a_failure() {
        let tally = run_tests(Command::new("sh").args(["-c", "exit 101"])).expect("sh is there");
        assert_eq!(tally, Tally::FAILED);
    }

    #[test]
    fn a_command_that_fails_says_which() {
        let error = run(Command::new("sh").args(["-c", "exit 3"])).expect_err("it exits with 3");
        assert!(error.to_string().starts_with("sh -c exit 3 failed"), "{error}");
    }
}
