//! Configuration: a TOML file, and environment variables that count more.
//!
//! A variable is named by a prefix and the path of the setting in capitals, with two underscores
//! between the parts: with prefix `BUGLE_GATEWAY__`, `BUGLE_GATEWAY__LINK__ADDRESS` is `address` in the
//! table `link`. Its value is written as in TOML, where the quotes of a text may be left out.
//!
//! All is parsed before anything is used. Types that are loaded deny unknown fields, so that no
//! misspelt setting goes unnoticed; an error names the line or the variable.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::{fs, io};

use serde::de::DeserializeOwned;
use thiserror::Error;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Why a configuration is of no use. The fault is of whoever wrote it.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{path}: {source}")]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A setting is not as it should be.
    #[error("{place}: {reason}")]
    Invalid {
        /// Where it stands, as `gateway.toml:7:1` or the name of a variable.
        place: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// Loads the file at `path`, if one is given, and what the environment says in variables that start
/// with `prefix`.
///
/// # Errors
/// If the file cannot be read, or a setting is missing, unknown or not as it should be.
pub fn load<T: DeserializeOwned>(path: Option<&Path>, prefix: &str) -> Result<T, ConfigError> {
    load_with(
        path,
        prefix,
        std::env::vars_os().filter_map(|(name, value)| {
            // What is no Unicode is none of ours.
            Some((name.into_string().ok()?, value.into_string().ok()?))
        }),
    )
}

/// As [`load`], with these variables in place of the environment's.
///
/// # Errors
/// As [`load`].
pub fn load_with<T: DeserializeOwned>(
    path: Option<&Path>,
    prefix: &str,
    environment: impl IntoIterator<Item = (String, String)>,
) -> Result<T, ConfigError> {
    let text = match path {
        Some(path) => {
            fs::read_to_string(path).map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?
        }
        None => String::new(),
    };
    let mut sources = Sources { path, text: &text, variables: Vec::new() };
    for (name, value) in environment {
        if let Some(setting) = name.strip_prefix(prefix) {
            let keys = setting.split("__").map(str::to_lowercase).collect();
            sources.add(name, keys, &value);
        }
    }
    // In order of their names, so that what is wrong is always told of the same.
    sources.variables.sort_by(|a, b| a.name.cmp(&b.name));
    sources.read()
}

/// What a configuration is made of.
struct Sources<'a> {
    path: Option<&'a Path>,
    text: &'a str,
    variables: Vec<Variable>,
}

struct Variable {
    name: String,
    keys: Vec<String>,
    /// Its value as a line of TOML, after so many newlines that no two sources share a position.
    line: String,
    span: Range<usize>,
    text: String,
    is_text: bool,
}

impl Sources<'_> {
    fn add(&mut self, name: String, keys: Vec<String>, value: &str) {
        let start = self.variables.last().map_or(self.text.len(), |variable| variable.span.end) + 1;
        let line = format!("{}value = {value}", "\n".repeat(start));
        let span = start..line.len();
        // What holds more than one value, or none, is a text without quotes.
        let is_text = !DeTable::parse(&line).is_ok_and(|table| table.get_ref().len() == 1);
        self.variables.push(Variable { name, keys, line, span, text: value.to_owned(), is_text });
    }

    /// Reads a variable as a text where its setting takes no number, list or the like.
    fn read<T: DeserializeOwned>(mut self) -> Result<T, ConfigError> {
        loop {
            let error = match self.deserialize() {
                Ok(config) => return Ok(config),
                Err(error) => error,
            };
            let start = error.span().map(|span| span.start);
            let variable = self.variables.iter_mut().find(|v| start.is_some_and(|start| v.span.contains(&start)));
            match variable {
                Some(variable) if !variable.is_text => variable.is_text = true,
                Some(variable) => return Err(invalid(variable.name.clone(), &error)),
                None => return Err(self.invalid_in_file(start, &error)),
            }
        }
    }

    fn deserialize<T: DeserializeOwned>(&self) -> Result<T, toml::de::Error> {
        let mut root = DeTable::parse(self.text)?;
        for variable in &self.variables {
            put(root.get_mut(), &variable.keys, variable.value(), &variable.span);
        }
        T::deserialize(toml::Deserializer::from(root))
    }

    fn invalid_in_file(&self, start: Option<usize>, error: &toml::de::Error) -> ConfigError {
        let Some(path) = self.path else { return invalid("configuration".to_owned(), error) };
        let before = start.filter(|start| *start > 0).and_then(|start| self.text.get(..start));
        let place = match before {
            // A setting that is missing at the top stands nowhere.
            None => path.display().to_string(),
            Some(before) => {
                let line = before.matches('\n').count() + 1;
                let column = before.rsplit('\n').next().map_or(0, |line| line.chars().count()) + 1;
                format!("{}:{line}:{column}", path.display())
            }
        };
        invalid(place, error)
    }
}

