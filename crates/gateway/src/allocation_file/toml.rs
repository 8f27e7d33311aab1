//! Allocations as tables.

use std::collections::BTreeMap;
use std::ops::Range;

use bugle_core::{Waker, WakerError};
use serde::Deserialize;
use toml::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

use super::complaint::Complaints;
use super::entry::{Draft, Each, Field};

type Key<'a> = Spanned<toml::de::DeString<'a>>;
type Value<'a> = Spanned<DeValue<'a>>;

/// Peripherals in a piece. Tables take many times the memory of the allocations that they are read into, so those of a
/// large file are never there all at once.
const PIECE_PERIPHERALS: usize = 1_000;
const DEFAULTS: &str = "defaults";
const PERIPHERAL: &str = "peripheral";
/// How a peripheral begins, in all files but odd ones.
const HEADER: &str = "[[peripheral]]";

/// The file is not made of pieces that are files themselves, with the defaults in the first.
pub(super) struct NotInPieces;

/// Has `each` take what stands in each table, piece by piece.
pub(super) fn parse_pieces(text: &str, complaints: &mut Complaints, each: &mut Each<'_>) -> Result<(), NotInPieces> {
    let lines = Lines::of(text);
    let mut defaults = Draft::default();
    for (number, piece) in pieces(text).enumerate() {
        let reader = Reader { lines: &lines, offset: piece.start };
        let (document, errors) = DeTable::parse_recoverable(&text[piece]);
        let document = document.into_inner();
        // In the first there is the header of a peripheral, so that nothing else may be called that.
        if !errors.is_empty() || (number > 0 && document.keys().any(|key| key.get_ref() != PERIPHERAL)) {
            return Err(NotInPieces);
        }
        reader.read(document, &mut defaults, complaints, each);
    }
    Ok(())
}

/// Has `each` take what stands in each table of any file.
pub(super) fn parse_whole(text: &str, complaints: &mut Complaints, each: &mut Each<'_>) {
    let lines = Lines::of(text);
    let reader = Reader { lines: &lines, offset: 0 };
    let (document, errors) = DeTable::parse_recoverable(text);
    if errors.is_empty() {
        reader.read(document.into_inner(), &mut Draft::default(), complaints, each);
    }
    // What was recovered may say what was never meant.
    for error in errors {
        complaints.add(error.span().map_or(1, |span| reader.line_of(&span)), error.message());
    }
}

/// Where the pieces of a text are.
fn pieces(text: &str) -> impl Iterator<Item = Range<usize>> {
    let starts = text.split_inclusive('\n').scan(0, |end, line| {
        let start = *end;
        *end += line.len();
        Some((start, line))
    });
    let headers = starts.filter(|(_, line)| line.trim_start().starts_with(HEADER)).map(|(start, _)| start);
    let ends = headers.step_by(PIECE_PERIPHERALS).skip(1).chain([text.len()]);
    ends.scan(0, |start, end| Some(std::mem::replace(start, end)..end))
}

/// Reads a piece that starts at this offset.
struct Reader<'l> {
    lines: &'l Lines,
    offset: usize,
}

impl Reader<'_> {
    fn read(&self, document: DeTable<'_>, defaults: &mut Draft, complaints: &mut Complaints, each: &mut Each<'_>) {
        let mut peripherals = Vec::new();
        for (key, value) in document {
            match (&**key.get_ref(), value.into_inner()) {
                (DEFAULTS, DeValue::Table(table)) => *defaults = self.draft(&table, &key.span(), &["id"], complaints),
                (PERIPHERAL, DeValue::Array(tables)) => peripherals.extend(tables),
                (DEFAULTS, _) => complaints.add(self.line(&key), "defaults: must be a table"),
                (PERIPHERAL, _) => {
                    complaints.add(self.line(&key), "peripheral: must be tables, each as [[peripheral]]");
                }
                (name, _) => complaints.add(self.line(&key), format_args!("{name}: there is no such setting")),
            }
        }
        for peripheral in peripherals {
            match peripheral.get_ref() {
                DeValue::Table(table) => {
                    let draft = self.draft(table, &peripheral.span(), &[], complaints);
                    each(draft.or(defaults), complaints);
                }
                _ => complaints.add(self.line(&peripheral), "peripheral: must be a table"),
            }
        }
    }

    fn line<T>(&self, spanned: &Spanned<T>) -> u64 {
        self.line_of(&spanned.span())
    }

    /// The line, counted from 1, on which a span of the piece starts.
    fn line_of(&self, span: &Range<usize>) -> u64 {
        self.lines.at(self.offset + span.start)
    }

    fn draft(&self, table: &DeTable<'_>, span: &Range<usize>, not_here: &[&str], complaints: &mut Complaints) -> Draft {
        let mut draft = Draft { line: self.line_of(span), ..Draft::default() };
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

    /// The line, counted from 1, that a byte is in.
    fn at(&self, byte: usize) -> u64 {
        self.0.partition_point(|start| *start <= byte) as u64
    }
}
