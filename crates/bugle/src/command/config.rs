//! `bugle config`: templates of configuration files, and password verifiers.

use std::io::{self, BufRead, IsTerminal, Write};

use anyhow::Context;
use bugle_core::PeripheralId;
use bugle_core::credential::PasswordVerifier;
use clap::{Args, Subcommand};

use crate::failure::{Ended, Failure};

/// The configuration of a platform, with all settings explained.
pub(crate) const PLATFORM: &str = include_str!("../templates/platform.toml");
/// The configuration of a gateway.
pub(crate) const GATEWAY: &str = include_str!("../templates/gateway.toml");
/// The configuration of the application that is shipped.
pub(crate) const APPLICATION: &str = include_str!("../templates/application.toml");
/// A file of allocations.
pub(crate) const ALLOCATIONS: &str = include_str!("../templates/allocations.toml");

/// Templates of configuration files, with every setting explained
#[derive(Debug, Args)]
pub(crate) struct ConfigCommand {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Print a template for `bugle platform`
    #[command(after_long_help = "Example:\n  bugle config platform > platform.toml")]
    Platform,
    /// Print a template for `bugle gateway`
    #[command(after_long_help = "Example:\n  bugle config gateway > gateway.toml")]
    Gateway,
    /// Print a template for `bugle application`
    #[command(after_long_help = "Example:\n  bugle config application > application.toml")]
    Application,
    /// Print a template for the application's policy: who may register
    #[command(after_long_help = "Example:\n  bugle config policy > policy.toml")]
    Policy,
    /// Print a template for a gateway's allocations: who belongs to which groups
    #[command(after_long_help = "Example:\n  bugle config allocations > allocations.toml")]
    Allocations,
    /// Read a password from standard input, and print what it is checked against
    ///
    /// The verifier goes into an allocation or a policy; the password is kept nowhere. It is of this
    /// one peripheral: the same password of another has another verifier.
    #[command(after_long_help = "Example:\n  echo correct-horse | bugle config password lamp-01")]
    Password {
        /// Whose password
        peripheral: PeripheralId,
    },
}

impl ConfigCommand {
    pub(crate) fn run(&self) -> Result<Ended, Failure> {
        let text = match &self.command {
            Command::Platform => PLATFORM.to_owned(),
            Command::Gateway => GATEWAY.to_owned(),
            Command::Application => APPLICATION.to_owned(),
            Command::Policy => bugle_application::POLICY_TEMPLATE.to_owned(),
            Command::Allocations => ALLOCATIONS.to_owned(),
            Command::Password { peripheral } => format!("{}\n", verifier(peripheral, &read_password(peripheral)?)?),
        };
        io::stdout().write_all(text.as_bytes()).context("cannot write to standard output")?;
        Ok(Ended::Well)
    }
}

fn read_password(peripheral: &PeripheralId) -> Result<String, Failure> {
    if io::stdin().is_terminal() {
        return Ok(
            rpassword::prompt_password(format!("Password of {peripheral}: ")).context("cannot read the password")?
        );
    }
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line).context("cannot read the password")?;
    Ok(line)
}

fn verifier(peripheral: &PeripheralId, line: &str) -> Result<PasswordVerifier, Failure> {
    match line.trim_end_matches(['\r', '\n']) {
        "" => Err(Failure::Usage("the password is empty: write it as one line to standard input".into())),
        password => Ok(PasswordVerifier::derive(peripheral, password.as_bytes())),
    }
}

#[cfg(test)]
mod tests {
    use serde::de::DeserializeOwned;

    use super::*;

    /// What a template says with every mark taken away.
    fn spelt_out(template: &str) -> String {
        template.lines().map(|line| line.strip_prefix("#: ").unwrap_or(line)).collect::<Vec<_>>().join("\n")
    }

    fn parse<T: DeserializeOwned>(text: &str) -> T {
        toml::from_str(text).unwrap_or_else(|error| panic!("{error}\n{text}"))
    }

    #[test]
    fn every_template_is_fit_for_use_as_it_is() {
        parse::<bugle_platform::Config>(PLATFORM).check().expect("a platform");
        parse::<bugle_gateway::Config>(GATEWAY).check().expect("a gateway");
        parse::<bugle_application::Config>(APPLICATION);
    }

    #[test]
    fn what_a_template_shows_as_held_is_what_holds() {
        let shown = |config: bugle_platform::Config| (config.http_listen, config.link_listen);
        assert_eq!(shown(parse(&spelt_out(PLATFORM))), shown(parse(PLATFORM)));
        let shown = |config: bugle_gateway::Config| {
            format!("{:?} {:?} {:?} {:?}", config.http_listen, config.http_plain, config.mqtt, config.registration)
        };
        assert_eq!(shown(parse(&spelt_out(GATEWAY))), shown(parse(GATEWAY)));
        let shown = |config: bugle_application::Config| (config.http_listen, config.policy);
        assert_eq!(shown(parse(&spelt_out(APPLICATION))), shown(parse(APPLICATION)));
    }

    #[test]
    fn a_password_is_a_line_without_its_end() {
        let peripheral = PeripheralId::new("lamp-01").expect("a peripheral id");
        let derived = PasswordVerifier::derive(&peripheral, b"correct horse");
        assert_eq!(verifier(&peripheral, "correct horse\r\n").ok(), Some(derived));
        assert!(matches!(verifier(&peripheral, "\n"), Err(Failure::Usage(_))));
    }
}
