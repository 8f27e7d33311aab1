//! Allocations as tables.

use std::collections::BTreeMap;
use std::ops::Range;

use bugle_core::{Waker, WakerError};
use serde::Deserialize;
use toml::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

use super::complaint::Complaints;
use super::entry::{Draft, Entries, Field};

type Key<'a> = Spanned<toml::de::DeString<'a>>;
type Value<'a> = Spanned<DeValue<'a>>;

pub(super) fn parse(text: &str, complaints: &mut Complaints) -> Entries {
    let reader = Reader { lines: Lines::of(text) };
    let (document, errors) = DeTable::parse_recoverable(text);
    let has_errors = !errors.is_empty();
    for error in errors {
        complaints.add(error.span().map_or(1, |span| reader.lines.at(&span)), error.message());
    }
    let mut entries = Entries::default();
    if has_errors {
        // What was recovered may say what was never meant.
        return entries;
    }
    let mut defaults = Draft::default();
    let mut peripherals = Vec::new();
    for (key, value) in document.into_inner() {
        match (&**key.get_ref(), value.get_ref()) {
            ("defaults", DeValue::Table(table)) => defaults = reader.draft(table, &key.span(), &["id"], complaints),
            ("peripheral", DeValue::Array(tables)) => peripherals.extend(tables.iter().cloned()),
            ("defaults", _) => complaints.add(reader.line(&key), "defaults: must be a table"),
            ("peripheral", _) => {
                complaints.add(reader.line(&key), "peripheral: must be tables, each as [[peripheral]]");
            }
            (name, _) => complaints.add(reader.line(&key), format_args!("{name}: there is no such setting")),
        }
    }
    for peripheral in peripherals {
        match peripheral.get_ref() {
            DeValue::Table(table) => {
                let draft = reader.draft(table, &peripheral.span(), &[], complaints);
                entries.add(draft.or(&defaults), complaints);
            }
            _ => complaints.add(reader.lines.at(&peripheral.span()), "peripheral: must be a table"),
        }
    }
    entries
}

struct Reader {
    lines: Lines,
}

impl Reader {
    fn line<T>(&self, spanned: &Spanned<T>) -> u64 {
        self.lines.at(&spanned.span())
    }

    fn draft(&self, table: &DeTable<'_>, span: &Range<usize>, not_here: &[&str], complaints: &mut Complaints) -> Draft {
        let mut draft = Draft { line: self.lines.at(span), ..Draft::default() };
        for (key, value) in table {
            match &**key.get_ref() {
                name if not_here.contains(&name) => {
                    complaints.add(self.line(key), format_args!("{name}: there is no such default"));
                }
                "id" => draft.peripheral = self.text(key, value, complaints).map(|field| field.value),
                "application" => draft.application = self.text(key, value, complaints),
                "groups" => draft.groups = self.texts(key, value, complaints),
                "initial_state" => draft.initial_state = self.text(key, value, complaints),
                "username" => draft.secret.username = self.text(key, value, complaints),
                "password" => draft.secret.password = self.text(key, value, complaints),
                "verifier" => draft.secret.verifier = self.text(key, value, complaints),
                "identity" => draft.secret.identity = self.text(key, value, complaints),
                "pre_shared_key" => draft.secret.pre_shared_key = self.text(key, value, complaints),
                "certificate" => draft.secret.certificate = self.text(key, value, complaints),
                "waker" => draft.waker = self.waker(value, complaints),
                "lifetime" => draft.lifetime = self.seconds(key, value, complaints),
                "idle" => draft.idle = self.seconds(key, value, complaints),
                "labels" => draft.labels = self.labels(key, value, complaints),
                name => complaints.add(self.line(key), format_args!("{name}: there is no such setting")),
            }
        }
        draft
    }

    fn text(&self, key: &Key<'_>, value: &Value<'_>, complaints: &mut Complaints) -> Option<Field<String>> {
        let line = self.line(value);
        let text = value.get_ref().as_str().map(|text| Field { line, value: text.to_owned() });
        if text.is_none() {
            complaints.add(line, format_args!("{}: must be a text, in quotes", key.get_ref()));
        }
        text
    }

    fn texts(&self, key: &Key<'_>, value: &Value<'_>, complaints: &mut Complaints) -> Option<Field<Vec<String>>> {
        let texts = value.get_ref().as_array().and_then(|array| {
            array.iter().map(|value| value.get_ref().as_str().map(str::to_owned)).collect::<Option<Vec<_>>>()
        });
        let line = self.line(value);
        if texts.is_none() {
            complaints.add(line, format_args!("{}: must be a list of texts, as [\"a\", \"b\"]", key.get_ref()));
        }
        texts.map(|value| Field { line, value })
    }

    /// A text, or a table as the waker's JSON.
    fn waker(&self, value: &Value<'_>, complaints: &mut Complaints) -> Option<Field<Waker>> {
        let waker = match value.get_ref() {
            DeValue::String(text) => text.parse().map_err(|error: WakerError| error.to_string()),
            table => {
                let waker = Waker::deserialize(ValueDeserializer::from(Spanned::new(value.span(), table.clone())));
                let checked = |waker: Waker| waker.check().map(|()| waker).map_err(|error| error.to_string());
                waker.map_err(|error| error.message().to_owned()).and_then(checked)
            }
        };
        let line = self.line(value);
        complaints.take(line, "waker", waker).map(|value| Field { line, value })
    }

    fn seconds(&self, key: &Key<'_>, value: &Value<'_>, complaints: &mut Complaints) -> Option<Field<u64>> {
        let integer = value.get_ref().as_integer();
        let seconds = integer.and_then(|integer| u64::from_str_radix(integer.as_str(), integer.radix()).ok());
        let line = self.line(value);
        if seconds.is_none() {
            complaints.add(line, format_args!("{}: must be a number of seconds", key.get_ref()));
        }
        seconds.map(|value| Field { line, value })
    }

    fn labels(&self, key: &Key<'_>, value: &Value<'_>, complaints: &mut Complaints) -> BTreeMap<String, String> {
        let labels = value.get_ref().as_table().and_then(|table| {
            let label = |(key, value): (&Key<'_>, &Value<'_>)| {
                Some((key.get_ref().to_string(), value.get_ref().as_str()?.to_owned()))
            };
            table.iter().map(label).collect::<Option<BTreeMap<_, _>>>()
        });
        if labels.is_none() {
            complaints.add(self.line(value), format_args!("{}: must be a table of texts", key.get_ref()));
        }
        labels.unwrap_or_default()
    }
}

/// Where the lines of a text start.
struct Lines(Vec<usize>);

impl Lines {
    fn of(text: &str) -> Self {
        let after_newlines = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        Self(std::iter::once(0).chain(after_newlines).collect())
    }

    /// The line, counted from 1, on which a span starts.
    fn at(&self, span: &Range<usize>) -> u64 {
        self.0.partition_point(|start| *start <= span.start) as u64
    }
}
