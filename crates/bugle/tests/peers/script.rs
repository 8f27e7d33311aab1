//! A small program of ours around a library of somebody else, which plays one peripheral. It takes lines of
//! what to do, and says one JSON object for each thing that happens.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use serde_json::Value;

use super::system::SOON;

/// The program, as long as it runs.
pub(crate) struct Script {
    process: Child,
    input: ChildStdin,
    said: Receiver<Value>,
}

impl Script {
    /// Starts a script of this folder in the tests' own Python.
    pub(crate) fn python(script: &str, arguments: &[&str]) -> Self {
        let python = std::env::var("BUGLE_TEST_PYTHON").expect(
            "BUGLE_TEST_PYTHON names a Python with the tests' packages; `cargo xtask test` makes one and sets it",
        );
        Self::start(Command::new(python).arg(beside(script)).args(arguments))
    }

    /// Starts a script of this folder in Node, which finds the tests' own packages.
    pub(crate) fn node(script: &str, arguments: &[&str]) -> Self {
        let modules = std::env::var("BUGLE_TEST_NODE_MODULES").expect(
            "BUGLE_TEST_NODE_MODULES names a folder with the tests' packages for Node; `cargo xtask test` makes one and sets it",
        );
        Self::start(Command::new("node").arg(beside(script)).args(arguments).env("NODE_PATH", modules))
    }

    fn start(command: &mut Command) -> Self {
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the interpreter starts");
        let output = process.stdout.take().expect("it is piped");
        let input = process.stdin.take().expect("it is piped");
        let (sender, said) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                let what = serde_json::from_str(&line).unwrap_or_else(|_| panic!("it says JSON: {line}"));
                if sender.send(what).is_err() {
                    return;
                }
            }
        });
        Self { process, input, said }
    }

    /// The next thing that it says, which is `what`.
    #[track_caller]
    pub(crate) fn next(&self, what: &str) -> Value {
        let said = self.said.recv_timeout(SOON).unwrap_or_else(|_| panic!("it says {what}"));
        assert_eq!(said["what"], what, "{said}");
        said
    }

    /// The next thing that it says, whatever that is.
    #[track_caller]
    pub(crate) fn any(&self) -> Value {
        self.said.recv_timeout(SOON).expect("it says something")
    }

    /// Waits for it to say `what`, whatever it says before.
    #[track_caller]
    pub(crate) fn after(&self, what: &str) {
        while self.any()["what"] != what {}
    }

    /// Whether it has nothing more to say than has been taken.
    pub(crate) fn is_silent(&self) -> bool {
        matches!(self.said.recv_timeout(Duration::ZERO), Err(RecvTimeoutError::Timeout))
    }

    /// Has it answer nothing until it is to go on, like a device that has switched itself off.
    pub(crate) fn stop(&self) {
        self.signal("-STOP");
    }

    pub(crate) fn go_on(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let told = Command::new("kill").args([signal, &self.process.id().to_string()]).status();
        assert!(told.expect("kill is there").success());
    }

    pub(crate) fn tell(&mut self, what: &str) {
        writeln!(self.input, "{what}").expect("it listens");
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        // It has ended already, perhaps.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn beside(script: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers").join(script)
}
