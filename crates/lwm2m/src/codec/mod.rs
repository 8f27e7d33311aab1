//! The content formats: values at paths to payloads, and back.
//!
//! [`decode`] and [`encode`] choose the codec by the content format. A base path says what was asked
//! for: formats without names in them need it, and nothing outside it is taken.

mod bounded;
mod cbor;
mod json;
mod lwm2m_cbor;
mod opaque;
mod senml;
mod senml_cbor;
mod senml_json;
mod text;
mod tlv;

use thiserror::Error;

use crate::{Code, ContentFormat, DataType, Path, Value, limits};

/// A value and where it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// A resource or resource instance.
    pub path: Path,
    /// When the value was taken, if that was said: seconds since the Unix epoch from 2^28 on, below
    /// that seconds from now, mostly negative (RFC 8428, 4.5.3).
    pub time: Option<f64>,
    /// The value.
    pub value: Value,
}

impl Record {
    /// A value without a time.
    #[must_use]
    pub const fn new(path: Path, value: Value) -> Self {
        Self { path, time: None, value }
    }
}

/// A payload is not what it says it is. The fault is of whoever sent it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// The content format is not understood, or not where it came.
    #[error("content format {0} is not understood here")]
    Format(ContentFormat),
    /// The payload is too large.
    #[error("the payload has more than {max} bytes", max = limits::PAYLOAD_BYTES_MAX)]
    TooLarge,
    /// It holds too many values or paths.
    #[error("the payload holds more than {0} values")]
    TooMany(usize),
    /// It breaks the rules of its format.
    #[error("the payload is no {format}: {what}")]
    Malformed {
        /// The format's name.
        format: &'static str,
        /// What is wrong with it.
        what: &'static str,
    },
    /// A value is of the wrong type.
    #[error("the value at {path} is not {data_type}")]
    Type {
        /// Where.
        path: Path,
        /// What it has to be.
        data_type: DataType,
    },
    /// A value is from elsewhere than what was asked for.
    #[error("{path} is not in {base}")]
    Outside {
        /// Where the value is from.
        path: Path,
        /// What was asked for.
        base: Path,
    },
}

impl DecodeError {
    /// How a request with such a payload is refused.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::Format(_) => Code::UNSUPPORTED_CONTENT_FORMAT,
            Self::TooLarge | Self::TooMany(_) => Code::REQUEST_ENTITY_TOO_LARGE,
            Self::Malformed { .. } | Self::Type { .. } | Self::Outside { .. } => Code::BAD_REQUEST,
        }
    }
}

/// Values cannot be written in a content format. The fault is of the caller.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum EncodeError {
    /// No values are written in this format.
    #[error("values are not written as {0}")]
    Format(ContentFormat),
    /// The format holds one value, and these are none or several.
    #[error("{0} holds exactly one value")]
    Single(ContentFormat),
    /// The format cannot say when a value was taken.
    #[error("{0} has no place for times")]
    Time(ContentFormat),
    /// The path is no resource, not within the base, or named twice.
    #[error("there can be no value at {0}")]
    Path(Path),
    /// The value or its time is infinite or no number.
    #[error("the value at {0} or its time is not a finite number")]
    NotFinite(Path),
    /// The value does not fit into the format.
    #[error("the value at {0} is too large")]
    TooLarge(Path),
}

/// Reads the values of a payload that answers a request for `base`, or that is written to `base`.
///
/// Names in the payload are absolute; with [`Path::ROOT`] as base any are taken. Types that the payload
/// does not tell are looked up, and are opaque if they are not known.
///
/// # Errors
/// If the format is not understood or the payload breaks its rules or a limit.
pub fn decode(format: ContentFormat, base: &Path, payload: &[u8]) -> Result<Vec<Record>, DecodeError> {
    if payload.len() > limits::PAYLOAD_BYTES_MAX {
        return Err(DecodeError::TooLarge);
    }
    match format.canonical() {
        ContentFormat::TEXT => text::decode(base, payload),
        ContentFormat::OPAQUE => opaque::decode(base, payload),
        ContentFormat::CBOR => cbor::decode(base, payload),
        ContentFormat::TLV => tlv::decode(base, payload),
        ContentFormat::SENML_JSON => senml::values(&senml_json::entries(payload)?, base),
        ContentFormat::SENML_CBOR => senml::values(&senml_cbor::entries(payload)?, base),
        ContentFormat::JSON => json::decode(base, payload),
        ContentFormat::LWM2M_CBOR => lwm2m_cbor::decode(base, payload),
        _ => Err(DecodeError::Format(format)),
    }
}

