//! The policy in its file: read, checked as a whole, and read again when it changes. The files of the authorities
//! that it names are part of it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use bugle_core::application::{Authorizer, Decision, Policy, PolicyRules, RegistrationQuestion, Rule};
use bugle_core::certificate::TrustAnchors;
use bugle_core::{ApplicationId, Time};
use bugle_runtime::tls::certificates;
use serde::Deserialize;
use thiserror::Error;
use tokio::signal::unix::{SignalKind, signal};
use toml::Spanned;

/// How often the files are looked at.
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
    /// What was read last, of use or not.
    read: Stamps,
}

/// The files that were read, each as it was found just before; none if it was not there.
type Stamps = BTreeMap<PathBuf, Option<Stamp>>;

/// Tells whether a file is the one that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stamp {
    modified: Option<SystemTime>,
    bytes: u64,
}

/// Where things stand of which one may be wrong.
#[derive(Deserialize)]
struct Places {
    #[serde(default, rename = "rule")]
    rules: Vec<Spanned<Rule>>,
    #[serde(default)]
    certificates: CertificatePlaces,
}

#[derive(Deserialize, Default)]
struct CertificatePlaces {
    #[serde(default)]
    authorities: Vec<Spanned<PathBuf>>,
}

impl PolicyFile {
    /// Reads the file at `path`.
    ///
    /// # Errors
    /// If it cannot be read, or something in it is not as it should be.
    pub fn open(path: impl Into<PathBuf>, application: ApplicationId) -> Result<Self, PolicyFileError> {
        let path = path.into();
        let mut read = Stamps::new();
        let policy = Arc::new(load(&path, &application, &mut read)?);
        Ok(Self { path, application, running: Arc::new(RwLock::new(Running { policy, fault: None, read })) })
    }

    /// What is wrong with the file as it is now, if it is not what runs.
    #[must_use]
    pub fn fault(&self) -> Option<String> {
        self.running.read().unwrap_or_else(PoisonError::into_inner).fault.clone()
    }

    /// Reads all files again. If they are of no use the policy that runs stays as it is, whole.
    ///
    /// # Errors
    /// If they are of no use.
    pub fn reload(&self) -> Result<(), PolicyFileError> {
        let mut read = Stamps::new();
        let loaded = load(&self.path, &self.application, &mut read);
        let mut running = self.running.write().unwrap_or_else(PoisonError::into_inner);
        match loaded {
            Ok(policy) => {
                *running = Running { policy: Arc::new(policy), fault: None, read };
                Ok(())
            }
            Err(error) => {
                running.read = read;
                running.fault = Some(error.to_string());
                Err(error)
            }
        }
    }

    /// Whether a file is another than was read.
    fn has_changed(&self) -> bool {
        let running = self.running.read().unwrap_or_else(PoisonError::into_inner);
        running.read.iter().any(|(path, read)| Stamp::of(path) != *read)
    }

