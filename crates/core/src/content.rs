//! Bytes with a content type: what is written, answered, told and reported.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Bytes and their content type.
///
/// In JSON `{"content_type": "...", "text": "..."}` where the bytes are UTF-8, else `"base64"` in
/// place of `"text"`; either is read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Content {
    /// The media type, as `text/plain`; empty where nobody named one.
    pub content_type: String,
    /// The bytes as they travel.
    pub bytes: Vec<u8>,
}

impl Content {
    /// Content of type `text/plain`.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self { content_type: "text/plain".into(), bytes: text.into().into_bytes() }
    }

    /// The bytes as text, if they are UTF-8.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        std::str::from_utf8(&self.bytes).ok()
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(as = Content))]
pub(crate) struct Json<'c> {
    /// The media type, as `text/plain`.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    content_type: Cow<'c, str>,
    /// The bytes, where they are UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    text: Option<Cow<'c, str>>,
    /// The bytes in base 64, where they are not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    base64: Option<String>,
}

impl Serialize for Content {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (text, base64) = match self.as_text() {
            Some(text) => (Some(text.into()), None),
            None => (None, Some(STANDARD.encode(&self.bytes))),
        };
        Json { content_type: (&self.content_type).into(), text, base64 }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Content {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let json = Json::deserialize(deserializer)?;
        let bytes = match (json.text, json.base64) {
            (Some(text), None) => text.into_owned().into_bytes(),
            (None, Some(base64)) => {
                STANDARD.decode(base64).map_err(|error| de::Error::custom(format!("base64: {error}")))?
            }
            (None, None) => Vec::new(),
            (Some(_), Some(_)) => return Err(de::Error::custom("either text or base64, not both")),
        };
        Ok(Self { content_type: json.content_type.into_owned(), bytes })
    }
}

#[cfg(feature = "schema")]
impl utoipa::PartialSchema for Content {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        Json::schema()
    }
}

#[cfg(feature = "schema")]
impl utoipa::ToSchema for Content {
    fn name() -> std::borrow::Cow<'static, str> {
        "Content".into()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn text_stays_readable_in_json() {
        let json = serde_json::to_string(&Content::text("on")).expect("content is JSON");
        assert_eq!(json, r#"{"content_type":"text/plain","text":"on"}"#);
    }

    #[test]
    fn content_given_twice_is_refused() {
        assert!(serde_json::from_str::<Content>(r#"{"text":"a","base64":"YQ=="}"#).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_survive_json(content_type in "[a-z/]{0,12}", bytes: Vec<u8>) {
            let content = Content { content_type, bytes };
            let json = serde_json::to_string(&content).expect("content is JSON");
            prop_assert_eq!(serde_json::from_str::<Content>(&json).expect("reads back"), content);
        }
    }
}
