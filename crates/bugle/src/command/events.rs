//! `bugle events`: the event log of the application.

use bugle_api::EventRecord;
use bugle_core::{Event, Presence, Time};
use clap::Args;
use futures_util::StreamExt;

use super::Context;
use crate::failure::{Ended, Failure};
use crate::output::{Output, list};
use crate::when::Wall;

/// Follow what happens to the application's groups
///
/// Every event has a sequence. Ctrl-C ends it; --after with the last sequence goes on from there, and
/// nothing is missed.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  bugle events
  bugle events --after 0 --no-follow")]
pub(crate) struct EventsArgs {
    /// Only events after this sequence; 0 is all that are kept. New ones without it
    #[arg(long, value_name = "SEQUENCE")]
    after: Option<u64>,
    /// Print what is there, and end
    #[arg(long)]
    no_follow: bool,
}
