//! Content formats: their numbers in CoAP, their names, and which of them a client offers.

use std::fmt;

/// What a payload is, by its number in the CoAP Content-Formats registry.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContentFormat(u16);

macro_rules! content_formats {
    ($($(#[$doc:meta])* $constant:ident = $number:literal, $name:literal;)*) => {
        impl ContentFormat {
            $($(#[$doc])* pub const $constant: Self = Self($number);)*

            const ALL: &'static [Self] = &[$(Self::$constant,)*];

            /// Its media type, if it is one of those known here.
            #[must_use]
            pub const fn media_type(self) -> Option<&'static str> {
                match self {
                    $(Self::$constant => Some($name),)*
                    _ => None,
                }
            }
        }
    };
}

content_formats! {
    /// Plain text: one value (LwM2M 1.1 core, 7.4.1).
    TEXT = 0, "text/plain";
    /// CoRE link format (RFC 6690).
    LINK_FORMAT = 40, "application/link-format";
    /// Opaque: the bytes of one value (7.4.2).
    OPAQUE = 42, "application/octet-stream";
    /// CBOR: one value (7.4.3).
    CBOR = 60, "application/cbor";
    /// SenML in JSON (7.4.4; RFC 8428).
    SENML_JSON = 110, "application/senml+json";
    /// SenML in CBOR (7.4.4; RFC 8428).
    SENML_CBOR = 112, "application/senml+cbor";
    /// SenML in JSON for FETCH and iPATCH (RFC 8790).
    SENML_ETCH_JSON = 320, "application/senml-etch+json";
    /// SenML in CBOR for FETCH and iPATCH (RFC 8790).
    SENML_ETCH_CBOR = 322, "application/senml-etch+cbor";
    /// LwM2M's own TLV (7.4.5).
    TLV = 11542, "application/vnd.oma.lwm2m+tlv";
    /// LwM2M's own JSON, of 1.0 (LwM2M 1.0, 6.4.4).
    JSON = 11543, "application/vnd.oma.lwm2m+json";
    /// LwM2M's own CBOR (LwM2M 1.2 core, 7.4.7).
    LWM2M_CBOR = 11544, "application/vnd.oma.lwm2m+cbor";
}

impl ContentFormat {
    /// The format with this number.
    #[must_use]
    pub const fn new(number: u16) -> Self {
        Self(number)
    }

    /// Its number.
    #[must_use]
    pub const fn number(self) -> u16 {
        self.0
    }

    /// The format with this media type; parameters, as in `text/plain; charset=utf-8`, do not matter.
    #[must_use]
    pub fn from_media_type(media_type: &str) -> Option<Self> {
        let bare = media_type.split(';').next().unwrap_or_default().trim();
        Self::ALL.iter().copied().find(|format| format.media_type().is_some_and(|name| name.eq_ignore_ascii_case(bare)))
    }

    /// The same format by its present number: clients from before the registration of LwM2M's own
    /// formats send 1541 to 1543, and RFC 8790's formats are SenML as far as reading goes.
    #[must_use]
    pub const fn canonical(self) -> Self {
        match self.0 {
            1541 => Self::TEXT,
            1542 => Self::TLV,
            1543 => Self::JSON,
            320 => Self::SENML_JSON,
            322 => Self::SENML_CBOR,
            _ => self,
        }
    }
}

impl fmt::Display for ContentFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.media_type() {
            Some(name) => write!(f, "{name} ({})", self.0),
            None => self.0.fmt(f),
        }
    }
}

impl fmt::Debug for ContentFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A set of content formats that carry values; others are not kept.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct ContentFormats(u8);

impl ContentFormats {
    /// In the order of their bits.
    const MEMBERS: [ContentFormat; 8] = [
        ContentFormat::TEXT,
        ContentFormat::OPAQUE,
        ContentFormat::CBOR,
        ContentFormat::SENML_JSON,
        ContentFormat::SENML_CBOR,
        ContentFormat::TLV,
        ContentFormat::JSON,
        ContentFormat::LWM2M_CBOR,
    ];

    /// The set without members.
    pub const NONE: Self = Self(0);

    /// Adds a format, if it carries values.
    pub fn insert(&mut self, format: ContentFormat) {
        if let Some(bit) = Self::MEMBERS.iter().position(|member| *member == format.canonical()) {
            self.0 |= 1 << bit;
        }
    }

    /// Whether a format is in the set.
    #[must_use]
    pub fn contains(self, format: ContentFormat) -> bool {
        let bit = Self::MEMBERS.iter().position(|member| *member == format.canonical());
        bit.is_some_and(|bit| self.0 & (1 << bit) != 0)
    }

    /// Whether it has no members.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Its members, by number.
    pub fn iter(self) -> impl Iterator<Item = ContentFormat> {
        Self::MEMBERS.into_iter().filter(move |format| self.contains(*format))
    }

    /// The set that a `ct` attribute names, as `110` or `60 110 11542`; what is no number is passed over.
    #[must_use]
    pub fn from_ct(ct: &str) -> Self {
        ct.split_ascii_whitespace().filter_map(|number| number.parse().ok()).map(ContentFormat).collect()
    }
}

impl FromIterator<ContentFormat> for ContentFormats {
    fn from_iter<I: IntoIterator<Item = ContentFormat>>(formats: I) -> Self {
        let mut set = Self::NONE;
        formats.into_iter().for_each(|format| set.insert(format));
        set
    }
}

impl fmt::Debug for ContentFormats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_is_found_by_its_media_type() {
        for format in ContentFormat::ALL {
            let name = format.media_type().expect("a known format has a name");
            assert_eq!(ContentFormat::from_media_type(name), Some(*format));
        }
        assert_eq!(ContentFormat::from_media_type("Text/Plain; charset=utf-8"), Some(ContentFormat::TEXT));
        assert_eq!(ContentFormat::from_media_type("image/png"), None);
    }

    #[test]
    fn the_numbers_from_before_registration_are_understood() {
        assert_eq!(ContentFormat::new(1542).canonical(), ContentFormat::TLV);
        assert_eq!(ContentFormat::new(1543).canonical(), ContentFormat::JSON);
        assert_eq!(ContentFormat::new(9999).canonical(), ContentFormat::new(9999));
    }

    #[test]
    fn the_formats_of_a_ct_attribute_are_kept_and_others_passed_over() {
        let formats = ContentFormats::from_ct("40 60 110 112 1542 x 11543");
        let members: Vec<u16> = formats.iter().map(ContentFormat::number).collect();
        assert_eq!(members, [60, 110, 112, 11542, 11543]);
        assert!(!formats.contains(ContentFormat::LINK_FORMAT));
        assert!(ContentFormats::from_ct("").is_empty());
    }
}