    /// Reads the files again whenever one has changed or the process is sent SIGHUP.
    pub(crate) async fn follow(self) {
        let mut hangups = signal(SignalKind::hangup()).ok();
        loop {
            let is_asked = tokio::select! {
                () = tokio::time::sleep(LOOK_INTERVAL) => false,
                Some(()) = async { hangups.as_mut()?.recv().await } => true,
            };
            if is_asked || self.has_changed() {
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

/// Reads the file, and those that it names; `read` tells which.
fn load(path: &Path, application: &ApplicationId, read: &mut Stamps) -> Result<Policy, PolicyFileError> {
    read.insert(path.to_owned(), Stamp::of(path));
    let text = std::fs::read_to_string(path)
        .map_err(|source| PolicyFileError::Unreadable { path: path.to_owned(), source })?;
    let folder = path.parent().unwrap_or_else(|| Path::new(""));
    parse(&text, application, folder, read).map_err(|(line, reason)| PolicyFileError::Invalid {
        path: path.to_owned(),
        line,
        reason,
    })
}

/// The policy, or what is wrong and in which line.
fn parse(text: &str, application: &ApplicationId, folder: &Path, read: &mut Stamps) -> Result<Policy, (usize, String)> {
    let line_at = |start: usize| text.get(..start).map_or(1, |before| before.matches('\n').count() + 1);
    let wrong =
        |error: toml::de::Error| (error.span().map_or(1, |span| line_at(span.start)), error.message().to_owned());
    let rules: PolicyRules = toml::from_str(text).map_err(wrong)?;
    let places: Places = toml::from_str(text).map_err(wrong)?;
    let authorities = authorities(&places.certificates.authorities, folder, read)
        .map_err(|(start, reason)| (line_at(start), reason))?;
    Policy::new(application.clone(), rules, authorities).map_err(|error| {
        let place = places.rules.get(error.rule());
        (place.map_or(1, |rule| line_at(rule.span().start)), error.to_string())
    })
}

/// The authorities in these files, or what is wrong and where it stands; none if there are no files.
fn authorities(
    files: &[Spanned<PathBuf>],
    folder: &Path,
    read: &mut Stamps,
) -> Result<Option<TrustAnchors>, (usize, String)> {
    let mut found = Vec::new();
    for file in files {
        let path = folder.join(file.get_ref());
        read.insert(path.clone(), Stamp::of(&path));
        let wrong = |reason: String| (file.span().start, reason);
        let certificates = certificates(&path).map_err(|error| wrong(error.to_string()))?;
        TrustAnchors::new(certificates.iter().map(AsRef::as_ref))
            .map_err(|error| wrong(format!("{}: {error}", path.display())))?;
        found.extend(certificates);
    }
    // Each is one; together they are none only if there are none.
    Ok(TrustAnchors::new(found.iter().map(AsRef::as_ref)).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn application() -> ApplicationId {
        ApplicationId::new("metering").expect("an application id")
    }

    fn parse_alone(text: &str) -> Result<Policy, (usize, String)> {
        parse(text, &application(), Path::new(""), &mut Stamps::new())
    }

    fn write_authority(path: &Path) {
        let mut params = rcgen::CertificateParams::default();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let key = rcgen::KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a certificate");
        std::fs::write(path, certificate.pem()).expect("written");
    }

    fn fault(text: &str) -> (usize, String) {
        parse_alone(text).expect_err("of no use")
    }

    #[test]
    fn the_template_is_a_policy() {
        parse_alone(POLICY_TEMPLATE).expect("a policy");
        // What is commented out is right too.
        let examples = POLICY_TEMPLATE.lines().map(|line| line.strip_prefix("#: ").unwrap_or(line));
        let examples = examples.collect::<Vec<_>>().join("\n");
        assert_ne!(examples, POLICY_TEMPLATE.trim_end());
        let folder = tempfile::tempdir().expect("a folder");
        write_authority(&folder.path().join("peripherals-ca.pem"));
        let mut read = Stamps::new();
        parse(&examples, &application(), folder.path(), &mut read).expect("a policy");
        assert_eq!(read.len(), 1);
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

    #[test]
    fn authorities_that_cannot_be_read_are_told_with_line_and_file() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("empty.pem"), "").expect("written");
        let broken = "-----BEGIN CERTIFICATE-----\nYWJj\n-----END CERTIFICATE-----\n";
        std::fs::write(folder.path().join("broken.pem"), broken).expect("written");
        write_authority(&folder.path().join("sound.pem"));
        let fault = |file: &str| {
            let text = format!("[certificates]\nauthorities = [\n  \"sound.pem\",\n  {file:?},\n]\n");
            parse(&text, &application(), folder.path(), &mut Stamps::new()).expect_err("of no use")
        };
        for (file, expected) in [
            ("missing.pem", "missing.pem: "),
            ("empty.pem", "empty.pem: no certificate in it"),
            ("broken.pem", "broken.pem: a certificate cannot be read"),
        ] {
            let (line, reason) = fault(file);
            assert_eq!(line, 4, "{reason}");
            assert!(reason.contains(expected), "{reason}");
        }
        let (line, reason) =
            self::fault("\n[[rule]]\nperipherals = \"all\"\ngroups = \"all\"\nevidence = \"certificate\"\n");
        assert_eq!(line, 2);
        assert!(reason.contains("[certificates]"), "{reason}");
    }

    #[test]
    fn authorities_that_change_are_read_again_and_a_fault_in_them_is_mended_so_too() {
        let folder = tempfile::tempdir().expect("a folder");
        let (path, authority) = (folder.path().join("policy.toml"), folder.path().join("ca.pem"));
        std::fs::write(&path, "[certificates]\nauthorities = [\"ca.pem\"]\n").expect("written");
        write_authority(&authority);
        let file = PolicyFile::open(&path, application()).expect("a policy");
        let running = || Arc::clone(&file.running.read().expect("readable").policy);
        let first = running();
        assert!(!file.has_changed());

        std::fs::remove_file(&authority).expect("removed");
        assert!(file.has_changed());
        file.reload().expect_err("of no use");
        assert!(file.fault().is_some() && running() == first && !file.has_changed());

        write_authority(&authority);
        assert!(file.has_changed());
        file.reload().expect("a policy");
        assert!(file.fault().is_none() && running() != first && !file.has_changed());
    }
}