/// Writes values that answer a request for `base`, or that are written to `base`.
///
/// # Errors
/// If the format cannot hold these values.
pub fn encode(format: ContentFormat, base: &Path, records: &[Record]) -> Result<Vec<u8>, EncodeError> {
    for record in records {
        if record.path.depth() < 3 || !record.path.is_within(base) {
            return Err(EncodeError::Path(record.path));
        }
        let is_finite = record.time.is_none_or(f64::is_finite)
            && !matches!(record.value, Value::Float(float) if !float.is_finite());
        if !is_finite {
            return Err(EncodeError::NotFinite(record.path));
        }
    }
    let is_senml = matches!(format.canonical(), ContentFormat::SENML_JSON | ContentFormat::SENML_CBOR);
    if !is_senml && records.iter().any(|record| record.time.is_some()) {
        return Err(EncodeError::Time(format));
    }
    match format.canonical() {
        ContentFormat::TEXT => Ok(single(format, records)?.value.to_text().into_bytes()),
        ContentFormat::OPAQUE => opaque::encode(single(format, records)?),
        ContentFormat::CBOR => Ok(cbor::encode(&single(format, records)?.value)),
        ContentFormat::TLV => tlv::encode(base, records),
        ContentFormat::SENML_JSON => senml_json::encode(records),
        ContentFormat::SENML_CBOR => senml_cbor::encode(records),
        ContentFormat::LWM2M_CBOR => lwm2m_cbor::encode(records),
        _ => Err(EncodeError::Format(format)),
    }
}

/// Reads the paths that a Read-Composite or Observe-Composite names (LwM2M 1.1 core, 6.3.7).
///
/// # Errors
/// If the format is none that names paths, or the payload breaks its rules or a limit.
pub fn decode_paths(format: ContentFormat, payload: &[u8]) -> Result<Vec<Path>, DecodeError> {
    if payload.len() > limits::PAYLOAD_BYTES_MAX {
        return Err(DecodeError::TooLarge);
    }
    let entries = match format.canonical() {
        ContentFormat::SENML_JSON => senml_json::entries(payload)?,
        ContentFormat::SENML_CBOR => senml_cbor::entries(payload)?,
        _ => return Err(DecodeError::Format(format)),
    };
    senml::paths(&entries)
}

/// Writes the paths that a Read-Composite or Observe-Composite names.
///
/// # Errors
/// If the format is none that names paths.
pub fn encode_paths(format: ContentFormat, paths: &[Path]) -> Result<Vec<u8>, EncodeError> {
    match format.canonical() {
        ContentFormat::SENML_JSON => Ok(senml_json::encode_paths(paths)),
        ContentFormat::SENML_CBOR => Ok(senml_cbor::encode_paths(paths)),
        _ => Err(EncodeError::Format(format)),
    }
}

/// A time on top of a base time, of SenML and of LwM2M's own JSON.
fn time(base: Option<f64>, time: Option<f64>, format: &'static str) -> Result<Option<f64>, DecodeError> {
    let sum = match (base, time) {
        (None, None) => return Ok(None),
        (base, time) => base.unwrap_or_default() + time.unwrap_or_default(),
    };
    if sum.is_finite() { Ok(Some(sum)) } else { Err(DecodeError::Malformed { format, what: "a time is too large" }) }
}

/// The only record, of a format that holds one value.
fn single(format: ContentFormat, records: &[Record]) -> Result<&Record, EncodeError> {
    match records {
        [record] => Ok(record),
        _ => Err(EncodeError::Single(format)),
    }
}

