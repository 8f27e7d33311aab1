//! What an operator may set.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use bugle_core::ApplicationId;
use bugle_runtime::listener::{ListenError, PlainReach, check_plain};
use serde::Deserialize;
use thiserror::Error;

/// The configuration of an application, as its file has it. All of it is checked before a port is bound.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Which application this is; the platform knows its groups by that name.
    pub id: ApplicationId,
    /// Where it keeps its store and the token for its own HTTP API.
    pub data_folder: PathBuf,
    /// The file of rules by which it decides; none if a program decides.
    #[serde(default)]
    pub policy: Option<PathBuf>,
    /// Where it shows its groups and takes approvals.
    #[serde(default = "default_http")]
    pub http_listen: SocketAddr,
    /// How far `http_listen` may be reached from.
    #[serde(default)]
    pub http_plain: PlainReach,
    /// The platform.
    pub platform: Platform,
}

/// The platform.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Platform {
    /// Its HTTP API.
    pub url: String,
    /// The token, with the scopes `events:read` and `registrations:decide`.
    #[serde(default)]
    pub token: Option<String>,
    /// A file that holds that token.
    #[serde(default)]
    pub token_file: Option<PathBuf>,
}

/// What is wrong with a configuration. The fault is of whoever wrote it.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The listener is farther reachable than was asked for.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// There is no token, or two.
    #[error("set either platform.token or platform.token_file")]
    Token,
    /// The file of the token cannot be read.
    #[error("platform.token_file = \"{}\": {source}", path.display())]
    TokenFile {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
}

fn default_http() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 8482))
}

impl Config {
    /// Checks what the types leave open, and returns the token for the platform.
    ///
    /// # Errors
    /// If something is wrong with it.
    pub fn check(&self) -> Result<String, ConfigError> {
        check_plain("http_listen", self.http_listen, "http_plain", self.http_plain)?;
        let token = match (&self.platform.token, &self.platform.token_file) {
            (Some(token), None) => token.clone(),
            (None, Some(path)) => {
                std::fs::read_to_string(path).map_err(|source| ConfigError::TokenFile { path: path.clone(), source })?
            }
            _ => return Err(ConfigError::Token),
        };
        match token.trim() {
            "" => Err(ConfigError::Token),
            token => Ok(token.to_owned()),
        }
    }
}

impl fmt::Debug for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let token = self.token.as_ref().map(|_| "…");
        let mut shown = f.debug_struct("Platform");
        shown.field("url", &self.url).field("token", &token).field("token_file", &self.token_file).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(more: &str, platform: &str) -> Config {
        let text =
            format!("id = \"metering\"\ndata_folder = \"/tmp/a\"\n{more}\n[platform]\nurl = \"http://h\"\n{platform}");
        toml::from_str(&text).expect("a configuration")
    }

    #[test]
    fn the_defaults_are_sound_and_on_loopback() {
        let config = config("", "token = \"secret\"");
        assert_eq!(config.check().expect("sound"), "secret");
        assert_eq!(config.http_listen.to_string(), "127.0.0.1:8482");
    }

    #[test]
    fn a_plain_listener_beyond_loopback_must_be_asked_for_by_name() {
        let wide = "http_listen = \"0.0.0.0:8482\"";
        assert!(matches!(config(wide, "token = \"t\"").check(), Err(ConfigError::Listen(_))));
        assert!(config(&format!("{wide}\nhttp_plain = \"anywhere\""), "token = \"t\"").check().is_ok());
    }

    #[test]
    fn the_token_is_given_once_here_or_in_a_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("token");
        let from_file = format!("token_file = {path:?}");
        assert!(matches!(config("", &from_file).check(), Err(ConfigError::TokenFile { .. })));
        std::fs::write(&path, "\n").expect("written");
        assert!(matches!(config("", &from_file).check(), Err(ConfigError::Token)));
        std::fs::write(&path, "secret\n").expect("written");
        assert_eq!(config("", &from_file).check().expect("sound"), "secret");
        assert!(matches!(config("", "").check(), Err(ConfigError::Token)));
        assert!(matches!(config("", &format!("token = \"t\"\n{from_file}")).check(), Err(ConfigError::Token)));
    }

    #[test]
    fn the_token_never_shows_in_a_debug_print() {
        assert!(!format!("{:?}", config("", "token = \"secret\"")).contains("secret"));
    }
}