impl Variable {
    fn value(&self) -> Spanned<DeValue<'_>> {
        let parsed = if self.is_text { None } else { DeTable::parse(&self.line).ok() };
        let value = parsed.and_then(|table| table.into_inner().into_iter().next()).map(|(_, value)| value);
        value.unwrap_or_else(|| Spanned::new(self.span.clone(), DeValue::String(self.text.as_str().into())))
    }
}

/// Puts a value at the end of a path, through the tables on its way.
fn put<'a>(table: &mut DeTable<'a>, keys: &'a [String], value: Spanned<DeValue<'a>>, span: &Range<usize>) {
    let Some((key, rest)) = keys.split_first() else { return };
    let key = Spanned::new(span.clone(), key.as_str().into());
    if rest.is_empty() {
        // Removed first, so that the key too is the variable's from now on.
        table.remove(&key);
        table.insert(key, value);
        return;
    }
    let below = table.entry(key).or_insert_with(|| Spanned::new(span.clone(), DeValue::Table(DeTable::new())));
    match below.get_mut() {
        DeValue::Table(below) => put(below, rest, value, span),
        // The setting is no table. Made one, its own type tells what is wrong.
        _ => *below = Spanned::new(span.clone(), DeValue::Table(DeTable::new())),
    }
}

fn invalid(place: String, error: &toml::de::Error) -> ConfigError {
    ConfigError::Invalid { place, reason: error.message().to_owned() }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use bugle_core::GatewayId;
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, PartialEq, Eq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Config {
        gateway: GatewayId,
        listen: SocketAddr,
        #[serde(default)]
        link: Link,
    }

    #[derive(Debug, PartialEq, Eq, Default, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Link {
        address: String,
        tries: u32,
        names: Vec<String>,
    }

    fn load(text: &str, environment: &[(&str, &str)]) -> Result<Config, String> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("gateway.toml");
        fs::write(&path, text).expect("written");
        let variables = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        load_with(Some(&path), "BUGLE_GATEWAY__", variables)
            .map_err(|error| error.to_string().replace(&format!("{}/", folder.path().display()), ""))
    }

    const FILE: &str = "gateway = \"gw\"\nlisten = \"127.0.0.1:1883\"\n\n[link]\naddress = \"platform:7443\"\n";

    #[test]
    fn the_environment_counts_more_than_the_file() {
        let environment = [
            ("BUGLE_GATEWAY__LISTEN", "127.0.0.1:2883"),
            ("BUGLE_GATEWAY__LINK__TRIES", "7"),
            ("BUGLE_GATEWAY__LINK__NAMES", r#"["a", "b"]"#),
            ("BUGLE_OTHER", "none of ours"),
        ];
        let config = load(FILE, &environment).expect("a configuration");
        assert_eq!(config.listen.port(), 2883);
        let link = Link { address: "platform:7443".into(), tries: 7, names: vec!["a".into(), "b".into()] };
        assert_eq!(config.link, link);
    }

    #[test]
    fn the_environment_alone_is_enough() {
        let environment = [("BUGLE_GATEWAY__GATEWAY", "gw"), ("BUGLE_GATEWAY__LISTEN", "127.0.0.1:2883")];
        let variables = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let config: Config = load_with(None, "BUGLE_GATEWAY__", variables).expect("a configuration");
        assert_eq!(config.gateway.as_str(), "gw");
    }

    #[test]
    fn a_text_in_the_environment_may_look_like_a_number() {
        let config = load(FILE, &[("BUGLE_GATEWAY__GATEWAY", "0042")]).expect("a configuration");
        assert_eq!(config.gateway.as_str(), "0042");
        let config = load(FILE, &[("BUGLE_GATEWAY__GATEWAY", "true")]).expect("a configuration");
        assert_eq!(config.gateway.as_str(), "true");
        let config = load(FILE, &[("BUGLE_GATEWAY__LINK__ADDRESS", "1979-05-27")]).expect("a configuration");
        assert_eq!(config.link.address, "1979-05-27");
    }

    #[test]
    fn a_value_cannot_smuggle_in_another_setting() {
        let config = load(FILE, &[("BUGLE_GATEWAY__LINK__ADDRESS", "\"a\"\ntries = 3")]).expect("a configuration");
        assert_eq!(config.link, Link { address: "\"a\"\ntries = 3".into(), ..Link::default() });
    }

    #[test]
    fn what_is_wrong_in_the_file_is_told_with_its_line() {
        let error = |text: &str| load(text, &[]).expect_err("wrong");
        let unknown = error("gateway = \"gw\"\nlisten = \"127.0.0.1:1883\"\nlisen = 1\n");
        assert_eq!(unknown, "gateway.toml:3:1: unknown field `lisen`, expected one of `gateway`, `listen`, `link`");
        let bad_id = error("listen = \"127.0.0.1:1883\"\ngateway = \"a/b\"\n");
        assert!(bad_id.starts_with("gateway.toml:2:11: a gateway id must not contain '/'"), "{bad_id}");
        let bad_type = error(&FILE.replace("\"platform:7443\"", "3"));
        assert_eq!(bad_type, "gateway.toml:5:11: invalid type: integer `3`, expected a string");
        let no_toml = error("gateway = \"gw\"\nlisten = \n");
        assert!(no_toml.starts_with("gateway.toml:2:10: "), "{no_toml}");
        let missing = error("gateway = \"gw\"\n");
        assert_eq!(missing, "gateway.toml: missing field `listen`");
    }

    #[test]
    fn what_is_wrong_in_the_environment_is_told_with_the_variable() {
        let error = |name: &str, value: &str| load(FILE, &[("BUGLE_GATEWAY__LINK__TRIES", "1"), (name, value)]);
        let unknown = error("BUGLE_GATEWAY__LINK__ADRESS", "x").expect_err("unknown");
        assert!(unknown.starts_with("BUGLE_GATEWAY__LINK__ADRESS: unknown field `adress`"), "{unknown}");
        let bad_type = error("BUGLE_GATEWAY__LINK__TRIES", "many").expect_err("no number");
        assert!(bad_type.starts_with("BUGLE_GATEWAY__LINK__TRIES: invalid type"), "{bad_type}");
        let in_list = error("BUGLE_GATEWAY__LINK__NAMES", "[1]").expect_err("no text in the list");
        assert!(in_list.starts_with("BUGLE_GATEWAY__LINK__NAMES: invalid type"), "{in_list}");
        let no_table = error("BUGLE_GATEWAY__LISTEN__PORT", "1").expect_err("no table");
        assert!(no_table.starts_with("BUGLE_GATEWAY__LISTEN__PORT"), "{no_table}");
    }

    #[test]
    fn a_file_that_is_not_there_is_told_with_its_path() {
        let missing = load_with::<Config>(Some(Path::new("/nowhere/gateway.toml")), "X", []);
        let error = missing.expect_err("no file").to_string();
        assert!(error.starts_with("/nowhere/gateway.toml: "), "{error}");
    }
}
