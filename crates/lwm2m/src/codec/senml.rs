//! SenML, whatever it is written in: base fields and names (RFC 8428, 4; LwM2M 1.1 core, 7.4.4).

use super::{DecodeError, Record};
use crate::{Path, Value, limits};

/// The version of SenML that RFC 8428 defines; a pack may be of an older one (4.4).
pub(super) const VERSION: u64 = 10;

/// A SenML record as it is on the wire.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Entry {
    pub(super) base_name: Option<String>,
    pub(super) base_time: Option<f64>,
    /// Added to values that are numbers.
    pub(super) base_value: Option<Value>,
    pub(super) base_version: Option<u64>,
    pub(super) name: Option<String>,
    pub(super) time: Option<f64>,
    pub(super) value: Option<Value>,
}

/// A SenML record with what it takes over from the base fields before it (RFC 8428, 4.6).
struct Resolved {
    path: Path,
    time: Option<f64>,
    value: Option<Value>,
    /// Whether it only sets base fields.
    is_base_only: bool,
}

const fn malformed(what: &'static str) -> DecodeError {
    DecodeError::Malformed { format: "SenML", what }
}

/// The values of a pack that answers a request for `base`.
pub(super) fn values(entries: &[Entry], base: &Path) -> Result<Vec<Record>, DecodeError> {
    let mut records = Vec::with_capacity(entries.len());
    for resolved in resolve(entries, base) {
        let Resolved { path, time, value, is_base_only } = resolved?;
        let Some(value) = value else {
            if is_base_only {
                continue;
            }
            return Err(malformed("a record has no value"));
        };
        if !path.is_within(base) {
            return Err(DecodeError::Outside { path, base: *base });
        }
        if path.depth() < 3 {
            return Err(malformed("a value is not at a resource"));
        }
        records.push(Record { path, time, value: value.conformed(&path) });
    }
    Ok(records)
}

/// The paths that a pack names, which has no values.
pub(super) fn paths(entries: &[Entry]) -> Result<Vec<Path>, DecodeError> {
    let mut paths = Vec::new();
    for resolved in resolve(entries, &Path::ROOT) {
        let resolved = resolved?;
        if resolved.value.is_some() {
            return Err(malformed("a record has a value where only names are meant"));
        }
        if paths.len() == limits::COMPOSITE_PATHS_MAX {
            return Err(DecodeError::TooMany(limits::COMPOSITE_PATHS_MAX));
        }
        paths.push(resolved.path);
    }
    Ok(paths)
}

fn resolve(entries: &[Entry], place: &Path) -> impl Iterator<Item = Result<Resolved, DecodeError>> {
    let (mut base_name, mut base_time, mut base_value) = ("", None, None);
    entries.iter().map(move |entry| {
        if entry.base_version.is_some_and(|version| version > VERSION) {
            return Err(malformed("its version is not understood"));
        }
        base_name = entry.base_name.as_deref().unwrap_or(base_name);
        base_time = entry.base_time.or(base_time);
        base_value = entry.base_value.as_ref().or(base_value);
        let name = entry.name.as_deref().unwrap_or_default();
        let time = super::time(base_time, entry.time, "SenML")?;
        // A record with nothing but base fields need not name anything (RFC 8428, 4.2).
        let is_base_only = entry.name.is_none() && entry.time.is_none() && entry.value.is_none();
        Ok(Resolved {
            path: path(base_name, name, place)?,
            time,
            value: entry.value.as_ref().map(|value| sum(base_value, value)).transpose()?,
            is_base_only,
        })
    })
}

/// The path that a base name and a name make together; without both, it is what was asked for.
fn path(base_name: &str, name: &str, place: &Path) -> Result<Path, DecodeError> {
    if base_name.is_empty() && name.is_empty() {
        return Ok(*place);
    }
    let joined;
    let whole = if base_name.is_empty() {
        name
    } else if name.is_empty() {
        base_name
    } else {
        joined = [base_name, name].concat();
        &joined
    };
    // `/3/0/` with nothing behind it is `/3/0`; `/` alone is everything.
    let whole = if whole.len() > 1 { whole.strip_suffix('/').unwrap_or(whole) } else { whole };
    whole.parse().map_err(|_| malformed("a name is no path"))
}

