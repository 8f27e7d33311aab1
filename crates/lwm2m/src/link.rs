//! Links in CoRE link format (RFC 6690, 2): what a client registers, and what Discover answers.

use std::fmt;

use thiserror::Error;

use crate::limits;

/// A link and what is said of its target, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Where it points, as `/3/0`.
    pub target: String,
    /// Names with their values, if they have any; quotes are not part of a value.
    pub attributes: Vec<(String, Option<String>)>,
}

/// A payload is not in CoRE link format. The fault is of the peer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum LinkError {
    /// It breaks the grammar.
    #[error("the payload is no CoRE link format at byte {at}")]
    Malformed {
        /// How many bytes of it are in order.
        at: usize,
    },
    /// There are too many links or attributes.
    #[error("more than {} links or {} attributes of one", limits::LINKS_MAX, limits::LINK_ATTRIBUTES_MAX)]
    TooMany,
}

impl Link {
    /// A link of which nothing is said.
    #[must_use]
    pub fn new(target: impl fmt::Display) -> Self {
        Self { target: target.to_string(), attributes: Vec::new() }
    }

    /// The same with an attribute more.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl fmt::Display) -> Self {
        self.attributes.push((name.to_owned(), Some(value.to_string())));
        self
    }

    /// The value of an attribute, if the link has it with one.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(known, _)| known == name)?.1.as_deref()
    }

    /// Reads links; an empty payload has none.
    ///
    /// # Errors
    /// If the payload is no CoRE link format, or exceeds a limit.
    pub fn read_all(payload: &[u8]) -> Result<Vec<Self>, LinkError> {
        let text = std::str::from_utf8(payload).map_err(|error| LinkError::Malformed { at: error.valid_up_to() })?;
        let mut parser = Parser { text, at: 0 };
        let mut links = Vec::new();
        parser.skip_space();
        while parser.at < text.len() {
            if links.len() == limits::LINKS_MAX {
                return Err(LinkError::TooMany);
            }
            if !links.is_empty() {
                parser.expect(',')?;
                parser.skip_space();
            }
            links.push(parser.link()?);
        }
        Ok(links)
    }

    /// Writes links.
    #[must_use]
    pub fn write_all(links: &[Self]) -> String {
        let links: Vec<String> = links.iter().map(Self::to_string).collect();
        links.join(",")
    }
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{}>", self.target)?;
        for (name, value) in &self.attributes {
            match value {
                None => write!(f, ";{name}")?,
                // Numbers and versions need no quotes; all else gets them.
                Some(value) if !value.is_empty() && value.bytes().all(is_bare) => write!(f, ";{name}={value}")?,
                Some(value) => write!(f, ";{name}=\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))?,
            }
        }
        Ok(())
    }
}

const fn is_bare(byte: u8) -> bool {
    byte.is_ascii_digit() || matches!(byte, b'.' | b'-')
}

