//! A process that is asked to end, in a process of its own.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};

struct Process {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Process {
    fn start() -> Self {
        let mut child =
            Command::new(env!("CARGO_BIN_EXE_until-asked")).stdout(Stdio::piped()).spawn().expect("it starts");
        let output = BufReader::new(child.stdout.take().expect("its output is taken"));
        let mut process = Self { child, output };
        process.wait_for("ready");
        process
    }

    fn wait_for(&mut self, word: &str) {
        let mut line = String::new();
        while line.trim() != word {
            line.clear();
            let read = self.output.read_line(&mut line).expect("it can be read");
            assert!(read > 0, "it ended without saying {word:?}");
        }
    }

    fn signal(&self, name: &str) {
        let process = self.child.id().to_string();
        let sent = Command::new("kill").args(["-s", name, &process]).status().expect("kill is there");
        assert!(sent.success());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn the_first_signal_asks_and_the_second_ends_at_once() {
    for (name, status) in [("TERM", 143), ("INT", 130)] {
        let mut process = Process::start();
        process.signal(name);
        process.wait_for("ending");
        assert_eq!(process.child.try_wait().expect("it can be asked"), None, "one signal does not end it");
        process.signal(name);
        assert_eq!(process.child.wait().expect("it ends").code(), Some(status));
    }
}
