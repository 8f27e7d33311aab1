//! Choosing peripherals by their labels.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::limits;

/// Requirements on labels, all of which a peripheral must meet, as `zone=north,!spare,kind in (a,b)`:
///
/// | requirement | who meets it |
/// |---|---|
/// | `name=value` | who has the label with this value |
/// | `name!=value` | who has it with another value, or not at all |
/// | `name in (a,b)` | who has it with one of these values |
/// | `name not in (a,b)` | who has it with none of these values, or not at all |
/// | `!name` | who has it not at all |
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selector(Vec<Requirement>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Requirement {
    In(String, BTreeSet<String>),
    NotIn(String, BTreeSet<String>),
    Absent(String),
}

/// Why a text is no selector. The fault is of whoever wrote it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a label selector is up to {max} of name=value, name!=value, name in (a,b), name not in (a,b), !name, with commas between", max = limits::REQUIREMENTS_MAX)]
pub struct SelectorError;

impl Selector {
    /// Whether labels meet all requirements.
    #[must_use]
    pub fn selects(&self, labels: &BTreeMap<String, String>) -> bool {
        self.0.iter().all(|requirement| match requirement {
            Requirement::In(name, values) => labels.get(name).is_some_and(|value| values.contains(value)),
            Requirement::NotIn(name, values) => labels.get(name).is_none_or(|value| !values.contains(value)),
            Requirement::Absent(name) => !labels.contains_key(name),
        })
    }
}

/// A name or a value: anything but what separates them.
fn word(text: &str) -> Result<String, SelectorError> {
    let text = text.trim();
    let is_word = !text.is_empty() && !text.contains(['=', '!', '(', ')', ',']);
    if is_word { Ok(text.to_owned()) } else { Err(SelectorError) }
}

fn values(text: &str) -> Result<BTreeSet<String>, SelectorError> {
    let list = text.trim().strip_prefix('(').and_then(|rest| rest.strip_suffix(')')).ok_or(SelectorError)?;
    list.split(',').map(word).collect()
}

impl FromStr for Requirement {
    type Err = SelectorError;

    fn from_str(text: &str) -> Result<Self, SelectorError> {
        let text = text.trim();
        if let Some(name) = text.strip_prefix('!') {
            Ok(Self::Absent(word(name)?))
        } else if let Some((name, value)) = text.split_once("!=") {
            Ok(Self::NotIn(word(name)?, BTreeSet::from([word(value)?])))
        } else if let Some((name, value)) = text.split_once('=') {
            Ok(Self::In(word(name)?, BTreeSet::from([word(value)?])))
        } else if let Some((name, list)) = text.split_once(" not in ") {
            Ok(Self::NotIn(word(name)?, values(list)?))
        } else if let Some((name, list)) = text.split_once(" in ") {
            Ok(Self::In(word(name)?, values(list)?))
        } else {
            Err(SelectorError)
        }
    }
}

impl FromStr for Selector {
    type Err = SelectorError;

    fn from_str(text: &str) -> Result<Self, SelectorError> {
        // A comma in parentheses separates values, any other one requirements.
        let (mut requirements, mut start, mut is_inside) = (Vec::new(), 0, false);
        for (at, character) in text.char_indices() {
            match character {
                '(' => is_inside = true,
                ')' => is_inside = false,
                ',' if !is_inside => {
                    requirements.push(text[start..at].parse()?);
                    start = at + 1;
                }
                _ => {}
            }
        }
        requirements.push(text[start..].parse()?);
        if requirements.len() > limits::REQUIREMENTS_MAX { Err(SelectorError) } else { Ok(Self(requirements)) }
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let only = |values: &BTreeSet<String>| values.first().filter(|_| values.len() == 1).cloned();
        let list = |values: &BTreeSet<String>| values.iter().map(String::as_str).collect::<Vec<_>>().join(",");
        match self {
            Self::In(name, values) => match only(values) {
                Some(value) => write!(f, "{name}={value}"),
                None => write!(f, "{name} in ({})", list(values)),
            },
            Self::NotIn(name, values) => match only(values) {
                Some(value) => write!(f, "{name}!={value}"),
                None => write!(f, "{name} not in ({})", list(values)),
            },
            Self::Absent(name) => write!(f, "!{name}"),
        }
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, requirement) in self.0.iter().enumerate() {
            if position > 0 {
                f.write_str(",")?;
            }
            requirement.fmt(f)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn selects(selector: &str, labels: &[(&str, &str)]) -> bool {
        let labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        selector.parse::<Selector>().unwrap_or_else(|error| panic!("{selector}: {error}")).selects(&labels)
    }

    #[test]
    fn a_selector_selects_who_meets_all_of_it() {
        let lamp = [("zone", "north"), ("kind", "b")];
        for (selector, is_selected) in [
            ("zone=north", true),
            ("zone=south", false),
            ("zone!=south", true),
            ("zone!=north", false),
            ("floor!=1", true),
            ("floor=1", false),
            ("!spare", true),
            ("!zone", false),
            ("kind in (a,b)", true),
            ("kind in (a, c)", false),
            ("kind not in (a,c)", true),
            ("floor not in (1,2)", true),
            ("zone=north,!spare,kind in (a,b)", true),
            ("zone=north, !kind", false),
        ] {
            assert_eq!(selects(selector, &lamp), is_selected, "{selector}");
        }
    }

    #[test]
    fn what_is_no_selector_is_refused() {
        for text in ["", "zone", ",", "zone=", "=north", "!", "a=b,", "a in b", "a in ()", "a in (b", "a==b", "a=b=c"] {
            assert_eq!(text.parse::<Selector>(), Err(SelectorError), "{text}");
        }
        let many = vec!["!a"; limits::REQUIREMENTS_MAX + 1].join(",");
        assert_eq!(many.parse::<Selector>(), Err(SelectorError));
    }

    proptest! {
        #[test]
        fn a_selector_reads_back_as_written(text in "([a-c]{1,2}(=|!=)[a-c],){0,3}(!a|b in \\([a-c](,[a-c]){0,2}\\))") {
            let selector: Selector = text.parse().expect("a selector");
            prop_assert_eq!(selector.to_string().parse(), Ok(selector));
        }

        #[test]
        fn any_text_is_read_or_refused(text: String) {
            let _ = text.parse::<Selector>();
        }
    }
}
