//! Patterns over identifiers, as a policy writes them.

use std::collections::BTreeSet;
use std::fmt;

use serde::de::{self, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// The word that stands for every identifier.
const ALL: &str = "all";

/// A set of identifiers: some by name, some by pattern, where `*` stands for any characters and `?`
/// for any one.
///
/// In a file either the word `all`, or one pattern, or a list of them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Patterns {
    exact: BTreeSet<String>,
    globs: Vec<String>,
}

impl Patterns {
    /// The set of all identifiers.
    #[must_use]
    pub fn all() -> Self {
        Self { exact: BTreeSet::new(), globs: vec!["*".into()] }
    }

    /// The set that these patterns make together.
    pub fn new<'a>(patterns: impl IntoIterator<Item = &'a str>) -> Self {
        let mut set = Self::default();
        for pattern in patterns {
            set.insert(pattern);
        }
        set
    }

    /// Whether `text` is in the set.
    #[must_use]
    pub fn contains(&self, text: &str) -> bool {
        self.exact.contains(text) || self.globs.iter().any(|glob| is_match(glob.as_bytes(), text.as_bytes()))
    }

    /// The identifiers that are in the set by name.
    pub fn exact(&self) -> impl Iterator<Item = &str> {
        self.exact.iter().map(String::as_str)
    }

    fn insert(&mut self, pattern: &str) {
        if pattern.contains(['*', '?']) {
            self.globs.push(pattern.into());
        } else {
            self.exact.insert(pattern.into());
        }
    }
}

/// Matches without recursion: on a mismatch the last `*` takes one character more. What an earlier
/// `*` took never has to change, so the time is at most the product of the lengths.
fn is_match(glob: &[u8], text: &[u8]) -> bool {
    let (mut g, mut t) = (0, 0);
    let mut last_star: Option<(usize, usize)> = None;
    while t < text.len() {
        match glob.get(g) {
            Some(b'*') => {
                last_star = Some((g, t));
                g += 1;
            }
            Some(&byte) if byte == b'?' || byte == text[t] => {
                g += 1;
                t += 1;
            }
            _ => {
                let Some((star, taken)) = last_star else { return false };
                last_star = Some((star, taken + 1));
                g = star + 1;
                t = taken + 1;
            }
        }
    }
    glob[g..].iter().all(|byte| *byte == b'*')
}

impl<'de> Deserialize<'de> for Patterns {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PatternsVisitor)
    }
}

struct PatternsVisitor;

impl<'de> Visitor<'de> for PatternsVisitor {
    type Value = Patterns;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"all\", a pattern or a list of patterns")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Patterns, E> {
        match text {
            "" => Err(E::custom("a pattern must not be empty")),
            ALL => Ok(Patterns::all()),
            pattern => Ok(Patterns::new([pattern])),
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Patterns, A::Error> {
        let mut set = Patterns::default();
        while let Some(pattern) = list.next_element::<String>()? {
            if pattern.is_empty() {
                return Err(de::Error::custom("a pattern must not be empty"));
            }
            set.insert(&pattern);
        }
        if set == Patterns::default() {
            return Err(de::Error::custom("at least one pattern is needed, or the word \"all\""));
        }
        Ok(set)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_star_stands_for_any_characters_and_a_question_mark_for_one() {
        for (pattern, text, expected) in [
            ("meter-*", "meter-17", true),
            ("meter-*", "meter-", true),
            ("meter-*", "metre-17", false),
            ("meter-??", "meter-17", true),
            ("meter-??", "meter-7", false),
            ("*-east-*", "lamp-east-east-3", true),
            ("*-east-*", "lamp-west-3", false),
            ("meter-1", "meter-1", true),
            ("meter-1", "meter-17", false),
        ] {
            assert_eq!(Patterns::new([pattern]).contains(text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn the_word_all_is_every_identifier_but_in_a_list_it_is_a_name() {
        let all: Patterns = serde_json::from_str(r#""all""#).expect("patterns");
        assert!(all.contains("anything"));
        let named: Patterns = serde_json::from_str(r#"["all"]"#).expect("patterns");
        assert!(named.contains("all") && !named.contains("anything"));
    }

    #[test]
    fn a_set_of_nothing_is_refused() {
        for json in ["[]", r#""""#, r#"["a",""]"#, "7"] {
            assert!(serde_json::from_str::<Patterns>(json).is_err(), "{json}");
        }
    }

    /// The definition itself, exponential but plain.
    fn is_match_by_definition(glob: &[u8], text: &[u8]) -> bool {
        match (glob.split_first(), text.split_first()) {
            (None, None) => true,
            (Some((b'*', rest)), _) => {
                is_match_by_definition(rest, text)
                    || text.split_first().is_some_and(|(_, text)| is_match_by_definition(glob, text))
            }
            (Some((byte, glob)), Some((first, text))) => {
                (*byte == b'?' || byte == first) && is_match_by_definition(glob, text)
            }
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn matching_agrees_with_its_definition(glob in "[ab?*]{0,8}", text in "[ab]{0,10}") {
            let expected = is_match_by_definition(glob.as_bytes(), text.as_bytes());
            prop_assert_eq!(is_match(glob.as_bytes(), text.as_bytes()), expected);
        }
    }
}