/// A base for a format that holds one value without a name: it must be a resource or an instance of one.
fn single_base(format: ContentFormat, base: &Path) -> Result<Path, DecodeError> {
    if base.depth() < 3 { Err(DecodeError::Format(format)) } else { Ok(*base) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing;

    /// The formats that hold several values.
    const SEVERAL: [ContentFormat; 4] =
        [ContentFormat::TLV, ContentFormat::SENML_JSON, ContentFormat::SENML_CBOR, ContentFormat::LWM2M_CBOR];

    fn path(text: &str) -> Path {
        text.parse().expect("a path")
    }

    #[test]
    fn a_format_that_is_not_known_is_named() {
        let format = ContentFormat::new(9999);
        assert_eq!(decode(format, &path("/3/0"), b""), Err(DecodeError::Format(format)));
        assert_eq!(encode(format, &path("/3/0"), &[]), Err(EncodeError::Format(format)));
        assert_eq!(decode_paths(ContentFormat::TLV, b""), Err(DecodeError::Format(ContentFormat::TLV)));
        assert_eq!(DecodeError::Format(format).code(), Code::UNSUPPORTED_CONTENT_FORMAT);
    }

    #[test]
    fn a_payload_beyond_the_limit_is_refused_before_it_is_read() {
        let payload = vec![b'0'; limits::PAYLOAD_BYTES_MAX + 1];
        assert_eq!(decode(ContentFormat::TEXT, &path("/3/0/9"), &payload), Err(DecodeError::TooLarge));
        assert_eq!(decode_paths(ContentFormat::SENML_JSON, &payload), Err(DecodeError::TooLarge));
        assert!(decode(ContentFormat::OPAQUE, &path("/5/0/0"), &payload[1..]).is_ok());
    }

    #[test]
    fn formats_of_one_value_hold_no_more_and_no_less() {
        let record = Record::new(path("/3/0/9"), Value::Integer(100));
        let two = [record.clone(), record];
        for format in [ContentFormat::TEXT, ContentFormat::OPAQUE, ContentFormat::CBOR] {
            assert_eq!(encode(format, &path("/3/0"), &two), Err(EncodeError::Single(format)));
            assert_eq!(decode(format, &path("/3/0"), b"1"), Err(DecodeError::Format(format)));
        }
    }

    #[test]
    fn what_no_format_can_hold_is_refused() {
        let outside = Record::new(path("/3/0/9"), Value::Integer(100));
        let infinite = Record::new(path("/3303/0/5700"), Value::Float(f64::INFINITY));
        let timed = Record { time: Some(1.0), ..outside.clone() };
        let encode =
            |base: &str, record: &Record| encode(ContentFormat::TLV, &path(base), std::slice::from_ref(record));
        assert_eq!(encode("/4", &outside), Err(EncodeError::Path(outside.path)));
        assert_eq!(encode("/3303", &infinite), Err(EncodeError::NotFinite(infinite.path)));
        assert_eq!(encode("/3", &timed), Err(EncodeError::Time(ContentFormat::TLV)));
        let never = Record { time: Some(f64::NAN), ..timed };
        assert_eq!(encode("/3", &never), Err(EncodeError::NotFinite(never.path)));
    }

    proptest! {
        #[test]
        fn values_of_an_object_read_back_from_every_format((base, records) in testing::object()) {
            for format in SEVERAL {
                let payload = encode(format, &base, &records).expect("any format holds these");
                let read = decode(format, &base, &payload);
                prop_assert_eq!(read.as_ref(), Ok(&records), "{:?}", format);
            }
        }

        #[test]
        fn a_single_value_reads_back_from_every_format(record in testing::record()) {
            for format in SEVERAL.into_iter().chain([ContentFormat::TEXT, ContentFormat::CBOR]) {
                let payload = encode(format, &record.path, std::slice::from_ref(&record)).expect("any format holds it");
                let read = decode(format, &record.path, &payload).expect("reads back");
                prop_assert_eq!(&read[..], std::slice::from_ref(&record), "{:?}", format);
            }
        }

        #[test]
        fn times_read_back_from_senml((_, mut records) in testing::object(), times: Vec<u32>) {
            for (record, time) in records.iter_mut().zip(times) {
                record.time = Some(f64::from(time) / 4.0);
            }
            for format in [ContentFormat::SENML_JSON, ContentFormat::SENML_CBOR] {
                let payload = encode(format, &Path::ROOT, &records).expect("SenML holds these");
                let read = decode(format, &Path::ROOT, &payload);
                prop_assert_eq!(read.as_ref(), Ok(&records));
            }
        }

        #[test]
        fn paths_read_back(paths in prop::collection::vec(testing::path(), 0..20)) {
            for format in [ContentFormat::SENML_JSON, ContentFormat::SENML_CBOR] {
                let payload = encode_paths(format, &paths).expect("SenML names paths");
                let read = decode_paths(format, &payload);
                prop_assert_eq!(read.as_ref(), Ok(&paths));
            }
        }

        #[test]
        fn no_payload_breaks_a_decoder(base in testing::path(), payload: Vec<u8>) {
            for format in [0, 42, 60, 110, 112, 11542, 11543, 11544] {
                let _ = decode(ContentFormat::new(format), &base, &payload);
            }
        }

        #[test]
        fn no_damage_to_a_payload_breaks_a_decoder(
            (base, records) in testing::object(), at: prop::sample::Index, byte: u8, cut: prop::sample::Index,
        ) {
            for format in SEVERAL {
                let mut payload = encode(format, &base, &records).expect("any format holds these");
                if !payload.is_empty() {
                    let at = at.index(payload.len());
                    payload[at] = byte;
                    payload.truncate(cut.index(payload.len()) + 1);
                }
                let _ = decode(format, &base, &payload);
            }
        }
    }
}