/// A value on top of the base value (RFC 8428, 4.1).
fn sum(base: Option<&Value>, value: &Value) -> Result<Value, DecodeError> {
    let Some(base) = base else { return Ok(value.clone()) };
    if let (Some(base), Some(integer)) = (whole(base), whole(value)) {
        let sum = base + integer;
        return i64::try_from(sum)
            .map(Value::Integer)
            .or_else(|_| u64::try_from(sum).map(Value::Unsigned))
            .map_err(|_| malformed("a value is too large"));
    }
    match (base.as_number(), value.as_number()) {
        (Some(base), Some(number)) if (base + number).is_finite() => Ok(Value::Float(base + number)),
        (_, Some(_)) => Err(malformed("a value is too large")),
        (_, None) => Ok(value.clone()),
    }
}

fn whole(value: &Value) -> Option<i128> {
    match value {
        Value::Integer(value) => Some(i128::from(*value)),
        Value::Unsigned(value) => Some(i128::from(*value)),
        _ => None,
    }
}

/// How paths are named in a pack: the part that all have in common once, as base name, and the rest.
pub(super) struct Names {
    /// As `/3/0/`; none if there is nothing in common or only one path.
    pub(super) base_name: Option<String>,
    depth: usize,
}

impl Names {
    /// The names for these paths.
    pub(super) fn of<'p>(mut paths: impl Iterator<Item = &'p Path>) -> Self {
        let none = Self { base_name: None, depth: 0 };
        let Some(first) = paths.next() else { return none };
        let mut depth = first.depth().saturating_sub(1);
        let mut is_alone = true;
        for path in paths {
            is_alone = false;
            let common = first.parts().iter().zip(path.parts()).take_while(|(a, b)| a == b).count();
            // Something of each path has to be left as its name.
            depth = depth.min(common).min(path.depth().saturating_sub(1));
        }
        if is_alone || depth == 0 {
            return none;
        }
        Self { base_name: Some(format!("{}/", first.truncated(depth))), depth }
    }

    /// The name of one of them.
    pub(super) fn name(&self, path: &Path) -> String {
        if self.base_name.is_none() {
            return path.to_string();
        }
        let rest: Vec<String> = path.parts()[self.depth..].iter().map(u16::to_string).collect();
        rest.join("/")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> Path {
        text.parse().expect("a path")
    }

    fn entry(base_name: Option<&str>, name: Option<&str>, value: Option<Value>) -> Entry {
        Entry { base_name: base_name.map(Into::into), name: name.map(Into::into), value, ..Entry::default() }
    }

    #[test]
    fn a_base_name_holds_until_the_next_one() {
        let number = |number| Some(Value::Integer(number));
        let entries = [
            entry(Some("/3/0/"), Some("9"), number(1)),
            entry(None, Some("10"), number(2)),
            entry(Some("/4/0/2"), None, number(3)),
            entry(Some(""), Some("/3/0/6/0"), number(4)),
        ];
        let records = values(&entries, &Path::ROOT).expect("a valid pack");
        let paths: Vec<Path> = records.iter().map(|record| record.path).collect();
        assert_eq!(paths, [path("/3/0/9"), path("/3/0/10"), path("/4/0/2"), path("/3/0/6/0")]);
    }

    #[test]
    fn base_times_and_base_values_are_added() {
        let entries = [
            Entry {
                base_time: Some(25_462_634.0),
                base_value: Some(Value::Integer(20)),
                ..entry(Some("/3303/0/5700"), None, Some(Value::Float(1.5)))
            },
            Entry { time: Some(-5.0), ..entry(None, None, Some(Value::Integer(2))) },
        ];
        let records = values(&entries, &Path::ROOT).expect("a valid pack");
        assert_eq!((records[0].time, &records[0].value), (Some(25_462_634.0), &Value::Float(21.5)));
        assert_eq!((records[1].time, &records[1].value), (Some(25_462_629.0), &Value::Float(22.0)));
    }

    #[test]
    fn a_time_beyond_all_times_is_refused() {
        let late = Entry { base_time: Some(f64::MAX), time: Some(f64::MAX), ..entry(None, Some("/3"), None) };
        assert!(paths(&[late]).is_err());
    }

    #[test]
    fn integers_are_added_without_loss() {
        let large = Value::Unsigned(1 << 63);
        assert_eq!(sum(Some(&Value::Integer(-1)), &large), Ok(Value::Integer(i64::MAX)));
        assert_eq!(sum(Some(&large), &Value::Integer(1)), Ok(Value::Unsigned((1 << 63) + 1)));
        assert!(sum(Some(&large), &large).is_err());
        assert!(sum(Some(&Value::Float(f64::MAX)), &Value::Float(f64::MAX)).is_err());
        assert_eq!(sum(Some(&large), &Value::Boolean(true)), Ok(Value::Boolean(true)));
    }

    #[test]
    fn a_record_of_base_fields_alone_is_no_value() {
        let entries = [entry(Some("/3/0/"), None, None), entry(None, Some("9"), Some(Value::Integer(1)))];
        assert_eq!(values(&entries, &path("/3/0")), Ok(vec![Record::new(path("/3/0/9"), Value::Integer(1))]));
        assert!(values(&[entry(None, Some("/3/0/9"), None)], &Path::ROOT).is_err());
    }

    #[test]
    fn names_that_are_no_resources_are_refused() {
        for name in ["3/0/9", "/3/0", "urn:dev:ow:10e2073a01080063", "/3/0/9/1/2", "/"] {
            assert!(values(&[entry(None, Some(name), Some(Value::Integer(1)))], &Path::ROOT).is_err(), "{name}");
        }
        let outside = values(&[entry(None, Some("/3/0/9"), Some(Value::Integer(1)))], &path("/4/0"));
        assert_eq!(outside, Err(DecodeError::Outside { path: path("/3/0/9"), base: path("/4/0") }));
    }

    #[test]
    fn a_value_without_a_name_is_at_the_place_asked_for() {
        let value = Value::Integer(100);
        let read = values(&[entry(None, None, Some(value.clone()))], &path("/3/0/9"));
        assert_eq!(read, Ok(vec![Record::new(path("/3/0/9"), value)]));
    }

    #[test]
    fn a_later_version_is_refused() {
        let version = |version| Entry { base_version: Some(version), ..entry(None, Some("/3"), None) };
        assert_eq!(paths(&[version(VERSION)]), Ok(vec![path("/3")]));
        assert!(paths(&[version(VERSION + 1)]).is_err());
    }

    #[test]
    fn paths_stop_at_the_limit() {
        let entries = vec![entry(None, Some("/3"), None); limits::COMPOSITE_PATHS_MAX + 1];
        assert!(paths(&entries[1..]).is_ok());
        assert_eq!(paths(&entries), Err(DecodeError::TooMany(limits::COMPOSITE_PATHS_MAX)));
        assert!(paths(&[entry(None, Some("/3"), Some(Value::Integer(1)))]).is_err());
    }

    #[test]
    fn what_names_have_in_common_is_said_once() {
        let names = |texts: &[&str]| {
            let paths: Vec<Path> = texts.iter().map(|text| path(text)).collect();
            let names = Names::of(paths.iter());
            let each: Vec<String> = paths.iter().map(|path| names.name(path)).collect();
            (names.base_name, each.join(" "))
        };
        assert_eq!(names(&["/3/0/9", "/3/0/6/0"]), (Some("/3/0/".into()), "9 6/0".into()));
        assert_eq!(names(&["/3/0/9"]), (None, "/3/0/9".into()));
        assert_eq!(names(&["/3/0/9", "/4/0/2"]), (None, "/3/0/9 /4/0/2".into()));
        assert_eq!(names(&["/3/0", "/3/0/9"]), (Some("/3/".into()), "0 0/9".into()));
        assert_eq!(names(&["/", "/3"]), (None, "/ /3".into()));
    }
}
