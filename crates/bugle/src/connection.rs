//! Where the platform is, and with what token it is spoken to.
//!
//! What is said on the command line counts most, then the environment, then `client.toml` in the data
//! folder, which `bugle up` writes.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::Context;
use bugle_core::ApplicationId;
use serde::{Deserialize, Serialize};

use crate::cli::Global;
use crate::failure::Failure;

/// The file of connection settings in a data folder.
pub(crate) const CLIENT_FILE: &str = "client.toml";

/// What `client.toml` holds. Paths are relative to its folder.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ClientFile {
    /// The platform's HTTP API.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) platform: Option<String>,
    /// The file that holds the token for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) token_file: Option<PathBuf>,
    /// Whose groups.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) application: Option<ApplicationId>,
    /// The application's own HTTP, for approvals.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) application_url: Option<String>,
    /// The file that holds the token for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) application_token_file: Option<PathBuf>,
}

/// Settings of the connection, from wherever they came.
#[derive(Debug, Clone)]
pub(crate) struct Connection {
    global: Global,
    file: ClientFile,
}

impl Connection {
    /// What the command line and the environment say, and the data folder where they say nothing.
    pub(crate) fn find(global: &Global) -> Result<Self, Failure> {
        let file = read_client_file(&global.data.join(CLIENT_FILE))?.unwrap_or_default();
        Ok(Self { global: global.clone(), file })
    }

    /// The URL of the platform's HTTP API.
    pub(crate) fn platform(&self) -> Result<&str, Failure> {
        let known = self.global.platform.as_deref().or(self.file.platform.as_deref());
        known.ok_or_else(|| self.missing("where the platform is", "--platform URL (or BUGLE_PLATFORM)"))
    }

    /// The token for the platform.
    pub(crate) fn token(&self) -> Result<String, Failure> {
        if let Some(token) = &self.global.token {
            return Ok(token.clone());
        }
        let missing = || self.missing("which token to use", "--token-file FILE (or BUGLE_TOKEN)");
        let file = self.global.token_file.clone().or_else(|| self.in_folder(self.file.token_file.as_deref()));
        read_token(&file.ok_or_else(missing)?)
    }

    /// Whose groups are meant.
    pub(crate) fn application(&self) -> Result<&ApplicationId, Failure> {
        let known = self.global.application.as_ref().or(self.file.application.as_ref());
        known.ok_or_else(|| self.missing("which application is meant", "--application ID (or BUGLE_APPLICATION)"))
    }

    /// The URL of the application's own HTTP; `said` counts more than the file.
    pub(crate) fn application_url(&self, said: Option<&str>) -> Result<String, Failure> {
        let known = said.or(self.file.application_url.as_deref()).map(str::to_owned);
        known.ok_or_else(|| self.missing("where the application is", "--url URL (or BUGLE_APPLICATION_URL)"))
    }

    /// The token for the application's own HTTP.
    pub(crate) fn application_token(&self) -> Result<String, Failure> {
        if let Some(token) = &self.global.token {
            return Ok(token.clone());
        }
        let missing = || self.missing("which token the application takes", "--token-file FILE (or BUGLE_TOKEN)");
        let file = self.in_folder(self.file.application_token_file.as_deref());
        read_token(&self.global.token_file.clone().or(file).ok_or_else(missing)?)
    }

    fn in_folder(&self, file: Option<&Path>) -> Option<PathBuf> {
        file.map(|file| self.global.data.join(file))
    }

    fn missing(&self, what: &str, option: &str) -> Failure {
        let file = self.global.data.join(CLIENT_FILE);
        Failure::Usage(format!(
            "it is not known {what}: say it with {option}, or run `bugle up` first, which writes {}",
            file.display()
        ))
    }
}

fn read_client_file(path: &Path) -> Result<Option<ClientFile>, Failure> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(anyhow::Error::new(error).context(path.display().to_string()).into()),
    };
    toml::from_str(&text).map(Some).map_err(|error| Failure::Usage(format!("{}: {error}", path.display())))
}

fn read_token(path: &Path) -> Result<String, Failure> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read the token in {}", path.display()))?;
    Ok(text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn global(data: &Path) -> Global {
        Global { platform: None, token: None, token_file: None, application: None, data: data.to_owned(), json: false }
    }

    #[test]
    fn what_is_said_counts_more_than_the_data_folder() {
        let folder = tempfile::tempdir().expect("a folder");
        let text = "platform = \"http://127.0.0.1:1\"\ntoken_file = \"t\"\napplication = \"town\"\n";
        fs::write(folder.path().join(CLIENT_FILE), text).expect("written");
        fs::write(folder.path().join("t"), "secret\n").expect("written");
        let known = Connection::find(&global(folder.path())).expect("readable");
        assert_eq!(known.platform().ok(), Some("http://127.0.0.1:1"));
        assert_eq!(known.token().ok().as_deref(), Some("secret"));
        assert_eq!(known.application().ok().map(ApplicationId::as_str), Some("town"));
        let said = Global { platform: Some("http://127.0.0.1:2".into()), ..global(folder.path()) };
        let said = Connection::find(&said).expect("readable");
        assert_eq!(said.platform().ok(), Some("http://127.0.0.1:2"));
    }

    #[test]
    fn what_is_not_known_is_told_with_what_to_do() {
        let folder = tempfile::tempdir().expect("a folder");
        let nothing = Connection::find(&global(folder.path())).expect("nothing is there");
        let error = nothing.platform().expect_err("not known").to_string();
        assert!(error.contains("--platform") && error.contains("bugle up"), "{error}");
    }

    #[test]
    fn a_misspelt_setting_is_told_with_its_file() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join(CLIENT_FILE), "platfrom = \"x\"").expect("written");
        let error = Connection::find(&global(folder.path())).expect_err("misspelt").to_string();
        assert!(error.contains("client.toml") && error.contains("platfrom"), "{error}");
    }
}
