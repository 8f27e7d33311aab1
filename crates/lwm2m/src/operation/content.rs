//! Between values at paths and the content that applications write and read.
//!
//! An application reads one value as the text it is, bytes as bytes, and several values as SenML in
//! JSON. It writes one value as text, as a JSON scalar or as bytes, and several in any format that
//! names their places.

use bugle_core::Content;
use thiserror::Error;

use crate::codec::{self, DecodeError, EncodeError, Record};
use crate::{ContentFormat, DataType, Instances, Path, TypeError, Value, objects};

/// A content that cannot be written to its path. The fault is of the application.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ContentError {
    /// An object instance needs a content that names resources.
    #[error("content of type {0:?} is one value, and {1} is no resource; several values go as application/senml+json")]
    Several(String, Path),
    /// It says it is text, and is not.
    #[error("the text is not UTF-8")]
    Utf8,
    /// It is no JSON scalar.
    #[error("JSON for a resource is a number, a string, true or false")]
    Json,
    /// It is of another type than the resource.
    #[error(transparent)]
    Type(#[from] TypeError),
    /// It breaks the rules of its format.
    #[error(transparent)]
    Format(#[from] DecodeError),
    /// It holds no value.
    #[error("there is no value to write")]
    Empty,
}

/// The content of values that were read at `path`.
///
/// # Errors
/// If a value is not a finite number.
pub fn to_content(path: &Path, records: &[Record]) -> Result<Content, EncodeError> {
    match records {
        [Record { path: at, time: None, value }] if at == path => Ok(match value {
            Value::Opaque(bytes) => content(ContentFormat::OPAQUE, bytes.clone()),
            Value::CoreLink(links) => content(ContentFormat::LINK_FORMAT, links.clone().into_bytes()),
            value => Content::text(value.to_text()),
        }),
        _ => {
            let payload = codec::encode(ContentFormat::SENML_JSON, path, records)?;
            Ok(content(ContentFormat::SENML_JSON, payload))
        }
    }
}

fn content(format: ContentFormat, bytes: Vec<u8>) -> Content {
    let content_type = format.media_type().expect("a format that is known here has a name").to_owned();
    Content { content_type, bytes }
}

/// The values that a content writes to `path`.
pub(super) fn from_content(path: &Path, content: &Content) -> Result<Vec<Record>, ContentError> {
    let records = match ContentFormat::from_media_type(&content.content_type) {
        Some(
            format @ (ContentFormat::SENML_JSON
            | ContentFormat::SENML_CBOR
            | ContentFormat::TLV
            | ContentFormat::JSON
            | ContentFormat::LWM2M_CBOR
            | ContentFormat::CBOR),
        ) => codec::decode(format, path, &content.bytes)?,
        _ if path.depth() < 3 => return Err(ContentError::Several(content.content_type.clone(), *path)),
        _ => vec![Record::new(place(path), value(path, content)?)],
    };
    if records.is_empty() { Err(ContentError::Empty) } else { Ok(records) }
}

/// Where one value goes: the first instance of a resource that is known to have several.
fn place(path: &Path) -> Path {
    let is_multiple = path.depth() == 3
        && path
            .object()
            .zip(path.resource())
            .and_then(|(object, resource)| objects::definition(object, resource))
            .is_some_and(|known| known.instances == Instances::Multiple);
    if is_multiple { path.child(0).expect("a resource has room for instances below it") } else { *path }
}

fn value(path: &Path, content: &Content) -> Result<Value, ContentError> {
    let data_type = DataType::of(path);
    // A resource of bytes takes the bytes, whatever they are called.
    if data_type == Some(DataType::Opaque) {
        return Ok(Value::Opaque(content.bytes.clone()));
    }
    let media_type = content.content_type.split(';').next().unwrap_or_default().trim();
    let text = || content.as_text().ok_or(ContentError::Utf8);
    match media_type {
        "application/json" => json_scalar(&content.bytes).and_then(|text| typed(data_type, &text)),
        "" | "text/plain" | "application/link-format" => typed(data_type, text()?),
        _ => Ok(Value::Opaque(content.bytes.clone())),
    }
}

fn typed(data_type: Option<DataType>, text: &str) -> Result<Value, ContentError> {
    Ok(Value::from_text(data_type.unwrap_or(DataType::String), text)?)
}

fn json_scalar(bytes: &[u8]) -> Result<String, ContentError> {
    match serde_json::from_slice(bytes) {
        Ok(serde_json::Value::String(text)) => Ok(text),
        Ok(scalar @ (serde_json::Value::Number(_) | serde_json::Value::Bool(_))) => Ok(scalar.to_string()),
        _ => Err(ContentError::Json),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> Path {
        text.parse().expect("a path")
    }

    fn written(at: &str, content_type: &str, bytes: &[u8]) -> Result<Vec<Record>, ContentError> {
        from_content(&path(at), &Content { content_type: content_type.into(), bytes: bytes.into() })
    }

    fn one(at: &str, value: Value) -> Result<Vec<Record>, ContentError> {
        Ok(vec![Record::new(path(at), value)])
    }

    #[test]
    fn one_value_is_read_as_text_and_bytes_as_bytes() {
        let read = |at: &str, value| to_content(&path(at), &[Record::new(path(at), value)]).expect("a content");
        assert_eq!(read("/3303/0/5700", Value::Float(21.5)), Content::text("21.5"));
        assert_eq!(read("/3/0/0", Value::String("OMA".into())), Content::text("OMA"));
        let bytes = read("/5/0/0", Value::Opaque(vec![0xff]));
        assert_eq!((bytes.content_type.as_str(), bytes.bytes), ("application/octet-stream", vec![0xff]));
    }

    #[test]
    fn several_values_are_read_as_senml() {
        let records = [
            Record::new(path("/3311/0/5850"), Value::Boolean(true)),
            Record::new(path("/3311/0/5851"), Value::Integer(40)),
        ];
        let content = to_content(&path("/3311/0"), &records).expect("a content");
        assert_eq!(content.content_type, "application/senml+json");
        assert_eq!(content.as_text(), Some(r#"[{"bn":"/3311/0/","n":"5850","vb":true},{"n":"5851","v":40}]"#));
        let timed = [Record { time: Some(-5.0), ..records[0].clone() }];
        assert_eq!(to_content(&timed[0].path, &timed).expect("a content").content_type, "application/senml+json");
    }

    #[test]
    fn text_and_json_scalars_get_the_type_of_the_resource() {
        assert_eq!(written("/3311/0/5850", "", b"1"), one("/3311/0/5850", Value::Boolean(true)));
        assert_eq!(written("/3311/0/5850", "application/json", b"true"), one("/3311/0/5850", Value::Boolean(true)));
        assert_eq!(
            written("/3311/0/5851", "text/plain; charset=utf-8", b"40"),
            one("/3311/0/5851", Value::Integer(40))
        );
        assert_eq!(written("/3308/0/5900", "application/json", b"21.5"), one("/3308/0/5900", Value::Float(21.5)));
        assert_eq!(
            written("/3/0/14", "application/json", br#""+02:00""#),
            one("/3/0/14", Value::String("+02:00".into()))
        );
        assert_eq!(written("/26241/0/0", "", b"21"), one("/26241/0/0", Value::String("21".into())));
        assert_eq!(written("/5/0/0", "text/plain", b"AQI="), one("/5/0/0", Value::Opaque(b"AQI=".to_vec())));
        assert_eq!(written("/26241/0/0", "image/png", &[0x89]), one("/26241/0/0", Value::Opaque(vec![0x89])));
    }

    #[test]
    fn one_value_for_a_resource_of_several_instances_goes_to_the_first() {
        assert_eq!(written("/19/0/0", "text/plain", b"hello"), one("/19/0/0/0", Value::Opaque(b"hello".to_vec())));
        assert_eq!(written("/19/0/0/3", "text/plain", b"x"), one("/19/0/0/3", Value::Opaque(b"x".to_vec())));
    }

    #[test]
    fn several_values_are_written_in_a_format_that_names_their_places() {
        let json = br#"[{"bn":"/3311/0/","n":"5850","vb":true},{"n":"5851","v":40}]"#;
        assert_eq!(written("/3311/0", "application/senml+json", json).map(|records| records.len()), Ok(2));
        let outside = written("/3303/0", "application/senml+json", json);
        assert!(matches!(outside, Err(ContentError::Format(DecodeError::Outside { .. }))));
        assert!(matches!(written("/3311/0", "text/plain", b"1"), Err(ContentError::Several(..))));
        assert_eq!(written("/3311/0", "application/senml+json", b"[]"), Err(ContentError::Empty));
    }

    #[test]
    fn what_is_no_value_of_the_resource_is_refused() {
        assert_eq!(written("/3311/0/5851", "", b"half"), Err(ContentError::Type(TypeError(DataType::Integer))));
        assert_eq!(written("/3/0/14", "", &[0xff]), Err(ContentError::Utf8));
        assert_eq!(written("/3311/0/5851", "application/json", b"{}"), Err(ContentError::Json));
    }
}
