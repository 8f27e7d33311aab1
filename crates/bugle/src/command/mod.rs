//! What each command does, by noun.

pub(crate) mod application;
pub(crate) mod approval;
pub(crate) mod backup;
pub(crate) mod completions;
pub(crate) mod config;
pub(crate) mod events;
pub(crate) mod gateway;
mod gateway_allocations;
pub(crate) mod group;
pub(crate) mod load;
pub(crate) mod paging;
pub(crate) mod peripheral;
pub(crate) mod platform;
pub(crate) mod request;
pub(crate) mod schedule;
pub(crate) mod send;
pub(crate) mod token;

use bugle_client::Client;

use crate::cli::{Cli, Command, Global};
use crate::connection::Connection;
use crate::failure::{Ended, Failure};
use crate::output::Output;

/// What every command works with.
pub(crate) struct Context {
    /// How it prints.
    pub(crate) output: Output,
    /// Where the platform is.
    pub(crate) connection: Connection,
}

impl Context {
    fn new(global: &Global) -> Result<Self, Failure> {
        let output = if global.json { Output::Json } else { Output::People };
        Ok(Self { output, connection: Connection::find(global)? })
    }

    /// A client of the platform, with the token that is known.
    pub(crate) fn client(&self) -> Result<Client, Failure> {
        Ok(Client::new(self.connection.platform()?, self.connection.token()?)?)
    }
}

/// Does what the command line says.
pub(crate) async fn run(cli: Cli) -> Result<Ended, Failure> {
    let context = || Context::new(&cli.global);
    match cli.command {
        Command::Up(args) => crate::up::run(&cli.global, args).await,
        Command::Group(command) => command.run(&context()?).await,
        Command::Request(command) => command.run(&context()?).await,
        Command::Schedule(command) => command.run(&context()?).await,
        Command::Peripheral(command) => command.run(&context()?).await,
        Command::Approval(args) => args.run(&context()?).await,
        Command::Events(args) => args.run(&context()?).await,
        Command::Gateway(args) => args.run(&cli.global).await,
        Command::Platform(args) => args.run().await,
        Command::Application(args) => args.run(&cli.global).await,
        Command::Token(command) => command.run(&context()?).await,
        Command::Backup(args) => args.run(&context()?).await,
        Command::Restore(args) => args.run(&context()?).await,
        Command::Load(command) => command.run(&context()?).await,
        Command::Config(command) => command.run(),
        Command::Completions(args) => args.run(),
    }
}
