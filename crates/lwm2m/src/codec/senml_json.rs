//! SenML in JSON (RFC 8428, 5; LwM2M 1.1 core, 7.4.4).

use std::fmt;

use base64::Engine;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::de::{Error as _, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Number;

use super::senml::{Entry, Names};
use super::{DecodeError, EncodeError, Record, bounded};
use crate::{Path, Value};

/// Written without padding (RFC 8428, 5), read with and without.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new().with_encode_padding(false).with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The records of a pack as they are on the wire.
pub(super) fn entries(payload: &[u8]) -> Result<Vec<Entry>, DecodeError> {
    let mut deserializer = serde_json::Deserializer::from_slice(payload);
    bounded::row(&mut deserializer)
        .and_then(|row| deserializer.end().map(|()| row))
        .map_err(|error| bounded::refusal("SenML", &error))
}

/// Writes values, in their order.
pub(super) fn encode(records: &[Record]) -> Result<Vec<u8>, EncodeError> {
    let names = Names::of(records.iter().map(|record| &record.path));
    let mut out: Vec<Out> = records.iter().map(|record| Out::of(&names, record)).collect();
    if let Some(first) = out.first_mut() {
        first.bn.clone_from(&names.base_name);
    }
    Ok(serde_json::to_vec(&out).expect("strings and finite numbers are JSON"))
}

/// Writes names alone.
pub(super) fn encode_paths(paths: &[Path]) -> Vec<u8> {
    let out: Vec<Out> = paths.iter().map(|path| Out { n: Some(path.to_string()), ..Out::default() }).collect();
    serde_json::to_vec(&out).expect("strings are JSON")
}

/// A record in the order in which people like to read it.
#[derive(Debug, Default, Serialize)]
struct Out {
    #[serde(skip_serializing_if = "Option::is_none")]
    bn: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    n: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    t: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    v: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    vs: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    vb: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    vd: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    vlo: Option<String>,
}

impl Out {
    fn of(names: &Names, record: &Record) -> Self {
        let mut out = Self { n: Some(names.name(&record.path)), t: record.time, ..Self::default() };
        match &record.value {
            Value::Integer(value) | Value::Time(value) => out.v = Some((*value).into()),
            Value::Unsigned(value) => out.v = Some((*value).into()),
            Value::Float(value) => out.v = Number::from_f64(*value),
            Value::Boolean(value) => out.vb = Some(*value),
            Value::String(text) | Value::CoreLink(text) => out.vs = Some(text.clone()),
            Value::Opaque(bytes) => out.vd = Some(BASE64.encode(bytes)),
            Value::ObjectLink(link) => out.vlo = Some(link.to_string()),
        }
        out
    }
}

impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(EntryVisitor)
    }
}

struct EntryVisitor;

