//! The program, run to its end.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use super::system::System;

/// What a run of it came to.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) status: i32,
    pub(crate) output: String,
    pub(crate) complaint: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            status: output.status.code().expect("no signal ended it"),
            output: String::from_utf8(output.stdout).expect("it prints text"),
            complaint: String::from_utf8(output.stderr).expect("it complains in text"),
        }
    }
}

impl Ran {
    /// It ended with this status, and complained in these words.
    pub(crate) fn assert_refused(&self, status: i32, words: &[&str]) {
        assert_eq!(self.status, status, "{self:?}");
        assert!(self.complaint.starts_with("error: "), "{self:?}");
        for word in words {
            assert!(self.complaint.contains(word), "{word:?} in {self:?}");
        }
        assert!(!self.complaint.contains("panicked"), "{self:?}");
    }

    /// What it printed; it ended well.
    pub(crate) fn into_output(self) -> String {
        assert_eq!(self.status, 0, "{self:?}");
        self.output
    }
}

/// The program in an empty folder, with an environment that says nothing.
pub(crate) fn bugle(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bugle"));
    command.current_dir(folder).stdin(Stdio::null());
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("BUGLE_") {
            command.env_remove(name);
        }
    }
    command
}

/// Runs it to its end.
pub(crate) fn run(folder: &Path, arguments: &[&str]) -> Ran {
    bugle(folder).args(arguments).output().expect("the program starts").into()
}

/// Runs it to its end as the operator of a system.
pub(crate) fn run_as_operator(system: &System, arguments: &[&str]) -> Ran {
    run_with_token(system, &system.folder.path().join("platform/operator.token"), arguments)
}

/// Runs it to its end with another token.
pub(crate) fn run_with_token(system: &System, token: &Path, arguments: &[&str]) -> Ran {
    let mut command = bugle(system.folder.path());
    command.args(["--platform", &system.url, "--application", "metering", "--token-file"]).arg(token);
    command.args(arguments).output().expect("the program starts").into()
}
