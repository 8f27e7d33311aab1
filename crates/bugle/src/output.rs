//! What commands print: tables for people, JSON for programs.

use std::io::{self, IsTerminal, Write};

use anyhow::Context;
use comfy_table::presets::NOTHING;
use comfy_table::{Attribute, Cell, ContentArrangement, Table};
use serde::Serialize;

use crate::failure::Failure;

/// In which form a command prints what it found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Output {
    /// Sentences and tables.
    People,
    /// JSON, and nothing else.
    Json,
}

impl Output {
    /// Prints one thing: as JSON, or in the words of `people`.
    pub(crate) fn print<T: Serialize + ?Sized>(
        self,
        value: &T,
        people: impl FnOnce(&T) -> String,
    ) -> Result<(), Failure> {
        match self {
            Self::People => write_line(people(value).trim_end()),
            Self::Json => write_line(&serde_json::to_string_pretty(value).context("cannot write JSON")?),
        }
    }

    /// Prints one thing of many that come one by one: as a line of JSON, or in the words of `people`.
    pub(crate) fn print_line<T: Serialize + ?Sized>(
        self,
        value: &T,
        people: impl FnOnce(&T) -> String,
    ) -> Result<(), Failure> {
        match self {
            Self::People => write_line(&people(value)),
            Self::Json => write_line(&serde_json::to_string(value).context("cannot write JSON")?),
        }
    }
}

fn write_line(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    let written = writeln!(out, "{text}").and_then(|()| out.flush());
    match written {
        // Who reads no further, as `head`, has what it wanted.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => std::process::exit(0),
        written => Ok(written.context("cannot write to standard output")?),
    }
}

/// A table with these headings; `empty` stands in for one without rows.
pub(crate) fn table<const N: usize>(
    headings: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
    empty: &str,
) -> String {
    let mut table = Table::new();
    table.load_preset(NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(headings.map(|heading| {
        let cell = Cell::new(heading.to_uppercase());
        if io::stdout().is_terminal() { cell.add_attribute(Attribute::Bold) } else { cell }
    }));
    table.add_rows(rows);
    if table.row_count() == 0 {
        return empty.to_owned();
    }
    trim(&table)
}

/// Names and what they stand for, one under the other; those without a value are left out.
pub(crate) fn facts<'a>(facts: impl IntoIterator<Item = (&'a str, Option<String>)>) -> String {
    let mut table = Table::new();
    table.load_preset(NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.add_rows(facts.into_iter().filter_map(|(name, value)| Some([name.to_owned(), value?])));
    trim(&table)
}

/// Several words in one cell; a dash for none.
pub(crate) fn list<T: ToString>(items: impl IntoIterator<Item = T>) -> String {
    let items: Vec<String> = items.into_iter().map(|item| item.to_string()).collect();
    if items.is_empty() { "-".to_owned() } else { items.join(", ") }
}

/// `1 member`, `2 members`.
pub(crate) fn count(number: u64, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

/// Without the blank that the table puts on either side of each line.
fn trim(table: &Table) -> String {
    let lines: Vec<String> =
        table.lines().map(|line| line.strip_prefix(' ').unwrap_or(&line).trim_end().to_owned()).collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_plain_text_in_columns() {
        let rows = [["lamps".to_owned(), "12".to_owned()], ["meters-east".to_owned(), "3".to_owned()]];
        assert_eq!(table(["group", "members"], rows, "none"), "GROUP        MEMBERS\nlamps        12\nmeters-east  3");
        assert_eq!(table(["group"], [], "No group yet."), "No group yet.");
    }

    #[test]
    fn facts_without_a_value_are_left_out() {
        let shown = facts([("state", Some("active".to_owned())), ("next wake", None)]);
        assert_eq!(shown, "state  active");
    }

    #[test]
    fn one_is_not_many() {
        assert_eq!(
            [count(0, "member"), count(1, "member"), count(2, "member")],
            ["0 members", "1 member", "2 members"]
        );
    }
}
