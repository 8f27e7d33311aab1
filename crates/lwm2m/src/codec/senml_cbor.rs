//! SenML in CBOR (RFC 8428, 6; LwM2M 1.1 core, 7.4.4).

use minicbor::data::Type;

use super::cbor::{Reader, Writer, Written, write, write_float};
use super::senml::{Entry, Names};
use super::{DecodeError, EncodeError, Record};
use crate::{Path, Value, limits};

/// Labels that are integers (RFC 8428, table 4).
mod label {
    pub(super) const BASE_VERSION: i64 = -1;
    pub(super) const BASE_NAME: i64 = -2;
    pub(super) const BASE_TIME: i64 = -3;
    pub(super) const BASE_VALUE: i64 = -5;
    pub(super) const NAME: i64 = 0;
    pub(super) const VALUE: i64 = 2;
    pub(super) const STRING: i64 = 3;
    pub(super) const BOOLEAN: i64 = 4;
    pub(super) const TIME: i64 = 6;
    pub(super) const DATA: i64 = 8;
    /// LwM2M's own label has no integer.
    pub(super) const OBJECT_LINK: &str = "vlo";
}

/// The records of a pack as they are on the wire.
pub(super) fn entries(payload: &[u8]) -> Result<Vec<Entry>, DecodeError> {
    let mut reader = Reader::new("SenML", payload);
    let length = reader.array()?;
    let mut entries = Vec::new();
    while reader.has_more(length, entries.len() as u64)? {
        if entries.len() == limits::RECORDS_MAX {
            return Err(DecodeError::TooMany(limits::RECORDS_MAX));
        }
        entries.push(entry(&mut reader)?);
    }
    reader.end()?;
    Ok(entries)
}

fn entry(reader: &mut Reader<'_>) -> Result<Entry, DecodeError> {
    let mut entry = Entry::default();
    let length = reader.map()?;
    let mut read = 0;
    while reader.has_more(length, read)? {
        if matches!(reader.next_type()?, Type::String | Type::StringIndef) {
            text_label(reader, &mut entry)?;
        } else {
            integer_label(reader, &mut entry)?;
        }
        read += 1;
    }
    Ok(entry)
}

fn integer_label(reader: &mut Reader<'_>, entry: &mut Entry) -> Result<(), DecodeError> {
    let value = match reader.integer()? {
        label::BASE_VERSION => {
            let version = reader.integer()?;
            let version = u64::try_from(version).map_err(|_| reader.malformed("its version is negative"))?;
            entry.base_version = Some(version);
            return Ok(());
        }
        label::BASE_NAME => {
            entry.base_name = Some(reader.text()?);
            return Ok(());
        }
        label::BASE_TIME => {
            entry.base_time = Some(reader.float()?);
            return Ok(());
        }
        label::BASE_VALUE => {
            entry.base_value = Some(number(reader)?);
            return Ok(());
        }
        label::NAME => {
            entry.name = Some(reader.text()?);
            return Ok(());
        }
        label::TIME => {
            entry.time = Some(reader.float()?);
            return Ok(());
        }
        label::VALUE => number(reader)?,
        label::STRING => Value::String(reader.text()?),
        label::BOOLEAN => Value::Boolean(reader.boolean()?),
        label::DATA => Value::Opaque(reader.bytes()?),
        // Units, sums and update times say nothing in LwM2M.
        _ => return reader.skip(),
    };
    set_value(reader, entry, value)
}

fn text_label(reader: &mut Reader<'_>, entry: &mut Entry) -> Result<(), DecodeError> {
    let text = reader.text()?;
    if text == label::OBJECT_LINK {
        let link = reader.text()?.parse().map_err(|_| reader.malformed("an object link is not two numbers"))?;
        return set_value(reader, entry, Value::ObjectLink(link));
    }
    // A label that ends so must be understood (RFC 8428, 4.4).
    if text.ends_with('_') {
        return Err(reader.malformed("a label is not understood that must be"));
    }
    reader.skip()
}

fn set_value(reader: &Reader<'_>, entry: &mut Entry, value: Value) -> Result<(), DecodeError> {
    // One value at most (RFC 8428, 4.2).
    if entry.value.replace(value).is_some() {
        return Err(reader.malformed("a record has two values"));
    }
    Ok(())
}

/// A number. Some clients tag it as a time; in SenML a time is a number like others, and the resource says
/// which it is.
fn number(reader: &mut Reader<'_>) -> Result<Value, DecodeError> {
    match reader.value()? {
        Value::Time(seconds) => Ok(Value::Integer(seconds)),
        number if number.as_number().is_some() => Ok(number),
        _ => Err(reader.malformed("a number is none")),
    }
}

/// Writes values, in their order.
pub(super) fn encode(records: &[Record]) -> Result<Vec<u8>, EncodeError> {
    let names = Names::of(records.iter().map(|record| &record.path));
    Ok(write(|writer| {
        writer.array(records.len() as u64)?;
        for (at, record) in records.iter().enumerate() {
            let base_name = names.base_name.as_deref().filter(|_| at == 0);
            let fields = 2 + u64::from(base_name.is_some()) + u64::from(record.time.is_some());
            writer.map(fields)?;
            if let Some(base_name) = base_name {
                writer.i64(label::BASE_NAME)?.str(base_name)?;
            }
            writer.i64(label::NAME)?.str(&names.name(&record.path))?;
            if let Some(time) = record.time {
                write_float(writer.i64(label::TIME)?, time)?;
            }
            write_labelled(writer, &record.value)?;
        }
        Ok(())
    }))
}

/// Writes names alone.
pub(super) fn encode_paths(paths: &[Path]) -> Vec<u8> {
    write(|writer| {
        writer.array(paths.len() as u64)?;
        for path in paths {
            writer.map(1)?.i64(label::NAME)?.str(&path.to_string())?;
        }
        Ok(())
    })
}

