//! Rows of JSON that stop growing at the limit.

use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{Deserializer, Error, SeqAccess, Visitor};

use crate::limits;

/// What a row that is too long is refused with.
const TOO_MANY: &str = "too many values";

/// Reads a row of at most [`limits::RECORDS_MAX`].
pub(super) fn row<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<T>, D::Error> {
    struct Row<T>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>> Visitor<'de> for Row<T> {
        type Value = Vec<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an array")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Vec<T>, A::Error> {
            let mut row = Vec::new();
            while let Some(element) = access.next_element()? {
                if row.len() == limits::RECORDS_MAX {
                    return Err(A::Error::custom(TOO_MANY));
                }
                row.push(element);
            }
            Ok(row)
        }
    }

    deserializer.deserialize_seq(Row(PhantomData))
}

/// The error of a payload that serde refuses.
pub(super) fn refusal(format: &'static str, error: &serde_json::Error) -> super::DecodeError {
    use serde_json::error::Category;
    let what = match error.classify() {
        Category::Data if error.to_string().starts_with(TOO_MANY) => {
            return super::DecodeError::TooMany(limits::RECORDS_MAX);
        }
        Category::Data => "a field has the wrong type or means something that is not understood",
        Category::Eof => "it ends too early",
        Category::Syntax | Category::Io => "it is not JSON",
    };
    super::DecodeError::Malformed { format, what }
}
