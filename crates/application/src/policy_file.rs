//! The policy in its file: read, checked as a whole, and read again when it changes.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use bugle_core::application::{Authorizer, Decision, Policy, PolicyRules, RegistrationQuestion, Rule};
use bugle_core::{ApplicationId, Time};
use serde::Deserialize;
use thiserror::Error;
use tokio::signal::unix::{SignalKind, signal};
use toml::Spanned;

/// How often the file is looked at.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// A policy file with every setting in it and what it means, for people to start from.
pub const POLICY_TEMPLATE: &str = include_str!("policy.toml");

/// Why a policy file is of no use. The fault is of whoever wrote it.
#[derive(Debug, Error)]
pub enum PolicyFileError {
    /// It cannot be read.
    #[error("{}: {source}", path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// Something in it is not as it should be.
    #[error("{}:{line}: {reason}", path.display())]
    Invalid {
        /// Which file.
        path: PathBuf,
        /// In which line, counted from 1.
        line: usize,
        /// What is wrong.
        reason: String,
    },
}

/// The policy that is in its file, or was when the file was last without fault.
#[derive(Debug, Clone)]
pub struct PolicyFile {
    path: PathBuf,
    application: ApplicationId,
    running: Arc<RwLock<Running>>,
}

#[derive(Debug)]
struct Running {
    policy: Arc<Policy>,
    /// What is wrong with the file as it is now, if it is not the one that runs.
    fault: Option<String>,
}

/// Tells whether a file is the one that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stamp {
    modified: Option<SystemTime>,
    bytes: u64,
}

/// The rules with where they stand, for what is wrong with one of them.
#[derive(Deserialize)]
struct Places {
    #[serde(default, rename = "rule")]
    rules: Vec<Spanned<Rule>>,
}

impl PolicyFile {
    /// Reads the file at `path`.
    ///
    /// # Errors
    /// If it cannot be read, or something in it is not as it should be.
    pub fn open(path: impl Into<PathBuf>, application: ApplicationId) -> Result<Self, PolicyFileError> {
        let path = path.into();
        let policy = Arc::new(load(&path, &application)?);
        Ok(Self { path, application, running: Arc::new(RwLock::new(Running { policy, fault: None })) })
    }

    /// What is wrong with the file as it is now, if it is not what runs.
    #[must_use]
    pub fn fault(&self) -> Option<String> {
        self.running.read().unwrap_or_else(PoisonError::into_inner).fault.clone()
    }

    /// Reads the file again. If it is of no use the policy that runs stays as it is, whole.
    ///
    /// # Errors
    /// If the file is of no use.
    pub fn reload(&self) -> Result<(), PolicyFileError> {
        let loaded = load(&self.path, &self.application);
        let mut running = self.running.write().unwrap_or_else(PoisonError::into_inner);
        match loaded {
            Ok(policy) => {
                *running = Running { policy: Arc::new(policy), fault: None };
                Ok(())
            }
            Err(error) => {
                running.fault = Some(error.to_string());
                Err(error)
            }
        }
    }

    /// Reads the file again whenever it has changed or the process is sent SIGHUP.
    pub(crate) async fn follow(self) {
        let mut hangups = signal(SignalKind::hangup()).ok();
        let mut read = Stamp::of(&self.path);
        loop {
            let is_asked = tokio::select! {
                () = tokio::time::sleep(LOOK_INTERVAL) => false,
                Some(()) = async { hangups.as_mut()?.recv().await } => true,
            };
            let found = Stamp::of(&self.path);
            if is_asked || found != read {
                read = found;
                match self.reload() {
                    Ok(()) => tracing::info!(file = %self.path.display(), "the policy was read anew"),
                    Err(error) => tracing::error!(%error, "the policy stays as it was"),
                }
            }
        }
    }
}

impl Authorizer for PolicyFile {
    fn authorize(&self, now: Time, question: &RegistrationQuestion<'_>) -> Decision {
        let policy = Arc::clone(&self.running.read().unwrap_or_else(PoisonError::into_inner).policy);
        policy.authorize(now, question)
    }
}