fn write_labelled(writer: &mut Writer, value: &Value) -> Written {
    match value {
        Value::Integer(value) | Value::Time(value) => writer.i64(label::VALUE)?.i64(*value)?,
        Value::Unsigned(value) => writer.i64(label::VALUE)?.u64(*value)?,
        Value::Float(value) => return write_float(writer.i64(label::VALUE)?, *value),
        Value::Boolean(value) => writer.i64(label::BOOLEAN)?.bool(*value)?,
        Value::String(text) | Value::CoreLink(text) => writer.i64(label::STRING)?.str(text)?,
        Value::Opaque(bytes) => writer.i64(label::DATA)?.bytes(bytes)?,
        Value::ObjectLink(link) => writer.str(label::OBJECT_LINK)?.str(&link.to_string())?,
    };
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::senml;
    use super::*;
    use crate::ObjectLink;
    use crate::testing::hex;

    fn path(text: &str) -> Path {
        text.parse().expect("a path")
    }

    fn read(payload: &str) -> Result<Vec<Record>, DecodeError> {
        senml::values(&entries(&hex(payload))?, &Path::ROOT)
    }

    #[test]
    fn a_pack_is_read_and_written() {
        // [{-2: "/3/0/", 0: "0", 3: "OMA"}, {0: "6/0", 2: 1}, {0: "9", 2: 100}]
        let payload = "83 A3 21 65 2F332F302F 00 61 30 03 63 4F4D41  A2 00 63 362F30 02 01  A2 00 61 39 02 18 64";
        let records = read(payload).expect("valid SenML");
        assert_eq!(
            records,
            [
                Record::new(path("/3/0/0"), Value::String("OMA".into())),
                Record::new(path("/3/0/6/0"), Value::Integer(1)),
                Record::new(path("/3/0/9"), Value::Integer(100)),
            ]
        );
        assert_eq!(encode(&records), Ok(hex(payload)));
    }

    #[test]
    fn the_pack_of_rfc_8428_is_read() {
        // RFC 8428, 6.1, with a name that is a path: base fields, a float, times.
        let payload = "83 A7 21 6C 2F333331362F302F35373030 22 FB41D303A15B001062 23 61 41 20 05 \
            00 60 01 61 56 02 FB405E066666666666  A2 06 24 02 FB3FF3333333333333  A2 06 23 02 FB3FF4CCCCCCCCCCCD";
        let records = read(payload).expect("valid SenML");
        assert_eq!(records.len(), 3);
        assert_eq!(
            records[0],
            Record { path: path("/3316/0/5700"), time: Some(1_276_020_076.001), value: Value::Float(120.1) }
        );
        assert_eq!(records[1].time, Some(1_276_020_076.001 - 5.0));
        assert_eq!(records[2].value, Value::Float(1.3));
    }

    #[test]
    fn an_object_link_has_a_label_that_is_text() {
        // [{0: "/65/0/0", "vlo": "66:0"}]
        let payload = "81 A2 00 67 2F36352F302F30 63 766C6F 64 36363A30";
        let records = read(payload).expect("valid SenML");
        assert_eq!(records[0].value, Value::ObjectLink(ObjectLink { object: 66, instance: 0 }));
        assert_eq!(encode(&records), Ok(hex(payload)));
    }

    #[test]
    fn packs_of_untold_length_and_tagged_times_are_read() {
        // [_ {_ 0: (_ "/3/0", "/13"), 2: 1(1367491215)}]
        let payload = "9F BF 00 7F 64 2F332F30 63 2F3133 FF 02 C1 1A 5182428F FF FF";
        assert_eq!(read(payload), Ok(vec![Record::new(path("/3/0/13"), Value::Time(1_367_491_215))]));
        // The same where no time is known: a fuzzer's find, which was a time when read and a number when written.
        let payload = "9F BF 00 7F 64 2F332F30 63 312F33 FF 02 C1 1A 5182428F FF FF";
        assert_eq!(read(payload), Ok(vec![Record::new(path("/3/1/3"), Value::Integer(1_367_491_215))]));
    }

    #[test]
    fn what_is_not_understood_is_refused_only_if_it_must_be() {
        // An update time, a unit, a label unknown to all.
        assert!(read("81 A5 00 67 2F333330332F30 21 60 02 01 01 61 43 07 18 3C").is_err(), "no resource is named");
        assert!(read("81 A5 00 66 2F332F302F39 02 01 01 61 43 07 18 3C 61 78 81 80").is_ok());
        for payload in [
            "81 A3 00 66 2F332F302F39 02 01 61 5F 01", // label "_"
            "81 A3 00 66 2F332F302F39 02 01 03 61 31", // two values
            "81 A2 00 66 2F332F302F39 02 61 31",       // text where a number is meant
            "81 A1 00 66 2F332F302F39",                // no value
            "81 A2 00 66 2F332F302F39 02 01 00",       // something follows
            "81 A2 00 66 2F332F302F39 02",
            "A2 00 66 2F332F302F39 02 01",
            "9B FFFFFFFFFFFFFFFF",
            "",
        ] {
            assert!(matches!(read(payload), Err(DecodeError::Malformed { .. })), "{payload}");
        }
    }

    #[test]
    fn values_stop_at_the_limit() {
        let pack = |length: usize| [vec![0x9f], vec![0xa0; length], vec![0xff]].concat();
        assert!(entries(&pack(limits::RECORDS_MAX)).is_ok());
        assert_eq!(entries(&pack(limits::RECORDS_MAX + 1)), Err(DecodeError::TooMany(limits::RECORDS_MAX)));
    }
}
