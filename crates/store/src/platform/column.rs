//! Words as columns, and columns as words.

use std::fmt::Display;

use bugle_core::Time;
use rusqlite::types::{FromSql, ValueRef};
use serde::de::DeserializeOwned;
use serde::de::value::StrDeserializer;
use serde::{Deserialize, Serialize};

use crate::sqlite::{Row, StoreError};

/// Sequences in the key of a log entry.
const SEQUENCE_BITS: u32 = 40;

/// The key of the log entry with this sequence, in the log of whoever has this number.
pub(super) const fn log_key(number: i64, sequence: u64) -> i64 {
    (number << SEQUENCE_BITS) | (sequence as i64 & ((1 << SEQUENCE_BITS) - 1))
}

/// The sequence of the log entry with this key.
pub(super) const fn log_sequence(key: i64) -> u64 {
    (key & ((1 << SEQUENCE_BITS) - 1)) as u64
}

/// A time as a column: what is later than SQLite can hold does not occur.
pub(super) const fn millis(time: Time) -> i64 {
    time.as_millis().cast_signed()
}

/// The word of a value that is one word in JSON.
pub(super) fn word<T: Serialize>(value: &T) -> Result<String, StoreError> {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => Ok(word),
        Ok(other) => Err(StoreError::Statement(format!("{other} is no word"))),
        Err(error) => Err(StoreError::Statement(error.to_string())),
    }
}

/// A value as JSON.
pub(super) fn json<T: Serialize>(value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|error| StoreError::Statement(error.to_string()))
}

/// The value of a column with this type.
pub(super) fn plain<T: FromSql>(row: &Row<'_>, column: &str) -> Result<T, StoreError> {
    Ok(row.get(column)?)
}

/// The time in a column.
pub(super) fn time(row: &Row<'_>, column: &str) -> Result<Time, StoreError> {
    plain::<u64>(row, column).map(Time::from_millis)
}

/// The time in a column that may be empty.
pub(super) fn time_option(row: &Row<'_>, column: &str) -> Result<Option<Time>, StoreError> {
    Ok(plain::<Option<u64>>(row, column)?.map(Time::from_millis))
}

/// The value whose word is in a column.
pub(super) fn from_word<T: for<'de> Deserialize<'de>>(row: &Row<'_>, column: &str) -> Result<T, StoreError> {
    let text = text(row, column)?;
    T::deserialize(StrDeserializer::<serde::de::value::Error>::new(text)).map_err(|error| damaged(column, &error))
}

/// The value whose word is in a column that may be empty.
pub(super) fn from_word_option<T: for<'de> Deserialize<'de>>(
    row: &Row<'_>,
    column: &str,
) -> Result<Option<T>, StoreError> {
    match row.get_ref(column)? {
        ValueRef::Null => Ok(None),
        _ => from_word(row, column).map(Some),
    }
}

/// The value whose JSON is in a column.
pub(super) fn from_json<T: DeserializeOwned>(row: &Row<'_>, column: &str) -> Result<T, StoreError> {
    serde_json::from_str(text(row, column)?).map_err(|error| damaged(column, &error))
}

/// The value whose JSON is in a column that may be empty.
pub(super) fn from_json_option<T: DeserializeOwned>(row: &Row<'_>, column: &str) -> Result<Option<T>, StoreError> {
    match row.get_ref(column)? {
        ValueRef::Null => Ok(None),
        _ => from_json(row, column).map(Some),
    }
}

/// The text in a column.
pub(super) fn text<'r>(row: &'r Row<'_>, column: &str) -> Result<&'r str, StoreError> {
    row.get_ref(column)?.as_str().map_err(|error| damaged(column, &error))
}

pub(super) fn damaged(column: impl Display, error: &dyn Display) -> StoreError {
    StoreError::Corrupt(format!("column {column}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_key_tells_its_sequence_and_sorts_by_log_first() {
        assert_eq!(log_sequence(log_key(7, 123)), 123);
        assert!(log_key(7, u64::MAX >> 24) < log_key(8, 0));
    }
}