struct Parser<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Parser<'t> {
    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    const fn malformed(&self) -> LinkError {
        LinkError::Malformed { at: self.at }
    }

    fn skip_space(&mut self) {
        self.at = self.text.len() - self.rest().trim_ascii_start().len();
    }

    fn expect(&mut self, character: char) -> Result<(), LinkError> {
        if !self.rest().starts_with(character) {
            return Err(self.malformed());
        }
        self.at += character.len_utf8();
        Ok(())
    }

    /// What comes before the next of these characters, or all that is left.
    fn until(&mut self, ends: &[char]) -> &'t str {
        let rest = self.rest();
        let taken = &rest[..rest.find(ends).unwrap_or(rest.len())];
        self.at += taken.len();
        taken
    }

    fn link(&mut self) -> Result<Link, LinkError> {
        self.expect('<')?;
        let target = self.until(&['>', '<']).to_owned();
        self.expect('>')?;
        let mut attributes = Vec::new();
        loop {
            self.skip_space();
            if !self.rest().starts_with(';') {
                return Ok(Link { target, attributes });
            }
            if attributes.len() == limits::LINK_ATTRIBUTES_MAX {
                return Err(LinkError::TooMany);
            }
            self.at += 1;
            self.skip_space();
            attributes.push(self.attribute()?);
        }
    }

    fn attribute(&mut self) -> Result<(String, Option<String>), LinkError> {
        let name = self.until(&['=', ';', ',', '"', '<', '>']).trim_ascii_end().to_owned();
        if name.is_empty() {
            return Err(self.malformed());
        }
        if !self.rest().starts_with('=') {
            return Ok((name, None));
        }
        self.at += 1;
        self.skip_space();
        if self.rest().starts_with('"') {
            return Ok((name, Some(self.quoted()?)));
        }
        let value = self.until(&[';', ',', '"', '<', '>']).trim_ascii_end();
        Ok((name, Some(value.to_owned())))
    }

    /// A text in quotes, in which a backslash takes the next character as it is.
    fn quoted(&mut self) -> Result<String, LinkError> {
        let mut value = String::new();
        let mut characters = self.rest().char_indices().skip(1);
        while let Some((at, character)) = characters.next() {
            match character {
                '"' => {
                    self.at += at + 1;
                    return Ok(value);
                }
                '\\' => value.extend(characters.next().map(|(_, escaped)| escaped)),
                _ => value.push(character),
            }
        }
        Err(self.malformed())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_a_client_registers_is_read() {
        let links = Link::read_all(br#"</>;rt="oma.lwm2m";ct=110,</1>;ver=1.1,</1/0>"#).expect("links");
        let targets: Vec<&str> = links.iter().map(|link| link.target.as_str()).collect();
        assert_eq!(targets, ["/", "/1", "/1/0"]);
        assert_eq!((links[0].attribute("rt"), links[0].attribute("ct")), (Some("oma.lwm2m"), Some("110")));
        assert_eq!(links[1].attribute("ver"), Some("1.1"));
        assert_eq!(Link::write_all(&links), r#"</>;rt="oma.lwm2m";ct=110,</1>;ver=1.1,</1/0>"#);
    }

    #[test]
    fn space_quotes_and_attributes_without_value_are_read() {
        let links = Link::read_all(br#" </a> ; obs ; title="x\"y,\\;<" , </b>;ct="60 110""#).expect("links");
        assert_eq!(links[0].attributes, [("obs".into(), None), ("title".into(), Some("x\"y,\\;<".into()))]);
        assert_eq!(links[1].attribute("ct"), Some("60 110"));
        assert_eq!(Link::read_all(b""), Ok(Vec::new()));
    }

    #[test]
    fn what_breaks_the_grammar_is_refused_where_it_does() {
        for (text, at) in [
            ("/3/0", 0),
            ("</3/0", 5),
            ("</3/0></4>", 6),
            ("</3/0>,", 7),
            ("</3/0>;=1", 7),
            ("</3/0>;x=\"1", 9),
            ("</3/0>;x=1\"2", 10),
            ("<<", 1),
        ] {
            assert_eq!(Link::read_all(text.as_bytes()), Err(LinkError::Malformed { at }), "{text}");
        }
        assert_eq!(Link::read_all(b"</\xff>"), Err(LinkError::Malformed { at: 2 }));
    }

    #[test]
    fn links_and_attributes_stop_at_the_limit() {
        let links = |count| vec!["</1>"; count].join(",").into_bytes();
        assert_eq!(Link::read_all(&links(limits::LINKS_MAX)).map(|links| links.len()), Ok(limits::LINKS_MAX));
        assert_eq!(Link::read_all(&links(limits::LINKS_MAX + 1)), Err(LinkError::TooMany));
        let attributes = |count: usize| format!("</1>{}", ";a".repeat(count)).into_bytes();
        assert!(Link::read_all(&attributes(limits::LINK_ATTRIBUTES_MAX)).is_ok());
        assert_eq!(Link::read_all(&attributes(limits::LINK_ATTRIBUTES_MAX + 1)), Err(LinkError::TooMany));
    }

    fn link() -> impl Strategy<Value = Link> {
        let attribute = ("[a-z]{1,8}", prop::option::of(".{0,12}"));
        ("[/0-9a-z ]{0,12}", prop::collection::vec(attribute, 0..4))
            .prop_map(|(target, attributes)| Link { target, attributes })
    }

    proptest! {
        #[test]
        fn links_read_back_as_written(links in prop::collection::vec(link(), 0..6)) {
            prop_assert_eq!(Link::read_all(Link::write_all(&links).as_bytes()), Ok(links));
        }

        #[test]
        fn no_payload_breaks_the_parser(payload: Vec<u8>, text in "[</>;=,\"\\\\a1 ]{0,40}") {
            let _ = Link::read_all(&payload);
            if let Ok(links) = Link::read_all(text.as_bytes()) {
                prop_assert_eq!(Link::read_all(Link::write_all(&links).as_bytes()), Ok(links));
            }
        }
    }
}
