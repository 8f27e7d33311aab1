//! LwM2M CBOR: maps of ids in each other, from the object down to the value (LwM2M 1.2 core, 7.4.7).
//!
//! A key is an id, or an array of ids where a level holds nothing else.

use minicbor::data::Type;

use super::cbor::{Reader, Writer, Written, write, write_value};
use super::{DecodeError, EncodeError, Record};
use crate::{Path, limits};

/// Reads the values of anything within the base; ids always begin at the object.
pub(super) fn decode(base: &Path, payload: &[u8]) -> Result<Vec<Record>, DecodeError> {
    let mut reader = Reader::new("LwM2M CBOR", payload);
    let mut records = Vec::new();
    level(&mut reader, Path::ROOT, &mut records)?;
    reader.end()?;
    match records.iter().find(|record| !record.path.is_within(base)) {
        Some(record) => Err(DecodeError::Outside { path: record.path, base: *base }),
        None => Ok(records),
    }
}

/// Reads a map; a path gets longer with each, so that they cannot lie deeper in each other than four.
fn level(reader: &mut Reader<'_>, above: Path, records: &mut Vec<Record>) -> Result<(), DecodeError> {
    let length = reader.map()?;
    let mut read = 0;
    while reader.has_more(length, read)? {
        let path = key(reader, above)?;
        if matches!(reader.next_type()?, Type::Map | Type::MapIndef) {
            level(reader, path, records)?;
        } else {
            if path.depth() < 3 {
                return Err(reader.malformed("a value is not at a resource"));
            }
            if records.len() == limits::RECORDS_MAX {
                return Err(DecodeError::TooMany(limits::RECORDS_MAX));
            }
            records.push(Record::new(path, reader.value()?.conformed(&path)));
        }
        read += 1;
    }
    Ok(())
}

fn key(reader: &mut Reader<'_>, above: Path) -> Result<Path, DecodeError> {
    if !matches!(reader.next_type()?, Type::Array | Type::ArrayIndef) {
        return id(reader, above);
    }
    let length = reader.array()?;
    let (mut path, mut read) = (above, 0);
    while reader.has_more(length, read)? {
        path = id(reader, path)?;
        read += 1;
    }
    if path == above { Err(reader.malformed("a key is empty")) } else { Ok(path) }
}

fn id(reader: &mut Reader<'_>, above: Path) -> Result<Path, DecodeError> {
    let id = u16::try_from(reader.integer()?).ok();
    id.and_then(|id| above.child(id)).ok_or(reader.malformed("a key is no id"))
}

/// Writes values, sorted by path: a map names each id once.
pub(super) fn encode(records: &[Record]) -> Result<Vec<u8>, EncodeError> {
    let mut sorted: Vec<&Record> = records.iter().collect();
    sorted.sort_by_key(|record| record.path);
    // A resource and something in it, or the same resource twice, cannot both be under one key.
    if let Some(pair) = sorted.windows(2).find(|pair| pair[1].path.is_within(&pair[0].path)) {
        return Err(EncodeError::Path(pair[1].path));
    }
    Ok(write(|writer| write_level(writer, &sorted, 0)))
}

fn write_level(writer: &mut Writer, records: &[&Record], depth: usize) -> Written {
    let below = || records.chunk_by(|a, b| a.path.parts()[depth] == b.path.parts()[depth]);
    writer.map(below().count() as u64)?;
    for under in below() {
        writer.u16(under[0].path.parts()[depth])?;
        match under {
            [record] if record.path.depth() == depth + 1 => write_value(writer, &record.value)?,
            _ => write_level(writer, under, depth + 1)?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Value;
    use crate::testing::hex;

    fn path(text: &str) -> Path {
        text.parse().expect("a path")
    }

    fn read(base: &str, payload: &str) -> Result<Vec<Record>, DecodeError> {
        decode(&path(base), &hex(payload))
    }

    #[test]
    fn values_of_several_objects_are_read_and_written() {
        // {3: {0: {0: "OMA", 6: {0: 1, 1: 5}, 13: 1(1367491215)}}, 3303: {1: {5700: 21.5_2}}}
        let payload = "A2 03 A1 00 A3 00 63 4F4D41 06 A2 00 01 01 05 0D C1 1A 5182428F \
            19 0CE7 A1 01 A1 19 1644 FA 41AC0000";
        let records = read("/", payload).expect("valid LwM2M CBOR");
        assert_eq!(
            records,
            [
                Record::new(path("/3/0/0"), Value::String("OMA".into())),
                Record::new(path("/3/0/6/0"), Value::Integer(1)),
                Record::new(path("/3/0/6/1"), Value::Integer(5)),
                Record::new(path("/3/0/13"), Value::Time(1_367_491_215)),
                Record::new(path("/3303/1/5700"), Value::Float(21.5)),
            ]
        );
        assert_eq!(encode(&records), Ok(hex(payload)));
    }

    #[test]
    fn maps_of_untold_length_and_keys_of_several_ids_are_read() {
        let expected = Ok(vec![Record::new(path("/3/0/9"), Value::Integer(25))]);
        assert_eq!(read("/3/0/9", "BF 03 BF 00 BF 09 18 19 FF FF FF"), expected);
        assert_eq!(read("/3/0/9", "A1 82 03 00 A1 09 18 19"), expected);
        assert_eq!(read("/3/0", "A1 9F 03 00 09 FF 18 19"), expected);
    }

    #[test]
    fn what_breaks_the_rules_is_refused() {
        for payload in [
            "",
            "A1",
            "A1 03 01",                         // a value at an object
            "A1 03 A1 00 A1 09 F6",             // no value
            "A1 03 A1 00 A1 06 A1 00 A1 00 01", // too deep
            "A1 19 FFFF A1 00 A1 00 01",        // reserved id
            "A1 20 A1 00 A1 00 01",             // negative id
            "A1 80 A1 00 A1 00 01",             // empty key
            "A0 00",
            "BB FFFFFFFFFFFFFFFF",
        ] {
            assert!(matches!(read("/", payload), Err(DecodeError::Malformed { .. })), "{payload}");
        }
        let outside = DecodeError::Outside { path: path("/3/0/9"), base: path("/4") };
        assert_eq!(read("/4", "A1 83 03 00 09 01"), Err(outside));
    }

    #[test]
    fn values_stop_at_the_limit() {
        let payload = |length: u16| {
            let mut bytes = vec![0xa1, 0x82, 0x03, 0x00, 0xbf];
            for id in 0..length {
                bytes.push(0x19);
                bytes.extend(id.to_be_bytes());
                bytes.push(0xf5);
            }
            bytes.push(0xff);
            bytes
        };
        let most = limits::RECORDS_MAX as u16;
        assert!(decode(&path("/3"), &payload(most)).is_ok());
        assert_eq!(decode(&path("/3"), &payload(most + 1)), Err(DecodeError::TooMany(limits::RECORDS_MAX)));
    }

    #[test]
    fn a_place_cannot_have_two_values() {
        let record = |at: &str| Record::new(path(at), Value::Integer(1));
        for (first, second) in [("/3/0/6", "/3/0/6/0"), ("/3/0/9", "/3/0/9")] {
            assert_eq!(encode(&[record(second), record(first)]), Err(EncodeError::Path(path(second))));
        }
    }
}
