//! Tells the story: numbered sentences for people, or a line of JSON each.

use serde::Serialize;

use crate::failure::Failure;
use crate::output::Output;

const WIDTH: usize = 96;
const INDENT: &str = "    ";

/// Tells what happens, in order.
#[derive(Debug)]
pub(crate) struct Teller {
    output: Output,
    step: u32,
}

/// Something that happened.
#[derive(Debug, Serialize)]
struct Told<'a> {
    step: u32,
    name: &'a str,
    text: &'a str,
}

impl Teller {
    pub(crate) fn new(json: bool) -> Self {
        Self { output: if json { Output::Json } else { Output::People }, step: 0 }
    }

    /// The next step; `name` is what programs know it by.
    pub(crate) fn step(&mut self, name: &str, text: &str) -> Result<(), Failure> {
        self.step += 1;
        let told = Told { step: self.step, name, text };
        self.output.print_line(&told, |told| wrap(&format!("{:>2}. ", told.step), told.text))
    }

    /// More about the step before.
    pub(crate) fn more(&self, name: &str, text: &str) -> Result<(), Failure> {
        let told = Told { step: self.step, name, text };
        self.output.print_line(&told, |told| wrap(INDENT, told.text))
    }

    /// What stands after the steps.
    pub(crate) fn close(&self, text: &str) -> Result<(), Failure> {
        match self.output {
            Output::People => self.output.print_line(text, str::to_owned),
            Output::Json => self.more("up", text),
        }
    }
}

/// Breaks lines at blanks, each below the first word of the first.
fn wrap(lead: &str, text: &str) -> String {
    let mut lines = vec![lead.to_owned()];
    let mut is_fresh = true;
    for word in text.split(' ') {
        let line = lines.last().map_or(0, |line| line.chars().count());
        if !is_fresh && line + 1 + word.chars().count() > WIDTH {
            lines.push(INDENT.to_owned());
            is_fresh = true;
        }
        let line = lines.last_mut().expect("there is a line");
        if !is_fresh {
            line.push(' ');
        }
        line.push_str(word);
        is_fresh = false;
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_sentences_are_broken_at_blanks_and_indented() {
        let told = wrap(" 7. ", &"twelve chars ".repeat(10));
        let lines: Vec<&str> = told.trim_end().lines().collect();
        assert_eq!(lines.len(), 2);
        assert!(lines[0].starts_with(" 7. twelve") && lines[0].len() <= WIDTH, "{told}");
        assert!(lines[1].starts_with("    "), "{told}");
    }

    #[test]
    fn a_word_that_no_line_can_hold_stays_whole() {
        let word = "x".repeat(200);
        assert_eq!(wrap(INDENT, &word), format!("{INDENT}{word}"));
    }
}
