//! The command tree.

use std::path::PathBuf;

use bugle_core::ApplicationId;
use clap::builder::styling::{AnsiColor, Styles};
use clap::{Args, Parser, Subcommand};

use crate::command::application::ApplicationArgs;
use crate::command::approval::ApprovalArgs;
use crate::command::backup::{BackupArgs, RestoreArgs};
use crate::command::completions::CompletionsArgs;
use crate::command::config::ConfigCommand;
use crate::command::events::EventsArgs;
use crate::command::gateway::GatewayArgs;
use crate::command::group::GroupCommand;
use crate::command::load::LoadCommand;
use crate::command::peripheral::PeripheralCommand;
use crate::command::platform::PlatformArgs;
use crate::command::request::RequestCommand;
use crate::command::schedule::ScheduleCommand;
use crate::command::token::TokenCommand;
use crate::up::UpArgs;

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Yellow.on_default().bold())
    .usage(AnsiColor::Yellow.on_default().bold())
    .literal(AnsiColor::Green.on_default())
    .placeholder(AnsiColor::Cyan.on_default());

/// One call wakes the whole group.
///
/// Bugle manages groups of peripherals that reach the network only through a gateway: meters, valves,
/// lamps, sensors. An application decides who may join which group; one group request reaches every
/// member, waking those in standby, and brings a receipt for each.
///
/// Start with `bugle up`: it runs everything on this machine and shows how it works.
#[derive(Debug, Parser)]
#[command(
    name = "bugle",
    version,
    styles = STYLES,
    max_term_width = 100,
    propagate_version = false,
    subcommand_required = true,
    arg_required_else_help = true,
    after_long_help = "\
Exit status:
  0  done; where a group request was awaited, every member was served
  1  not all members were served, or something on this machine went wrong
  2  the command line is not right
  3  the platform, the application or the gateway said no, or is out of reach

Examples:
  bugle up
  bugle group list
  bugle group send lamps --message on"
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command takes.
#[derive(Debug, Clone, Args)]
pub(crate) struct Global {
    /// Where the platform's HTTP API is
    #[arg(long, global = true, value_name = "URL", env = "BUGLE_PLATFORM", help_heading = "Connection")]
    pub(crate) platform: Option<String>,
    /// The token to show to the platform
    #[arg(
        long,
        global = true,
        value_name = "TOKEN",
        env = "BUGLE_TOKEN",
        hide_env_values = true,
        conflicts_with = "token_file",
        help_heading = "Connection"
    )]
    pub(crate) token: Option<String>,
    /// A file that holds the token
    #[arg(long, global = true, value_name = "FILE", help_heading = "Connection")]
    pub(crate) token_file: Option<PathBuf>,
    /// Whose groups, requests and events
    #[arg(long, global = true, value_name = "ID", env = "BUGLE_APPLICATION", help_heading = "Connection")]
    pub(crate) application: Option<ApplicationId>,
    /// The folder of `bugle up`; what is not said otherwise is taken from its client.toml
    #[arg(
        long,
        global = true,
        value_name = "FOLDER",
        env = "BUGLE_DATA",
        default_value = "bugle-data",
        help_heading = "Connection"
    )]
    pub(crate) data: PathBuf,
    /// JSON on standard output: one document, or for what goes on one line each
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

