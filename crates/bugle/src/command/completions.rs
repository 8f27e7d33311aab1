//! `bugle completions`: what a shell needs to complete commands.

use std::io;

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use crate::cli::Cli;
use crate::failure::{Ended, Failure};

/// Print what your shell needs to complete commands
#[derive(Debug, Args)]
#[command(after_long_help = "\
Example:
  bugle completions bash > bugle.bash
  . ./bugle.bash")]
pub(crate) struct CompletionsArgs {
    /// Which shell
    shell: Shell,
}

impl CompletionsArgs {
    pub(crate) fn run(&self) -> Result<Ended, Failure> {
        clap_complete::generate(self.shell, &mut Cli::command(), "bugle", &mut io::stdout());
        Ok(Ended::Well)
    }
}