impl<'de> Visitor<'de> for EntryVisitor {
    type Value = Entry;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a SenML record")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entry, A::Error> {
        let mut entry = Entry::default();
        while let Some(label) = map.next_key::<String>()? {
            match label.as_str() {
                "bn" => entry.base_name = Some(map.next_value()?),
                "bt" => entry.base_time = Some(map.next_value()?),
                "bv" => entry.base_value = Some(number(&map.next_value()?)),
                "bver" => entry.base_version = Some(map.next_value()?),
                "n" => entry.name = Some(map.next_value()?),
                "t" => entry.time = Some(map.next_value()?),
                "v" | "vs" | "vb" | "vd" | "vlo" => {
                    // One value at most (RFC 8428, 4.2).
                    if entry.value.is_some() {
                        return Err(A::Error::custom("two values"));
                    }
                    entry.value = Some(value(&label, &mut map)?);
                }
                // A label that ends so must be understood (RFC 8428, 4.4).
                label if label.ends_with('_') => return Err(A::Error::custom("a label that must be understood")),
                // Units, sums and update times say nothing in LwM2M.
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(entry)
    }
}

fn value<'de, A: MapAccess<'de>>(label: &str, map: &mut A) -> Result<Value, A::Error> {
    match label {
        "v" => Ok(number(&map.next_value()?)),
        "vs" => map.next_value().map(Value::String),
        "vb" => map.next_value().map(Value::Boolean),
        "vd" => {
            let text: String = map.next_value()?;
            BASE64.decode(text).map(Value::Opaque).map_err(|_| A::Error::custom("no base 64"))
        }
        _ => {
            let text: String = map.next_value()?;
            text.parse().map(Value::ObjectLink).map_err(A::Error::custom)
        }
    }
}

/// An integer where it is written as one, so that none of its 64 bits is lost.
pub(super) fn number(number: &Number) -> Value {
    match (number.as_i64(), number.as_u64(), number.as_f64()) {
        (Some(integer), ..) => Value::Integer(integer),
        (None, Some(integer), _) => Value::Unsigned(integer),
        (.., float) => Value::Float(float.expect("a number of JSON is one of the three")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::senml;
    use super::*;
    use crate::{ObjectLink, limits};

    fn path(text: &str) -> Path {
        text.parse().expect("a path")
    }

    fn read(json: &str) -> Result<Vec<Record>, DecodeError> {
        senml::values(&entries(json.as_bytes())?, &Path::ROOT)
    }

    /// Reads, and writes exactly the same again.
    fn both_ways(json: &str) -> Vec<Record> {
        let records = read(json).expect("valid SenML");
        let written = encode(&records).expect("it was just read");
        assert_eq!(String::from_utf8(written).expect("JSON is UTF-8"), json);
        records
    }

    #[test]
    fn the_device_object_instance_of_the_standard() {
        // LwM2M 1.1 core, 7.4.4, a read of /3/0.
        let records = both_ways(concat!(
            r#"[{"bn":"/3/0/","n":"0","vs":"Open Mobile Alliance"},"#,
            r#"{"n":"1","vs":"Lightweight M2M Client"},{"n":"2","vs":"345000123"},{"n":"3","vs":"1.0"},"#,
            r#"{"n":"6/0","v":1},{"n":"6/1","v":5},{"n":"7/0","v":3800},{"n":"7/1","v":5000},"#,
            r#"{"n":"8/0","v":125},{"n":"8/1","v":900},{"n":"9","v":100},{"n":"10","v":15},{"n":"11/0","v":0},"#,
            r#"{"n":"13","v":1367491215},{"n":"14","vs":"+02:00"},{"n":"16","vs":"U"}]"#
        ));
        assert_eq!(records.len(), 16);
        assert_eq!(records[5], Record::new(path("/3/0/6/1"), Value::Integer(5)));
        assert_eq!(records[13], Record::new(path("/3/0/13"), Value::Time(1_367_491_215)));
    }

    #[test]
    fn object_links_and_bytes_have_labels_of_their_own() {
        let records = both_ways(concat!(
            r#"[{"n":"/65/0/0/0","vlo":"66:0"},{"n":"/65/0/0/1","vlo":"66:1"},"#,
            r#"{"n":"/66/0/1","vd":"_-8"},{"n":"/66/0/2","vb":false}]"#
        ));
        assert_eq!(records[1].value, Value::ObjectLink(ObjectLink { object: 66, instance: 1 }));
        assert_eq!(records[2].value, Value::Opaque(vec![0xff, 0xef]));
        assert_eq!(records[3].value, Value::Boolean(false));
        assert_eq!(read(r#"[{"n":"/66/0/1","vd":"_-8="}]"#).expect("padding does no harm")[0], records[2]);
    }

    #[test]
    fn the_base_time_and_unit_of_rfc_8428() {
        // RFC 8428, 5.1.2 and 5.1.3, with names that are paths.
        let records = read(concat!(
            r#"[{"bn":"/3316/0/5700","bt":1.276020076001e+09,"bu":"A","bver":5,"v":120.1},"#,
            r#"{"t":-5,"v":1.2},{"u":"V","t":-4,"v":1.3},{"t":-3,"v":1}]"#
        ))
        .expect("valid SenML");
        let times: Vec<Option<f64>> = records.iter().map(|record| record.time).collect();
        let base = 1.276020076001e9;
        assert_eq!(times, [Some(base), Some(base - 5.0), Some(base - 4.0), Some(base - 3.0)]);
        assert_eq!(records[3].value, Value::Float(1.0));
    }

    #[test]
    fn times_are_written_with_each_value() {
        let json = r#"[{"bn":"/3303/0/","n":"5700","t":1790000000.5,"v":21.5},{"n":"5701","t":-30.0,"vs":"Cel"}]"#;
        assert_eq!(both_ways(json)[1].time, Some(-30.0));
    }

    #[test]
    fn numbers_keep_every_bit() {
        let records = both_ways(concat!(
            r#"[{"bn":"/26241/0/","n":"0","v":9223372036854775807},{"n":"1","v":18446744073709551615},"#,
            r#"{"n":"2","v":-9223372036854775808},{"n":"3","v":0.1},{"n":"4","v":5e-324}]"#
        ));
        assert_eq!(records[0].value, Value::Integer(i64::MAX));
        assert_eq!(records[1].value, Value::Unsigned(u64::MAX));
        assert_eq!(records[4].value, Value::Float(5e-324));
    }

    #[test]
    fn what_is_not_understood_is_refused_only_if_it_must_be() {
        assert!(read(r#"[{"n":"/3/0/9","v":1,"ut":60,"x":[[{}]]}]"#).is_ok());
        for json in [
            r#"[{"n":"/3/0/9","v":1,"x_":1}]"#,
            r#"[{"n":"/3/0/9","v":1,"vs":"1"}]"#,
            r#"[{"n":"/3/0/9","v":"1"}]"#,
            r#"[{"n":"/3/0/9","vd":"!"}]"#,
            r#"[{"n":"/3/0/9","vlo":"66"}]"#,
            r#"[{"n":"/3/0/9"}]"#,
            r#"{"n":"/3/0/9","v":1}"#,
            r#"[{"n":"/3/0/9","v":1}"#,
            r#"[{"n":"/3/0/9","v":1}]]"#,
            r#"[{"n":"/3/0/9","v":1e999}]"#,
            "",
        ] {
            assert!(matches!(read(json), Err(DecodeError::Malformed { .. })), "{json}");
        }
    }

    #[test]
    fn values_stop_at_the_limit() {
        let row = |length: usize| format!("[{}]", vec!["{}"; length].join(","));
        assert!(entries(row(limits::RECORDS_MAX).as_bytes()).is_ok());
        assert_eq!(entries(row(limits::RECORDS_MAX + 1).as_bytes()), Err(DecodeError::TooMany(limits::RECORDS_MAX)));
    }
}
