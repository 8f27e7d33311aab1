//! What an operator may set.

use std::net::SocketAddr;
use std::path::PathBuf;

use bugle_runtime::listener::{ListenError, PlainReach, check_plain};
use bugle_runtime::tls::TlsFiles;
use serde::Deserialize;
use thiserror::Error;

/// The configuration of a platform, as its file has it. All of it is checked before a port is bound.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where it keeps its store, its certificate authority and the first operator's token.
    pub data_folder: PathBuf,
    /// Where applications and operators reach the HTTP API.
    #[serde(default = "default_http")]
    pub http_listen: SocketAddr,
    /// How far `http_listen` may be reached from without TLS.
    #[serde(default)]
    pub http_plain: PlainReach,
    /// The certificate and key of the HTTP API; plain HTTP without them.
    #[serde(default)]
    pub http_tls: Option<TlsFiles>,
    /// Where gateways dial in. Their link has its own certificates, made by the platform.
    #[serde(default = "default_link")]
    pub link_listen: SocketAddr,
    /// The `host:port` by which gateways reach `link_listen`, as told to them when they enrol;
    /// `link_listen` itself without it.
    #[serde(default)]
    pub link_address: Option<String>,
}

fn default_http() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 8480))
}

fn default_link() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 8481))
}

/// What is wrong with a configuration. The fault is of whoever wrote it.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// A listener is reachable from farther than was asked for.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// Gateways cannot be told where to dial.
    #[error(
        "link_listen = \"{0}\" listens on every address: \
         set link_address to the host:port by which gateways reach it"
    )]
    LinkAddressMissing(SocketAddr),
    /// The address for gateways is none.
    #[error("link_address = \"{0}\" is not of the form host:port")]
    LinkAddress(String),
}

impl Config {
    /// A configuration with nothing set but the data folder.
    #[must_use]
    pub fn new(data_folder: impl Into<PathBuf>) -> Self {
        Self {
            data_folder: data_folder.into(),
            http_listen: default_http(),
            http_plain: PlainReach::default(),
            http_tls: None,
            link_listen: default_link(),
            link_address: None,
        }
    }

    /// Checks what the types of its parts leave open.
    ///
    /// # Errors
    /// If plain HTTP would be reachable from farther than was asked for, or gateways could not be told
    /// where to dial.
    pub fn check(&self) -> Result<(), ConfigError> {
        if self.http_tls.is_none() {
            check_plain("http_listen", self.http_listen, "http_plain", self.http_plain)?;
        }
        match &self.link_address {
            None if self.link_listen.ip().is_unspecified() => Err(ConfigError::LinkAddressMissing(self.link_listen)),
            Some(address) if !is_host_and_port(address) => Err(ConfigError::LinkAddress(address.clone())),
            _ => Ok(()),
        }
    }
}

fn is_host_and_port(address: &str) -> bool {
    address
        .rsplit_once(':')
        .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Config {
        toml::from_str(text).expect("a configuration")
    }

    #[test]
    fn only_the_data_folder_must_be_set_and_listeners_stay_on_this_machine() {
        let config = parse("data_folder = \"/var/lib/bugle\"");
        assert!(config.http_listen.ip().is_loopback() && config.link_listen.ip().is_loopback());
        config.check().expect("fit for use");
    }

    #[test]
    fn a_misspelt_setting_is_refused() {
        assert!(toml::from_str::<Config>("data_folder = \"d\"\nhttp_lisen = \"127.0.0.1:1\"").is_err());
    }

    #[test]
    fn plain_http_beyond_this_machine_must_be_asked_for_by_name() {
        let open = "data_folder = \"d\"\nhttp_listen = \"0.0.0.0:80\"\n";
        let error = parse(open).check().expect_err("not asked for").to_string();
        assert!(error.contains("http_plain = \"anywhere\""), "{error}");
        parse(&format!("{open}http_plain = \"anywhere\"")).check().expect("asked for");
        parse(&format!("{open}[http_tls]\ncertificate = \"c\"\nkey = \"k\"")).check().expect("not plain");
    }

    #[test]
    fn gateways_must_have_an_address_to_dial() {
        let open = "data_folder = \"d\"\nlink_listen = \"0.0.0.0:8481\"\n";
        assert!(matches!(parse(open).check(), Err(ConfigError::LinkAddressMissing(_))));
        for address in ["platform", "platform:", ":1", "platform:0"] {
            let config = parse(&format!("{open}link_address = \"{address}\""));
            assert!(matches!(config.check(), Err(ConfigError::LinkAddress(_))), "{address}");
        }
        parse(&format!("{open}link_address = \"platform:8481\"")).check().expect("an address");
    }
}
