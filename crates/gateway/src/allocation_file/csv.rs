//! Allocations as rows.

use std::collections::BTreeMap;

use super::complaint::Complaints;
use super::entry::{Draft, Each, Field};

/// What a column holds.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Column {
    Peripheral,
    Application,
    Groups,
    InitialState,
    Username,
    Password,
    Verifier,
    Identity,
    PreSharedKey,
    Certificate,
    Waker,
    Lifetime,
    Idle,
    Label(String),
}

impl Column {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "id" => Self::Peripheral,
            "application" => Self::Application,
            "groups" => Self::Groups,
            "initial_state" => Self::InitialState,
            "username" => Self::Username,
            "password" => Self::Password,
            "verifier" => Self::Verifier,
            "identity" => Self::Identity,
            "pre_shared_key" => Self::PreSharedKey,
            "certificate" => Self::Certificate,
            "waker" => Self::Waker,
            "lifetime" => Self::Lifetime,
            "idle" => Self::Idle,
            _ => Self::Label(name.strip_prefix("label.").filter(|label| !label.is_empty())?.to_owned()),
        })
    }
}

/// Has `each` take what stands in each row.
pub(super) fn parse(text: &str, complaints: &mut Complaints, each: &mut Each<'_>) {
    let mut reader =
        csv::ReaderBuilder::new().flexible(true).trim(csv::Trim::All).comment(Some(b'#')).from_reader(text.as_bytes());
    let Some(columns) = reader.headers().ok().and_then(|names| columns(names, complaints)) else { return };
    let mut row = csv::StringRecord::new();
    loop {
        match reader.read_record(&mut row) {
            Ok(false) => return,
            Ok(true) => {}
            Err(error) => {
                let line = error.position().map_or(1, csv::Position::line);
                complaints.add(line, error);
                return;
            }
        }
        let line = row.position().map_or(1, |position| line_of(text, position));
        if row.len() == columns.len() {
            let draft = draft(&columns, &row, line, complaints);
            each(draft, complaints);
        } else {
            complaints.add(line, format_args!("{} cells, where the first row has {}", row.len(), columns.len()));
        }
    }
}

/// The line that a row starts on. The reader's own position is before what it passes over: comments and
/// empty lines.
fn line_of(text: &str, position: &csv::Position) -> u64 {
    let rest = usize::try_from(position.byte()).ok().and_then(|byte| text.get(byte..)).unwrap_or_default();
    let is_passed_over = |line: &&str| line.is_empty() || line.starts_with('#');
    position.line() + rest.lines().take_while(is_passed_over).count() as u64
}

/// The columns that the first row names; none if anything is wrong with them, as then nothing can be
/// said of the rows.
fn columns(names: &csv::StringRecord, complaints: &mut Complaints) -> Option<Vec<Column>> {
    let mut seen = BTreeMap::new();
    for name in names {
        match Column::named(name) {
            None => complaints.add(1, format_args!("there is no column {name:?}")),
            Some(column) => {
                if seen.insert(column, ()).is_some() {
                    complaints.add(1, format_args!("column {name:?} is there twice"));
                }
            }
        }
    }
    for (needed, name) in [(Column::Peripheral, "id"), (Column::Application, "application")] {
        if !seen.contains_key(&needed) {
            complaints.add(1, format_args!("column {name:?} is missing"));
        }
    }
    let columns: Option<Vec<_>> = names.iter().map(Column::named).collect();
    columns.filter(|columns| columns.len() == seen.len() && seen.contains_key(&Column::Peripheral))
}

fn draft(columns: &[Column], row: &csv::StringRecord, line: u64, complaints: &mut Complaints) -> Draft {
    let mut draft = Draft { line, ..Draft::default() };
    for (column, cell) in columns.iter().zip(row).filter(|(_, cell)| !cell.is_empty()) {
        let text = || Some(Field { line, value: cell.to_owned() });
        match column {
            Column::Peripheral => draft.peripheral = Some(cell.to_owned()),
            Column::Application => draft.application = text(),
            Column::Groups => {
                let groups = cell.split(';').map(str::trim).filter(|group| !group.is_empty());
                draft.groups = Some(Field { line, value: groups.map(str::to_owned).collect() });
            }
            Column::InitialState => draft.initial_state = text(),
            Column::Username => draft.secret.username = text(),
            Column::Password => draft.secret.password = text(),
            Column::Verifier => draft.secret.verifier = text(),
            Column::Identity => draft.secret.identity = text(),
            Column::PreSharedKey => draft.secret.pre_shared_key = text(),
            Column::Certificate => draft.secret.certificate = text(),
            Column::Waker => {
                let waker = complaints.take(line, "waker", cell.parse());
                draft.waker = waker.map(|value| Field { line, value });
            }
            Column::Lifetime => draft.lifetime = seconds("lifetime", cell, line, complaints),
            Column::Idle => draft.idle = seconds("idle", cell, line, complaints),
            Column::Label(label) => {
                draft.labels.insert(label.clone(), cell.to_owned());
            }
        }
    }
    draft
}

fn seconds(name: &str, cell: &str, line: u64, complaints: &mut Complaints) -> Option<Field<u64>> {
    let number = cell.parse().map_err(|_| format!("{cell:?} is no number of seconds"));
    complaints.take(line, name, number).map(|value| Field { line, value })
}