impl Stamp {
    /// None if there is no file.
    fn of(path: &Path) -> Option<Self> {
        let found = std::fs::metadata(path).ok()?;
        Some(Self { modified: found.modified().ok(), bytes: found.len() })
    }
}

fn load(path: &Path, application: &ApplicationId) -> Result<Policy, PolicyFileError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| PolicyFileError::Unreadable { path: path.to_owned(), source })?;
    parse(&text, application).map_err(|(line, reason)| PolicyFileError::Invalid { path: path.to_owned(), line, reason })
}

/// The policy, or what is wrong and in which line.
fn parse(text: &str, application: &ApplicationId) -> Result<Policy, (usize, String)> {
    let line_at = |start: usize| text.get(..start).map_or(1, |before| before.matches('\n').count() + 1);
    let rules: PolicyRules = toml::from_str(text)
        .map_err(|error| (error.span().map_or(1, |span| line_at(span.start)), error.message().to_owned()))?;
    Policy::new(application.clone(), rules).map_err(|error| {
        let places = toml::from_str::<Places>(text).ok();
        let place = places.as_ref().and_then(|places| places.rules.get(error.rule()));
        (place.map_or(1, |rule| line_at(rule.span().start)), error.to_string())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn application() -> ApplicationId {
        ApplicationId::new("metering").expect("an application id")
    }

    fn fault(text: &str) -> (usize, String) {
        parse(text, &application()).expect_err("of no use")
    }

    #[test]
    fn the_template_is_a_policy() {
        parse(POLICY_TEMPLATE, &application()).expect("a policy");
        // What is commented out is right too.
        let examples = POLICY_TEMPLATE.lines().map(|line| line.strip_prefix("#: ").unwrap_or(line));
        let examples = examples.collect::<Vec<_>>().join("\n");
        assert_ne!(examples, POLICY_TEMPLATE.trim_end());
        parse(&examples, &application()).expect("a policy");
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        let rule = "[[rule]]\nperipherals = \"all\"\ngroups = \"all\"\nevidence = \"none\"\n";
        assert_eq!(fault(&format!("{rule}\n{rule}leese = 3\n")).0, 10);
        assert_eq!(fault(&rule.replace("\"none\"", "\"trust\"")).0, 4);
        assert_eq!(fault("[[rule]]\nperipherals = \n").0, 2);
        let (line, reason) = fault("[passwords]\nm1 = \"plain\"\n");
        assert_eq!(line, 2);
        assert!(reason.contains("bugle config password"), "{reason}");
    }

    #[test]
    fn a_rule_that_cannot_be_met_is_told_with_its_line() {
        let text = "# Ours\n\n[[rule]]\nperipherals = \"x\"\ngroups = \"all\"\nevidence = \"none\"\n\n\
            [[rule]]\nperipherals = \"m1\"\ngroups = \"all\"\nevidence = \"public_key\"\n";
        let (line, reason) = fault(text);
        assert_eq!(line, 8);
        assert!(reason.contains("[public_keys]"), "{reason}");
    }

    #[test]
    fn a_bad_file_is_refused_whole_and_the_policy_that_runs_stays() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("policy.toml");
        let rule = "[[rule]]\nperipherals = \"all\"\ngroups = \"all\"\nevidence = \"none\"\n";
        std::fs::write(&path, rule).expect("written");
        let file = PolicyFile::open(&path, application()).expect("a policy");
        let before = Arc::clone(&file.running.read().expect("readable").policy);
        std::fs::write(&path, format!("{rule}\n[[rule]]\nperipherals = 3\n")).expect("written");
        let error = file.reload().expect_err("of no use").to_string();
        assert!(error.contains("policy.toml:7: "), "{error}");
        assert_eq!(file.fault(), Some(error));
        assert_eq!(file.running.read().expect("readable").policy, before);
        std::fs::write(&path, "").expect("written");
        file.reload().expect("a policy");
        assert_eq!(file.fault(), None);
        assert_ne!(file.running.read().expect("readable").policy, before);
    }
}
