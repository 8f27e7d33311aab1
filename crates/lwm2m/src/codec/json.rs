//! LwM2M's own JSON of version 1.0 (LwM2M 1.0, 6.4.4). It is read from clients that send nothing else,
//! and never written.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::Number;

use super::{DecodeError, Record, bounded, senml_json};
use crate::{DataType, Path, Value};

#[derive(Deserialize)]
struct Pack {
    #[serde(default)]
    bn: Option<String>,
    #[serde(default)]
    bt: Option<f64>,
    #[serde(deserialize_with = "bounded::row")]
    e: Vec<Element>,
}

#[derive(Deserialize)]
struct Element {
    #[serde(default)]
    n: String,
    #[serde(default)]
    t: Option<f64>,
    #[serde(default)]
    v: Option<Number>,
    #[serde(default)]
    bv: Option<bool>,
    #[serde(default)]
    sv: Option<String>,
    #[serde(default)]
    ov: Option<String>,
}

const fn malformed(what: &'static str) -> DecodeError {
    DecodeError::Malformed { format: "LwM2M JSON", what }
}

/// Reads the values of an object, an instance or a resource.
pub(super) fn decode(base: &Path, payload: &[u8]) -> Result<Vec<Record>, DecodeError> {
    let pack: Pack = serde_json::from_slice(payload).map_err(|error| bounded::refusal("LwM2M JSON", &error))?;
    let mut records = Vec::with_capacity(pack.e.len());
    for element in pack.e {
        let path = path(base, pack.bn.as_deref(), &element.n)?;
        if !path.is_within(base) {
            return Err(DecodeError::Outside { path, base: *base });
        }
        if path.depth() < 3 {
            return Err(malformed("a value is not at a resource"));
        }
        let time = super::time(pack.bt, element.t, "LwM2M JSON")?;
        let value = value(&path, element)?.conformed(&path);
        records.push(Record { path, time, value });
    }
    Ok(records)
}

/// A name follows the base name, or what was asked for if there is none.
fn path(base: &Path, base_name: Option<&str>, name: &str) -> Result<Path, DecodeError> {
    let whole = match (base_name, name) {
        (Some(base_name), name) => [base_name, name].concat(),
        (None, "") => return Ok(*base),
        (None, name) if name.starts_with('/') => name.to_owned(),
        (None, name) => format!("{base}/{name}"),
    };
    whole.strip_suffix('/').unwrap_or(&whole).parse().map_err(|_| malformed("a name is no path"))
}

fn value(path: &Path, element: Element) -> Result<Value, DecodeError> {
    match (element.v, element.bv, element.sv, element.ov) {
        (Some(number), None, None, None) => Ok(senml_json::number(&number)),
        (None, Some(boolean), None, None) => Ok(Value::Boolean(boolean)),
        // Bytes have no field of their own, and travel as text in base 64.
        (None, None, Some(text), None) if DataType::of(path) == Some(DataType::Opaque) => {
            let error = DecodeError::Type { path: *path, data_type: DataType::Opaque };
            STANDARD.decode(text).map(Value::Opaque).map_err(|_| error)
        }
        (None, None, Some(text), None) => Ok(Value::String(text)),
        (None, None, None, Some(link)) => {
            let error = DecodeError::Type { path: *path, data_type: DataType::ObjectLink };
            link.parse().map(Value::ObjectLink).map_err(|_| error)
        }
        _ => Err(malformed("an element has not exactly one value")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ObjectLink, limits};

    fn path(text: &str) -> Path {
        text.parse().expect("a path")
    }

    fn read(base: &str, json: &str) -> Result<Vec<Record>, DecodeError> {
        decode(&path(base), json.as_bytes())
    }

    #[test]
    fn the_device_object_instance_of_the_standard() {
        let json = concat!(
            r#"{"bn":"/3/0/","e":[{"n":"0","sv":"Open Mobile Alliance"},{"n":"6/0","v":1},{"n":"6/1","v":5},"#,
            r#"{"n":"9","v":100},{"n":"13","v":1367491215},{"n":"16","sv":"U"}]}"#
        );
        let records = read("/3/0", json).expect("valid");
        assert_eq!(records.len(), 6);
        assert_eq!(records[2], Record::new(path("/3/0/6/1"), Value::Integer(5)));
        assert_eq!(records[4], Record::new(path("/3/0/13"), Value::Time(1_367_491_215)));
    }

    #[test]
    fn notifications_with_times() {
        let json = r#"{"bn":"/72/","bt":25462634,"e":[{"n":"1/2","v":22.4,"t":-5},{"n":"1/2","v":22.9,"t":-30}]}"#;
        let records = read("/72", json).expect("valid");
        assert_eq!(records[0], Record { path: path("/72/1/2"), time: Some(25_462_629.0), value: Value::Float(22.4) });
    }

    #[test]
    fn names_without_a_base_name_follow_what_was_asked_for() {
        let nine = Ok(vec![Record::new(path("/3/0/9"), Value::Integer(7))]);
        assert_eq!(read("/3/0", r#"{"e":[{"n":"9","v":7}]}"#), nine);
        assert_eq!(read("/3/0/9", r#"{"e":[{"v":7}]}"#), nine);
        assert_eq!(read("/3/0/9", r#"{"bn":"/3/0/9","e":[{"n":"","v":7}]}"#), nine);
        assert_eq!(read("/3", r#"{"e":[{"n":"/3/0/9","v":7}]}"#), nine);
    }

    #[test]
    fn links_and_bytes() {
        let json = r#"{"bn":"/","e":[{"n":"65/0/0/0","ov":"66:0"},{"n":"5/0/0","sv":"AQI="}]}"#;
        let records = read("/", json).expect("valid");
        assert_eq!(records[0].value, Value::ObjectLink(ObjectLink { object: 66, instance: 0 }));
        assert_eq!(records[1].value, Value::Opaque(vec![1, 2]));
    }

    #[test]
    fn what_breaks_the_rules_is_refused() {
        for json in [
            "",
            "[]",
            r#"{"bn":"/3/0/"}"#,
            r#"{"e":[{"n":"9"}]}"#,
            r#"{"e":[{"n":"9","v":1,"sv":"1"}]}"#,
            r#"{"e":[{"n":"x","v":1}]}"#,
            r#"{"bn":"/4/0/","e":[{"n":"9","v":1}]}"#,
            r#"{"bn":"/3/0","e":[{"n":"","v":1}]}"#,
        ] {
            assert!(read("/3/0", json).is_err(), "{json}");
        }
        let row = vec![r#"{"n":"9","v":1}"#; limits::RECORDS_MAX + 1].join(",");
        let json = format!(r#"{{"bn":"/3/0/","e":[{row}]}}"#);
        assert_eq!(read("/3/0", &json), Err(DecodeError::TooMany(limits::RECORDS_MAX)));
    }
}
