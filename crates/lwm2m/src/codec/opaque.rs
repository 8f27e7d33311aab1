//! Opaque: the bytes of one value, without a name (LwM2M 1.1 core, 7.4.2).

use super::{DecodeError, EncodeError, Record, single_base};
use crate::{ContentFormat, Path, Value};

/// Reads a value, whatever its bytes are.
pub(super) fn decode(base: &Path, payload: &[u8]) -> Result<Vec<Record>, DecodeError> {
    let path = single_base(ContentFormat::OPAQUE, base)?;
    Ok(vec![Record::new(path, Value::Opaque(payload.to_vec()))])
}

/// Writes a value of bytes; others have no form here.
pub(super) fn encode(record: &Record) -> Result<Vec<u8>, EncodeError> {
    match &record.value {
        Value::Opaque(bytes) => Ok(bytes.clone()),
        _ => Err(EncodeError::Format(ContentFormat::OPAQUE)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_travel_as_they_are() {
        let path: Path = "/5/0/0".parse().expect("a path");
        let records = decode(&path, &[0, 1, 0xff]).expect("any bytes will do");
        assert_eq!(records, [Record::new(path, Value::Opaque(vec![0, 1, 0xff]))]);
        assert_eq!(encode(&records[0]), Ok(vec![0, 1, 0xff]));
    }

    #[test]
    fn only_bytes_are_written() {
        let record = Record::new("/3/0/9".parse().expect("a path"), Value::Integer(1));
        assert_eq!(encode(&record), Err(EncodeError::Format(ContentFormat::OPAQUE)));
    }
}