/// What there is to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Up(UpArgs),
    Group(GroupCommand),
    Request(RequestCommand),
    Schedule(ScheduleCommand),
    Peripheral(PeripheralCommand),
    Approval(ApprovalArgs),
    Events(EventsArgs),
    Gateway(GatewayArgs),
    Platform(PlatformArgs),
    Application(ApplicationArgs),
    Token(TokenCommand),
    Backup(BackupArgs),
    Restore(RestoreArgs),
    Load(LoadCommand),
    Config(ConfigCommand),
    Completions(CompletionsArgs),
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn parse(line: &str) -> Result<Cli, clap::error::ErrorKind> {
        Cli::try_parse_from(line.split(' ')).map_err(|error| error.kind())
    }

    /// Every command that does something, with the words that lead to it.
    fn leaves(command: &clap::Command, path: &str, found: &mut Vec<(String, String)>) {
        let mut has_more = false;
        for inner in command.get_subcommands().filter(|inner| inner.get_name() != "help") {
            has_more = true;
            leaves(inner, &format!("{path} {}", inner.get_name()), found);
        }
        if !has_more {
            found.push((path.to_owned(), command.get_after_long_help().map(ToString::to_string).unwrap_or_default()));
        }
    }

    #[test]
    fn the_command_tree_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_teaches_by_an_example_of_itself() {
        let mut found = Vec::new();
        leaves(&Cli::command(), "bugle", &mut found);
        for (path, help) in found {
            assert!(help.contains(&path), "{path}: {help}");
        }
    }

    /// Every line of the help texts that is an example: those that are set off, under a heading of that name.
    fn examples(help: &str) -> impl Iterator<Item = &str> {
        let shown = help.lines().skip_while(|line| !line.starts_with("Example")).skip(1);
        shown.filter_map(|line| line.strip_prefix("  "))
    }

    /// The words with which a shell calls `bugle` when it runs these lines. What they ask other programs
    /// for are ids that could be.
    fn calls(lines: &[&str]) -> Vec<Vec<String>> {
        const PRELUDE: &str = r#"
            set -eu
            bugle() { for word; do printf '%s\0' "$word" >> calls; done; printf '\0' >> calls; }
            jq() { cat > /dev/null; echo 1M8QZ4T7B0XKC; }
            pidof() { echo 4711; }
        "#;
        let folder = tempfile::TempDir::new().expect("a folder");
        let script = format!("{PRELUDE}\n{}\n", lines.join("\n"));
        let run = std::process::Command::new("sh").args(["-c", &script]).current_dir(&folder).status();
        assert!(run.expect("there is a shell").success(), "{script}");
        let calls = std::fs::read_to_string(folder.path().join("calls")).expect("bugle was called");
        let calls = calls.split_terminator("\0\0");
        calls.map(|call| call.split('\0').map(str::to_owned).collect()).collect()
    }

    /// The help of a command and of all below it.
    fn helps(command: &clap::Command, found: &mut Vec<String>) {
        found.extend(command.get_after_long_help().map(ToString::to_string));
        command.get_subcommands().for_each(|inner| helps(inner, found));
    }

    #[test]
    fn every_example_in_the_help_runs_as_it_is_written() {
        let mut found = Vec::new();
        helps(&Cli::command(), &mut found);
        let mut parsed = 0;
        for help in &found {
            let lines: Vec<&str> = examples(help).collect();
            for call in calls(&lines) {
                let words = std::iter::once("bugle").chain(call.iter().map(String::as_str));
                let command = Cli::try_parse_from(words).map_err(|error| error.to_string());
                assert!(command.is_ok(), "{call:?}: {command:?}");
                parsed += 1;
            }
        }
        assert!(parsed >= found.len(), "{parsed} examples in {} texts", found.len());
    }

    #[test]
    fn settings_that_every_command_takes_may_stand_anywhere() {
        for line in ["bugle --json gateway list", "bugle gateway list --json", "bugle group --json list"] {
            assert!(parse(line).is_ok_and(|cli| cli.global.json), "{line}");
        }
    }

    #[test]
    fn what_is_not_right_is_told_before_anything_is_done() {
        use clap::error::ErrorKind;
        let kind = |line| parse(line).err();
        assert_eq!(kind("bugle blow"), Some(ErrorKind::InvalidSubcommand));
        assert_eq!(kind("bugle up --peripherals 3"), Some(ErrorKind::ValueValidation));
        assert_eq!(kind("bugle peripheral show lamp-01"), Some(ErrorKind::ValueValidation));
        assert_eq!(kind("bugle peripheral list --waiting --group lamps"), Some(ErrorKind::ArgumentConflict));
        assert_eq!(kind("bugle group send lamps"), Some(ErrorKind::MissingRequiredArgument));
        assert_eq!(kind("bugle token create t --scope all"), Some(ErrorKind::ValueValidation));
    }
}
