//! `bugle application`: runs an application, or manages those of the platform.

use anyhow::Context as _;
use bugle_api::{Application, PageQuery};
use bugle_core::ApplicationId;
use clap::{Args, Subcommand};

use super::Context;
use super::paging::Limit;
use crate::cli::Global;
use crate::failure::{Ended, Failure};
use crate::output::table;
use crate::part::{PartArgs, shutdown_on_signals};
use crate::when::Wall;

/// Run an application, or manage the applications of the platform
///
/// Without a command it runs the application that is shipped: it decides by the rules of its policy
/// file who may register, and holds the group configurations. Settings are overridden by variables as
/// BUGLE_APPLICATION__POLICY=policy.toml.
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_long_help = "\
Example:
  bugle config policy > policy.toml
  bugle config application > application.toml
  bugle application --config application.toml"
)]
pub(crate) struct ApplicationArgs {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    part: PartArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Add an application to the platform; does nothing if it is there
    #[command(after_long_help = "Example:\n  bugle application add harbour")]
    Add {
        /// What the application is called
        id: ApplicationId,
    },
    /// List the applications of the platform
    #[command(after_long_help = "Example:\n  bugle application list")]
    List {
        #[command(flatten)]
        limit: Limit,
    },
}

impl ApplicationArgs {
    pub(crate) async fn run(self, global: &Global) -> Result<Ended, Failure> {
        match self.command {
            None => {
                let config = self.part.prepare("application")?;
                let application = bugle_application::Application::start(config, shutdown_on_signals()?);
                let application = application.await?;
                application.ended().await.context("the application could not go on")?;
            }
            Some(Command::Add { id }) => {
                let context = Context::new(global)?;
                let added = context.client()?.add_application(&id).await?;
                context.output.print(&added, |added| format!("The platform knows application {}.", added.id))?;
            }
            Some(Command::List { limit }) => {
                let context = Context::new(global)?;
                let client = context.client()?;
                let found = limit
                    .collect(async |cursor, limit| client.applications(&PageQuery { cursor, limit }).await)
                    .await?;
                context.output.print(&found.items, |found_here| format!("{}{}", show(found_here), found.note()))?;
            }
        }
        Ok(Ended::Well)
    }
}

fn show(applications: &[Application]) -> String {
    let wall = Wall::here();
    let rows = applications
        .iter()
        .map(|known| [known.id.to_string(), wall.tell(known.created_at), known.event_sequence.to_string()]);
    table(["application", "known since", "events"], rows, "No application yet.")
}
