//! What was promised, held against what came of it, as a table.

use std::collections::BTreeMap;
use std::fmt;

use bugle_core::OutcomeKind;
use comfy_table::{CellAlignment, Table, presets};

use super::fleet::Kind;

/// Examples of one finding that are shown.
const EXAMPLES_SHOWN: usize = 5;

/// Everything that was found.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    entries: Vec<Entry>,
    outcomes: BTreeMap<Kind, BTreeMap<OutcomeKind, u64>>,
    facts: Vec<(String, String)>,
}

/// One promise.
#[derive(Debug)]
pub(crate) struct Entry {
    promise: &'static str,
    /// How often it was made.
    pub(crate) made: u64,
    pub(crate) lost: Findings,
    pub(crate) twice: Findings,
}

/// How often it was broken in one way, and the first examples.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    count: u64,
    examples: Vec<String>,
}

impl Findings {
    pub(crate) fn add(&mut self, example: impl fmt::Display) {
        self.count += 1;
        if self.examples.len() < EXAMPLES_SHOWN {
            self.examples.push(example.to_string());
        }
    }
}

impl Entry {
    pub(crate) fn new(promise: &'static str) -> Self {
        Self { promise, made: 0, lost: Findings::default(), twice: Findings::default() }
    }
}

impl Ledger {
    pub(crate) fn enter(&mut self, entry: Entry) {
        self.entries.push(entry);
    }

    /// A member of a request ended so.
    pub(crate) fn count(&mut self, kind: Kind, outcome: OutcomeKind) {
        *self.outcomes.entry(kind).or_default().entry(outcome).or_default() += 1;
    }

    /// Something that is worth knowing, and neither good nor bad.
    pub(crate) fn tell(&mut self, what: impl Into<String>, value: impl fmt::Display) {
        self.facts.push((what.into(), value.to_string()));
    }

    /// Whether every promise was made at least once, and none was broken.
    pub(crate) fn is_balanced(&self) -> bool {
        self.entries.iter().all(|entry| entry.made > 0 && entry.lost.count == 0 && entry.twice.count == 0)
    }

    fn promises(&self) -> Table {
        let mut table = table(&["promise", "made", "lost", "twice"]);
        for Entry { promise, made, lost, twice } in &self.entries {
            table.add_row([(*promise).to_owned(), made.to_string(), lost.count.to_string(), twice.count.to_string()]);
        }
        table
    }

    fn by_kind(&self) -> Table {
        let seen = |kind: &&OutcomeKind| self.outcomes.values().any(|counts| counts.contains_key(kind));
        let kinds: Vec<OutcomeKind> = OutcomeKind::ALL.iter().filter(seen).copied().collect();
        let mut header = vec!["outcomes"];
        header.extend(kinds.iter().map(|kind| kind.as_str()));
        let mut table = table(&header);
        for (speaker, counts) in &self.outcomes {
            let count = |kind| counts.get(kind).copied().unwrap_or_default().to_string();
            table.add_row(std::iter::once(speaker.name().to_owned()).chain(kinds.iter().map(count)));
        }
        table
    }
}

fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::ASCII_MARKDOWN).set_header(header);
    table.column_iter_mut().skip(1).for_each(|column| column.set_cell_alignment(CellAlignment::Right));
    table
}

impl fmt::Display for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut facts = table(&["run", ""]);
        for (what, value) in &self.facts {
            facts.add_row([what, value]);
        }
        writeln!(f, "{}\n\n{}\n\n{facts}", self.promises(), self.by_kind())?;
        for Entry { promise, lost, twice, .. } in &self.entries {
            for (way, findings) in [("lost", lost), ("twice", twice)] {
                findings.examples.iter().try_for_each(|example| writeln!(f, "{promise}: {way}: {example}"))?;
            }
        }
        Ok(())
    }
}
