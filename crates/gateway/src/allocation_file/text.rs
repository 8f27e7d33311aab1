//! The two forms of a file.

use bugle_core::InitialState;
use serde::Deserialize;
use toml::Spanned;

use super::Complaint;
use super::entry::{Entry, Said};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    defaults: Said,
    #[serde(default, rename = "peripheral")]
    peripherals: Vec<Spanned<Peripheral>>,
}

#[derive(Deserialize)]
struct Peripheral {
    id: String,
    #[serde(flatten)]
    said: Said,
}

pub(super) fn from_toml(text: &str) -> Result<Vec<Entry>, Vec<Complaint>> {
    let line_of = |position: usize| text[..position.min(text.len())].matches('\n').count() as u64 + 1;
    let file: File = toml::from_str(text).map_err(|error| {
        let line = error.span().map_or(1, |span| line_of(span.start));
        vec![Complaint { line, reason: error.message().to_owned() }]
    })?;
    // Lines are counted from entry to entry, so that a large file is not counted from its start for
    // each.
    let (mut position, mut line) = (0, 1);
    let entry = |peripheral: Spanned<Peripheral>| {
        let start = peripheral.span().start.min(text.len());
        if start >= position {
            line += text[position..start].matches('\n').count() as u64;
            position = start;
        }
        let Peripheral { id, said } = peripheral.into_inner();
        Entry { line, id, said: said.or(&file.defaults) }
    };
    Ok(file.peripherals.into_iter().map(entry).collect())
}

pub(super) fn from_csv(text: &str) -> Result<Vec<Entry>, Vec<Complaint>> {
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).comment(Some(b'#')).from_reader(text.as_bytes());
    let headers = reader.headers().cloned().map_err(|error| vec![complain(&error)])?;
    let mut entries = Vec::new();
    let mut complaints = Vec::new();
    for record in reader.records() {
        match record {
            Ok(record) => {
                let line = record.position().map_or(0, csv::Position::line);
                match from_record(line, &headers, &record) {
                    Ok(entry) => entries.push(entry),
                    Err(reason) => complaints.push(Complaint { line, reason }),
                }
            }
            Err(error) => complaints.push(complain(&error)),
        }
    }
    if complaints.is_empty() { Ok(entries) } else { Err(complaints) }
}

fn from_record(line: u64, headers: &csv::StringRecord, record: &csv::StringRecord) -> Result<Entry, String> {
    let mut entry = Entry { line, id: String::new(), said: Said::default() };
    for (column, value) in headers.iter().zip(record).filter(|(_, value)| !value.is_empty()) {
        let number = || value.parse().map_err(|_| format!("{column} is to be a number of seconds, not {value:?}"));
        let text = || Some(value.to_owned());
        let said = &mut entry.said;
        match column {
            "id" => value.clone_into(&mut entry.id),
            "application" => said.application = text(),
            "groups" => said.groups = Some(value.split(';').map(|group| group.trim().to_owned()).collect()),
            "initial_state" => said.initial_state = Some(initial_state(value)?),
            "username" => said.username = text(),
            "password" => said.password = text(),
            "verifier" => said.verifier = text(),
            "lifetime" => said.lifetime = Some(number()?),
            "idle" => said.idle = Some(number()?),
            column => match column.strip_prefix("label.").filter(|name| !name.is_empty()) {
                Some(name) => {
                    said.labels.insert(name.to_owned(), value.to_owned());
                }
                None => return Err(format!("there is no column {column:?}")),
            },
        }
    }
    Ok(entry)
}

fn initial_state(word: &str) -> Result<InitialState, String> {
    match word {
        "allocated" => Ok(InitialState::Allocated),
        "blocked" => Ok(InitialState::Blocked),
        other => Err(format!("initial_state is allocated or blocked, not {other:?}")),
    }
}

fn complain(error: &csv::Error) -> Complaint {
    let line = error.position().map_or(1, csv::Position::line);
    Complaint { line, reason: error.to_string() }
}
