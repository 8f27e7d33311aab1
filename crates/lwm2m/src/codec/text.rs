//! Plain text: one value without a name (LwM2M 1.1 core, 7.4.1).

use super::{DecodeError, Record, single_base};
use crate::{ContentFormat, DataType, Path, Value};

/// Reads a value; text, if its type is not known.
pub(super) fn decode(base: &Path, payload: &[u8]) -> Result<Vec<Record>, DecodeError> {
    let path = single_base(ContentFormat::TEXT, base)?;
    let text = std::str::from_utf8(payload)
        .map_err(|_| DecodeError::Malformed { format: "plain text", what: "it is not UTF-8" })?;
    let data_type = DataType::of(&path).unwrap_or(DataType::String);
    let value = Value::from_text(data_type, text).map_err(|_| DecodeError::Type { path, data_type })?;
    Ok(vec![Record::new(path, value)])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(path: &str, text: &str) -> Result<Value, DecodeError> {
        let path = path.parse().expect("a path");
        decode(&path, text.as_bytes()).map(|mut records| records.remove(0).value)
    }

    #[test]
    fn the_type_of_the_resource_decides() {
        assert_eq!(read("/3/0/0", "Open Mobile Alliance"), Ok(Value::String("Open Mobile Alliance".into())));
        assert_eq!(read("/3/0/9", "100"), Ok(Value::Integer(100)));
        assert_eq!(read("/3303/0/5700", "-21.5"), Ok(Value::Float(-21.5)));
        assert_eq!(read("/3311/0/5850", "1"), Ok(Value::Boolean(true)));
        assert_eq!(read("/3/0/13", "1367491215"), Ok(Value::Time(1_367_491_215)));
        assert_eq!(read("/5/0/0", "AQIDBAU="), Ok(Value::Opaque(vec![1, 2, 3, 4, 5])));
        assert_eq!(read("/26241/0/1", "21"), Ok(Value::String("21".into())));
    }

    #[test]
    fn text_of_another_type_says_what_was_expected() {
        let error = read("/3/0/9", "full").expect_err("no integer");
        assert_eq!(error.to_string(), "the value at /3/0/9 is not an integer");
    }
}
