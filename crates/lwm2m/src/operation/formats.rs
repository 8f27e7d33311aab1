//! Which content format to use with a client: what it offers first, then what its version mostly
//! understands. The order is also the order of tries, should the client refuse one.

use crate::codec::Record;
use crate::registration::Registration;
use crate::{ContentFormat, DataType, Path, Value, Version};

/// What a client is asked to answer in. None leaves it to the client: whoever does not say what it
/// offers does best what it does by itself, and everything is read here.
pub(super) fn accept(registration: &Registration) -> Option<ContentFormat> {
    // Formats that say types before the one that does not; short ones first.
    [ContentFormat::SENML_CBOR, ContentFormat::SENML_JSON, ContentFormat::LWM2M_CBOR, ContentFormat::TLV]
        .into_iter()
        .find(|format| registration.formats().contains(*format))
}

/// In what values are written to `base`, best first.
pub(super) fn for_values(registration: &Registration, base: &Path, records: &[Record]) -> Vec<ContentFormat> {
    let several = several_values(registration.version());
    match records {
        [record] if record.path == *base => {
            // The client knows the type of text that is not known here; another format would tell a wrong one.
            if matches!(record.value, Value::String(_)) && DataType::of(base).is_none() {
                return vec![ContentFormat::TEXT];
            }
            let plain = match record.value {
                Value::Opaque(_) => ContentFormat::OPAQUE,
                _ => ContentFormat::TEXT,
            };
            let mut formats = vec![plain];
            formats.extend_from_slice(several);
            if registration.version() > Version::V1_0 {
                formats.push(ContentFormat::CBOR);
            }
            offered_first(registration, formats)
        }
        _ => offered_first(registration, several.to_vec()),
    }
}

/// In what paths and values of composite operations are written, best first: they have to name
/// whole paths.
pub(super) fn for_composite(registration: &Registration) -> Vec<ContentFormat> {
    offered_first(registration, vec![ContentFormat::SENML_CBOR, ContentFormat::SENML_JSON])
}

/// TLV is in every client of 1.0, and in most of 1.1; of 1.2 there are some without.
const fn several_values(version: Version) -> &'static [ContentFormat] {
    match version {
        Version::V1_0 => &[ContentFormat::TLV],
        Version::V1_1 => &[ContentFormat::TLV, ContentFormat::SENML_CBOR, ContentFormat::SENML_JSON],
        Version::V1_2 => {
            &[ContentFormat::SENML_CBOR, ContentFormat::SENML_JSON, ContentFormat::LWM2M_CBOR, ContentFormat::TLV]
        }
    }
}

fn offered_first(registration: &Registration, mut formats: Vec<ContentFormat>) -> Vec<ContentFormat> {
    // The sort is stable: within each half the order stays.
    formats.sort_by_key(|format| !registration.formats().contains(*format));
    formats
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::registration;

    fn path(text: &str) -> Path {
        text.parse().expect("a path")
    }

    fn written(version: Version, ct: &str, base: &str, value: Value) -> Vec<u16> {
        let base = path(base);
        let formats = for_values(&registration(version, ct), &base, &[Record::new(base, value)]);
        formats.into_iter().map(ContentFormat::number).collect()
    }

    #[test]
    fn a_client_is_asked_for_what_it_offers_and_else_for_nothing() {
        let accept = |ct| accept(&registration(Version::V1_1, ct)).map(ContentFormat::number);
        assert_eq!(accept("60 110 112 11542"), Some(112));
        assert_eq!(accept("110"), Some(110));
        assert_eq!(accept("1542"), Some(11542));
        assert_eq!(accept("60"), None);
        assert_eq!(accept(""), None);
    }

    #[test]
    fn a_value_is_written_plainly_unless_the_client_offers_better() {
        assert_eq!(written(Version::V1_0, "", "/3311/0/5851", Value::Integer(1)), [0, 11542]);
        assert_eq!(written(Version::V1_1, "", "/3311/0/5851", Value::Integer(1)), [0, 11542, 112, 110, 60]);
        assert_eq!(written(Version::V1_2, "60", "/5/0/0", Value::Opaque(vec![1])), [60, 42, 112, 110, 11544, 11542]);
        assert_eq!(written(Version::V1_1, "110", "/3311/0/5851", Value::Integer(1)), [110, 0, 11542, 112, 60]);
    }

    #[test]
    fn text_of_an_unknown_type_stays_text() {
        assert_eq!(written(Version::V1_1, "110", "/26241/0/1", Value::String("21".into())), [0]);
    }

    #[test]
    fn several_values_go_in_what_the_version_mostly_understands() {
        let record = Record::new(path("/19/0/0/0"), Value::Opaque(vec![1]));
        let formats =
            |version, ct| for_values(&registration(version, ct), &path("/19/0/0"), std::slice::from_ref(&record));
        assert_eq!(formats(Version::V1_0, ""), [ContentFormat::TLV]);
        assert_eq!(formats(Version::V1_1, "")[0], ContentFormat::TLV);
        assert_eq!(formats(Version::V1_1, "110")[0], ContentFormat::SENML_JSON);
        assert_eq!(formats(Version::V1_2, "")[0], ContentFormat::SENML_CBOR);
        assert_eq!(for_composite(&registration(Version::V1_1, "110"))[0], ContentFormat::SENML_JSON);
    }
}
